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
    let low = s.splat_h(0x0f);
    let mut sum = s.q_load([0.0; 4]);
    for (b, &dx) in x.scales.iter().enumerate() {
        fetch(s, ahead, b, 4 * BYTES);
        let q = x.q[256 * b..][..256].as_chunks::<64>().0;
        let sums = s.sums(x.sums[16 * b..].first_chunk().expect("sixteen sums"));
        let mut products = [s.splat_i(0); 4];
        let mut minima = [s.splat_i(0); 4];
        for r in 0..4 {
            let block = &blocks[r][b];
            let (scales, mins) = unpack_scales(block[4..16].try_into().expect("twelve bytes"));
            let scales = s.scales_u8(scales);
            for j in 0..4 {
                let bytes = block[16 + 32 * j..][..32].try_into().expect("32 bytes");
                let bytes = s.load_h(bytes);
                let w = s.join(s.and(bytes, low), s.and(s.shr(bytes, 4), low));
                products[r] = s.dot_runs(products[r], w, s.load_s(&q[j]), scales, j);
            }
            minima[r] = s.dot_sums(minima[r], sums, s.scales_u8(mins));
        }
        let d = s.q_scale(halves::<S, BYTES, 0>(s, &blocks, b), dx);
        let dmin = s.q_scale(halves::<S, BYTES, 2>(s, &blocks, b), -dx);
        sum = s.q_fma(d, s.sum4_i(products), sum);
        sum = s.q_fma(dmin, s.sum4_i(minima), sum);
    }
    s.q_store(sum)
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
