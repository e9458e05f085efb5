//! Q2_K: blocks of 256 in sixteen runs of 16, each with a 4-bit scale and a 4-bit minimum.
//!
//! 84 bytes: 16 with a scale in the low half and a minimum in the high half; 64 of pairs of bits
//! (of each 32 bytes the four pairs belong to four runs of 32); d, dmin (halves).

use super::runs::{Runs, pairs_of_bits};
use crate::simd::Simd;

/// Its blocks.
pub struct Q2K;

impl Runs<84> for Q2K {
    const D: usize = 80;
    const DMIN: Option<usize> = Some(82);

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 84]) -> S::K {
        s.scales_i8(&low_halves(block, 0))
    }

    #[inline(always)]
    fn minima<S: Simd>(s: S, block: &[u8; 84]) -> S::K {
        s.scales_i8(&low_halves(block, 4))
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 84], j: usize) -> S::B {
        pairs_of_bits(s, block[16..].first_chunk().expect("64 bytes"), j)
    }
}

/// The low halves of sixteen bytes, which are shifted before.
#[inline(always)]
fn low_halves(block: &[u8; 84], shift: u32) -> [i8; 16] {
    const LOW: u128 = u128::from_le_bytes([0x0f; 16]);
    let bytes = u128::from_le_bytes(*block.first_chunk().expect("sixteen bytes"));
    bytemuck::cast((bytes >> shift & LOW).to_le_bytes())
}
