//! Q8_0: blocks of 32 signed bytes after a scale (half), 34 bytes in all.
//!
//! Two blocks fill a vector. Where bytes must be unsigned, 128 is added to the weights and taken
//! off again through the sum of the activations.

use super::{half, sum32};
use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::Row;

const BYTES: usize = 34;

/// See [`super::dot4`].
#[inline(always)]
pub fn dot4<S: Simd>(s: S, rows: [Row<'_>; 4], x: RoundedRow<'_>) -> [f32; 4] {
    let blocks = rows.map(|row| row.data.as_chunks::<BYTES>().0);
    let mut sum = s.q_load([0.0; 4]);
    let (pairs, last) = x.q.as_chunks::<64>();
    for (p, q) in pairs.iter().enumerate() {
        let b = 2 * p;
        let w = |r: usize| s.join(weights(s, &blocks[r][b]), weights(s, &blocks[r][b + 1]));
        let start = start(s, sum32(x.sums, b), sum32(x.sums, b + 1));
        let q = s.load_s(q);
        let dots = [0, 1, 2, 3].map(|r| product(s, start, w(r), q));
        let (first, second) = s.sum4_halves(dots);
        let d = |b: usize| s.q_scale(s.q_f16([0, 1, 2, 3].map(|r| half(&blocks[r][b]))), x.scales[b]);
        sum = s.q_fma(d(b), first, sum);
        sum = s.q_fma(d(b + 1), second, sum);
    }
    if !last.is_empty() {
        let b = 2 * pairs.len();
        let mut q = [0; 64];
        q[..32].copy_from_slice(last);
        let q = s.load_s(&q);
        let start = start(s, sum32(x.sums, b), 0);
        let w = |r: usize| s.join(weights(s, &blocks[r][b]), s.splat_h(0));
        let (first, _) = s.sum4_halves([0, 1, 2, 3].map(|r| product(s, start, w(r), q)));
        let d = s.q_scale(s.q_f16([0, 1, 2, 3].map(|r| half(&blocks[r][b]))), x.scales[b]);
        sum = s.q_fma(d, first, sum);
    }
    s.q_store(sum)
}

/// What the products start from, so that the 128 added to the weights is taken off.
#[inline(always)]
fn start<S: Simd>(s: S, first: i32, second: i32) -> S::I {
    if S::FULL_U8 { s.halves(-128 * first, -128 * second) } else { s.splat_i(0) }
}

#[inline(always)]
fn weights<S: Simd>(s: S, block: &[u8; BYTES]) -> S::H {
    let bytes = s.load_h(block[2..].try_into().expect("32 bytes"));
    if S::FULL_U8 { s.xor(bytes, s.splat_h(0x80)) } else { bytes }
}

#[inline(always)]
fn product<S: Simd>(s: S, start: S::I, w: S::B, q: S::B) -> S::I {
    if S::FULL_U8 { s.dot_us(start, w, q) } else { s.dot_ss(start, w, q) }
}
