//! A conversation: templates, stop strings and streams of text over the engine.
//!
//! This crate knows no file, device or wire. Its clock is the caller's.
#![forbid(unsafe_code)]

mod breakers;
mod conversation;
mod error;
mod generate;
mod prompt;
mod stream;

pub use breakers::{DRY_BREAKERS, dry_breakers};
pub use conversation::{ChatTemplate, Conversation, TemplateSource};
pub use error::ChatError;
pub use generate::{Finish, Finished, Hooks, Job, Timings, generate};
pub use prompt::prompt_ids;
pub use stream::{Stops, Stream};
