//! What the formats have in common whose weights are points of a grid: signs and odd scales.

use crate::simd::Simd;

/// Signs of 64 weights, a bit each, of which each byte's highest makes the number of minuses even:
/// of two words, each four times seven bits, and whatever stands above them.
#[inline(always)]
pub fn even_signs(words: [u32; 2]) -> [u32; 2] {
    let words = u64::from(words[0]) | u64::from(words[1]) << 32;
    // Moved to a byte each.
    let sevens = words & 0x7f_0000_007f
        | (words & 0x3f80_0000_3f80) << 1
        | (words & 0x001f_c000_001f_c000) << 2
        | (words & 0x0fe0_0000_0fe0_0000) << 3;
    with_parity(sevens)
}

/// The same of seven bits in each byte.
#[inline(always)]
pub fn with_parity(sevens: u64) -> [u32; 2] {
    // What comes from the byte above does not reach the lowest bit.
    let parity = sevens ^ sevens >> 4;
    let parity = parity ^ parity >> 2;
    let parity = (parity ^ parity >> 1) & 0x0101_0101_0101_0101;
    let signs = sevens | parity << 7;
    [signs as u32, (signs >> 32) as u32]
}

/// Scales `2 * x + 1` of numbers of four bits, two to a byte, for each sixteen weights.
#[inline(always)]
pub fn odd_scales<S: Simd>(s: S, bytes: &[u8; 8]) -> S::K {
    let [a, b] = bytemuck::cast::<[u8; 8], [[u8; 4]; 2]>(*bytes);
    s.scales_i8(&bytemuck::cast([odd(a), odd(b)]))
}

/// The same for each 32 weights.
#[inline(always)]
pub fn odd_scales_of_two<S: Simd>(s: S, bytes: [u8; 4]) -> S::K {
    s.scales_u8(odd(bytes))
}

#[inline(always)]
fn odd(bytes: [u8; 4]) -> [u8; 8] {
    let x = u64::from(u32::from_le_bytes(bytes));
    let x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    let x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    let x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    (x << 1 | 0x0101_0101_0101_0101).to_le_bytes()
}

/// The little-endian word at byte `at`.
#[inline(always)]
pub fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*block[at..].first_chunk().expect("four bytes"))
}
