//! Q4_1: blocks of 32 after a scale and a bias (halves), 20 bytes in all.
//!
//! The low halves of the last sixteen bytes are the first sixteen weights.

use super::{halves, pairs::Pairs};
use crate::simd::Simd;

const BYTES: usize = 20;

/// Four rows.
pub struct Q4_1<'a>(pub [&'a [[u8; BYTES]]; 4]);

impl Pairs for Q4_1<'_> {
    const BYTES: usize = BYTES;

    #[inline(always)]
    fn off<S: Simd>(&self) -> i16 {
        0
    }

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B {
        let bytes = |b: usize| self.0[r][b].last_chunk().expect("sixteen bytes");
        s.nibbles(bytes(a), bytes(b))
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2] {
        [halves(s, &self.0, a, 0), halves(s, &self.0, b, 0)]
    }

    #[inline(always)]
    fn biases<S: Simd>(&self, s: S, a: usize, b: usize) -> Option<[S::Q; 2]> {
        Some([halves(s, &self.0, a, 2), halves(s, &self.0, b, 2)])
    }
}
