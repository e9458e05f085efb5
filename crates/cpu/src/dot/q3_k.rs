//! Q3_K: blocks of 256 in sixteen runs of 16, each with a 6-bit scale less 32; weights less 4.
//!
//! 110 bytes: 32 of third bits (bit i of each byte belongs to run i of 32); 64 of pairs of low
//! bits (of each 32 bytes the four pairs belong to four runs of 32); 12 of scales; d (half).

use super::runs::{Runs, less_32};
use crate::simd::Simd;

/// Its blocks.
pub struct Q3K;

impl Runs<110> for Q3K {
    const OFF: i16 = 4;
    const D: usize = 108;
    const UNROLLED: bool = true;

    /// Low halves of all sixteen in eight bytes, then their pairs of high bits in four.
    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 110]) -> S::K {
        const HALVES: u64 = u64::from_le_bytes([0x0f; 8]);
        const PAIRS: u64 = u64::from_le_bytes([0x03; 8]);
        let low = u64::from_le_bytes(block[96..104].try_into().expect("eight bytes"));
        let high = u32::from_le_bytes(block[104..108].try_into().expect("four bytes"));
        // Bits 0 and 1 of each byte belong to the first four scales, bits 2 and 3 to the next.
        let high = u64::from(high) | u64::from(high >> 2) << 32;
        let first = low & HALVES | (high & PAIRS) << 4;
        s.scales_i8(&less_32([first, low >> 4 & HALVES | (high >> 4 & PAIRS) << 4]))
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 110], j: usize) -> S::B {
        let (low, third) = (s.splat_h(0x03), s.splat_h(0x04));
        let load = |at: usize| s.load_h(block[at..][..32].try_into().expect("32 bytes"));
        let (high, pairs) = (load(0), load(32 + 32 * (j / 2)));
        let (even, odd) = match j {
            0 => (s.shl(high, 2), s.shl(high, 1)),
            1 => (high, s.shr(high, 1)),
            2 => (s.shr(high, 2), s.shr(high, 3)),
            _ => (s.shr(high, 4), s.shr(high, 5)),
        };
        let (first, second) = if j.is_multiple_of(2) {
            (pairs, s.shr(pairs, 2))
        } else {
            (s.shr(pairs, 4), s.shr(pairs, 6))
        };
        let first = s.or(s.and(first, low), s.and(even, third));
        s.join(first, s.or(s.and(second, low), s.and(odd, third)))
    }
}
