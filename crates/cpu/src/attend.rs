//! Softmax attention over paged keys and values, read in place.
//!
//! Pages are visited in the order of their positions, with a running maximum (Milakov and
//! Gimelshein 2018), and the queries of a tile share each key and value that they read. What a
//! query computes depends on its own visible range only: sums never include what it cannot see.
//!
//! Measured on two cores of Sapphire Rapids with AVX-512, a prompt of 512, heads of 128, halves in
//! the cache: 80 to 90 GFLOP/s with four queries sharing each key and value. On two cores of Milan
//! with AVX2, which reach 190 GFLOP/s: 38 with a check for short lanes in the loop, whose copy made
//! the compiler keep sums in memory; 60 to 68 (30-36%) with short lanes apart.

use crate::plain::Plain;
use crate::rows::soft_cap;
use crate::simd::{Simd, exp};
use ops::PAGE;
use std::ops::Range;

/// Queries whose scores are computed together.
const GROUP: usize = 4;

/// Keys and values of one head of one layer of a sequence.
#[derive(Clone, Copy)]
pub struct Cached<'a> {
    /// The cache group's memory.
    pub pool: &'a [u8],
    /// The sequence's pages.
    pub table: &'a [u32],
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Where in a page the head's keys start.
    pub keys: usize,
    /// Where in a page the head's values start.
    pub values: usize,
    /// Width of a head.
    pub dim: usize,
}

impl<'a> Cached<'a> {
    #[inline(always)]
    fn page(&self, page: usize, start: usize, bytes: usize) -> &'a [u8] {
        let at = self.table[page] as usize * self.page_bytes + start;
        &self.pool[at..][..bytes]
    }
}

/// The state of a tile of queries.
pub struct Tile {
    /// Width of a head, rounded up to sixteen.
    padded: usize,
    /// Soft cap of the scores.
    cap: Option<f32>,
    /// What each query sees.
    visible: Vec<Range<usize>>,
    /// Scaled queries, (group, padded / 16, query of the group, 16): what is read together lies
    /// together, and a place in a group needs no check.
    q: Vec<[[f32; 16]; GROUP]>,
    /// Unnormalised outputs, (query, padded).
    acc: Vec<f32>,
    /// Scores of one page, then their weights, (query, PAGE).
    scores: Vec<[f32; PAGE]>,
    /// The largest score so far.
    largest: Vec<f32>,
    /// The sum of weights so far.
    total: Vec<f32>,
}

impl Tile {
    /// Room for so many queries of heads up to `dim` wide.
    pub fn new(queries: usize, dim: usize) -> Tile {
        let padded = dim.next_multiple_of(16);
        // Groups are read whole.
        let queries = queries.next_multiple_of(GROUP);
        Tile {
            padded,
            cap: None,
            visible: Vec::with_capacity(queries),
            q: vec![[[0.0; 16]; GROUP]; queries / GROUP * padded / 16],
            acc: vec![0.0; queries * padded],
            scores: vec![[0.0; PAGE]; queries],
            largest: vec![0.0; queries],
            total: vec![0.0; queries],
        }
    }

    /// How many queries fit.
    pub fn capacity(&self) -> usize {
        self.scores.len()
    }

    /// Begins a tile of heads `dim` wide.
    pub fn clear(&mut self, dim: usize, cap: Option<f32>) {
        (self.padded, self.cap) = (dim.next_multiple_of(16), cap);
        self.visible.clear();
    }

    /// Adds a query and what it sees; a `sink` is a score that has no value.
    pub fn push(&mut self, q: &[f32], scale: f32, sink: Option<f32>, visible: Range<usize>) {
        let i = self.visible.len();
        self.visible.push(visible);
        let lanes = self.padded / 16;
        let slots = &mut self.q[i / GROUP * lanes..][..lanes];
        for (slot, q) in slots.iter_mut().zip(q.chunks(16)) {
            slot[i % GROUP].fill(0.0);
            slot[i % GROUP].iter_mut().zip(q).for_each(|(slot, q)| *slot = q * scale);
        }
        self.acc[i * self.padded..][..self.padded].fill(0.0);
        (self.largest[i], self.total[i]) = sink.map_or((f32::NEG_INFINITY, 0.0), |s| (s, 1.0));
    }

    /// Writes the output of query `i`.
    pub fn output(&self, i: usize, y: &mut [f32]) {
        let scale = 1.0 / self.total[i];
        let acc = &self.acc[i * self.padded..];
        y.iter_mut().zip(acc).for_each(|(y, acc)| *y = acc * scale);
    }

