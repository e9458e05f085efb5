//! Many queries: each page is widened to f32 once for all of them, its keys turned so that sixteen
//! of them stand side by side.
//!
//! A score then needs no sum over lanes; its products are added in the order in which
//! [`super::few`] adds them: sixteen sums of every sixteenth, then those as vectors fold.
//!
//! Measured on two cores of Milan with AVX2, which reach 195 GFLOP/s: a prompt of 512, two heads of
//! 128 to a key head, 74 to 85 GFLOP/s (38 to 44%); with four queries to a value, pages not read by
//! blocks and queries scattered 62; before pages were widened once, less. Products alone, all in
//! the first cache, reach 110
//! (their eight steps to a sum end too often), sums of values 150; weights take a twelfth of the
//! time, widening as much. No gain: keys as rows with a product's operand in memory, three queries
//! to two lanes of values (which AVX2 moves from register to register), leaves without a loop.

use super::{GROUP, Page, Run, Tile, all_within, hull, in_runs, union, within};
use crate::simd::Simd;
use crate::stored::Stored;
use ops::PAGE;
use std::ops::Range;

/// Queries whose scores, or values, are added together.
const ROWS: usize = 6;
/// Lanes of values that are added together.
const LANES: usize = 8;
/// Lanes in the order in which their sums meet: 0 with 8, those with 4 and 12, and so on.
const LEAVES: [usize; 16] = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

/// A page in f32, and the queries as products with it want them.
pub struct Wide {
    /// Queries, (group of `ROWS`, leaf, padded / 16, query of the group).
    q: Vec<[f32; ROWS]>,
    /// Scores of a group with sixteen keys, of which some queries may not exist.
    scores: [[f32; 16]; ROWS],
    /// Sums of 1, 2, 4 and 8 lanes that wait for their like.
    waiting: [[[f32; 16]; ROWS]; 4],
    /// Sixteen keys, (padded / 16, key, 16).
    rows: Vec<[[f32; 16]; 16]>,
    /// The same of a page, turned: (PAGE / 16, lane, padded / 16, 16 keys).
    keys: Vec<[f32; 16]>,
    /// Values, (padded / 16, PAGE).
    values: Vec<[[f32; 16]; PAGE]>,
}

impl Wide {
    /// Room for so many queries.
    pub fn new(queries: usize, padded: usize) -> Wide {
        Wide {
            q: vec![[0.0; ROWS]; queries.div_ceil(ROWS) * padded],
            scores: [[0.0; 16]; ROWS],
            waiting: [[[0.0; 16]; ROWS]; 4],
            rows: vec![[[0.0; 16]; 16]; padded / 16],
            keys: vec![[0.0; 16]; PAGE / 16 * padded],
            values: vec![[[0.0; 16]; PAGE]; padded / 16],
        }
    }

