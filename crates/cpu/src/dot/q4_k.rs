//! Q4_K: blocks of 256 in eight runs of 32, each with a 6-bit scale and a 6-bit minimum.
//!
//! 144 bytes: d, dmin (halves); 12 bytes of scales and minima; 128 bytes of 4-bit weights, of
//! which each 32 bytes hold one run in their low halves and the next in their high halves.

use super::eights::Eights;
use crate::simd::Simd;

/// Its blocks.
pub struct Q4K;

impl Eights<144> for Q4K {
    #[inline(always)]
    fn split<S: Simd>(s: S, low: &[u8; 32], _high: &[u8; 32], _j: usize) -> S::B {
        let (bytes, low) = (s.load_h(low), s.splat_h(0x0f));
        s.join(s.and(bytes, low), s.and(s.shr(bytes, 4), low))
    }
}
