//! A file becomes named tensors: GGUF, safetensors and MLX.
//!
//! [`Source::open`] maps a model's files and reads their headers; [`Source::bind`] finds every part
//! that a model demands, and nothing besides; [`Source::load`] hands a part over where it lies in
//! the file. Tokenizers, programs and devices are not known here.
#![deny(unsafe_code)]

mod adapter;
mod canon;
mod directory;
mod error;
mod gguf;
mod heads;
mod hf;
mod meta;
mod mlx;
mod mmap;
mod names;
mod packing;
mod quant;
mod safetensors;
mod sampling;
mod side;
mod source;

pub use adapter::{Adapter, Pair};
pub use directory::{Bound, Container, TensorInfo};
pub use error::WeightError;
pub use gguf::{
    Gguf, GgufArray, GgufItems, GgufTensor, GgufValue, header_bytes as gguf_header_bytes,
};
pub use mmap::map;
pub use safetensors::{Dtype, SafeFile, SafeHeader, SafeTensor};
pub use sampling::SamplingDefaults;
pub use side::SideFiles;
pub use source::Source;
