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
mod generic;
mod minima;
mod pairs;
mod q4_0;
mod q4_k;
mod q5_k;
mod q6_k;
mod q8_0;

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
    match kind {
        Kind::Q4_0 => pairs::dot4(s, &q4_0::Q4_0::new(rows, x.q.len() / 32), x, ahead),
        Kind::Q8_0 => pairs::dot4(s, &q8_0::Q8_0::new(rows, x.q.len() / 32), x, ahead),
        Kind::Q4_K => minima::dot4::<S, q4_k::Q4K, 144>(s, rows, x, ahead),
        Kind::Q5_K => minima::dot4::<S, q5_k::Q5K, 176>(s, rows, x, ahead),
        Kind::Q6_K => q6_k::dot4(s, rows, x, ahead),
        Kind::Affine(affine) if affine.bits == 4 => {
            pairs::dot4(s, &affine4::Affine4::new(affine, rows, x.q.len() / 32), x, ahead)
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

/// The halves at byte `AT` of block `b` of four rows, widened. Four bytes are read for two: that
/// is one instruction.
#[inline(always)]
fn halves<S: Simd, const BYTES: usize, const AT: usize>(
    s: S,
    rows: &[&[[u8; BYTES]]; 4],
    b: usize,
) -> S::Q {
    s.q_f16(rows.map(|row| row[b][AT..].first_chunk().expect("four bytes")))
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
