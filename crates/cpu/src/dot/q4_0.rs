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
    /// The `count` blocks of four rows.
    #[inline(always)]
    pub fn new(rows: [Row<'a>; 4], count: usize) -> Self {
        Q4_0(super::blocks(rows, count))
    }
}

impl Pairs for Q4_0<'_> {
    const BYTES: usize = BYTES;
    const OFF: i32 = 8;
    const MAX: u8 = 15;
    const BIASED: bool = false;

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B {
        let bytes = |b: usize| self.0[r][b].last_chunk().expect("sixteen bytes");
        s.nibbles(bytes(a), bytes(b))
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2] {
        [halves::<S, BYTES, 0>(s, &self.0, a), halves::<S, BYTES, 0>(s, &self.0, b)]
    }

    #[inline(always)]
    fn biases<S: Simd>(&self, s: S, _: usize, _: usize) -> [S::Q; 2] {
        [s.q_load([0.0; 4]); 2]
    }
}
