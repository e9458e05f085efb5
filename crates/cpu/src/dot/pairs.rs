//! Formats whose blocks hold 32 weights: two blocks of four rows are multiplied at a time.
//!
//! Versions tried on Q8_0, decoding with Qwen3-0.6B's shapes on two cores of Sapphire Rapids, of
//! which memory delivers 31.4 GB/s:
//! - four rows side by side, nothing fetched ahead: 10 GB/s (32%);
//! - the next rows fetched into L1: 20 GB/s (64%);
//! - vectors added at 512 bits before they are halved (9 shuffles for 24), the next rows fetched
//!   into L2: 22 GB/s (70%). Fetching 1 to 4 KiB ahead is equal, 12 and 32 KiB are slower.
//!
//! And on one core of Milan with AVX2, 1024 weights of a row from the nearest caches: Q4_0 42 to
//! 38 ns with products of weights up to 15 added in sixteen bits; MLX's four bits 235 to 50 ns with
//! scales widened four at a time and groups found by shifting.

use super::fetch;
use crate::rounded::RoundedRow;
use crate::simd::Simd;

/// Four rows of such a format.
pub trait Pairs {
    /// Bytes of a block.
    const BYTES: usize;
    /// What is to be taken off each byte. Where it is 128 the bytes of [`Pairs::weights`] are
    /// unsigned only on processors that multiply them so; else it is off already.
    const OFF: i32;
    /// The largest byte where they are unsigned.
    const MAX: u8;
    /// Whether weights have a bias.
    const BIASED: bool;

    /// The bytes of blocks `a` and `b` of row `r`.
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B;
    /// Two blocks of activations in the order of [`Pairs::weights`].
    fn activations<S: Simd>(s: S, x: &[i8; 64]) -> S::B {
        s.sixteens_s(x)
    }
    /// The scales of blocks `a` and `b`, which follows it or is the same.
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2];
    /// What is added to every weight of blocks `a` and `b`.
    fn biases<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2];
}

/// The products of four rows with `x`.
#[inline(always)]
pub fn dot4<S: Simd, P: Pairs>(s: S, rows: &P, x: RoundedRow<'_>, ahead: &[u8]) -> [f32; 4] {
    let mut sum = s.q_load([0.0; 4]);
    let (pairs, last) = x.q.as_chunks::<64>();
    for (pair, q) in pairs.iter().enumerate() {
        let (a, b) = (2 * pair, 2 * pair + 1);
        fetch(s, ahead, pair, 8 * P::BYTES);
        let add = [lacking::<S, P>(x, a), lacking::<S, P>(x, b)];
        let (first, second) = products(s, rows, a, b, q, add);
        let (scales, biases) = (rows.scales(s, a, b), rows.biases(s, a, b));
        sum = add_block::<S, P>(s, x, a, first, scales[0], biases[0], sum);
        sum = add_block::<S, P>(s, x, b, second, scales[1], biases[1], sum);
    }
    if !last.is_empty() {
        let b = 2 * pairs.len();
        let mut q = [0; 64];
        q[..32].copy_from_slice(last);
        let (only, _) = products(s, rows, b, b, &q, [lacking::<S, P>(x, b), 0]);
        let (scales, biases) = (rows.scales(s, b, b), rows.biases(s, b, b));
        sum = add_block::<S, P>(s, x, b, only, scales[0], biases[0], sum);
    }
    s.q_store(sum)
}

/// The products of blocks `a` and `b` of four rows, each plus what is to be added.
#[inline(always)]
fn products<S: Simd, P: Pairs>(
    s: S,
    rows: &P,
    a: usize,
    b: usize,
    q: &[i8; 64],
    add: [i32; 2],
) -> (S::Q, S::Q) {
    let q = P::activations(s, q);
    let w = four!(r => rows.weights(s, r, a, b));
    if P::OFF == 128 && !S::FULL_U8 {
        return s.sum4_blocks(four!(r => s.dot_ss(s.splat_i(0), w[r], q)), add);
    }
    s.dot4_blocks(w, q, P::MAX, add)
}

/// Adds one block's products to the sums.
#[inline(always)]
fn add_block<S: Simd, P: Pairs>(
    s: S,
    x: RoundedRow<'_>,
    b: usize,
    dots: S::Q,
    scales: S::Q,
    biases: S::Q,
    sum: S::Q,
) -> S::Q {
    let dx = x.scales[b];
    let sum = s.q_fma(s.q_scale(scales, dx), dots, sum);
    if !P::BIASED {
        return sum;
    }
    let total = s.q_load([sum32(x.sums, b) as f32; 4]);
    s.q_fma(s.q_scale(biases, dx), total, sum)
}

/// What the products of block `b` lack, since the offset is not taken off the weights.
#[inline(always)]
fn lacking<S: Simd, P: Pairs>(x: RoundedRow<'_>, b: usize) -> i32 {
    let signed = P::OFF == 128 && !S::FULL_U8;
    if P::OFF == 0 || signed { 0 } else { -P::OFF * sum32(x.sums, b) }
}

/// The sum of block `b` of 32, from sums of sixteen.
#[inline(always)]
fn sum32(sums: &[i16], b: usize) -> i32 {
    i32::from(sums[2 * b]) + i32::from(sums[2 * b + 1])
}
