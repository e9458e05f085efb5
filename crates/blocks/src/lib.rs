//! How weights are packed: every block format, its layout and its values.
//!
//! A format is one file and one line of the table in `kind`; nothing else in Russet knows a layout.
//! What loops work with is the same for all of them: weights as `f32` ([`Kind::decode`]), or a
//! block as small integers with scales ([`Kind::ints`]). Files and names are not known here.
#![forbid(unsafe_code)]

mod affine;
mod bits;
mod block;
mod bytes;
pub mod grids;
mod indexed;
mod ints;
mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_nl;
mod iq4_xs;
mod kind;
mod mxfp4;
mod nvfp4;
mod plain;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod scaled;
mod tensor;
mod tq1_0;
mod tq2_0;

pub use affine::Affine;
pub use bits::MASKS;
pub use bytes::Bytes;
pub use indexed::Indexed;
pub use ints::{IntShape, Ints};
pub use iq4_nl::CODEBOOK as IQ4_CODEBOOK;
pub use kind::Kind;
pub use mxfp4::{DOUBLED as FP4_DOUBLED, HALVES_OF_POWERS};
pub use plain::Plain;
pub use q4_0::encode as encode_q4_0;
pub use q8_0::encode as encode_q8_0;
pub use scaled::{Element, Global, Scale, Scaled, Tile};
pub use tensor::{Misshapen, Row, Tensor, View};
