//! IQ2_S: blocks of 256 in sixteen runs of 16 with an odd scale; eights from a grid of 1024 points.
//!
//! 82 bytes: d (half, times 8); 32 of points' lower bits; 32 of signs; eight of points' upper pairs
//! of bits, in order; eight of scales, two to a byte.

use super::grids::{odd_scales, word};
use super::runs::Runs;
use crate::simd::Simd;
use blocks::grids::IQ2_S as GRID;

/// Its blocks.
pub struct IQ2S;

impl Runs<82> for IQ2S {
    const SIGNED: bool = true;
    const FACTOR: f32 = 0.125;

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 82]) -> S::K {
        odd_scales(s, block.last_chunk().expect("eight bytes"))
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 82], j: usize) -> S::B {
        let (first, second) = (points(s, block, 2 * j), points(s, block, 2 * j + 1));
        let first = s.signed(first, word(block, 34 + 8 * j));
        s.join(first, s.signed(second, word(block, 38 + 8 * j)))
    }
}

/// Four points.
#[inline(always)]
fn points<S: Simd>(s: S, block: &[u8; 82], four: usize) -> S::H {
    let high = usize::from(block[66 + four]) << 8;
    s.eights_h(four!(i => GRID[high >> (2 * i) & 0x300 | usize::from(block[2 + 4 * four + i])]))
}
