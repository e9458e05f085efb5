//! What a backend must do: the list of operations, the programs made of them, and the step that
//! runs a program over a ragged batch of rows.
//!
//! This crate knows no model, no file and no device. [`mod@reference`] says what each operation
//! computes; [`conformance`] is what every backend must pass.
#![forbid(unsafe_code)]

mod backend;
mod hashing;
mod list;
mod program;
mod step;

pub mod conformance;
pub mod numerics;
pub mod reference;
pub mod routing;

pub use backend::{Backend, Executor, Fault, Outputs, Profile, Sizes, Ticket, Unsupported};
pub use hashing::{HashHead, Hashing};
pub use list::{
    Argmax, Attend, Columns, Combine, DeltaNet, Dot, Embed, GatedAct, HeadLinear, Kernels, KvWrite,
    LayerNorm, Linear, LinearAt, Op, Pick, Recall, RmsNorm, Rope, Route, Scale, ShortConv, SoftCap,
};
pub use program::{
    Act, CacheGroup, CacheRef, Domain, ExpertPart, Form, Groups, Key, KvKind, Long, PAGE, Part,
    Program, Reach, Rotation, Routing, Score, SlotInfo, Stage, StateRef, Temperature, Up,
    WeightInfo,
};
pub use program::{RopeId, Slot, WeightId};
pub use step::{Input, Mask, Output, Row, Sequence, StateWrite, States, Step};
