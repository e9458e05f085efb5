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
    let rows = super::blocks::<BYTES>(rows, x.scales.len());
    let mut sum = s.q_load([0.0; 4]);
    for (b, &dx) in x.scales.iter().enumerate() {
        fetch(s, ahead, b, 4 * BYTES);
        let x = x.block(b);
        let blocks = four!(r => &rows[r][b]);
        let scales = four!(r => scales(s, blocks[r]));
        // Half of what the weights lack, which fits sixteen bits: it is added twice.
        let lacking = s.sums(&times(x.sums, -16));
        let mut dots = [s.splat_i(0); 4];
        for (dots, scales) in dots.iter_mut().zip(scales) {
            *dots = s.dot_sums(s.dot_sums(*dots, lacking, scales), lacking, scales);
        }
        for j in 0..4 {
            let w = four!(r => weights(s, blocks[r], j));
            dots = s.dot_runs(dots, w, s.load_s(&x.q[j]), scales, j);
        }
        let d = s.q_scale(half_at_end(s, &rows, b), dx);
        sum = s.q_fma(d, s.sum4_i(dots), sum);
    }
    s.q_store(sum)
}

/// The scales of a block.
#[inline(always)]
fn scales<S: Simd>(s: S, block: &[u8; BYTES]) -> S::K {
    let scales = &block[192..208].try_into().expect("sixteen scales");
    s.scales_i8(bytemuck::cast_ref::<[u8; 16], [i8; 16]>(scales))
}

/// Runs `4 * j ..= 4 * j + 3` of a block.
#[inline(always)]
fn weights<S: Simd>(s: S, block: &[u8; BYTES], j: usize) -> S::B {
    let (low, high) = (s.splat_h(0x0f), s.splat_h(0x30));
    let half = j / 2;
    let first = load_at(s, block, 64 * half);
    let second = load_at(s, block, 64 * half + 32);
    let bits = load_at(s, block, 128 + 32 * half);
    if j.is_multiple_of(2) {
        let w0 = s.or(s.and(first, low), s.and(s.shl(bits, 4), high));
        let w1 = s.or(s.and(second, low), s.and(s.shl(bits, 2), high));
        s.join(w0, w1)
    } else {
        let w2 = s.or(s.and(s.shr(first, 4), low), s.and(bits, high));
        let w3 = s.or(s.and(s.shr(second, 4), low), s.and(s.shr(bits, 2), high));
        s.join(w2, w3)
    }
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
