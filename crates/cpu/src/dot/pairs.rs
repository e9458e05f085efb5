//! Formats whose blocks hold 32 weights: two blocks fill a vector.
//!
//! Versions tried on Q8_0, decoding with Qwen3-0.6B's shapes on two cores of Sapphire Rapids, of
//! which memory delivers 31.4 GB/s:
//! - four rows side by side, nothing fetched ahead: 10 GB/s (32%);
//! - the next rows fetched into L1: 20 GB/s (64%);
//! - vectors added at 512 bits before they are halved (9 shuffles for 24), the next rows fetched
//!   into L2: 22 GB/s (70%). Fetching 1 to 4 KiB ahead is equal, 12 and 32 KiB are slower.

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
    /// Whether weights have a bias.
    const BIASED: bool;

    /// The bytes of block `b` of row `r`.
    fn weights<S: Simd>(&self, s: S, r: usize, b: usize) -> S::H;
    /// The scales of block `b`.
    fn scales<S: Simd>(&self, s: S, b: usize) -> S::Q;
    /// What is added to every weight of block `b`.
    fn biases<S: Simd>(&self, s: S, b: usize) -> S::Q;
}

/// The products of four rows with `x`.
#[inline(always)]
pub fn dot4<S: Simd, P: Pairs>(s: S, rows: &P, x: RoundedRow<'_>, ahead: &[u8]) -> [f32; 4] {
    let mut sum = s.q_load([0.0; 4]);
    let (pairs, last) = x.q.as_chunks::<64>();
    for (pair, q) in pairs.iter().enumerate() {
        let b = 2 * pair;
        fetch(s, ahead, pair, 8 * P::BYTES);
        let q = s.load_s(q);
        let start = start::<S, P>(s, sum32(x.sums, b), sum32(x.sums, b + 1));
        let mut dots = [start; 4];
        for (r, dot) in dots.iter_mut().enumerate() {
            let w = s.join(rows.weights(s, r, b), rows.weights(s, r, b + 1));
            *dot = product::<S, P>(s, *dot, w, q);
        }
        let (first, second) = s.sum4_halves(dots);
        sum = add(s, rows, x, b, first, sum);
        sum = add(s, rows, x, b + 1, second, sum);
    }
    if !last.is_empty() {
        let b = 2 * pairs.len();
        let mut q = [0; 64];
        q[..32].copy_from_slice(last);
        let q = s.load_s(&q);
        let mut dots = [start::<S, P>(s, sum32(x.sums, b), 0); 4];
        for (r, dot) in dots.iter_mut().enumerate() {
            let w = s.join(rows.weights(s, r, b), s.splat_h(0));
            *dot = product::<S, P>(s, *dot, w, q);
        }
        sum = add(s, rows, x, b, s.sum4_halves(dots).0, sum);
    }
    s.q_store(sum)
}

/// Adds one block's products to the sums.
#[inline(always)]
fn add<S: Simd, P: Pairs>(
    s: S,
    rows: &P,
    x: RoundedRow<'_>,
    b: usize,
    dots: S::Q,
    sum: S::Q,
) -> S::Q {
    let dx = x.scales[b];
    let sum = s.q_fma(s.q_scale(rows.scales(s, b), dx), dots, sum);
    if !P::BIASED {
        return sum;
    }
    let total = s.q_load([sum32(x.sums, b) as f32; 4]);
    s.q_fma(s.q_scale(rows.biases(s, b), dx), total, sum)
}

/// What the products start from, so that the offset is taken off.
#[inline(always)]
fn start<S: Simd, P: Pairs>(s: S, first: i32, second: i32) -> S::I {
    if P::OFF == 0 || signed::<S, P>() {
        s.splat_i(0)
    } else {
        s.halves(-P::OFF * first, -P::OFF * second)
    }
}

#[inline(always)]
fn product<S: Simd, P: Pairs>(s: S, start: S::I, w: S::B, q: S::B) -> S::I {
    if signed::<S, P>() { s.dot_ss(start, w, q) } else { s.dot_us(start, w, q) }
}

#[inline(always)]
fn signed<S: Simd, P: Pairs>() -> bool {
    P::OFF == 128 && !S::FULL_U8
}

/// The sum of block `b` of 32, from sums of sixteen.
#[inline(always)]
fn sum32(sums: &[i16], b: usize) -> i32 {
    i32::from(sums[2 * b]) + i32::from(sums[2 * b + 1])
}
