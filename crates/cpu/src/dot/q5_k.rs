//! Q5_K: Q4_K with a fifth bit for each weight.
//!
//! 176 bytes: d, dmin (halves); 12 bytes of scales and minima; 32 bytes of fifth bits, of which
//! bit j belongs to run j; 128 bytes of low halves as in Q4_K.

use super::eights::Eights;
use crate::simd::Simd;

/// Its blocks.
pub struct Q5K;

impl Eights<176> for Q5K {
    #[inline(always)]
    fn split<S: Simd>(s: S, low: &[u8; 32], high: &[u8; 32], j: usize) -> S::B {
        let (bytes, high) = (s.load_h(low), s.load_h(high));
        let (low, fifth) = (s.splat_h(0x0f), s.splat_h(0x10));
        // Bits 2j and 2j + 1 to bit 4.
        let (even, odd) = match j {
            0 => (s.shl(high, 4), s.shl(high, 3)),
            1 => (s.shl(high, 2), s.shl(high, 1)),
            2 => (high, s.shr(high, 1)),
            _ => (s.shr(high, 2), s.shr(high, 3)),
        };
        let first = s.or(s.and(bytes, low), s.and(even, fifth));
        let second = s.or(s.and(s.shr(bytes, 4), low), s.and(odd, fifth));
        s.join(first, second)
    }
}
