//! The operations on a CPU's vector units.
//!
//! Kernels are written once on the primitives of `simd` and give the same bits on every
//! processor; formats that decode most models have their own dot products in `dot`. Nothing here
//! knows a model, a plan or a file.
#![deny(unsafe_code)]

mod attend;
mod attention;
mod backend;
mod dot;
mod each_row;
mod exact;
mod experts;
mod features;
mod latent;
mod linear;
mod measure;
mod panel;
mod plain;
mod recurrent;
mod rounded;
mod rows;
mod run;
mod share;
mod simd;
mod stored;
mod tables;
mod team;
mod work;

pub use backend::Cpu;
pub use features::{Isa, features};
pub use measure::{Effort, Peaks, measure};
