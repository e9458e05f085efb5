//! IQ2_XS: blocks of 256 in sixteen runs of 16 with an odd scale; eights from a grid of 512 points.
//!
//! 74 bytes: d (half, times 8); 32 pairs of bytes, nine bits for a point and seven for signs above
//! them; eight bytes of scales, two to a byte.

use super::grids::{odd_scales, with_parity};
use super::runs::Runs;
use crate::simd::Simd;
use blocks::grids::IQ2_XS as GRID;

/// Its blocks.
pub struct IQ2XS;

impl Runs<74> for IQ2XS {
    const SIGNED: bool = true;
    const FACTOR: f32 = 0.125;

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 74]) -> S::K {
        odd_scales(s, block.last_chunk().expect("eight bytes"))
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 74], j: usize) -> S::B {
        let at = 2 + 16 * j;
        let [a, b] = with_parity(sevens(block, at) | sevens(block, at + 8) << 32);
        s.join(s.signed(points(s, block, at), a), s.signed(points(s, block, at + 8), b))
    }
}

#[inline(always)]
fn points<S: Simd>(s: S, block: &[u8; 74], at: usize) -> S::H {
    s.eights_h(four!(i => {
        GRID[usize::from(u16::from_le_bytes([block[at + 2 * i], block[at + 2 * i + 1]]) & 511)]
    }))
}

/// The highest seven bits of four pairs of bytes.
#[inline(always)]
fn sevens(block: &[u8; 74], at: usize) -> u64 {
    let codes = u64::from_le_bytes(*block[at..].first_chunk().expect("eight bytes"));
    let x = codes >> 9 & 0x007f_007f_007f_007f;
    let x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
    (x | x >> 16) & 0xffff_ffff
}
