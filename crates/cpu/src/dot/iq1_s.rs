//! IQ1_S: blocks of 256 in eight runs of 32 with an odd scale; eights from a grid of 2048 ternary
//! points, of which a run's are all shifted up or all down by an eighth.
//!
//! 50 bytes: d (half, times 8); 32 of points' lower bits; for each run a pair of bytes: four times
//! three upper bits, three of the scale and whether the shift is down.

use super::runs::Runs;
use crate::simd::Simd;
use blocks::grids::IQ1 as GRID;

/// Its blocks.
pub struct IQ1S;

impl Runs<50> for IQ1S {
    const OFF: i16 = 9;
    const FACTOR: f32 = 0.125;

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 50]) -> S::K {
        let mut scales = [0; 8];
        for (run, scale) in scales.iter_mut().enumerate() {
            *scale = (block[35 + 2 * run] >> 3 & 0x0e) + 1;
        }
        s.scales_u8(scales)
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 50], j: usize) -> S::B {
        s.join(run(s, block, 2 * j), run(s, block, 2 * j + 1))
    }
}

/// A run in eighths, plus 9: the grid has its coordinates plus 1.
#[inline(always)]
fn run<S: Simd>(s: S, block: &[u8; 50], run: usize) -> S::H {
    let word = usize::from(block[34 + 2 * run]) | usize::from(block[35 + 2 * run]) << 8;
    let at = 2 + 4 * run;
    let points = s.eights_h(four!(i => {
        GRID[(word >> (3 * i) & 7) << 8 | usize::from(block[at + i])]
    }));
    let up = s.splat_h(2 - (word >> 14 & 2) as u8);
    s.or(s.shl(points, 3), up)
}
