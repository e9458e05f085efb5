//! Q4_K: blocks of 256 in eight runs of 32, each with a 6-bit scale and a 6-bit minimum.
//!
//! 144 bytes: d, dmin (halves); 12 bytes of scales and minima; 128 bytes of 4-bit weights, of
//! which each 32 bytes hold one run in their low halves and the next in their high halves.
//!
//! Versions tried, measured as in `pairs.rs` against 31.4 GB/s: four rows side by side 9.9 GB/s
//! (32%); with vectors added at 512 bits and the next rows fetched ahead 17 GB/s (54%).

use super::{fetch, halves};
use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::Row;

const BYTES: usize = 144;

/// See [`super::dot4`].
#[inline(always)]
pub fn dot4<S: Simd>(s: S, rows: [Row<'_>; 4], x: RoundedRow<'_>, ahead: &[u8]) -> [f32; 4] {
    let blocks = super::blocks::<BYTES>(rows, x.scales.len());
    let mut sum = s.q_load([0.0; 4]);
    for (b, &dx) in x.scales.iter().enumerate() {
        fetch(s, ahead, b, 4 * BYTES);
        let x = x.block(b);
        let sums = s.sums(x.sums);
        let (dots0, minima0) = products(s, &blocks[0][b], x.q, sums);
        let (dots1, minima1) = products(s, &blocks[1][b], x.q, sums);
        let (dots2, minima2) = products(s, &blocks[2][b], x.q, sums);
        let (dots3, minima3) = products(s, &blocks[3][b], x.q, sums);
        let d = s.q_scale(halves::<S, BYTES, 0>(s, &blocks, b), dx);
        let dmin = s.q_scale(halves::<S, BYTES, 2>(s, &blocks, b), -dx);
        sum = s.q_fma(d, s.sum4_i([dots0, dots1, dots2, dots3]), sum);
        sum = s.q_fma(dmin, s.sum4_i([minima0, minima1, minima2, minima3]), sum);
    }
    s.q_store(sum)
}

/// The products of a block's weights, and of its minima.
#[inline(always)]
fn products<S: Simd>(s: S, block: &[u8; BYTES], q: &[[i8; 64]; 4], sums: S::K) -> (S::I, S::I) {
    let (scales, mins) = unpack_scales(block[4..16].try_into().expect("twelve bytes"));
    let (scales, low, zero) = (s.scales_u8(scales), s.splat_h(0x0f), s.splat_i(0));
    let mut products = zero;
    for j in 0..4 {
        let bytes = s.load_h(block[16 + 32 * j..][..32].try_into().expect("32 bytes"));
        let w = s.join(s.and(bytes, low), s.and(s.shr(bytes, 4), low));
        products = s.dot_runs(products, w, s.load_s(&q[j]), scales, j);
    }
    (products, s.dot_sums(zero, sums, s.scales_u8(mins)))
}

/// The eight scales and the eight minima: four of each in the low six bits of eight bytes; of the
/// other four the low halves in four bytes and the high bits in the top of the first eight.
#[inline(always)]
pub fn unpack_scales(bytes: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let (first, second, third) = (word(bytes, 0), word(bytes, 4), word(bytes, 8));
    let scales_high = (third & 0x0f0f_0f0f) | ((first >> 6) & 0x0303_0303) << 4;
    let mins_high = ((third >> 4) & 0x0f0f_0f0f) | ((second >> 6) & 0x0303_0303) << 4;
    (eight(first & 0x3f3f_3f3f, scales_high), eight(second & 0x3f3f_3f3f, mins_high))
}

#[inline(always)]
fn word(bytes: &[u8; 12], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline(always)]
fn eight(low: u32, high: u32) -> [u8; 8] {
    (u64::from(low) | u64::from(high) << 32).to_le_bytes()
}
