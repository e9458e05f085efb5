//! The table of formats, and what every format answers.

use std::fmt;

use crate::affine::{self, Affine};
use crate::block::Format;
use crate::indexed::{self, Indexed};
use crate::scaled::{self, Scaled};
use crate::{IntShape, Ints, Row};
use crate::{
    iq1_m, iq1_s, iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs, iq4_nl, iq4_xs, mxfp4, nvfp4, plain,
    q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0, tq1_0, tq2_0,
};

/// Declares each format once: its variant of [`Kind`], its id in GGUF files and its block type.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $id:literal, $block:ty;)*) => {
        /// How a matrix's numbers are stored.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
            /// MLX's affine groups of 2 to 8 bits: `scale * q + bias`.
            Affine(Affine),
            /// The same where every column names its group.
            Indexed(Indexed),
            /// Floats of 4 or 8 bits whose scales lie apart: FP8, MXFP4, MXFP8, NVFP4.
            Scaled(Scaled),
        }

        impl Kind {
            /// The kinds that a GGUF file can hold.
            pub const GGUF: &[Kind] = &[$(Kind::$kind),*];

            /// The kind with this type id in GGUF files (ggml's numbering).
            pub fn from_ggml(id: u32) -> Option<Kind> {
                match id {
                    $($id => Some(Kind::$kind),)*
                    _ => None,
                }
            }

            /// The type id in GGUF files, if this kind has one.
            pub fn ggml_id(self) -> Option<u32> {
                match self {
                    $(Kind::$kind => Some($id),)*
                    Kind::Affine(_) | Kind::Indexed(_) | Kind::Scaled(_) => None,
                }
            }

            fn layout(self) -> Layout {
                match self {
                    $(Kind::$kind => {
                        Layout::Blocks(const { &Format::of::<$block>(stringify!($kind)) })
                    })*
                    Kind::Affine(affine) => Layout::Affine(affine),
                    Kind::Indexed(indexed) => Layout::Indexed(indexed),
                    Kind::Scaled(scaled) => Layout::Scaled(scaled),
                }
            }
        }
    };
}

kinds! {
    /// One `f32` per weight.
    F32 = 0, plain::F32;
    /// One IEEE half per weight.
    F16 = 1, plain::F16;
    /// One bfloat16 per weight: the upper half of an `f32`.
    BF16 = 30, plain::BF16;
    /// 32 weights of 4 bits around 8, one scale.
    Q4_0 = 2, q4_0::Q4_0;
    /// 32 weights of 4 bits, one scale and one minimum.
    Q4_1 = 3, q4_1::Q4_1;
    /// 32 weights of 5 bits around 16, one scale.
    Q5_0 = 6, q5_0::Q5_0;
    /// 32 weights of 5 bits, one scale and one minimum.
    Q5_1 = 7, q5_1::Q5_1;
    /// 32 signed bytes, one scale.
    Q8_0 = 8, q8_0::Q8_0;
    /// 256 weights of 2 bits; scales and minimums of 4 bits per 16.
    Q2_K = 10, q2_k::Q2_K;
    /// 256 weights of 3 bits; scales of 6 bits per 16.
    Q3_K = 11, q3_k::Q3_K;
    /// 256 weights of 4 bits; scales and minimums of 6 bits per 32.
    Q4_K = 12, q4_k::Q4_K;
    /// 256 weights of 5 bits; scales and minimums of 6 bits per 32.
    Q5_K = 13, q5_k::Q5_K;
    /// 256 weights of 6 bits; scales of 8 bits per 16.
    Q6_K = 14, q6_k::Q6_K;
    /// 256 weights in eights from a grid of 2048 ternary points, shifted by 1/8; scales per 32.
    IQ1_S = 19, iq1_s::IQ1_S;
    /// As `IQ1_S`, with a shift per 8 weights and a scale per 16.
    IQ1_M = 29, iq1_m::IQ1_M;
    /// 256 weights in eights from a grid of 256 points with signs; scales of 4 bits per 32.
    IQ2_XXS = 16, iq2_xxs::IQ2_XXS;
    /// 256 weights in eights from a grid of 512 points with signs; scales of 4 bits per 16.
    IQ2_XS = 17, iq2_xs::IQ2_XS;
    /// 256 weights in eights from a grid of 1024 points with signs; scales of 4 bits per 16.
    IQ2_S = 22, iq2_s::IQ2_S;
    /// 256 weights in fours from a grid of 256 points with signs; scales of 4 bits per 32.
    IQ3_XXS = 18, iq3_xxs::IQ3_XXS;
    /// 256 weights in fours from a grid of 512 points with signs; scales of 4 bits per 32.
    IQ3_S = 21, iq3_s::IQ3_S;
    /// 32 weights from a codebook of 16 values, one scale.
    IQ4_NL = 20, iq4_nl::IQ4_NL;
    /// 256 weights from `IQ4_NL`'s codebook; scales of 6 bits per 32.
    IQ4_XS = 23, iq4_xs::IQ4_XS;
    /// 256 ternary weights, five to a byte, one scale.
    TQ1_0 = 34, tq1_0::TQ1_0;
    /// 256 ternary weights, four to a byte, one scale.
    TQ2_0 = 35, tq2_0::TQ2_0;
    /// 32 weights of FP4 (E2M1) with one power of two as their scale (OCP microscaling).
    MXFP4 = 39, mxfp4::MXFP4;
    /// 64 weights of FP4 (E2M1); scales of FP8 (E4M3) per 16.
    NVFP4 = 40, nvfp4::NVFP4;
}

