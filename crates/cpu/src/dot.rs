//! Products of four weight rows with one rounded activation row, straight from the file's layout.
//!
//! The formats that decode most models have their own; every other format with an integer form
//! is unpacked block by block. All of them compute what [`ops::numerics::fast_dot`] states.

mod affine4;
mod generic;
mod q4_0;
mod q4_k;
mod q5_k;
mod q6_k;
mod q8_0;

use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::{Kind, Row};

/// The products of four rows of `kind` with `x`.
#[inline(always)]
pub fn dot4<S: Simd>(s: S, kind: Kind, rows: [Row<'_>; 4], x: RoundedRow<'_>) -> [f32; 4] {
    match kind {
        Kind::Q4_0 => q4_0::dot4(s, rows, x),
        Kind::Q8_0 => q8_0::dot4(s, rows, x),
        Kind::Q4_K => q4_k::dot4(s, rows, x),
        Kind::Q5_K => q5_k::dot4(s, rows, x),
        Kind::Q6_K => q6_k::dot4(s, rows, x),
        Kind::Affine(affine) if affine.bits == 4 => affine4::dot4(s, affine, rows, x),
        _ => generic::dot4(s, kind, rows, x),
    }
}

/// A little-endian half at the start of `bytes`, as bits.
#[inline(always)]
fn half(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

/// Sums of sixteen, of two neighbouring ones: the sum of block `b` of 32.
#[inline(always)]
fn sum32(sums: &[i16], b: usize) -> i32 {
    i32::from(sums[2 * b]) + i32::from(sums[2 * b + 1])
}
