//! Q4_0: blocks of 32 after a scale (half), 18 bytes in all; weights less 8.
//!
//! The low halves of the sixteen bytes are the first sixteen weights.

use super::{halves, pairs::Pairs};
use crate::simd::Simd;
use blocks::Row;

const BYTES: usize = 18;

/// Four rows.
pub struct Q4_0<'a>([&'a [[u8; BYTES]]; 4]);

impl<'a> Q4_0<'a> {
    /// The blocks of four rows.
    #[inline(always)]
    pub fn new(rows: [Row<'a>; 4]) -> Self {
        Q4_0(super::blocks(rows))
    }
}

impl Pairs for Q4_0<'_> {
    const BYTES: usize = BYTES;
    const OFF: i32 = 8;
    const BIASED: bool = false;

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, b: usize) -> S::H {
        s.nibbles(self.0[r][b][2..].try_into().expect("sixteen bytes"))
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, b: usize) -> S::Q {
        halves(s, &self.0, b, 0)
    }

    #[inline(always)]
    fn biases<S: Simd>(&self, s: S, _: usize) -> S::Q {
        s.q_load([0.0; 4])
    }
}
