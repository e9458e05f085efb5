//! Many queries: each page is widened to f32 once for all of them, its keys turned so that sixteen
//! of them stand side by side.
//!
//! A score then needs no sum over lanes; its products are added in the order in which
//! [`super::few`] adds them: sixteen sums of every sixteenth, then those as vectors fold.
//!
//! Measured on two cores of Milan with AVX2, which reach 200 GFLOP/s: a prompt of 512, two heads of
//! 128 to a key head, 72 to 74 GFLOP/s (37%); before pages were widened once, 58 (29%).

use super::{GROUP, Page, Run, Tile, all_within, hull, in_runs, union, within};
use crate::simd::Simd;
use crate::stored::Stored;
use ops::PAGE;
use std::ops::Range;

/// Queries whose scores are computed together.
const ROWS: usize = 6;
/// Queries whose values are added together: with one more, AVX2 would keep sums in memory.
const GATHERED: usize = 4;
/// Lanes of values that stay in the first cache while queries go by.
const LANES: usize = 4;
/// Lanes in the order in which their sums meet: 0 with 8, those with 4 and 12, and so on.
const LEAVES: [usize; 16] = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

/// A page in f32, and the queries as products with it want them.
pub struct Wide {
    /// Queries, (group of `ROWS`, padded / 16, 16, query of the group).
    q: Vec<[[f32; ROWS]; 16]>,
    /// Scores of a group with sixteen keys, of which some queries may not exist.
    scores: [[f32; 16]; ROWS],
    /// Keys, (PAGE / 16, padded / 16, 16 numbers, 16 keys).
    keys: Vec<[[f32; 16]; 16]>,
    /// Values, (padded / 16, PAGE).
    values: Vec<[[f32; 16]; PAGE]>,
}

impl Wide {
    /// Room for so many queries.
    pub fn new(queries: usize, padded: usize) -> Wide {
        Wide {
            q: vec![[[0.0; ROWS]; 16]; queries.div_ceil(ROWS) * padded / 16],
            scores: [[0.0; 16]; ROWS],
            keys: vec![[[0.0; 16]; 16]; PAGE / 16 * padded / 16],
            values: vec![[[0.0; 16]; PAGE]; padded / 16],
        }
    }

    /// Takes over queries from (group, lanes, query of the group, 16).
    pub fn turn_queries(&mut self, q: &[[[f32; 16]; GROUP]], count: usize, lanes: usize) {
        for i in 0..count {
            let to = &mut self.q[i / ROWS * lanes..][..lanes];
            for (to, q) in to.iter_mut().zip(&q[i / GROUP * lanes..]) {
                to.iter_mut().zip(q[i % GROUP]).for_each(|(to, q)| to[i % ROWS] = q);
            }
        }
    }

    /// Widens the keys at some positions, in whole sixteens.
    #[inline(never)]
    fn widen_keys<S: Simd, P: Stored>(
        &mut self,
        s: S,
        page: &Page<'_>,
        lanes: usize,
        wanted: &Range<usize>,
    ) {
        let mut rows = [[0.0; 16]; 16];
        s.vectorize(
            #[inline(always)]
            || {
                for sixteen in wanted.start / 16..wanted.end.div_ceil(16) {
                    for k in 0..lanes {
                        for (i, to) in rows.iter_mut().enumerate() {
                            let row = &page.keys[(16 * sixteen + i) * page.row..][..page.row];
                            s.store(to, P::lane(s, row, k));
                        }
                        s.turn(&rows, &mut self.keys[sixteen * lanes + k]);
                    }
                }
            },
        );
    }

    /// Widens the values at some positions.
    #[inline(never)]
    fn widen_values<S: Simd, P: Stored>(&mut self, s: S, page: &Page<'_>, wanted: &Range<usize>) {
        s.vectorize(
            #[inline(always)]
            || {
                for p in wanted.clone() {
                    let row = &page.values[p * page.row..][..page.row];
                    for (k, to) in self.values[..page.value_lanes].iter_mut().enumerate() {
                        s.store(&mut to[p % PAGE], P::lane(s, row, k));
                    }
                }
            },
        );
    }
}

impl Tile {
    /// One page for all queries of the tile.
    pub(super) fn many<S: Simd, P: Stored>(&mut self, s: S, page: usize, cached: Page<'_>) {
        let (count, lanes) = (self.visible.len(), self.padded / 16);
        let wanted = union(self.visible.iter().map(|visible| within(visible, page)));
        if wanted.is_empty() {
            return;
        }
        self.wide.widen_keys::<S, P>(s, &cached, lanes, &wanted);
        for sixteen in wanted.start / 16..wanted.end.div_ceil(16) {
            for first in (0..count).step_by(ROWS) {
                self.score_wide(s, first, page, sixteen);
            }
        }
        for i in 0..count {
            self.weigh(s, i, within(&self.visible[i], page));
        }
        self.wide.widen_values::<S, P>(s, &cached, &wanted);
        for k in (0..cached.value_lanes).step_by(LANES) {
            let lanes = k..cached.value_lanes.min(k + LANES);
            for first in (0..count).step_by(GATHERED) {
                match count - first {
                    1 => self.gather_wide::<S, 1>(s, first, page, lanes.clone()),
                    2 => self.gather_wide::<S, 2>(s, first, page, lanes.clone()),
                    3 => self.gather_wide::<S, 3>(s, first, page, lanes.clone()),
                    _ => self.gather_wide::<S, GATHERED>(s, first, page, lanes.clone()),
                }
            }
        }
    }

