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

use super::{Order, fetch};
use crate::rounded::RoundedRow;
use crate::simd::Simd;

/// Four rows of such a format.
pub trait Pairs {
    /// Bytes of a block.
    const BYTES: usize;
    /// The order of [`Pairs::weights`].
    const ORDER: Order = Order::Sixteens;

    /// Comes to blocks `a` and `b`, of which the functions below are asked next.
    #[inline(always)]
    fn come_to(&mut self, _a: usize, _b: usize) {}
    /// What is to be taken off each byte.
    fn off<S: Simd>(&self) -> i16;
    /// The bytes of blocks `a` and `b` of row `r`.
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B;
    /// The scales of blocks `a` and `b`, which follows it or is the same.
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2];
    /// What is added to every weight of blocks `a` and `b`.
    #[inline(always)]
    fn biases<S: Simd>(&self, _s: S, _a: usize, _b: usize) -> Option<[S::Q; 2]> {
        None
    }
}

/// The products of four rows with `x`. Bytes are as [`Simd::dot4_blocks`] wants them.
#[inline(always)]
pub fn dot4<S: Simd, P: Pairs, const MAX: u8>(
    s: S,
    mut rows: P,
    x: RoundedRow<'_>,
    ahead: &[u8],
) -> [f32; 4] {
    let mut sum = s.q_load([0.0; 4]);
    let (pairs, last) = x.q.as_chunks::<64>();
    let (sums, last_sums) = x.sums.as_chunks::<4>();
    for (pair, (q, sums)) in pairs.iter().zip(sums).enumerate() {
        let (a, b) = (2 * pair, 2 * pair + 1);
        fetch(s, ahead, pair, 8 * P::BYTES);
        let terms = products::<S, P, MAX>(s, &mut rows, [a, b], q, sums);
        sum = add(s, &terms, 0, x.scales[a], sums, sum);
        sum = add(s, &terms, 1, x.scales[b], sums, sum);
    }
    if !last.is_empty() {
        let b = 2 * pairs.len();
        let (mut q, mut sums) = ([0; 64], [0; 4]);
        q[..32].copy_from_slice(last);
        sums[..2].copy_from_slice(last_sums);
        let terms = products::<S, P, MAX>(s, &mut rows, [b, b], &q, &sums);
        sum = add(s, &terms, 0, x.scales[b], &sums, sum);
    }
    s.q_store(sum)
}

/// What four rows' products with two blocks are made of.
struct Terms<Q> {
    dots: (Q, Q),
    scales: [Q; 2],
    biases: Option<[Q; 2]>,
}

#[inline(always)]
fn products<S: Simd, P: Pairs, const MAX: u8>(
    s: S,
    rows: &mut P,
    [a, b]: [usize; 2],
    q: &[i8; 64],
    sums: &[i16; 4],
) -> Terms<S::Q> {
    rows.come_to(a, b);
    let w = four!(r => rows.weights(s, r, a, b));
    let dots = s.dot4_blocks::<MAX>(w, P::ORDER.load(s, q), sums, rows.off::<S>());
    Terms { dots, scales: rows.scales(s, a, b), biases: rows.biases(s, a, b) }
}

/// Adds one of the two blocks' products to the sums.
#[inline(always)]
fn add<S: Simd>(
    s: S,
    terms: &Terms<S::Q>,
    block: usize,
    dx: f32,
    sums: &[i16; 4],
    sum: S::Q,
) -> S::Q {
    let dots = if block == 0 { terms.dots.0 } else { terms.dots.1 };
    let sum = s.q_fma(s.q_scale(terms.scales[block], dx), dots, sum);
    let Some(biases) = terms.biases else { return sum };
    let total = i32::from(sums[2 * block]) + i32::from(sums[2 * block + 1]);
    s.q_fma(s.q_scale(biases[block], dx), s.q_load([total as f32; 4]), sum)
}
