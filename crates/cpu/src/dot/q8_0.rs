//! Q8_0: blocks of 32 signed bytes after a scale (half), 34 bytes in all.
//!
//! Where bytes must be unsigned, 128 is added to the weights.

use super::{halves, pairs::Pairs};
use crate::simd::Simd;
use blocks::Row;

const BYTES: usize = 34;

/// Four rows.
pub struct Q8_0<'a>([&'a [[u8; BYTES]]; 4]);

impl<'a> Q8_0<'a> {
    /// The blocks of four rows.
    #[inline(always)]
    pub fn new(rows: [Row<'a>; 4]) -> Self {
        Q8_0(super::blocks(rows))
    }
}

impl Pairs for Q8_0<'_> {
    const BYTES: usize = BYTES;
    const OFF: i32 = 128;
    const BIASED: bool = false;

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, b: usize) -> S::H {
        let bytes = s.load_h(self.0[r][b][2..].try_into().expect("32 bytes"));
        if S::FULL_U8 { s.xor(bytes, s.splat_h(0x80)) } else { bytes }
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
