//! IQ4_XS: blocks of 256 in eight runs of 32, each with a 6-bit scale less 32; weights are places
//! in a codebook.
//!
//! 136 bytes: d (half); two bytes of pairs of high bits of the scales; four of their low halves;
//! 128 of codes, of which each sixteen bytes hold a run, its first half in their low bits.

use super::Order;
use super::codes::signed;
use super::runs::{Runs, less_32};
use crate::simd::Simd;
use blocks::IQ4_CODEBOOK;

/// Its blocks.
pub struct IQ4XS;

impl Runs<136> for IQ4XS {
    const ORDER: Order = Order::Sixteens;
    const SIGNED: bool = true;

    /// Of runs a and b of each 64 weights: a, b, a, b.
    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 136]) -> S::K {
        let high = u64::from(u16::from_le_bytes([block[2], block[3]]));
        let low = u64::from(u32::from_le_bytes([block[4], block[5], block[6], block[7]]));
        // Moved to a byte each by halves.
        let high = (high | high << 24) & 0x0000_00ff_0000_00ff;
        let high = (high | high << 12) & 0x000f_000f_000f_000f;
        let high = (high | high << 6) & 0x0303_0303_0303_0303;
        let low = (low | low << 16) & 0x0000_ffff_0000_ffff;
        let low = (low | low << 8) & 0x00ff_00ff_00ff_00ff;
        let low = (low | low << 4) & 0x0f0f_0f0f_0f0f_0f0f;
        let bytes = low | high << 4;
        // Each pair twice.
        let pairs = |x: u64| (x & 0xffff | (x & 0xffff_0000) << 16) * 0x0001_0001;
        s.scales_i8(&less_32([pairs(bytes & 0xffff_ffff), pairs(bytes >> 32)]))
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 136], j: usize) -> S::B {
        let codes = |run: usize| block[8 + 16 * run..][..16].try_into().expect("sixteen codes");
        s.look_up(const { &signed(IQ4_CODEBOOK, 128) }, s.nibbles(codes(2 * j), codes(2 * j + 1)))
    }
}
