//! MLX's four bits: groups of 32, 64 or 128 with a scale and a bias that lie elsewhere.
//!
//! A byte holds two neighbouring weights, the first in its low half.

use super::{Order, pairs::Pairs};
use crate::simd::Simd;
use blocks::{Affine, Plain, Row};

/// Four rows.
pub struct Affine4<'a> {
    blocks: [&'a [[u8; 16]]; 4],
    scales: [&'a [u8]; 4],
    biases: [&'a [u8]; 4],
    kind: Plain,
    /// Blocks of 32 that share a scale, as a power of two.
    group: u32,
}

impl<'a> Affine4<'a> {
    /// The `count` blocks of four rows.
    #[inline(always)]
    pub fn new(affine: Affine, rows: [Row<'a>; 4], count: usize) -> Self {
        Affine4 {
            blocks: four!(r => &rows[r].data.as_chunks().0[..count]),
            scales: four!(r => rows[r].scales),
            biases: four!(r => rows[r].biases),
            kind: affine.scale,
            group: (affine.group / 32).trailing_zeros(),
        }
    }
}

impl Pairs for Affine4<'_> {
    const BYTES: usize = 16;
    const ORDER: Order = Order::EvenOdd;

    #[inline(always)]
    fn off<S: Simd>(&self) -> i16 {
        0
    }

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B {
        s.nibbles(&self.blocks[r][a], &self.blocks[r][b])
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2] {
        two(s, self.kind, &self.scales, a >> self.group, b >> self.group)
    }

    #[inline(always)]
    fn biases<S: Simd>(&self, s: S, a: usize, b: usize) -> Option<[S::Q; 2]> {
        Some(two(s, self.kind, &self.biases, a >> self.group, b >> self.group))
    }
}

/// Numbers `a` and `b` of four rows, which are mostly the same.
#[inline(always)]
fn two<S: Simd>(s: S, kind: Plain, rows: &[&[u8]; 4], a: usize, b: usize) -> [S::Q; 2] {
    let first = four(s, kind, rows, a);
    [first, if a == b { first } else { four(s, kind, rows, b) }]
}

/// Number `i` of four rows of scales or biases.
#[inline(always)]
fn four<S: Simd>(s: S, kind: Plain, rows: &[&[u8]; 4], i: usize) -> S::Q {
    match kind {
        Plain::F32 => s.q_load(four!(r => word(rows[r], i))),
        Plain::F16 => s.q_f16(four!(r => half(rows[r], i)).each_ref()),
        // The upper half of an f32.
        Plain::BF16 => s.q_load(four!(r => upper(rows[r], i))),
    }
}

#[inline(always)]
fn word(bytes: &[u8], i: usize) -> f32 {
    f32::from_le_bytes(bytes.as_chunks().0[i])
}

#[inline(always)]
fn half(bytes: &[u8], i: usize) -> [u8; 4] {
    let [low, high] = bytes.as_chunks().0[i];
    [low, high, 0, 0]
}

#[inline(always)]
fn upper(bytes: &[u8], i: usize) -> f32 {
    let [low, high] = bytes.as_chunks().0[i];
    f32::from_le_bytes([0, 0, low, high])
}
