//! Formats whose blocks of 256 have a scale for each run of 16 weights, or of 32.
//!
//! Versions tried with AVX2 on two cores of Milan:
//! - unpacked to bytes, sums taken lane by lane: a token of Qwen3-0.6B took 302 ms in IQ4_XS, 210
//!   in Q2_K, 131 in Q3_K_M;
//! - four rows' runs side by side, weights straight from the file: from the nearest caches 1024
//!   weights took 37 ns in Q6_K, 34 in Q2_K, but 73 in IQ4_XS and 99 in Q3_K, whose scales were
//!   unpacked one by one;
//! - those scales unpacked eight to a word: 49 in IQ4_XS, 57 in Q3_K; tokens 25, 22 and 25 ms.

use super::{Order, fetch_quarter, halves};
use crate::rounded::RoundedRow;
use crate::simd::Simd;

/// Such a format, of blocks of so many bytes.
pub trait Runs<const BYTES: usize> {
    /// What is to be taken off each weight.
    const OFF: i16;
    /// The order of [`Runs::weights`].
    const ORDER: Order = Order::Row;
    /// Whether weights are signed; else they are up to 63.
    const SIGNED: bool = false;
    /// Where a block's scale of scales lies.
    const D: usize;
    /// Where its scale of minima lies.
    const DMIN: Option<usize> = None;

    /// The scales of a block, one for each sixteen weights in the order of [`Runs::weights`].
    fn scales(block: &[u8; BYTES]) -> [i8; 16];
    /// The minima of a block, one for each sixteen.
    fn minima(_block: &[u8; BYTES]) -> [i8; 16] {
        [0; 16]
    }
    /// Weights `64 * j ..` of a block.
    fn weights<S: Simd>(s: S, block: &[u8; BYTES], j: usize) -> S::B;
}

/// The products of four rows with `x`. Meanwhile the bytes `ahead` are fetched.
#[inline(always)]
pub fn dot4<S: Simd, R: Runs<BYTES>, const BYTES: usize>(
    s: S,
    rows: [&[[u8; BYTES]]; 4],
    x: RoundedRow<'_>,
    ahead: &[u8],
) -> [f32; 4] {
    let mut sum = s.q_load([0.0; 4]);
    for (b, &dx) in x.scales.iter().enumerate() {
        let x = x.block(b);
        let blocks = four!(r => &rows[r][b]);
        let scales = four!(r => s.scales_i8(&R::scales(blocks[r])));
        let mut dots = [s.splat_i(0); 4];
        if R::OFF != 0 {
            // Half of what the weights lack, which fits sixteen bits: it is added twice.
            let lacking = s.sums(&times(x.sums, -R::OFF / 2));
            dots =
                four!(r => s.dot_sums(s.dot_sums(dots[r], lacking, scales[r]), lacking, scales[r]));
        }
        for j in 0..4 {
            fetch_quarter(s, ahead, b, 4 * BYTES, j);
            let w = four!(r => R::weights(s, blocks[r], j));
            let x = R::ORDER.load(s, &x.q[j]);
            dots = if R::SIGNED {
                s.dot_runs::<true>(dots, w, x, scales, j)
            } else {
                s.dot_runs::<false>(dots, w, x, scales, j)
            };
        }
        sum = s.q_fma(s.q_scale(halves(s, &rows, b, R::D), dx), s.sum4_i(dots), sum);
        if let Some(at) = R::DMIN {
            let (zero, sums) = (s.splat_i(0), s.sums(x.sums));
            let minima = four!(r => s.dot_sums(zero, sums, s.scales_i8(&R::minima(blocks[r]))));
            sum = s.q_fma(s.q_scale(halves(s, &rows, b, at), -dx), s.sum4_i(minima), sum);
        }
    }
    s.q_store(sum)
}

/// Unpacks a block: its weights, and their scales and minima, of sixteens or of 32s.
#[inline(always)]
pub fn unpack<S: Simd, R: Runs<BYTES>, const BYTES: usize>(
    s: S,
    block: &[u8; BYTES],
    q: [&mut [u8; 64]; 4],
    sub: usize,
) -> [[i16; 16]; 2] {
    for (j, q) in q.into_iter().enumerate() {
        let w = R::weights(s, block, j);
        R::ORDER.store(s, if R::SIGNED && S::FULL_U8 { s.flip(w) } else { w }, q);
    }
    let (scales, minima) = (R::scales(block), R::minima(block));
    let mut numbers = [[0; 16]; 2];
    for i in 0..16 {
        // Of runs of 32 the first sixteen's, in whatever order those are.
        let at = match R::ORDER {
            _ if sub == 16 => i,
            Order::Sixteens => i % 8 / 2 * 4 + i % 2,
            _ => 2 * (i % 8),
        };
        numbers[0][i] = i16::from(scales[at]);
        numbers[1][i] = i16::from(minima[at]);
    }
    numbers
}

#[inline(always)]
fn times(sums: &[i16; 16], factor: i16) -> [i16; 16] {
    let mut products = *sums;
    for product in &mut products {
        *product *= factor;
    }
    products
}

/// Sixteen numbers of six bits, of which 32 is to be taken off, eight to a word.
#[inline(always)]
pub fn less_32(x: [u64; 2]) -> [i8; 16] {
    const BIT: u64 = u64::from_le_bytes([0x20; 8]);
    // Bit five flipped, and spread to the two above it.
    let [a, b] = [x[0] ^ BIT, x[1] ^ BIT];
    bytemuck::cast([a + (a & BIT) * 6, b + (b & BIT) * 6].map(u64::to_le_bytes))
}
