//! Q6_K: blocks of 256 in sixteen runs of 16, each with an 8-bit scale; weights less 32.
//!
//! 210 bytes: 128 of low halves, 64 of high quarters, 16 scales, d (half). Each half of the block
//! has 64 low bytes, which hold runs 0-3 in their low halves and 4-7 in their high halves, and 32
//! bytes of two high bits for each of its four quarters.

use super::fetch;
use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::Row;

const BYTES: usize = 210;

/// See [`super::dot4`].
#[inline(always)]
pub fn dot4<S: Simd>(s: S, rows: [Row<'_>; 4], x: RoundedRow<'_>, ahead: &[u8]) -> [f32; 4] {
    let blocks = super::blocks::<BYTES>(rows, x.scales.len());
    let (low, high) = (s.splat_h(0x0f), s.splat_h(0x30));
    let mut sum = s.q_load([0.0; 4]);
    for (b, &dx) in x.scales.iter().enumerate() {
        fetch(s, ahead, b, 4 * BYTES);
        let q = x.q[256 * b..][..256].as_chunks::<64>().0;
        let sums: &[i16; 16] = x.sums[16 * b..].first_chunk().expect("sixteen sums");
        // Half of what the weights lack, which fits sixteen bits: it is added twice.
        let lacking = s.sums(&sums.map(|sum| -16 * sum));
        let mut products = [s.splat_i(0); 4];
        for r in 0..4 {
            let block = &blocks[r][b];
            let scales = &block[192..208].try_into().expect("sixteen scales");
            let scales = s.scales_i8(bytemuck::cast_ref::<[u8; 16], [i8; 16]>(scales));
            products[r] = s.dot_sums(products[r], lacking, scales);
            products[r] = s.dot_sums(products[r], lacking, scales);
            for j in 0..2 {
                let first = load_at(s, block, 64 * j);
                let second = load_at(s, block, 64 * j + 32);
                let bits = load_at(s, block, 128 + 32 * j);
                let w0 = s.or(s.and(first, low), s.and(s.shl(bits, 4), high));
                let w1 = s.or(s.and(second, low), s.and(s.shl(bits, 2), high));
                let w2 = s.or(s.and(s.shr(first, 4), low), s.and(bits, high));
                let w3 = s.or(s.and(s.shr(second, 4), low), s.and(s.shr(bits, 2), high));
                for (i, w) in [s.join(w0, w1), s.join(w2, w3)].into_iter().enumerate() {
                    let j = 2 * j + i;
                    products[r] = s.dot_runs(products[r], w, s.load_s(&q[j]), scales, j);
                }
            }
        }
        let d = s.q_scale(half_at_end(s, &blocks, b), dx);
        sum = s.q_fma(d, s.sum4_i(products), sum);
    }
    s.q_store(sum)
}

#[inline(always)]
fn load_at<S: Simd>(s: S, block: &[u8; BYTES], at: usize) -> S::H {
    s.load_h(block[at..][..32].try_into().expect("32 bytes"))
}

/// The halves in the last two bytes of block `b`.
#[inline(always)]
fn half_at_end<S: Simd>(s: S, rows: &[&[[u8; BYTES]]; 4], b: usize) -> S::Q {
    let last = rows.map(|row| [row[b][208], row[b][209], 0, 0]);
    s.q_f16(last.each_ref())
}
