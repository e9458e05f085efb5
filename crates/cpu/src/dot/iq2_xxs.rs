//! IQ2_XXS: blocks of 256 in eight runs of 32 with an odd scale; eights from a grid of 256 points.
//!
//! 66 bytes: d (half, times 8); for each run four bytes of points, then a word of four times seven
//! signs and the scale's four bits above them.

use super::grids::{even_signs, word};
use super::runs::Runs;
use crate::simd::Simd;
use blocks::grids::IQ2_XXS as GRID;

/// Its blocks.
pub struct IQ2XXS;

impl Runs<66> for IQ2XXS {
    const SIGNED: bool = true;
    const FACTOR: f32 = 0.125;

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 66]) -> S::K {
        let mut scales = [0; 8];
        for (run, scale) in scales.iter_mut().enumerate() {
            *scale = 2 * (block[9 + 8 * run] >> 4) + 1;
        }
        s.scales_u8(scales)
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 66], j: usize) -> S::B {
        let at = 2 + 16 * j;
        let [a, b] = even_signs([word(block, at + 4), word(block, at + 12)]);
        s.join(s.signed(points(s, block, at), a), s.signed(points(s, block, at + 8), b))
    }
}

#[inline(always)]
fn points<S: Simd>(s: S, block: &[u8; 66], at: usize) -> S::H {
    s.eights_h(four!(i => GRID[usize::from(block[at + i])]))
}
