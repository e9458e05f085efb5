//! Few queries: keys and values are read as they lie, each once for all of them.
//!
//! Measured on two cores of Milan with AVX2, which read 27 GB/s: one row, two heads of 128 to a key
//! head, after 16,384 positions: 12 GB/s of halves (44%), where key loads wait for memory;
//! Q8_0 takes 1.2 to 1.4 times less time, Q4_0 1.2 to 1.3 times, both at about 30 GFLOP/s.

use super::{GROUP, Page, Run, Tile, all_within, in_runs, union};
use crate::simd::Simd;
use crate::stored::Stored;
use ops::PAGE;
use std::ops::Range;

/// Bytes that memory hands over at once.
const LINE: usize = 64;

impl Tile {
    /// One page for `N` queries.
    pub(super) fn few<S: Simd, P: Stored, const N: usize>(
        &mut self,
        s: S,
        first: usize,
        page: usize,
        cached: Page<'_>,
    ) {
        let seen = all_within::<N>(&self.visible[first..], page);
        let wanted = union(seen.iter().copied());
        if wanted.is_empty() {
            return;
        }
        let (lanes, scores) = (self.padded / 16, &mut self.scores[first..]);
        let q = &self.q[first / GROUP * lanes..][..lanes];
        let scores = scores.first_chunk_mut().expect("a group of queries");
        score::<S, P, N>(s, q, cached, wanted, scores);
        for (i, seen) in seen.iter().enumerate() {
            self.weigh(s, first + i, *seen);
        }
        in_runs(&seen, |run, positions| match run {
            Run::One(i) => self.gather::<S, P, 1>(s, first + i, cached, positions),
            Run::All => self.gather::<S, P, N>(s, first, cached, positions),
        });
    }

    /// Adds the weighted values at some positions, which `N` queries see.
    fn gather<S: Simd, P: Stored, const N: usize>(
        &mut self,
        s: S,
        first: usize,
        page: Page<'_>,
        positions: Range<usize>,
    ) {
        if positions.is_empty() {
            return;
        }
        let lanes = self.padded / 16;
        let weights = self.scores[first..].first_chunk::<N>().expect("a group of queries");
        let acc = &mut self.part.acc.as_chunks_mut().0[first * lanes..][..N * lanes];
        gather::<S, P, N>(s, acc, weights, page, positions);
    }
}

/// Scores of `N` queries with the keys at some positions.
#[inline(never)]
fn score<S: Simd, P: Stored, const N: usize>(
    s: S,
    q: &[[[f32; 16]; GROUP]],
    page: Page<'_>,
    wanted: Range<usize>,
    scores: &mut [[f32; PAGE]; N],
) {
    // As many keys at a time as make four products.
    let together = GROUP / N;
    s.vectorize(
        #[inline(always)]
        || {
            for p in wanted.clone().step_by(together) {
                let mut acc = [s.splat(0.0); GROUP];
                for j in 0..together {
                    let at = (p + j).min(wanted.end - 1) * page.row;
                    // The values of this position come next.
                    for line in (at..at + page.row).step_by(LINE) {
                        s.prefetch(&page.values[line..]);
                    }
                    let key = &page.keys[at..][..page.row];
                    let sums = products::<S, P, N>(s, q, key, page.dim);
                    for i in 0..N {
                        acc[j * N + i] = sums[i];
                    }
                }
                let products = s.sum4(acc);
                for j in 0..together.min(wanted.end - p) {
                    for i in 0..N {
                        scores[i][p + j] = products[j * N + i];
                    }
                }
            }
        },
    );
}

/// The products of `N` queries with a key, before lanes are added.
#[inline(always)]
fn products<S: Simd, P: Stored, const N: usize>(
    s: S,
    q: &[[[f32; 16]; GROUP]],
    key: &[u8],
    dim: usize,
) -> [S::F; N] {
    let (whole, mut acc) = (dim / 16, [s.splat(0.0); N]);
    let (pairs, odd) = q[..whole].as_chunks::<2>();
    for (k, pair) in pairs.iter().enumerate() {
        // Two at a time share a block and its scale.
        let both = [P::lane(s, key, 2 * k), P::lane(s, key, 2 * k + 1)];
        for (q, key) in pair.iter().zip(both) {
            for i in 0..N {
                acc[i] = s.fma(s.load(&q[i]), key, acc[i]);
            }
        }
    }
    for q in odd {
        let key = P::lane(s, key, whole - 1);
        for i in 0..N {
            acc[i] = s.fma(s.load(&q[i]), key, acc[i]);
        }
    }
    // Apart, because a copy would empty the registers.
    if whole < q.len() {
        let key = P::rest(s, key, whole);
        for i in 0..N {
            acc[i] = s.fma(s.load(&q[whole][i]), key, acc[i]);
        }
    }
    acc
}

/// Adds the weighted values at some positions, which `N` queries see.
#[inline(never)]
fn gather<S: Simd, P: Stored, const N: usize>(
    s: S,
    acc: &mut [[f32; 16]],
    weights: &[[f32; PAGE]; N],
    page: Page<'_>,
    positions: Range<usize>,
) {
    // As many lanes at a time as make four sums; the last apart if it is not whole, because a
    // copy would empty the registers.
    let whole = (page.dim / 16).min(page.value_lanes);
    let wide = whole - whole % (GROUP / N);
    let lanes = acc.len() / N;
    s.vectorize(
        #[inline(always)]
        || {
            for k in (0..wide).step_by(GROUP / N) {
                match N {
                    1 => add_lanes::<S, P, N, 4>(s, acc, weights, &page, &positions, k),
                    2 => add_lanes::<S, P, N, 2>(s, acc, weights, &page, &positions, k),
                    _ => add_lanes::<S, P, N, 1>(s, acc, weights, &page, &positions, k),
                }
            }
            for k in wide..whole {
                add_lanes::<S, P, N, 1>(s, acc, weights, &page, &positions, k);
            }
            if whole < page.value_lanes {
                for p in positions {
                    let value = P::rest(s, &page.values[p * page.row..][..page.row], whole);
                    for i in 0..N {
                        let sum = &mut acc[i * lanes + whole];
                        s.store(sum, s.fma(s.splat(weights[i][p % PAGE]), value, s.load(sum)));
                    }
                }
            }
        },
    );
}

/// Adds lanes `k .. k + L` of the values at some positions with the weights of `N` queries; `k` is
/// a multiple of `L`.
#[inline(always)]
fn add_lanes<S: Simd, P: Stored, const N: usize, const L: usize>(
    s: S,
    acc: &mut [[f32; 16]],
    weights: &[[f32; PAGE]; N],
    page: &Page<'_>,
    positions: &Range<usize>,
    k: usize,
) {
    let lanes = acc.len() / N;
    let place = k * page.row / lanes;
    let mut sums = [[s.splat(0.0); N]; L];
    for (l, sums) in sums.iter_mut().enumerate() {
        for i in 0..N {
            sums[i] = s.load(&acc[i * lanes + k + l]);
        }
    }
    for p in positions.clone() {
        let value = &page.values[p * page.row..][..page.row];
        // The same place of the next page's keys.
        s.prefetch(&page.ahead[p * page.row + place..]);
        for (l, sums) in sums.iter_mut().enumerate() {
            let value = P::lane(s, value, k / L * L + l);
            for i in 0..N {
                // The remainder spares a check.
                sums[i] = s.fma(s.splat(weights[i][p % PAGE]), value, sums[i]);
            }
        }
    }
    for (l, sums) in sums.iter().enumerate() {
        for i in 0..N {
            s.store(&mut acc[i * lanes + k + l], sums[i]);
        }
    }
}
