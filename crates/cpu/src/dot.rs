//! Products of four weight rows with one rounded activation row, straight from the file's layout.
//!
//! The formats that decode most models have their own; every other format with an integer form
//! is unpacked block by block. All of them compute what [`ops::numerics::fast_dot`] states.

/// The same of rows 0 to 3, as an array. A closure would be compiled without the processor's
/// instructions, which it would have to call.
macro_rules! four {
    ($row:ident => $value:expr) => {
        [
            four!($row, 0, $value),
            four!($row, 1, $value),
            four!($row, 2, $value),
            four!($row, 3, $value),
        ]
    };
    ($row:ident, $number:literal, $value:expr) => {{
        let $row = $number;
        $value
    }};
}

mod affine4;
mod codes;
mod eights;
mod fives;
mod generic;
mod grids;
mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_xs;
mod pairs;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_k;
mod q6_k;
mod q8_0;
mod runs;
mod tq2_0;

use crate::rounded::Rounded;
use crate::simd::Simd;
use blocks::{Kind, Tensor, View};
use std::ops::Range;

/// Multiplies some rows of a weight with each row of `x`; `put` takes the row of `x`, the first of
/// up to four weight rows and their products.
#[inline(always)]
pub fn multiply<S: Simd>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &Rounded<'_>,
    put: impl FnMut(usize, usize, &[f32]),
) {
    macro_rules! runs {
        ($format:ty, $bytes:literal) => {
            runs::multiply::<S, $format, $bytes>(s, weight.view(), chunk, x, put)
        };
    }
    match weight.kind {
        Kind::Q2_K => runs!(q2_k::Q2K, 84),
        Kind::Q3_K => runs!(q3_k::Q3K, 110),
        Kind::Q6_K => runs!(q6_k::Q6K, 210),
        Kind::IQ1_S => runs!(iq1_s::IQ1S, 50),
        Kind::IQ1_M => runs!(iq1_m::IQ1M, 56),
        Kind::IQ2_XXS => runs!(iq2_xxs::IQ2XXS, 66),
        Kind::IQ2_XS => runs!(iq2_xs::IQ2XS, 74),
        Kind::IQ2_S => runs!(iq2_s::IQ2S, 82),
        Kind::IQ3_XXS => runs!(iq3_xxs::IQ3XXS, 98),
        Kind::IQ3_S => runs!(iq3_s::IQ3S, 110),
        Kind::IQ4_XS => runs!(iq4_xs::IQ4XS, 136),
        Kind::TQ2_0 => runs!(tq2_0::TQ20, 66),
        _ => one_by_one(s, weight, chunk, x, put),
    }
}

/// The same for formats of which each activation row is multiplied by itself.
#[inline(always)]
fn one_by_one<S: Simd>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &Rounded<'_>,
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let (kind, view, count) = (weight.kind, weight.view(), x.cols / x.n);
    let bytes_ahead = Ahead::new(view, &chunk);
    // A loop for each format: what is known of it is found out once.
    macro_rules! fours {
        ($x:ident, $rows:ident, $ahead:ident => $products:expr) => {
            for first in chunk.clone().step_by(4) {
                let number = 4.min(chunk.end - first);
                // Rows beyond the last repeat it; their products are not used.
                let $rows = four!(r => first + r.min(number - 1));
                let mut $ahead = bytes_ahead.from(first);
                for m in 0..x.rows() {
                    let $x = x.row(m);
                    let products: [f32; 4] = $products;
                    $ahead = &[];
                    put(m, first, &products[..number]);
                }
            }
        };
    }
    macro_rules! pairs {
        ($max:literal, $format:expr) => {
            fours!(x, rows, ahead => {
                pairs::dot4::<S, _, $max>(s, $format(blocks(view, rows, count)), x, ahead)
            })
        };
    }
    macro_rules! eights {
        ($format:ty, $bytes:literal) => {
            fours!(x, rows, ahead => {
                eights::dot4::<S, $format, $bytes>(s, blocks(view, rows, count), x, ahead)
            })
        };
    }
    match kind {
        Kind::Q4_0 => pairs!(15, q4_0::Q4_0),
        Kind::Q4_1 => pairs!(15, q4_1::Q4_1),
        Kind::Q5_0 => pairs!(31, fives::Fives::<22>),
        Kind::Q5_1 => pairs!(31, fives::Fives::<24>),
        Kind::Q8_0 => pairs!(255, q8_0::Q8_0),
        Kind::IQ4_NL => pairs!(255, codes::IQ4NL),
        Kind::MXFP4 => pairs!(31, codes::MXFP4),
        Kind::Q4_K => eights!(q4_k::Q4K, 144),
        Kind::Q5_K => eights!(q5_k::Q5K, 176),
        Kind::Affine(affine) if affine.bits == 4 => fours!(x, rows, ahead => {
            let rows = affine4::Affine4::new(affine, four!(r => view.row(rows[r])), count);
            pairs::dot4::<S, _, 15>(s, rows, x, ahead)
        }),
        _ => fours!(x, rows, ahead => {
            generic::dot4(s, kind, four!(r => view.row(rows[r])), x, ahead)
        }),
    }
}

