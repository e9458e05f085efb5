//! Q5_K: Q4_K with a fifth bit for each weight.
//!
//! 176 bytes: d, dmin (halves); 12 bytes of scales and minima; 32 bytes of fifth bits, of which
//! bit j belongs to run j; 128 bytes of low halves as in Q4_K.

use super::q4_k::unpack_scales;
use super::{fetch, halves};
use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::Row;

const BYTES: usize = 176;

/// See [`super::dot4`].
#[inline(always)]
pub fn dot4<S: Simd>(s: S, rows: [Row<'_>; 4], x: RoundedRow<'_>, ahead: &[u8]) -> [f32; 4] {
    let blocks = super::blocks::<BYTES>(rows, x.scales.len());
    let (low, fifth) = (s.splat_h(0x0f), s.splat_h(0x10));
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
            let high = s.load_h(block[16..48].try_into().expect("32 bytes"));
            for j in 0..4 {
                let bytes = block[48 + 32 * j..][..32].try_into().expect("32 bytes");
                let bytes = s.load_h(bytes);
                // Bits 2j and 2j + 1 to bit 4.
                let (even, odd) = match j {
                    0 => (s.shl(high, 4), s.shl(high, 3)),
                    1 => (s.shl(high, 2), s.shl(high, 1)),
                    2 => (high, s.shr(high, 1)),
                    _ => (s.shr(high, 2), s.shr(high, 3)),
                };
                let first = s.or(s.and(bytes, low), s.and(even, fifth));
                let second = s.or(s.and(s.shr(bytes, 4), low), s.and(odd, fifth));
                let w = s.join(first, second);
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