    /// Takes over queries from (group, lanes, query of the group, 16).
    pub fn turn_queries(&mut self, q: &[[[f32; 16]; GROUP]], count: usize, lanes: usize) {
        for i in 0..count {
            let to = &mut self.q[i / ROWS * 16 * lanes..][..16 * lanes];
            for (k, q) in q[i / GROUP * lanes..][..lanes].iter().enumerate() {
                for (leaf, lane) in LEAVES.into_iter().enumerate() {
                    to[leaf * lanes + k][i % ROWS] = q[i % GROUP][lane];
                }
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
        let rows = &mut self.rows[..lanes];
        s.vectorize(
            #[inline(always)]
            || {
                for sixteen in wanted.start / 16..wanted.end.div_ceil(16) {
                    let keys = page.keys[16 * sixteen * page.row..].chunks_exact(page.row);
                    for (i, key) in keys.take(16).enumerate() {
                        widen::<S, P, 16>(s, key, page.dim, i, rows);
                    }
                    for (k, rows) in rows.iter().enumerate() {
                        s.turn(rows, &mut self.keys[16 * sixteen * lanes + k..], lanes);
                    }
                }
            },
        );
    }

    /// Widens the values at some positions.
    #[inline(never)]
    fn widen_values<S: Simd, P: Stored>(&mut self, s: S, page: &Page<'_>, wanted: &Range<usize>) {
        let to = &mut self.values[..page.value_lanes];
        s.vectorize(
            #[inline(always)]
            || {
                let values = page.values[wanted.start * page.row..].chunks_exact(page.row);
                for (p, value) in wanted.clone().zip(values) {
                    widen::<S, P, PAGE>(s, value, page.dim, p, to);
                }
            },
        );
    }
}

/// Widens the first lanes of a row to row `i` of each of `to`.
#[inline(always)]
fn widen<S: Simd, P: Stored, const N: usize>(
    s: S,
    row: &[u8],
    dim: usize,
    i: usize,
    to: &mut [[[f32; 16]; N]],
) {
    let blocks = to.len().min(dim / 16) / 2;
    let (pairs, rest) = to.split_at_mut(2 * blocks);
    for (to, block) in pairs.as_chunks_mut::<2>().0.iter_mut().zip(row.chunks_exact(P::BLOCK)) {
        let block = P::block(s, block);
        for h in 0..2 {
            // The remainder spares a check.
            s.store(&mut to[h][i % N], block[h]);
        }
    }
    for (k, to) in rest.iter_mut().enumerate() {
        s.store(&mut to[i % N], P::lane(s, row, 2 * blocks + k));
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
            for first in (0..count).step_by(ROWS) {
                match count - first {
                    1 => self.gather_wide::<S, 1>(s, first, page, lanes.clone()),
                    2 => self.gather_wide::<S, 2>(s, first, page, lanes.clone()),
                    3 => self.gather_wide::<S, 3>(s, first, page, lanes.clone()),
                    4 => self.gather_wide::<S, 4>(s, first, page, lanes.clone()),
                    5 => self.gather_wide::<S, 5>(s, first, page, lanes.clone()),
                    _ => self.gather_wide::<S, ROWS>(s, first, page, lanes.clone()),
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
        let Wide { q, keys, waiting, scores, .. } = &mut self.wide;
        let q = &q[first / ROWS * 16 * lanes..][..16 * lanes];
        products(s, q, &keys[16 * sixteen * lanes..][..16 * lanes], waiting, scores);
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

/// The products of queries with sixteen keys, of as many lanes each.
#[inline(never)]
fn products<S: Simd>(
    s: S,
    q: &[[f32; ROWS]],
    keys: &[[f32; 16]],
    waiting: &mut [[[f32; 16]; ROWS]; 4],
    scores: &mut [[f32; 16]; ROWS],
) {
    s.vectorize(
        #[inline(always)]
        || match q.len() / 16 {
            // A number that is known spares the loop.
            4 => add_leaves(s, q, keys, 4, waiting, scores),
            8 => add_leaves(s, q, keys, 8, waiting, scores),
            lanes => add_leaves(s, q, keys, lanes, waiting, scores),
        },
    );
}

#[inline(always)]
fn add_leaves<S: Simd>(
    s: S,
    q: &[[f32; ROWS]],
    keys: &[[f32; 16]],
    lanes: usize,
    waiting: &mut [[[f32; 16]; ROWS]; 4],
    scores: &mut [[f32; 16]; ROWS],
) {
    for (leaf, lane) in LEAVES.into_iter().enumerate() {
        let mut sums = [s.splat(0.0); ROWS];
        let (q, keys) = (&q[leaf * lanes..][..lanes], &keys[lane * lanes..][..lanes]);
        for (q, keys) in q.iter().zip(keys) {
            let key = s.load(keys);
            for i in 0..ROWS {
                sums[i] = s.fma(s.splat(q[i]), key, sums[i]);
            }
        }
        let level = leaf.trailing_ones() as usize;
        for other in &waiting[..level] {
            for i in 0..ROWS {
                sums[i] = s.add(s.load(&other[i]), sums[i]);
            }
        }
        let to = waiting.get_mut(level).unwrap_or(scores);
        for i in 0..ROWS {
            s.store(&mut to[i], sums[i]);
        }
    }
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
                for (p, value) in positions.clone().zip(&values[positions.clone()]) {
                    let value = s.load(value);
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