/// Whether a format is read from its own layout, and not unpacked first.
pub fn is_direct(kind: Kind) -> bool {
    match kind {
        Kind::Affine(affine) => affine.bits == 4,
        Kind::Q4_0 | Kind::Q4_1 | Kind::Q5_0 | Kind::Q5_1 | Kind::Q8_0 => true,
        Kind::IQ4_NL | Kind::IQ4_XS | Kind::MXFP4 => true,
        Kind::Q2_K | Kind::Q3_K | Kind::Q4_K | Kind::Q5_K | Kind::Q6_K | Kind::TQ2_0 => true,
        Kind::IQ1_S | Kind::IQ1_M | Kind::IQ2_XXS | Kind::IQ2_XS | Kind::IQ2_S => true,
        Kind::IQ3_XXS | Kind::IQ3_S => true,
        _ => false,
    }
}

/// The bytes that a thread will read soon: four short rows at a time are no pattern that a
/// processor foresees.
#[derive(Clone, Copy)]
pub struct Ahead<'a> {
    view: View<'a>,
    rows: usize,
}

impl<'a> Ahead<'a> {
    /// How far ahead: what memory delivers to one core in some 400 ns.
    const BYTES: usize = 4096;

    /// Of a chunk of rows that is read from its start on.
    #[inline(always)]
    pub fn new(view: View<'a>, chunk: &Range<usize>) -> Self {
        let four = 4 * view.row(chunk.start).data.len();
        Ahead { view, rows: 4 + Self::BYTES / four.max(1) * 4 }
    }

    /// The bytes that are read before those: none fetches them but what was done before.
    #[inline(always)]
    pub fn before(&self, first: usize) -> &'a [u8] {
        self.view.blocks(first..first + self.rows)
    }

    /// The bytes to be fetched while four rows from `first` on are multiplied.
    #[inline(always)]
    pub fn from(&self, first: usize) -> &'a [u8] {
        self.view.blocks(first + self.rows..first + self.rows + 4)
    }
}

/// The `count` blocks of each of four rows of a matrix.
#[inline(always)]
fn blocks<const BYTES: usize>(
    view: View<'_>,
    rows: [usize; 4],
    count: usize,
) -> [&[[u8; BYTES]]; 4] {
    let (blocks, _) = view.data().as_chunks();
    four!(r => &blocks[rows[r] * count..][..count])
}

/// The halves at byte `at` of block `b` of four rows, widened. Four bytes are read for two where
/// the block has them: that is one instruction.
#[inline(always)]
fn halves<S: Simd, const BYTES: usize>(
    s: S,
    rows: &[&[[u8; BYTES]]; 4],
    b: usize,
    at: usize,
) -> S::Q {
    s.q_f16(four!(r => half(&rows[r][b], at)).each_ref())
}

#[inline(always)]
fn half(block: &[u8], at: usize) -> [u8; 4] {
    block[at..].first_chunk().copied().unwrap_or_else(|| [block[at], block[at + 1], 0, 0])
}

/// Fetches part `i` of the bytes ahead, parts being `size` bytes long.
#[inline(always)]
pub fn fetch<S: Simd>(s: S, ahead: &[u8], i: usize, size: usize) {
    if let Some(part) = ahead.get(i * size..(i + 1) * size) {
        for line in part.chunks(64) {
            s.prefetch(line);
        }
    }
}

/// Fetches every fourth line of part `i` from line `j` on: a few at a time hold nobody up.
#[inline(always)]
fn fetch_quarter<S: Simd>(s: S, ahead: &[u8], i: usize, size: usize, j: usize) {
    if let Some(part) = ahead.get(i * size..(i + 1) * size) {
        for line in (j..size.div_ceil(64)).step_by(4) {
            s.prefetch(&part[64 * line..]);
        }
    }
}
