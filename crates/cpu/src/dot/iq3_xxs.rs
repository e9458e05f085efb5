//! IQ3_XXS: blocks of 256 in eight runs of 32 with an odd scale; fours from a grid of 256 points.
//!
//! 98 bytes: d (half, times 4); 64 of points; for each run a word of four times seven signs and the
//! scale's four bits above them.

use super::grids::{even_signs, word};
use super::runs::Runs;
use crate::simd::Simd;
use blocks::grids::IQ3_XXS as GRID;

/// Its blocks.
pub struct IQ3XXS;

impl Runs<98> for IQ3XXS {
    const SIGNED: bool = true;
    const FACTOR: f32 = 0.25;

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 98]) -> S::K {
        let mut scales = [0; 8];
        for (run, scale) in scales.iter_mut().enumerate() {
            *scale = 2 * (block[69 + 4 * run] >> 4) + 1;
        }
        s.scales_u8(scales)
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 98], j: usize) -> S::B {
        let [a, b] = even_signs([word(block, 66 + 8 * j), word(block, 70 + 8 * j)]);
        s.join(s.signed(points(s, block, 2 * j), a), s.signed(points(s, block, 2 * j + 1), b))
    }
}

/// Eight points.
#[inline(always)]
fn points<S: Simd>(s: S, block: &[u8; 98], run: usize) -> S::H {
    let at = 2 + 8 * run;
    let low = four!(i => GRID[usize::from(block[at + i])]);
    s.fours_h(low, four!(i => GRID[usize::from(block[at + 4 + i])]))
}
