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

/// What reads each format from its own layout, given to a macro for its sort: blocks of 32 with
/// their largest byte and the type of four rows; blocks of 256 with their type and bytes, those of
/// grids and the like apart, which are long in unpacking; MLX's four bits; all others.
macro_rules! by_format {
    (
        $kind:expr,
        $pairs:ident,
        $eights:ident,
        $runs:ident,
        $grids:ident,
        $affine4:ident,
        $other:ident
    ) => {
        match $kind {
            Kind::Q4_0 => $pairs!(15, q4_0::Q4_0),
            Kind::Q4_1 => $pairs!(15, q4_1::Q4_1),
            Kind::Q5_0 => $pairs!(31, fives::Fives::<22>),
            Kind::Q5_1 => $pairs!(31, fives::Fives::<24>),
            Kind::Q8_0 => $pairs!(255, q8_0::Q8_0),
            Kind::IQ4_NL => $pairs!(255, codes::IQ4NL),
            Kind::MXFP4 => $pairs!(31, codes::MXFP4),
            Kind::Q4_K => $eights!(q4_k::Q4K, 144),
            Kind::Q5_K => $eights!(q5_k::Q5K, 176),
            Kind::Q2_K => $runs!(q2_k::Q2K, 84),
            Kind::Q3_K => $runs!(q3_k::Q3K, 110),
            Kind::Q6_K => $runs!(q6_k::Q6K, 210),
            Kind::IQ4_XS => $runs!(iq4_xs::IQ4XS, 136),
            Kind::IQ1_S => $grids!(iq1_s::IQ1S, 50),
            Kind::IQ1_M => $grids!(iq1_m::IQ1M, 56),
            Kind::IQ2_XXS => $grids!(iq2_xxs::IQ2XXS, 66),
            Kind::IQ2_XS => $grids!(iq2_xs::IQ2XS, 74),
            Kind::IQ2_S => $grids!(iq2_s::IQ2S, 82),
            Kind::IQ3_XXS => $grids!(iq3_xxs::IQ3XXS, 98),
            Kind::IQ3_S => $grids!(iq3_s::IQ3S, 110),
            Kind::TQ2_0 => $grids!(tq2_0::TQ20, 66),
            Kind::Affine(affine) if affine.bits == 4 => $affine4!(affine),
            _ => $other!(),
        }
    };
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
pub mod unpack;

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
    macro_rules! runs {
        ($format:ty, $bytes:literal) => {
            runs::multiply::<S, $format, $bytes>(s, view, chunk, x, put)
        };
    }
    macro_rules! affine4 {
        ($affine:ident) => {
            fours!(x, rows, ahead => {
                let rows = affine4::Affine4::new($affine, four!(r => view.row(rows[r])), count);
                pairs::dot4::<S, _, 15>(s, rows, x, ahead)
            })
        };
    }
    macro_rules! other {
        () => {
            fours!(x, rows, ahead => {
                generic::dot4(s, kind, four!(r => view.row(rows[r])), x, ahead)
            })
        };
    }
    by_format!(kind, pairs, eights, runs, runs, affine4, other)
}

/// Activation rows from which unpacking sixteen weight rows for them all pays off.
pub fn panel_rows(kind: Kind) -> usize {
    macro_rules! four {
        ($($format:tt)*) => {
            4
        };
    }
    // A panel unpacks these one by one, a row product eight at a time.
    macro_rules! grids {
        ($($format:tt)*) => {
            16
        };
    }
    // These are unpacked one by one anyway.
    macro_rules! other {
        () => {
            2
        };
    }
    by_format!(kind, four, four, four, grids, four, other)
}

/// The order of sixty-four weights, of two blocks of 32.
#[derive(Clone, Copy)]
pub enum Order {
    /// As in their row.
    Row,
    /// As [`Simd::sixteens`] has them.
    Sixteens,
    /// As [`Simd::even_odd_s`] has them.
    EvenOdd,
}

impl Order {
    /// Activations in this order.
    #[inline(always)]
    fn load<S: Simd>(self, s: S, x: &[i8; 64]) -> S::B {
        match self {
            Order::Row => s.load_s(x),
            Order::Sixteens => s.sixteens_s(x),
            Order::EvenOdd => s.even_odd_s(x),
        }
    }

    /// Stores weights that are in this order as in their row.
    #[inline(always)]
    fn store<S: Simd>(self, s: S, w: S::B, to: &mut [u8; 64]) {
        s.store_b(
            to,
            match self {
                Order::Row => w,
                Order::Sixteens => s.undo_sixteens(w),
                Order::EvenOdd => s.undo_even_odd(w),
            },
        );
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
            s.prefetch(line, 0);
        }
    }
}

/// Fetches every fourth line of part `i` from line `j` on: a few at a time hold nobody up.
#[inline(always)]
fn fetch_quarter<S: Simd>(s: S, ahead: &[u8], i: usize, size: usize, j: usize) {
    if let Some(part) = ahead.get(i * size..(i + 1) * size) {
        for line in (j..size.div_ceil(64)).step_by(4) {
            s.prefetch(part, 64 * line);
        }
    }
}
