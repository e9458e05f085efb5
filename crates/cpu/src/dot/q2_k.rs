//! Q2_K: blocks of 256 in sixteen runs of 16, each with a 4-bit scale and a 4-bit minimum.
//!
//! 84 bytes: 16 with a scale in the low half and a minimum in the high half; 64 of pairs of bits
//! (of each 32 bytes the four pairs belong to four runs of 32); d, dmin (halves).

use super::runs::Runs;
use crate::simd::Simd;

/// Its blocks.
pub struct Q2K;

impl Runs<84> for Q2K {
    const OFF: i16 = 0;
    const D: usize = 80;
    const DMIN: Option<usize> = Some(82);

    #[inline(always)]
    fn scales(block: &[u8; 84]) -> [i8; 16] {
        let bytes: &[u8; 16] = block.first_chunk().expect("sixteen bytes");
        bytes.map(|byte| (byte & 0x0f) as i8)
    }

    #[inline(always)]
    fn minima(block: &[u8; 84]) -> [i8; 16] {
        let bytes: &[u8; 16] = block.first_chunk().expect("sixteen bytes");
        bytes.map(|byte| (byte >> 4) as i8)
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 84], j: usize) -> S::B {
        let low = s.splat_h(0x03);
        let pairs = s.load_h(block[16 + 32 * (j / 2)..][..32].try_into().expect("32 bytes"));
        let (first, second) = if j.is_multiple_of(2) {
            (pairs, s.shr(pairs, 2))
        } else {
            (s.shr(pairs, 4), s.shr(pairs, 6))
        };
        s.join(s.and(first, low), s.and(second, low))
    }
}
