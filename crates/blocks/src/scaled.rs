//! Floats of 4 or 8 bits whose scales lie in a matrix of their own.
//!
//! One scale serves a tile of weights: 128 x 128 of FP8 (DeepSeek), 32 in a row of MXFP4 and MXFP8,
//! 16 of NVFP4. Sources: OCP Microscaling Formats 1.0; OCP 8-bit Floating Point 1.0.

use std::fmt;

use crate::mxfp4::{DOUBLED, half_of_power};
use crate::{IntShape, Ints, Plain, Row};

/// The parameters of such a format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scaled {
    /// How a weight is stored.
    pub element: Element,
    /// How a scale is stored.
    pub scale: Scale,
    /// The weights that share a scale.
    pub tile: Tile,
    /// Whether one more scale holds for the whole matrix.
    pub global: Option<Global>,
}

/// A small float.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Element {
    /// FP4: two in a byte, the first in its low half.
    E2M1,
    /// FP8 without infinities.
    E4M3,
}

/// How the scales of tiles are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scale {
    /// As plain floats.
    Plain(Plain),
    /// As FP8.
    E4M3,
    /// As a power of two: the exponent, biased by 127.
    E8M0,
}

/// The weights that share a scale.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tile {
    /// Rows, or [`Tile::ALL`].
    pub rows: u32,
    /// Columns, or [`Tile::ALL`].
    pub cols: u32,
}

/// A scale of the whole matrix, one `f32`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Global {
    /// Scales are multiplied with it.
    Times,
    /// Scales are divided by it.
    Per,
}

impl Tile {
    /// As many rows or columns as the matrix has.
    pub const ALL: u32 = u32::MAX;
}

impl Element {
    /// Bits per weight.
    pub fn bits(self) -> usize {
        match self {
            Element::E2M1 => 4,
            Element::E4M3 => 8,
        }
    }
}

impl Scale {
    /// Bytes per scale.
    pub fn bytes(self) -> usize {
        match self {
            Scale::Plain(plain) => plain.bytes(),
            Scale::E4M3 | Scale::E8M0 => 1,
        }
    }

    #[inline(always)]
    fn get(self, scales: &[u8], index: usize) -> f32 {
        match self {
            Scale::Plain(plain) => plain.get(scales, index),
            Scale::E4M3 => E4M3[usize::from(scales[index])],
            Scale::E8M0 => 2.0 * half_of_power(scales[index]),
        }
    }
}

impl Scaled {
    /// MXFP4: a power of two for 32 weights of a row.
    pub const MXFP4: Scaled = Scaled {
        element: Element::E2M1,
        scale: Scale::E8M0,
        tile: Tile { rows: 1, cols: 32 },
        global: None,
    };
    /// MXFP8: a power of two for 32 weights of a row.
    pub const MXFP8: Scaled = Scaled { element: Element::E4M3, ..Scaled::MXFP4 };
    /// NVFP4 without a scale of the whole matrix: an FP8 scale for 16 weights of a row.
    pub const NVFP4: Scaled = Scaled {
        element: Element::E2M1,
        scale: Scale::E4M3,
        tile: Tile { rows: 1, cols: 16 },
        global: None,
    };

    /// Whether there is such a format.
    pub fn is_valid(self) -> bool {
        let Tile { rows, cols } = self.tile;
        let cols_known = match self.element {
            Element::E2M1 => matches!(cols, 16 | 32 | 64 | 128),
            Element::E4M3 => cols > 0,
        };
        rows > 0 && cols_known
    }

    /// Scales of a row of tiles that is `cols` weights wide.
    pub fn tiles(self, cols: usize) -> usize {
        cols.div_ceil(self.tile.cols as usize)
    }

    /// Weights per block; bytes stand alone.
    pub(crate) fn block_len(self) -> usize {
        match self.element {
            Element::E2M1 => self.tile.cols as usize,
            Element::E4M3 => 1,
        }
    }

    /// Bits of scales for each weight of a matrix of whole tiles; none where a tile has no bound.
    pub(crate) fn scale_bits_per_weight(self) -> f64 {
        let Tile { rows, cols } = self.tile;
        if rows == Tile::ALL || cols == Tile::ALL {
            return 0.0;
        }
        (8 * self.scale.bytes()) as f64 / (f64::from(rows) * f64::from(cols))
    }