    /// Attends from every query of the tile.
    #[inline(always)]
    pub fn attend<S: Simd, P: Plain>(&mut self, s: S, cached: Cached<'_>) {
        let count = self.visible.len();
        let start = self.visible.iter().map(|v| v.start).min().unwrap_or(0);
        let end = self.visible.iter().map(|v| v.end).max().unwrap_or(0);
        let bytes = PAGE * cached.dim * P::BYTES;
        for page in start / PAGE..end.div_ceil(PAGE) {
            let keys = cached.page(page, cached.keys, bytes);
            let values = cached.page(page, cached.values, bytes);
            for first in (0..count).step_by(GROUP) {
                match count - first {
                    1 => self.group::<S, P, 1>(s, first, page, cached.dim, keys, values),
                    2 => self.group::<S, P, 2>(s, first, page, cached.dim, keys, values),
                    3 => self.group::<S, P, 3>(s, first, page, cached.dim, keys, values),
                    _ => self.group::<S, P, GROUP>(s, first, page, cached.dim, keys, values),
                }
            }
        }
    }

    /// One page for `N` queries.
    #[inline(always)]
    fn group<S: Simd, P: Plain, const N: usize>(
        &mut self,
        s: S,
        first: usize,
        page: usize,
        dim: usize,
        keys: &[u8],
        values: &[u8],
    ) {
        let mut seen = [(0, 0); N];
        for (i, seen) in seen.iter_mut().enumerate() {
            *seen = within(&self.visible[first + i], page);
        }
        self.score::<S, P, N>(s, first, keys, dim, &seen);
        for (i, seen) in seen.iter().enumerate() {
            self.weigh(s, first + i, *seen);
        }
        self.gather::<S, P, N>(s, first, values, dim, &seen);
    }

    /// Scores of a group of queries with the keys that any of them sees.
    #[inline(always)]
    fn score<S: Simd, P: Plain, const N: usize>(
        &mut self,
        s: S,
        first: usize,
        keys: &[u8],
        dim: usize,
        seen: &[(usize, usize); N],
    ) {
        let lanes = self.padded / 16;
        let q = &self.q[first / GROUP * lanes..][..lanes];
        // As many keys at a time as make four products.
        let together = GROUP / N;
        let row = dim * P::BYTES;
        let wanted = union(seen);
        for p in wanted.clone().step_by(together) {
            let mut acc = [s.splat(0.0); GROUP];
            for j in 0..together {
                let key = &keys[(p + j).min(wanted.end - 1) * row..][..row];
                for (q, key) in q.iter().zip(key.chunks_exact(16 * P::BYTES)) {
                    let key = P::load(s, key);
                    for i in 0..N {
                        acc[i * together + j] = s.fma(s.load(&q[i]), key, acc[i * together + j]);
                    }
                }
                // Apart, because a copy would empty the registers.
                if !dim.is_multiple_of(16) {
                    let key = P::lane(s, key, lanes - 1);
                    for i in 0..N {
                        let q = s.load(&q[lanes - 1][i]);
                        acc[i * together + j] = s.fma(q, key, acc[i * together + j]);
                    }
                }
            }
            let products = s.sum4(acc);
            for j in 0..together.min(wanted.end - p) {
                for i in 0..N {
                    self.scores[first + i][p + j] = products[i * together + j];
                }
            }
        }
    }

