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
    let (scales, zero) = (s.scales_u8(scales), s.splat_i(0));
    let (low, fifth) = (s.splat_h(0x0f), s.splat_h(0x10));
    let high = s.load_h(block[16..48].try_into().expect("32 bytes"));
    let mut products = zero;
    for j in 0..4 {
        let bytes = s.load_h(block[48 + 32 * j..][..32].try_into().expect("32 bytes"));
        // Bits 2j and 2j + 1 to bit 4.
        let (even, odd) = match j {
            0 => (s.shl(high, 4), s.shl(high, 3)),
            1 => (s.shl(high, 2), s.shl(high, 1)),
            2 => (high, s.shr(high, 1)),
            _ => (s.shr(high, 2), s.shr(high, 3)),
        };
        let first = s.or(s.and(bytes, low), s.and(even, fifth));
        let second = s.or(s.and(s.shr(bytes, 4), low), s.and(odd, fifth));
        products = s.dot_runs(products, s.join(first, second), s.load_s(&q[j]), scales, j);
    }
    (products, s.dot_sums(zero, sums, s.scales_u8(mins)))
}