    pub(crate) fn int_shape(self) -> Option<IntShape> {
        // FP8 numbers and scales span more powers of two than integers hold.
        (self == Scaled::MXFP4).then_some(INTS)
    }
}

/// MXFP4's; doubled, its numbers are integers.
const INTS: IntShape = IntShape { n: 32, sub: 32, off: 12, mins: false, scales: false };

/// Unpacks the 32 weights of block `block` of MXFP4.
pub(crate) fn ints(scaled: Scaled, row: Row<'_>, block: usize, out: &mut Ints) {
    assert!(scaled == Scaled::MXFP4, "{scaled} has no integers");
    out.d = half_of_power(row.scales[block]);
    out.dmin = 0.0;
    out.scale[0] = 1;
    let codes = &row.data[block * 16..][..16];
    for (q, code) in out.q.as_chunks_mut::<2>().0.iter_mut().zip(codes) {
        *q = [DOUBLED[usize::from(code & 15)], DOUBLED[usize::from(code >> 4)]];
    }
}

/// Decodes `out.len()` weights from column `from`.
pub(crate) fn decode(scaled: Scaled, row: Row<'_>, from: usize, out: &mut [f32]) {
    let width = scaled.tile.cols as usize;
    let global = |scale: f32| match scaled.global {
        None => scale,
        Some(Global::Times) => scale * Plain::F32.get(row.biases, 0),
        Some(Global::Per) => scale / Plain::F32.get(row.biases, 0),
    };
    let (mut col, mut rest) = (from, out);
    while !rest.is_empty() {
        let tile = col / width;
        let count = rest.len().min(width - col % width);
        let (run, after) = rest.split_at_mut(count);
        match scaled.element {
            Element::E4M3 => {
                let scale = global(scaled.scale.get(row.scales, tile));
                for (w, byte) in run.iter_mut().zip(&row.data[col..]) {
                    *w = E4M3[usize::from(*byte)] * scale;
                }
            }
            Element::E2M1 => {
                // The codebook is doubled, so the scale is halved.
                let half = match scaled.scale {
                    Scale::E8M0 => global(half_of_power(row.scales[tile])),
                    scale => 0.5 * global(scale.get(row.scales, tile)),
                };
                let weight = |code: u8| half * f32::from(DOUBLED[usize::from(code)] as i8 - 12);
                for (w, code) in run.as_chunks_mut::<2>().0.iter_mut().zip(&row.data[col / 2..]) {
                    *w = [weight(code & 15), weight(code >> 4)];
                }
            }
        }
        (col, rest) = (col + count, after);
    }
}

/// The number that each byte stands for: a sign, four bits of exponent biased by 7 and three of
/// fraction; all ones is no number.
static E4M3: [f32; 256] = {
    let mut values = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (exponent, fraction) = ((byte >> 3 & 15) as u32, (byte & 7) as f32);
        let magnitude = match (exponent, byte & 7) {
            (15, 7) => f32::NAN,
            (0, _) => fraction / 512.0,
            _ => f32::from_bits((exponent + 127 - 7) << 23) * (1.0 + fraction / 8.0),
        };
        values[byte] = if byte < 128 { magnitude } else { -magnitude };
        byte += 1;
    }
    values
};

impl fmt::Display for Scaled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Scaled::MXFP4 => return f.write_str("mxfp4"),
            Scaled::MXFP8 => return f.write_str("mxfp8"),
            _ if (Scaled { global: None, ..*self }) == Scaled::NVFP4 => {
                return f.write_str("nvfp4");
            }
            _ => {}
        }
        let element = if self.element == Element::E2M1 { "fp4" } else { "fp8" };
        match self.tile {
            Tile { rows: Tile::ALL, cols: Tile::ALL } => write!(f, "{element}/matrix"),
            Tile { rows: 1, cols: Tile::ALL } => write!(f, "{element}/row"),
            Tile { rows, cols } => write!(f, "{element}/{rows}x{cols}"),
        }
    }
}
