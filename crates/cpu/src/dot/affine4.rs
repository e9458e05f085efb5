//! MLX's four bits: groups of 32, 64 or 128 with a scale and a bias that lie elsewhere.
//!
//! A byte holds two neighbouring weights, the first in its low half.

use super::{half, pairs::Pairs};
use crate::simd::Simd;
use blocks::{Affine, Plain, Row};

/// Four rows.
pub struct Affine4<'a> {
    blocks: [&'a [[u8; 16]]; 4],
    rows: [Row<'a>; 4],
    scale: Plain,
    /// Blocks of 32 that share a scale.
    blocks_per_group: usize,
}

impl<'a> Affine4<'a> {
    /// The `count` blocks of four rows.
    #[inline(always)]
    pub fn new(affine: Affine, rows: [Row<'a>; 4], count: usize) -> Self {
        let blocks_per_group = usize::from(affine.group) / 32;
        Affine4 { blocks: super::blocks(rows, count), rows, scale: affine.scale, blocks_per_group }
    }
}

impl Pairs for Affine4<'_> {
    const BYTES: usize = 16;
    const OFF: i32 = 0;
    const MAX: u8 = 15;
    const BIASED: bool = true;

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B {
        s.nibbles(&self.blocks[r][a], &self.blocks[r][b])
    }

    #[inline(always)]
    fn activations<S: Simd>(s: S, x: &[i8; 64]) -> S::B {
        s.even_odd_s(x)
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, b: usize) -> S::Q {
        let mut scales = [0.0; 4];
        for (scale, row) in scales.iter_mut().zip(&self.rows) {
            *scale = number(self.scale, row.scales, b / self.blocks_per_group);
        }
        s.q_load(scales)
    }

    #[inline(always)]
    fn biases<S: Simd>(&self, s: S, b: usize) -> S::Q {
        let mut biases = [0.0; 4];
        for (bias, row) in biases.iter_mut().zip(&self.rows) {
            *bias = number(self.scale, row.biases, b / self.blocks_per_group);
        }
        s.q_load(biases)
    }
}

/// Number `i` of a row of scales or biases.
#[inline(always)]
fn number(kind: Plain, bytes: &[u8], i: usize) -> f32 {
    match kind {
        Plain::F32 => {
            let b = &bytes[4 * i..][..4];
            f32::from_le_bytes([b[0], b[1], b[2], b[3]])
        }
        Plain::F16 => half::f16::from_bits(half(&bytes[2 * i..])).to_f32(),
        Plain::BF16 => half::bf16::from_bits(half(&bytes[2 * i..])).to_f32(),
    }
}
