//! IQ3_S: blocks of 256 in eight runs of 32 with an odd scale; fours from a grid of 512 points.
//!
//! 110 bytes: d (half); 64 of points' lower bits; eight of their ninth bits, in order; 32 of signs;
//! four of scales, two to a byte.

use super::grids::{odd_scales_of_two, word};
use super::runs::Runs;
use crate::simd::Simd;
use blocks::grids::IQ3_S as GRID;

/// Its blocks.
pub struct IQ3S;

impl Runs<110> for IQ3S {
    const SIGNED: bool = true;

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 110]) -> S::K {
        odd_scales_of_two(s, *block.last_chunk().expect("four bytes"))
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 110], j: usize) -> S::B {
        let low = block[2 + 16 * j..].first_chunk().expect("sixteen bytes");
        let high = u16::from_le_bytes([block[66 + 2 * j], block[67 + 2 * j]]);
        let places = s.ninth_bits(low, high);
        let first = s.signed(points(s, &places, 0), word(block, 74 + 8 * j));
        s.join(first, s.signed(points(s, &places, 8), word(block, 78 + 8 * j)))
    }
}

/// Eight points.
#[inline(always)]
fn points<S: Simd>(s: S, places: &[u16; 16], from: usize) -> S::H {
    let low = four!(i => GRID[usize::from(places[from + i] & 511)]);
    s.fours_h(low, four!(i => GRID[usize::from(places[from + 4 + i] & 511)]))
}
