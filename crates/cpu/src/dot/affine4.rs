//! MLX's four bits: groups of 32, 64 or 128 with a scale and a bias that lie elsewhere.
//!
//! A byte holds two neighbouring weights, the first in its low half.

use super::sum32;
use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::{Affine, Plain, Row};

/// See [`super::dot4`].
#[inline(always)]
pub fn dot4<S: Simd>(s: S, affine: Affine, rows: [Row<'_>; 4], x: RoundedRow<'_>) -> [f32; 4] {
    let per_group = usize::from(affine.group) / 32;
    let bytes = rows.map(|row| row.data.as_chunks::<16>().0);
    let mut sum = s.q_load([0.0; 4]);
    let (pairs, last) = x.q.as_chunks::<64>();
    let mut add = |b: usize, dots: S::Q| {
        let group = b / per_group;
        let d = s.q_load([0, 1, 2, 3].map(|r| number(affine.scale, rows[r].scales, group)));
        let bias = s.q_load([0, 1, 2, 3].map(|r| number(affine.scale, rows[r].biases, group)));
        let total = s.q_load([sum32(x.sums, b) as f32; 4]);
        sum = s.q_fma(s.q_scale(d, x.scales[b]), dots, sum);
        sum = s.q_fma(s.q_scale(bias, x.scales[b]), total, sum);
    };
    for (p, q) in pairs.iter().enumerate() {
        let b = 2 * p;
        let q = s.load_s(q);
        let w = |r: usize| s.join(s.nibble_pairs(&bytes[r][b]), s.nibble_pairs(&bytes[r][b + 1]));
        let dots = [0, 1, 2, 3].map(|r| s.dot_us(s.splat_i(0), w(r), q));
        let (first, second) = s.sum4_halves(dots);
        add(b, first);
        add(b + 1, second);
    }
    if !last.is_empty() {
        let b = 2 * pairs.len();
        let mut q = [0; 64];
        q[..32].copy_from_slice(last);
        let q = s.load_s(&q);
        let w = |r: usize| s.join(s.nibble_pairs(&bytes[r][b]), s.splat_h(0));
        let (first, _) = s.sum4_halves([0, 1, 2, 3].map(|r| s.dot_us(s.splat_i(0), w(r), q)));
        add(b, first);
    }
    s.q_store(sum)
}

/// Number `i` of a row of scales or biases.
#[inline(always)]
fn number(kind: Plain, bytes: &[u8], i: usize) -> f32 {
    match kind {
        Plain::F32 => {
            let b = &bytes[4 * i..][..4];
            f32::from_le_bytes([b[0], b[1], b[2], b[3]])
        }
        Plain::F16 => half::f16::from_bits(super::half(&bytes[2 * i..])).to_f32(),
        Plain::BF16 => half::bf16::from_bits(super::half(&bytes[2 * i..])).to_f32(),
    }
}
