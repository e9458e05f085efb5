//! IQ1_M: blocks of 256 in sixteen runs of 16 with an odd scale; eights from a grid of 2048 ternary
//! points, each shifted up or down by an eighth.
//!
//! 56 bytes: 32 of points' lower bits; 16 with two times three upper bits and whether the shift is
//! down; four pairs of bytes with four times three bits of scales, whose highest four bits are
//! together d (half, times 8).

use super::runs::Runs;
use crate::simd::Simd;
use blocks::grids::IQ1 as GRID;

/// Its blocks.
pub struct IQ1M;

impl Runs<56> for IQ1M {
    const OFF: i16 = 9;
    const FACTOR: f32 = 0.125;

    #[inline(always)]
    fn d(block: &[u8; 56]) -> [u8; 4] {
        let upper = |word: usize| block[49 + 2 * word] >> 4;
        [upper(1) << 4 | upper(0), upper(3) << 4 | upper(2), 0, 0]
    }

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 56]) -> S::K {
        let mut scales = [0; 16];
        for (run, scale) in scales.iter_mut().enumerate() {
            let word = u16::from_le_bytes([block[48 + run / 4 * 2], block[49 + run / 4 * 2]]);
            *scale = (2 * (word >> (3 * (run % 4)) & 7) + 1) as i8;
        }
        s.scales_i8(&scales)
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 56], j: usize) -> S::B {
        s.join(points(s, block, 2 * j), points(s, block, 2 * j + 1))
    }
}

/// Four points in eighths, plus 9: the grid has its coordinates plus 1.
#[inline(always)]
fn points<S: Simd>(s: S, block: &[u8; 56], four: usize) -> S::H {
    let high = usize::from(block[32 + 2 * four]) | usize::from(block[33 + 2 * four]) << 8;
    s.eights_h(four!(i => {
        let code = high >> (4 * i);
        let point = GRID[(code & 7) << 8 | usize::from(block[4 * four + i])];
        let up = (!code as u64 >> 3 & 1) * u64::from_le_bytes([2; 8]);
        (point << 3) + up
    }))
}
