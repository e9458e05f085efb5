//! Q5_0 and Q5_1: blocks of 32 with the weights' fifth bits apart.
//!
//! Q5_0: 22 bytes, a scale (half), 32 fifth bits, and the lower four; weights less 16. Q5_1: 24
//! bytes, with a bias (half) after the scale. The low halves of the last sixteen bytes belong to
//! the first sixteen weights.

use super::{halves, pairs::Pairs};
use crate::simd::Simd;
use blocks::MASKS;

/// Four rows of blocks of so many bytes.
pub struct Fives<'a, const BYTES: usize>(pub [&'a [[u8; BYTES]]; 4]);

impl<const BYTES: usize> Fives<'_, BYTES> {
    const BIASED: bool = BYTES == 24;
}

impl<const BYTES: usize> Pairs for Fives<'_, BYTES> {
    const BYTES: usize = BYTES;

    #[inline(always)]
    fn off<S: Simd>(&self) -> i16 {
        if Self::BIASED { 0 } else { 16 }
    }

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B {
        let (a, b) = (&self.0[r][a], &self.0[r][b]);
        let (low, fifth) = (s.splat_h(0x0f), s.splat_h(0x10));
        let codes = |block: &[u8; BYTES]| *block.last_chunk::<16>().expect("sixteen bytes");
        let codes = s.load_h(&bytemuck::cast([codes(a), codes(b)]));
        // A mask for each of the bits of two bytes from `at` on.
        let bits = |block: &[u8; BYTES], at: usize| {
            let byte = |i: usize| MASKS[usize::from(block[BYTES - 20 + at + i])];
            [byte(0), byte(1)]
        };
        let first = s.load_h(&bytemuck::cast([bits(a, 0), bits(b, 0)]));
        let last = s.load_h(&bytemuck::cast([bits(a, 2), bits(b, 2)]));
        s.join(
            s.or(s.and(codes, low), s.and(first, fifth)),
            s.or(s.and(s.shr(codes, 4), low), s.and(last, fifth)),
        )
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2] {
        [halves(s, &self.0, a, 0), halves(s, &self.0, b, 0)]
    }

    #[inline(always)]
    fn biases<S: Simd>(&self, s: S, a: usize, b: usize) -> Option<[S::Q; 2]> {
        Self::BIASED.then_some(())?;
        Some([halves(s, &self.0, a, 2), halves(s, &self.0, b, 2)])
    }
}
