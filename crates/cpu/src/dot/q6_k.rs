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
    let mut sum = s.q_load([0.0; 4]);
    for (b, &dx) in x.scales.iter().enumerate() {
        fetch(s, ahead, b, 4 * BYTES);
        let x = x.block(b);
        // Half of what the weights lack, which fits sixteen bits: it is added twice.
        let lacking = s.sums(&times(x.sums, -16));
        let rows = [
            products(s, &blocks[0][b], x.q, lacking),
            products(s, &blocks[1][b], x.q, lacking),
            products(s, &blocks[2][b], x.q, lacking),
            products(s, &blocks[3][b], x.q, lacking),
        ];
        let d = s.q_scale(half_at_end(s, &blocks, b), dx);
        sum = s.q_fma(d, s.sum4_i(rows), sum);
    }
    s.q_store(sum)
}

/// The products of a block's weights.
#[inline(always)]
fn products<S: Simd>(s: S, block: &[u8; BYTES], q: &[[i8; 64]; 4], lacking: S::K) -> S::I {
    let (low, high) = (s.splat_h(0x0f), s.splat_h(0x30));
    let scales = &block[192..208].try_into().expect("sixteen scales");
    let scales = s.scales_i8(bytemuck::cast_ref::<[u8; 16], [i8; 16]>(scales));
    let once = s.dot_sums(s.splat_i(0), lacking, scales);
    let mut products = s.dot_sums(once, lacking, scales);
    for j in 0..2 {
        let first = load_at(s, block, 64 * j);
        let second = load_at(s, block, 64 * j + 32);
        let bits = load_at(s, block, 128 + 32 * j);
        let w0 = s.or(s.and(first, low), s.and(s.shl(bits, 4), high));
        let w1 = s.or(s.and(second, low), s.and(s.shl(bits, 2), high));
        let w2 = s.or(s.and(s.shr(first, 4), low), s.and(bits, high));
        let w3 = s.or(s.and(s.shr(second, 4), low), s.and(s.shr(bits, 2), high));
        let q = [s.load_s(&q[2 * j]), s.load_s(&q[2 * j + 1])];
        products = s.dot_runs(products, s.join(w0, w1), q[0], scales, 2 * j);
        products = s.dot_runs(products, s.join(w2, w3), q[1], scales, 2 * j + 1);
    }
    products
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

#[inline(always)]
fn times(sums: &[i16; 16], factor: i16) -> [i16; 16] {
    let mut products = *sums;
    for product in &mut products {
        *product *= factor;
    }
    products
}
