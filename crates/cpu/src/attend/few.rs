//! Few queries: keys and values are read as they lie, each once for all of them.
//!
//! Measured on two cores of Milan with AVX2, which read 29 GB/s: one row, two heads of 128 to a key
//! head, after 16,384 positions: 17 to 20 GB/s of halves (59 to 68%; 13 before) and 45 GFLOP/s of
//! Q8_0, 39 of Q4_0 (33 and 31 before). What counts is instructions, which these loops now spend
//! on widening and products alone, and that each line is asked for once, some microseconds ahead:
//! without that halves take 1.3 times as long, with every second line too. In cache, by one
//! thread, halves take 0.4 of the time and Q8_0 0.7. Pages of 2 MB would save a tenth. No gain:
//! asking for the first cache, a group of keys side by side in registers, lanes before queries in
//! the sums of values.

use super::{GROUP, Page, Run, Tile, all_within, in_runs, union};
use crate::simd::Simd;
use crate::stored::Stored;
use ops::PAGE;
use std::ops::Range;

/// Bytes that memory hands over at once.
const LINE: usize = 64;

impl Tile {
    /// One page for `N` queries.
    pub(super) fn few<S: Simd, P: Stored, const N: usize, const J: usize>(
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
        score::<S, P, N, J>(s, q, cached, wanted, scores);
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

/// Scores of `N` queries with the keys at some positions, `J` at a time: as many as make four
/// products.
#[inline(never)]
fn score<S: Simd, P: Stored, const N: usize, const J: usize>(
    s: S,
    q: &[[[f32; 16]; GROUP]],
    page: Page<'_>,
    wanted: Range<usize>,
    scores: &mut [[f32; PAGE]; N],
) {
    let (row, values) = (page.row, page.values);
    // Whole groups, of which some scores may go unread.
    let groups = wanted.start / J..wanted.end.div_ceil(J);
    let keys = &page.keys[groups.start * J * row..groups.end * J * row];
    s.vectorize(
        #[inline(always)]
        || {
            let mut ahead = groups.start * J * row;
            for (group, keys) in groups.zip(keys.chunks_exact(J * row)) {
                let mut acc = [s.splat(0.0); GROUP];
                for j in 0..J {
                    let sums = products::<S, P, N>(s, q, &keys[j * row..][..row], page.dim);
                    for i in 0..N {
                        acc[i * J + j] = sums[i];
                    }
                }
                let products = s.sum4(acc);
                for i in 0..N {
                    for j in 0..J {
                        scores[i][(group * J + j) % PAGE] = products[i * J + j];
                    }
                }
                // The values of these positions come next.
                while ahead < (group + 1) * J * row {
                    s.prefetch(values, ahead);
                    ahead += LINE;
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
    let mut acc = [s.splat(0.0); N];
    let (pairs, rest) = q.split_at(dim / 32 * 2);
    for (q, block) in pairs.as_chunks::<2>().0.iter().zip(key.chunks_exact(P::BLOCK)) {
        let block = P::block(s, block);
        for h in 0..2 {
            for i in 0..N {
                acc[i] = s.fma(s.load(&q[h][i]), block[h], acc[i]);
            }
        }
    }
    for (k, q) in rest.iter().enumerate() {
        let key = P::lane(s, key, pairs.len() + k);
        for i in 0..N {
            acc[i] = s.fma(s.load(&q[i]), key, acc[i]);
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
    let lanes = acc.len() / N;
    // As many lanes at a time as make four sums; the last apart if it is not whole, because a
    // copy would empty the registers.
    let whole = (page.dim / 16).min(page.value_lanes);
    s.vectorize(
        #[inline(always)]
        || {
            let mut k = 0;
            while k < whole {
                k += match N {
                    1 if k + 4 <= whole => {
                        add_lanes::<S, P, N, 4>(s, acc, weights, &page, &positions, k)
                    }
                    1 | 2 if k + 2 <= whole => {
                        add_lanes::<S, P, N, 2>(s, acc, weights, &page, &positions, k)
                    }
                    _ => add_lanes::<S, P, N, 1>(s, acc, weights, &page, &positions, k),
                };
            }
            if whole < page.value_lanes {
                for p in positions {
                    let value = P::lane(s, &page.values[p * page.row..][..page.row], whole);
                    for i in 0..N {
                        let sum = &mut acc[i * lanes + whole];
                        s.store(sum, s.fma(s.splat(weights[i][p % PAGE]), value, s.load(sum)));
                    }
                }
            }
        },
    );
}

/// Adds lanes `k .. k + L` of the values at some positions with the weights of `N` queries, and
/// says how many these are; `k` is a multiple of `L`.
#[inline(always)]
fn add_lanes<S: Simd, P: Stored, const N: usize, const L: usize>(
    s: S,
    acc: &mut [[f32; 16]],
    weights: &[[f32; PAGE]; N],
    page: &Page<'_>,
    positions: &Range<usize>,
    k: usize,
) -> usize {
    let (lanes, row) = (acc.len() / N, page.row);
    let mut sums = [[s.splat(0.0); N]; L];
    for l in 0..L {
        for i in 0..N {
            sums[l][i] = s.load(&acc[i * lanes + k + l]);
        }
    }
    let place = k / 2 * P::BLOCK;
    // The same share of the next page's keys.
    let (keys, share) = (page.ahead, P::BLOCK * L / 2);
    let mut ahead = k * P::BLOCK / 2 * PAGE + positions.start * share;
    let values = &page.values[positions.start * row..positions.end * row];
    for (p, value) in positions.clone().zip(values.chunks_exact(row)) {
        s.prefetch(keys, ahead);
        ahead += share;
        let value = &value[place..];
        let mut lane = [s.splat(0.0); L];
        if L > 1 {
            for b in 0..L / 2 {
                [lane[2 * b], lane[2 * b + 1]] = P::block(s, &value[b * P::BLOCK..]);
            }
        } else if k.is_multiple_of(2) {
            lane[0] = P::half::<S, false>(s, value);
        } else {
            lane[0] = P::half::<S, true>(s, value);
        }
        for i in 0..N {
            // The remainder spares a check.
            let weight = s.splat(weights[i][p % PAGE]);
            for l in 0..L {
                sums[l][i] = s.fma(weight, lane[l], sums[l][i]);
            }
        }
    }
    for l in 0..L {
        for i in 0..N {
            s.store(&mut acc[i * lanes + k + l], sums[l][i]);
        }
    }
    L
}