/// A format whose blocks hold their scales, or one of those whose blocks do not.
enum Layout {
    Blocks(&'static Format),
    Affine(Affine),
    Indexed(Indexed),
    Scaled(Scaled),
}

impl Kind {
    /// The name by which the format is known, as in `Q4_K` or `affine4/64`.
    pub fn name(self) -> String {
        self.to_string()
    }

    /// Weights per block.
    pub fn block_len(self) -> usize {
        match self.layout() {
            Layout::Blocks(format) => format.len,
            Layout::Affine(affine) => usize::from(affine.group),
            Layout::Indexed(_) => indexed::BLOCK,
            Layout::Scaled(scaled) => scaled.block_len(),
        }
    }

    /// Bytes per block in a row's `data`; scales and biases that lie elsewhere do not count.
    pub fn block_bytes(self) -> usize {
        match self.layout() {
            Layout::Blocks(format) => format.bytes,
            Layout::Affine(affine) => usize::from(affine.group) * usize::from(affine.bits) / 8,
            Layout::Indexed(indexed) => indexed::BLOCK * usize::from(indexed.bits) / 8,
            Layout::Scaled(scaled) => scaled.block_len() * scaled.element.bits() / 8,
        }
    }

    /// Whether there is such a format: parameters may name one that does not exist.
    pub(crate) fn is_valid(self) -> bool {
        match self.layout() {
            Layout::Blocks(_) => true,
            Layout::Affine(affine) => affine.is_valid(),
            Layout::Indexed(indexed) => indexed.is_valid(),
            Layout::Scaled(scaled) => scaled.is_valid(),
        }
    }

    /// Bytes of a row's `data`; `None` where `cols` is no multiple of the block, on overflow, and
    /// for parameters that no format has.
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        let len = self.block_len();
        if !self.is_valid() || !cols.is_multiple_of(len) {
            return None;
        }
        (cols / len).checked_mul(self.block_bytes())
    }

    /// Bits per weight, with all scales and biases that a large matrix has.
    pub fn bits_per_weight(self) -> f64 {
        let apart = match self.layout() {
            Layout::Blocks(_) => 0.0,
            Layout::Affine(affine) => (16 * affine.scale.bytes()) as f64 / f64::from(affine.group),
            Layout::Indexed(indexed) => {
                (16 * indexed.scale.bytes()) as f64 / f64::from(indexed.group)
            }
            Layout::Scaled(scaled) => scaled.scale_bits_per_weight(),
        };
        (8 * self.block_bytes()) as f64 / self.block_len() as f64 + apart
    }

    /// Decodes `out.len()` weights of a row from column `from`; both are multiples of the block.
    ///
    /// # Panics
    /// Where they are not, or the row is shorter than that.
    pub fn decode(self, row: Row<'_>, from: usize, out: &mut [f32]) {
        let len = self.block_len();
        assert!(
            from.is_multiple_of(len) && out.len().is_multiple_of(len),
            "whole blocks of {self}"
        );
        match self.layout() {
            Layout::Blocks(format) => {
                let blocks = from / len..(from + out.len()) / len;
                let bytes = blocks.start * format.bytes..blocks.end * format.bytes;
                (format.decode)(&row.data[bytes], out);
            }
            Layout::Affine(affine) => affine::decode(affine, row, from, out),
            Layout::Indexed(indexed) => indexed::decode(indexed, row, from, out),
            Layout::Scaled(scaled) => scaled::decode(scaled, row, from, out),
        }
    }

    /// How a block looks as integers; `None` where the format's numbers are not integers.
    pub fn int_shape(self) -> Option<IntShape> {
        match self.layout() {
            Layout::Blocks(format) => format.ints,
            Layout::Affine(_) => Some(affine::INTS),
            Layout::Indexed(_) => None,
            Layout::Scaled(scaled) => scaled.int_shape(),
        }
    }

    /// Unpacks block `block` of a row, counted in blocks of [`IntShape::n`] weights.
    ///
    /// # Panics
    /// Where the row has no such block or the kind no [`Kind::int_shape`].
    pub fn ints(self, row: Row<'_>, block: usize, out: &mut Ints) {
        match self.layout() {
            Layout::Blocks(format) => {
                let bytes = &row.data[block * format.bytes..][..format.bytes];
                (format.unpack)(bytes, out);
            }
            Layout::Affine(affine) => affine::ints(affine, row, block, out),
            Layout::Indexed(_) => unreachable!("the weights of a block share no scale"),
            Layout::Scaled(scaled) => scaled::ints(scaled, row, block, out),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layout() {
            Layout::Blocks(format) => f.write_str(format.name),
            Layout::Affine(affine) => write!(f, "affine{}/{}", affine.bits, affine.group),
            Layout::Indexed(indexed) => write!(f, "indexed{}/{}", indexed.bits, indexed.group),
            Layout::Scaled(scaled) => scaled.fmt(f),
        }
    }
}
