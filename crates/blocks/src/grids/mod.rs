//! The grids of the IQ formats: which points of a lattice a code stands for.
//!
//! They are kept as the digits of each point's coordinates and spread into bytes by the compiler.

mod iq1;
mod iq2;
mod iq3;

use crate::bits::{MASKS, each_byte};

/// The points of IQ1_S and IQ1_M; coordinates plus 1.
pub static IQ1: [u64; 2048] = eights(&iq1::IQ1, [0, 1, 2, 0]);
/// The points of IQ2_XXS; magnitudes of their coordinates.
pub static IQ2_XXS: [u64; 256] = eights(&iq2::IQ2_XXS, [8, 25, 43, 0]);
/// The points of IQ2_XS; magnitudes of their coordinates.
pub static IQ2_XS: [u64; 512] = eights(&iq2::IQ2_XS, [8, 25, 43, 0]);
/// The points of IQ2_S; magnitudes of their coordinates.
pub static IQ2_S: [u64; 1024] = eights(&iq2::IQ2_S, [8, 25, 43, 0]);
/// The points of IQ3_XXS; magnitudes of their coordinates.
pub static IQ3_XXS: [u32; 256] = fours(&iq3::IQ3_XXS, [4, 12, 20, 28, 36, 44, 52, 62]);
/// The points of IQ3_S; magnitudes of their coordinates.
pub static IQ3_S: [u32; 512] = fours(&iq3::IQ3_S, [1, 3, 5, 7, 9, 11, 13, 15]);

/// Eight coordinates with the signs in `signs` (a set bit is a minus), plus `off`.
///
/// No coordinate is greater than `off`, so no byte borrows from the next.
#[inline(always)]
pub(crate) fn signed(point: u64, signs: u8, off: u8) -> [u8; 8] {
    let negative = point & MASKS[usize::from(signs)];
    (point + each_byte(off) - 2 * negative).to_le_bytes()
}

/// Seven stored signs and the eighth, which makes the number of minuses even.
#[inline(always)]
pub(crate) fn even_signs(seven: u32) -> u8 {
    let seven = seven as u8 & 0x7f;
    // The parity of seven bits, without a count of ones, which not every processor has.
    let parity = seven ^ (seven >> 4);
    let parity = parity ^ (parity >> 2);
    seven | (parity ^ (parity >> 1)) << 7
}

/// Two points of four coordinates as one of eight.
#[inline(always)]
pub(crate) fn joined(a: u32, b: u32) -> u64 {
    u64::from(a) | u64::from(b) << 32
}

/// Points of eight coordinates, one per byte, from digits of two bits, the lowest first.
const fn eights<const POINTS: usize>(
    digits: &[u16; POINTS],
    coordinates: [u8; 4],
) -> [u64; POINTS] {
    let mut grid = [0; POINTS];
    let mut k = 0;
    while k < POINTS * 8 {
        let digit = digits[k / 8] >> (k % 8 * 2) & 3;
        grid[k / 8] |= (coordinates[digit as usize] as u64) << (k % 8 * 8);
        k += 1;
    }
    grid
}

/// Points of four coordinates, one per byte, from digits of four bits, the lowest first.
const fn fours<const POINTS: usize>(digits: &[u16; POINTS], coordinates: [u8; 8]) -> [u32; POINTS] {
    let mut grid = [0; POINTS];
    let mut k = 0;
    while k < POINTS * 4 {
        let digit = digits[k / 4] >> (k % 4 * 4) & 15;
        grid[k / 4] |= (coordinates[digit as usize] as u32) << (k % 4 * 8);
        k += 1;
    }
    grid
}