    /// Turns a query's scores into weights and rescales what it has gathered so far.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self, s: S, i: usize, (start, end): (usize, usize)) {
        if start == end {
            return;
        }
        let scores = &mut self.scores[i][start..end];
        if let Some(cap) = self.cap {
            soft_cap(s, scores, cap);
        }
        let mut largest = s.splat(self.largest[i]);
        for lane in scores.chunks(16) {
            let mut padded = [f32::NEG_INFINITY; 16];
            padded[..lane.len()].copy_from_slice(lane);
            largest = s.max(s.load(&padded), largest);
        }
        let largest = s.largest(largest);
        let shrink = exp_one(s, self.largest[i] - largest);
        let mut total = s.splat(0.0);
        for lane in scores.chunks_mut(16) {
            let weights = exp(s, s.sub(s.load_n(lane), s.splat(largest)));
            s.store_n(lane, weights);
            total = s.add(total, s.load_n(lane));
        }
        self.largest[i] = largest;
        self.total[i] = self.total[i].mul_add(shrink, s.sum(total));
        for lane in self.acc[i * self.padded..][..self.padded].as_chunks_mut::<16>().0 {
            s.store(lane, s.mul(s.load(lane), s.splat(shrink)));
        }
    }

    /// Adds the weighted values: together for those that the whole group sees, one by one before
    /// and after.
    #[inline(always)]
    fn gather<S: Simd, P: Plain, const N: usize>(
        &mut self,
        s: S,
        first: usize,
        values: &[u8],
        dim: usize,
        seen: &[(usize, usize); N],
    ) {
        let start = seen.iter().map(|seen| seen.0).max().unwrap_or(0);
        let end = seen.iter().map(|seen| seen.1).min().unwrap_or(0);
        if start >= end {
            for (i, seen) in seen.iter().enumerate() {
                self.gather_rows::<S, P, 1>(s, first + i, values, dim, seen.0..seen.1);
            }
            return;
        }
        for (i, seen) in seen.iter().enumerate() {
            self.gather_rows::<S, P, 1>(s, first + i, values, dim, seen.0..start);
        }
        self.gather_rows::<S, P, N>(s, first, values, dim, start..end);
        for (i, seen) in seen.iter().enumerate() {
            self.gather_rows::<S, P, 1>(s, first + i, values, dim, end..seen.1);
        }
    }

    #[inline(always)]
    fn gather_rows<S: Simd, P: Plain, const N: usize>(
        &mut self,
        s: S,
        first: usize,
        values: &[u8],
        dim: usize,
        positions: Range<usize>,
    ) {
        if positions.is_empty() {
            return;
        }
        let (lanes, row) = (self.padded / 16, dim * P::BYTES);
        let weights = self.scores[first..].first_chunk::<N>().expect("a group of queries");
        let acc = &mut self.acc.as_chunks_mut().0[first * lanes..][..N * lanes];
        // As many lanes at a time as make four sums; the last apart if it is not whole, because a
        // copy would empty the registers.
        let whole = dim / 16;
        let wide = whole - whole % (GROUP / N);
        for k in (0..wide).step_by(GROUP / N) {
            match N {
                1 => add_lanes::<S, P, N, 4>(s, acc, weights, values, &positions, row, k),
                2 => add_lanes::<S, P, N, 2>(s, acc, weights, values, &positions, row, k),
                _ => add_lanes::<S, P, N, 1>(s, acc, weights, values, &positions, row, k),
            }
        }
        for k in wide..whole {
            add_lanes::<S, P, N, 1>(s, acc, weights, values, &positions, row, k);
        }
        if whole < lanes {
            for p in positions {
                let value = P::lane(s, &values[p * row..][..row], whole);
                for i in 0..N {
                    let sum = &mut acc[i * lanes + whole];
                    s.store(sum, s.fma(s.splat(weights[i][p % PAGE]), value, s.load(sum)));
                }
            }
        }
    }
}

/// Adds lanes `k .. k + L` of the values at some positions, each `row` bytes long, with the weights
/// of `N` queries.
#[inline(always)]
fn add_lanes<S: Simd, P: Plain, const N: usize, const L: usize>(
    s: S,
    acc: &mut [[f32; 16]],
    weights: &[[f32; PAGE]; N],
    values: &[u8],
    positions: &Range<usize>,
    row: usize,
    k: usize,
) {
    let lanes = acc.len() / N;
    let mut sums = [[s.splat(0.0); L]; N];
    for i in 0..N {
        for l in 0..L {
            sums[i][l] = s.load(&acc[i * lanes + k + l]);
        }
    }
    for p in positions.clone() {
        let value = &values[p * row..][..row];
        for l in 0..L {
            let value = P::load(s, &value[(k + l) * 16 * P::BYTES..][..16 * P::BYTES]);
            for i in 0..N {
                // The remainder spares a check.
                sums[i][l] = s.fma(s.splat(weights[i][p % PAGE]), value, sums[i][l]);
            }
        }
    }
    for i in 0..N {
        for l in 0..L {
            s.store(&mut acc[i * lanes + k + l], sums[i][l]);
        }
    }
}

/// The part of `visible` that lies in a page, counted from the page's start.
#[inline(always)]
fn within(visible: &Range<usize>, page: usize) -> (usize, usize) {
    let inside = |p: usize| p.clamp(page * PAGE, (page + 1) * PAGE) - page * PAGE;
    let (start, end) = (inside(visible.start), inside(visible.end));
    (start, end.max(start))
}

#[inline(always)]
fn union(seen: &[(usize, usize)]) -> Range<usize> {
    let some = || seen.iter().filter(|seen| seen.0 < seen.1);
    let start = some().map(|seen| seen.0).min().unwrap_or(0);
    start..some().map(|seen| seen.1).max().unwrap_or(0)
}

/// `e` to the power of one value.
#[inline(always)]
pub fn exp_one<S: Simd>(s: S, x: f32) -> f32 {
    s.largest(exp(s, s.splat(x)))
}
