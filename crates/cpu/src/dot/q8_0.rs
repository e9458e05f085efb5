//! Q8_0: blocks of 32 signed bytes after a scale (half), 34 bytes in all.
//!
//! Where bytes must be unsigned, 128 is added to the weights.

use super::{halves, pairs::Pairs};
use crate::simd::Simd;

const BYTES: usize = 34;

/// Four rows.
pub struct Q8_0<'a>(pub [&'a [[u8; BYTES]]; 4]);

impl Pairs for Q8_0<'_> {
    const BYTES: usize = BYTES;

    #[inline(always)]
    fn off<S: Simd>(&self) -> i16 {
        if S::FULL_U8 { 128 } else { 0 }
    }

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B {
        let bytes = |b: usize| self.0[r][b].last_chunk().expect("32 bytes");
        let bytes = s.sixteens(bytes(a), bytes(b));
        if S::FULL_U8 { s.flip(bytes) } else { bytes }
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2] {
        [halves(s, &self.0, a, 0), halves(s, &self.0, b, 0)]
    }
}
