//! TQ2_0: blocks of 256 with one scale; weights of two bits less 1.
//!
//! 66 bytes: 64 of pairs of bits (of each 32 bytes the four pairs belong to four runs of 32); d
//! (half).

use super::runs::{Runs, pairs_of_bits};
use crate::simd::Simd;

/// Its blocks.
pub struct TQ20;

impl Runs<66> for TQ20 {
    const OFF: i16 = 1;
    const D: usize = 64;

    #[inline(always)]
    fn scales<S: Simd>(s: S, _block: &[u8; 66]) -> S::K {
        s.scales_u8([1; 8])
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 66], j: usize) -> S::B {
        pairs_of_bits(s, block.first_chunk().expect("64 bytes"), j)
    }
}
