//! Formats whose blocks of 256 hold eight runs of 32, each with a scale and a minimum: Q4_K and
//! Q5_K, of which the first sixteen bytes are alike.
//!
//! Versions tried on Q4_K, decoding with Qwen3-0.6B's shapes on two cores of Sapphire Rapids, of
//! which memory delivers 31.4 GB/s: four rows side by side 9.9 GB/s (32%); with vectors added at
//! 512 bits and the next rows fetched ahead 17 GB/s (54%).
//!
//! And by instructions of AVX2 for four rows' blocks (llvm-mca's cycles of Zen 3): row after row,
//! scales unpacked as integers 410 (79); scales unpacked as vectors 313 (81: sums wait for the
//! activations, which do not fit the registers); run after run of four rows 261 (58). None of it
//! changed the time from the nearest caches, 33 ns for 1024 weights: shuffles have two of the four
//! units. With scales broadcast from memory, which needs none, 29 ns.

use super::{Order, fetch_quarter, halves};
use crate::rounded::RoundedRow;
use crate::simd::{Simd, six_bits};

/// Such a format, of blocks of so many bytes.
pub trait Eights<const BYTES: usize> {
    /// Where a block's scale of scales lies.
    const D: usize = 0;
    /// Where its scale of minima lies.
    const DMIN: Option<usize> = Some(2);

    /// Runs `2 * j` and `2 * j + 1` of a block.
    fn weights<S: Simd>(s: S, block: &[u8; BYTES], j: usize) -> S::B;
}

/// The products of four rows with `x`. Meanwhile the bytes `ahead` are fetched.
#[inline(always)]
pub fn dot4<S: Simd, E: Eights<BYTES>, const BYTES: usize>(
    s: S,
    rows: [&[[u8; BYTES]]; 4],
    x: RoundedRow<'_>,
    ahead: &[u8],
) -> [f32; 4] {
    let (mut sum, mut scales) = (s.q_load([0.0; 4]), s.room());
    for (b, &dx) in x.scales.iter().enumerate() {
        let x = x.block(b);
        let blocks = four!(r => &rows[r][b]);
        let heads = four!(r => blocks[r].first_chunk().expect("sixteen bytes"));
        let minima = s.eights(heads, x.sums, &mut scales);
        let mut dots = [s.splat_i(0); 4];
        for j in 0..4 {
            fetch_quarter(s, ahead, b, 4 * BYTES, j);
            let w = four!(r => E::weights(s, blocks[r], j));
            dots = s.dot_eights(dots, w, s.load_s(&x.q[j]), &scales, j);
        }
        let d = s.q_scale(halves(s, &rows, b, 0), dx);
        let dmin = s.q_scale(halves(s, &rows, b, 2), -dx);
        sum = s.q_fma(d, s.sum4_i(dots), sum);
        sum = s.q_fma(dmin, minima, sum);
    }
    s.q_store(sum)
}

/// Unpacks a block: its weights, and their scales and minima.
#[inline(always)]
pub fn unpack<S: Simd, E: Eights<BYTES>, const BYTES: usize>(
    s: S,
    block: &[u8; BYTES],
    q: [&mut [u8; 64]; 4],
    _sub: usize,
) -> [[i16; 16]; 2] {
    for (j, q) in q.into_iter().enumerate() {
        Order::Row.store(s, E::weights(s, block, j), q);
    }
    let (scales, minima) = six_bits(block.first_chunk().expect("sixteen bytes"));
    let mut numbers = [[0; 16]; 2];
    for i in 0..8 {
        numbers[0][i] = i16::from(scales[i]);
        numbers[1][i] = i16::from(minima[i]);
    }
    numbers
}
