//! A step: sequences in, next ids out.
//!
//! The engine knows ids and pages: no text, no file, no clock, and of devices only what
//! [`ops::Backend`] says. [`Engine::step`] is schedule, run, settle.
#![forbid(unsafe_code)]

mod dry;
mod engine;
mod error;
mod ledger;
mod mask;
mod pages;
mod penalties;
mod prefix;
mod random;
mod request;
mod runtime;
mod sample;
mod sampling;
mod scheduler;
mod score;
mod sequence;
mod states;

pub mod limits;

pub use engine::Engine;
pub use error::{EngineError, Rejected};
pub use ledger::{Class, Entry, Lease, Ledger, OverBudget};
pub use mask::Mask;
pub use request::{Event, Failure, Reason, Request, SequenceId, Usage};
pub use runtime::{Options, Runtime};
pub use sampling::{Dry, Mirostat, Sampling, Xtc};
