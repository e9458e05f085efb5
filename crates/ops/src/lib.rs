//! What a backend must do: the list of operations, the programs made of them, and the step that
//! runs a program over a ragged batch of rows.
//!
//! This crate knows no model, no file and no device. [`mod@reference`] says what each operation
//! computes; [`conformance`] is what every backend must pass.
#![forbid(unsafe_code)]

mod backend;
mod list;
mod program;
mod step;

pub mod conformance;
pub mod numerics;
pub mod reference;

pub use backend::{Backend, Executor, Fault, Outputs, Profile, Sizes, Ticket, Unsupported};
pub use list::{
    Argmax, Attend, Columns, DeltaNet, Embed, GatedAct, HeadLinear, Kernels, KvWrite, Linear, Op,
    Pick, RmsNorm, Rope, ShortConv,
};
pub use program::{
    Act, CacheGroup, CacheRef, Domain, Form, KvKind, Long, PAGE, Part, Program, Rotation, SlotInfo,
    Stage, StateRef, WeightInfo,
};
pub use program::{RopeId, Slot, WeightId};
pub use step::{Input, Mask, Output, Row, Sequence, StateWrite, States, Step};
