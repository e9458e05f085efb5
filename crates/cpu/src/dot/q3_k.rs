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

    /// Low halves of all sixteen in eight bytes, then their pairs of high bits in four.
    #[inline(always)]
    fn scales(block: &[u8; 110]) -> [i8; 16] {
        let word = |at: usize| u32::from_le_bytes(block[at..][..4].try_into().expect("four bytes"));
        let (low, high) = ([word(96), word(100)], word(104));
        let mut fours = [0; 4];
        for (i, four) in fours.iter_mut().enumerate() {
            let low = low[i % 2] >> (4 * (i / 2)) & 0x0f0f_0f0f;
            *four = low | (high >> (2 * i) & 0x0303_0303) << 4;
        }
        less_32(bytemuck::cast(fours.map(u32::to_le_bytes)))
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
