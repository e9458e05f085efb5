//! Q4_0: blocks of 32 after a scale (half), 18 bytes in all; weights less 8.
//!
//! The low halves of the sixteen bytes are the first sixteen weights.

use super::{half, sum32};
use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::Row;

const BYTES: usize = 18;

/// See [`super::dot4`].
#[inline(always)]
pub fn dot4<S: Simd>(s: S, rows: [Row<'_>; 4], x: RoundedRow<'_>) -> [f32; 4] {
    let blocks = rows.map(|row| row.data.as_chunks::<BYTES>().0);
    let mut sum = s.q_load([0.0; 4]);
    let d = |b: usize| s.q_scale(s.q_f16([0, 1, 2, 3].map(|r| half(&blocks[r][b]))), x.scales[b]);
    let (pairs, last) = x.q.as_chunks::<64>();
    for (p, q) in pairs.iter().enumerate() {
        let b = 2 * p;
        let w = |r: usize| s.join(weights(s, &blocks[r][b]), weights(s, &blocks[r][b + 1]));
        let start = s.halves(-8 * sum32(x.sums, b), -8 * sum32(x.sums, b + 1));
        let q = s.load_s(q);
        let (first, second) = s.sum4_halves([0, 1, 2, 3].map(|r| s.dot_us(start, w(r), q)));
        sum = s.q_fma(d(b), first, sum);
        sum = s.q_fma(d(b + 1), second, sum);
    }
    if !last.is_empty() {
        let b = 2 * pairs.len();
        let mut q = [0; 64];
        q[..32].copy_from_slice(last);
        let q = s.load_s(&q);
        let start = s.halves(-8 * sum32(x.sums, b), 0);
        let w = |r: usize| s.join(weights(s, &blocks[r][b]), s.splat_h(0));
        let (first, _) = s.sum4_halves([0, 1, 2, 3].map(|r| s.dot_us(start, w(r), q)));
        sum = s.q_fma(d(b), first, sum);
    }
    s.q_store(sum)
}

#[inline(always)]
fn weights<S: Simd>(s: S, block: &[u8; BYTES]) -> S::H {
    s.nibbles(block[2..].try_into().expect("sixteen bytes"))
}