    /// Scores of a group of queries with sixteen keys, if any of them sees one.
    fn score_wide<S: Simd>(&mut self, s: S, first: usize, page: usize, sixteen: usize) {
        let rows = first..self.visible.len().min(first + ROWS);
        let wanted = hull(self.visible[rows.clone()].iter().cloned());
        let start = page * PAGE + 16 * sixteen;
        if wanted.end <= start || wanted.start >= start + 16 {
            return;
        }
        let lanes = self.padded / 16;
        let q = &self.wide.q[first / ROWS * lanes..][..lanes];
        products(s, q, &self.wide.keys[sixteen * lanes..][..lanes], &mut self.wide.scores);
        for (to, scores) in self.scores[rows].iter_mut().zip(&self.wide.scores) {
            to.as_chunks_mut().0[sixteen] = *scores;
        }
    }

    /// Adds some lanes of the weighted values of the page, for `N` queries.
    fn gather_wide<S: Simd, const N: usize>(
        &mut self,
        s: S,
        first: usize,
        page: usize,
        wanted: Range<usize>,
    ) {
        let lanes = self.padded / 16;
        let seen = all_within::<N>(&self.visible[first..], page);
        let values = &self.wide.values[wanted.clone()];
        let scores = self.scores[first..].first_chunk::<N>().expect("a group of queries");
        let acc = &mut self.part.acc.as_chunks_mut().0[first * lanes..][..N * lanes];
        in_runs(&seen, |run, positions| match run {
            Run::One(i) => {
                let acc = &mut acc[i * lanes + wanted.start..];
                add::<S, 1>(s, acc, lanes, &scores[i..], values, positions);
            }
            Run::All => add::<S, N>(s, &mut acc[wanted.start..], lanes, scores, values, positions),
        });
    }
}

/// The products of queries with sixteen keys, both (padded / 16, 16, ...).
#[inline(never)]
fn products<S: Simd>(
    s: S,
    q: &[[[f32; ROWS]; 16]],
    keys: &[[[f32; 16]; 16]],
    scores: &mut [[f32; 16]; ROWS],
) {
    s.vectorize(
        #[inline(always)]
        || {
            let zero = [s.splat(0.0); ROWS];
            // Sums of 1, 2, 4 and 8 lanes that wait for their like; the last is the result.
            let mut waiting = [zero; 5];
            for (leaf, lane) in LEAVES.into_iter().enumerate() {
                // The remainder spares checks.
                let (lane, mut sums) = (lane % 16, zero);
                for (q, keys) in q.iter().zip(keys) {
                    let key = s.load(&keys[lane]);
                    for i in 0..ROWS {
                        sums[i] = s.fma(s.splat(q[lane][i]), key, sums[i]);
                    }
                }
                let level = leaf.trailing_ones() as usize;
                for other in &waiting[..level] {
                    for i in 0..ROWS {
                        sums[i] = s.add(other[i], sums[i]);
                    }
                }
                waiting[level] = sums;
            }
            for (to, products) in scores.iter_mut().zip(waiting[4]) {
                s.store(to, products);
            }
        },
    );
}

/// Adds lanes of the weighted values at some positions to those of `N` queries, `stride` apart.
#[inline(never)]
fn add<S: Simd, const N: usize>(
    s: S,
    acc: &mut [[f32; 16]],
    stride: usize,
    weights: &[[f32; PAGE]],
    values: &[[[f32; 16]; PAGE]],
    positions: Range<usize>,
) {
    if positions.is_empty() {
        return;
    }
    let weights = weights.first_chunk::<N>().expect("a group of queries");
    s.vectorize(
        #[inline(always)]
        || {
            for (k, values) in values.iter().enumerate() {
                let mut sums = [s.splat(0.0); N];
                for i in 0..N {
                    sums[i] = s.load(&acc[i * stride + k]);
                }
                for p in positions.clone() {
                    let value = s.load(&values[p % PAGE]);
                    for i in 0..N {
                        // The remainder spares a check.
                        sums[i] = s.fma(s.splat(weights[i][p % PAGE]), value, sums[i]);
                    }
                }
                for i in 0..N {
                    s.store(&mut acc[i * stride + k], sums[i]);
                }
            }
        },
    );
}
