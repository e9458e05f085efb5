//! Which network a model is: plain data, derived from its file's metadata.
//!
//! This crate never sees a tensor's bytes, a file or a device. A family is a function of a few
//! lines that says how it differs from an earlier family; everything else (the weights to demand,
//! the program, the bytes of the KV cache) follows from the [`Spec`] it returns.
#![forbid(unsafe_code)]

mod families;
mod memory;
mod meta;
mod mixers;
mod part;
mod rope;
mod spec;

pub use families::inside::{has_text, text_class};
pub use families::{FAMILIES, Family, describe, family};
pub use memory::{Memory, MemoryHead};
pub use meta::{Meta, SpecError, Value};
pub use mixers::{DeltaNet, Latent};
pub use part::{Part, WeightSpec};
pub use rope::{Pairing, Rope, RopeTable, Scaling};
pub use spec::{
    Act, Attention, Block, Dense, Experts, Ffn, Groups, Layer, Mixer, Norm, PerLayer, QkNorm,
    Reach, Routing, Score, Shared, Spec, Temperature, Values,
};

#[cfg(test)]
mod tests;
