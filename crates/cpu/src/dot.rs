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

use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::{Kind, Row};

/// The products of four rows of `kind` with `x`. Meanwhile the bytes `ahead` are fetched, which
/// the caller will read next: four short rows at a time are no pattern that a processor foresees.
#[inline(always)]
pub fn dot4<S: Simd>(
    s: S,
    kind: Kind,
    rows: [Row<'_>; 4],
    x: RoundedRow<'_>,
    ahead: &[u8],
) -> [f32; 4] {
    let count = x.scales.len();
    match kind {
        Kind::Q4_0 => pairs::dot4::<S, _, 15>(s, q4_0::Q4_0::new(rows, count), x, ahead),
        Kind::Q4_1 => pairs::dot4::<S, _, 15>(s, q4_1::Q4_1::new(rows, count), x, ahead),
        Kind::Q5_0 => pairs::dot4::<S, _, 31>(s, fives::Fives::<22>::new(rows, count), x, ahead),
        Kind::Q5_1 => pairs::dot4::<S, _, 31>(s, fives::Fives::<24>::new(rows, count), x, ahead),
        Kind::Q8_0 => pairs::dot4::<S, _, 255>(s, q8_0::Q8_0::new(rows, count), x, ahead),
        Kind::IQ4_NL => pairs::dot4::<S, _, 255>(s, codes::IQ4NL::new(rows, count), x, ahead),
        Kind::MXFP4 => pairs::dot4::<S, _, 31>(s, codes::MXFP4::new(rows, count), x, ahead),
        Kind::Q2_K => runs::dot4::<S, q2_k::Q2K, 84>(s, rows, x, ahead),
        Kind::Q3_K => runs::dot4::<S, q3_k::Q3K, 110>(s, rows, x, ahead),
        Kind::Q4_K => eights::dot4::<S, q4_k::Q4K, 144>(s, rows, x, ahead),
        Kind::Q5_K => eights::dot4::<S, q5_k::Q5K, 176>(s, rows, x, ahead),
        Kind::Q6_K => runs::dot4::<S, q6_k::Q6K, 210>(s, rows, x, ahead),
        Kind::IQ4_XS => runs::dot4::<S, iq4_xs::IQ4XS, 136>(s, rows, x, ahead),
        Kind::Affine(affine) if affine.bits == 4 => {
            pairs::dot4::<S, _, 15>(s, affine4::Affine4::new(affine, rows, count), x, ahead)
        }
        _ => generic::dot4(s, kind, rows, x, ahead),
    }
}

/// The `count` blocks of four rows.
#[inline(always)]
fn blocks<const BYTES: usize>(rows: [Row<'_>; 4], count: usize) -> [&[[u8; BYTES]]; 4] {
    let blocks = |r: usize| &rows[r].data.as_chunks().0[..count];
    [blocks(0), blocks(1), blocks(2), blocks(3)]
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
