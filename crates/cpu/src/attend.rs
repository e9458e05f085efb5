//! Softmax attention over paged keys and values, read in place.
//!
//! A sequence is cut into parts at fixed positions. Within a part pages are visited in order, with
//! a running maximum (Milakov and Gimelshein 2018), and the queries of a tile share each key and
//! value that they read; parts are then joined in order, whoever computed them (Dao et al.,
//! flash-decoding, 2023). What a query computes depends on its own visible range only: sums never
//! include what it cannot see.
//!
//! Few queries read keys and values as they lie ([`few`]); many have each page widened and turned
//! once ([`many`]). Both add in the same order, so that a query's bits do not depend on which.
//! Each kernel enters the vector units itself, so that it is compiled once and not in each caller.

mod few;
mod many;

use crate::rows::soft_cap;
use crate::simd::{Simd, exp};
use crate::stored::Stored;
use ops::PAGE;
use std::ops::Range;

/// Positions of a part.
pub const PART: usize = 8 * PAGE;
/// Queries whose scores are computed together where they read keys as they lie.
const GROUP: usize = 4;
/// Queries for which a page is widened.
const MANY: usize = 8;

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
    /// Numbers of a row of values that are wanted.
    pub value_dim: usize,
}

/// Keys and values of one page.
#[derive(Clone, Copy)]
struct Page<'a> {
    /// Rows of keys.
    keys: &'a [u8],
    /// Rows of values.
    values: &'a [u8],
    /// Rows of keys that come next.
    ahead: &'a [u8],
    /// Bytes of a row.
    row: usize,
    /// Width of a head.
    dim: usize,
    /// Sixteens of a row of values that are wanted.
    value_lanes: usize,
}

impl<'a> Cached<'a> {
    #[inline(always)]
    fn page<P: Stored>(&self, page: usize) -> Page<'a> {
        let row = P::row_bytes(self.dim);
        let start = |page: usize| self.table[page] as usize * self.page_bytes;
        let next = start((page + 1).min(self.table.len() - 1));
        Page {
            keys: &self.pool[start(page) + self.keys..][..PAGE * row],
            values: &self.pool[start(page) + self.values..][..PAGE * row],
            ahead: &self.pool[next + self.keys..][..PAGE * row],
            row,
            dim: self.dim,
            value_lanes: self.value_dim.div_ceil(16),
        }
    }
}

/// What some queries have gathered.
struct Gathered {
    /// Unnormalised outputs, (query, padded).
    acc: Vec<f32>,
    /// The largest score so far.
    largest: Vec<f32>,
    /// The sum of weights so far.
    total: Vec<f32>,
}

impl Gathered {
    fn new(queries: usize, padded: usize) -> Gathered {
        let (largest, total) = (vec![0.0; queries], vec![0.0; queries]);
        Gathered { acc: vec![0.0; queries * padded], largest, total }
    }

    /// Begins query `i` with a score that has no value, if any.
    fn begin(&mut self, i: usize, padded: usize, sink: Option<f32>) {
        self.acc[i * padded..][..padded].fill(0.0);
        (self.largest[i], self.total[i]) = sink.map_or((f32::NEG_INFINITY, 0.0), |s| (s, 1.0));
    }

    fn partial(&self, i: usize, padded: usize) -> Partial<'_> {
        let acc = &self.acc[i * padded..][..padded];
        Partial { acc, largest: self.largest[i], total: self.total[i] }
    }
}

/// What a query has gathered in one part, as others read it.
pub struct Partial<'a> {
    /// Unnormalised output.
    pub acc: &'a [f32],
    /// The largest score.
    pub largest: f32,
    /// The sum of weights; zero where the query sees nothing of the part.
    pub total: f32,
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
    /// What the part under way gave.
    part: Gathered,
    /// What all parts before it gave.
    all: Gathered,
    /// Scores of one page, then their weights, (query, PAGE).
    scores: Vec<[f32; PAGE]>,
    /// For many queries.
    wide: many::Wide,
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
            part: Gathered::new(queries, padded),
            all: Gathered::new(queries, padded),
            scores: vec![[0.0; PAGE]; queries],
            wide: many::Wide::new(queries, padded),
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
        let (whole, rest) = q.as_chunks::<16>();
        for (slot, q) in slots.iter_mut().zip(whole) {
            slot[i % GROUP] = q.map(|q| q * scale);
        }
        if let Some(slot) = slots.get_mut(whole.len()) {
            slot[i % GROUP] = std::array::from_fn(|i| rest.get(i).map_or(0.0, |q| q * scale));
        }
        self.all.begin(i, self.padded, sink);
    }

    /// Writes the output of query `i`.
    pub fn output(&self, i: usize, y: &mut [f32]) {
        let scale = 1.0 / self.all.total[i];
        let acc = &self.all.acc[i * self.padded..];
        y.iter_mut().zip(acc).for_each(|(y, acc)| *y = acc * scale);
    }

    /// Attends from every query of the tile.
    pub fn attend<S: Simd, P: Stored>(&mut self, s: S, cached: Cached<'_>) {
        for part in parts(self.visible.iter().cloned()) {
            self.attend_part::<S, P>(s, cached, part);
            for i in 0..self.visible.len() {
                let from = self.part.partial(i, self.padded);
                join(s, &mut self.all, i, from);
            }
        }
    }

    /// Attends from every query of the tile to what it sees of a part.
    pub fn attend_part<S: Simd, P: Stored>(&mut self, s: S, cached: Cached<'_>, part: usize) {
        let count = self.visible.len();
        for i in 0..count {
            self.part.begin(i, self.padded, None);
        }
        let seen = hull(self.visible.iter().cloned());
        let (first, last) = (seen.start.max(part * PART), seen.end.min((part + 1) * PART));
        if count >= MANY {
            self.wide.turn_queries(&self.q, count, self.padded / 16);
        }
        for page in first / PAGE..last.div_ceil(PAGE) {
            if count >= MANY {
                self.many::<S, P>(s, page, cached.page::<P>(page));
                continue;
            }
            for first in (0..count).step_by(GROUP) {
                let cached = cached.page::<P>(page);
                match count - first {
                    1 => self.few::<S, P, 1, 4>(s, first, page, cached),
                    2 => self.few::<S, P, 2, 2>(s, first, page, cached),
                    3 => self.few::<S, P, 3, 1>(s, first, page, cached),
                    _ => self.few::<S, P, GROUP, 1>(s, first, page, cached),
                }
            }
        }
    }

    /// What query `i` gathered in the part that was attended to last.
    pub fn partial(&self, i: usize) -> Partial<'_> {
        self.part.partial(i, self.padded)
    }

    /// Joins what somebody gathered for query `i` in the next part.
    pub fn join<S: Simd>(&mut self, s: S, i: usize, partial: Partial<'_>) {
        join(s, &mut self.all, i, partial);
    }

    /// Turns a query's scores into weights and rescales what it has gathered so far.
    fn weigh<S: Simd>(&mut self, s: S, i: usize, (start, end): (usize, usize)) {
        if start < end {
            let (scores, cap) = (&mut self.scores[i][start..end], self.cap);
            let acc = &mut self.part.acc[i * self.padded..][..self.padded];
            let (largest, total) = (&mut self.part.largest[i], &mut self.part.total[i]);
            weigh(s, scores, cap, largest, total, acc);
        }
    }
}

/// Turns scores into weights, of which `total` is the sum of those so far.
#[inline(never)]
fn weigh<S: Simd>(
    s: S,
    scores: &mut [f32],
    cap: Option<f32>,
    largest: &mut f32,
    total: &mut f32,
    acc: &mut [f32],
) {
    s.vectorize(
        #[inline(always)]
        || {
            if let Some(cap) = cap {
                soft_cap(s, scores, cap);
            }
            let before = std::mem::replace(largest, largest_of(s, scores, *largest));
            let mut sum = s.splat(0.0);
            let (whole, rest) = scores.as_chunks_mut::<16>();
            for lane in whole {
                let weights = exp(s, s.sub(s.load(lane), s.splat(*largest)));
                s.store(lane, weights);
                sum = s.add(sum, weights);
            }
            if !rest.is_empty() {
                s.store_n(rest, exp(s, s.sub(s.load_n(rest), s.splat(*largest))));
                sum = s.add(sum, s.load_n(rest));
            }
            if before == *largest {
                *total += s.sum(sum);
            } else {
                let shrink = exp_one(s, before - *largest);
                *total = total.mul_add(shrink, s.sum(sum));
                for lane in acc.as_chunks_mut::<16>().0 {
                    s.store(lane, s.mul(s.load(lane), s.splat(shrink)));
                }
            }
        },
    );
}

/// The largest of some scores and one more.
#[inline(always)]
fn largest_of<S: Simd>(s: S, scores: &[f32], before: f32) -> f32 {
    let mut largest = s.splat(before);
    let (whole, rest) = scores.as_chunks::<16>();
    for lane in whole {
        largest = s.max(s.load(lane), largest);
    }
    if !rest.is_empty() {
        let mut padded = [f32::NEG_INFINITY; 16];
        padded[..rest.len()].copy_from_slice(rest);
        largest = s.max(s.load(&padded), largest);
    }
    s.largest(largest)
}

/// The parts that some queries see.
pub fn parts(visible: impl Iterator<Item = Range<usize>> + Clone) -> Range<usize> {
    let seen = hull(visible);
    seen.start / PART..seen.end.div_ceil(PART)
}

/// From the first position that some queries see to the last.
fn hull(visible: impl Iterator<Item = Range<usize>> + Clone) -> Range<usize> {
    let start = visible.clone().map(|visible| visible.start).min().unwrap_or(0);
    start..visible.map(|visible| visible.end).max().unwrap_or(0).max(start)
}

/// Adds what a query gathered in the next part. All of it is scaled to the larger maximum.
#[inline(never)]
fn join<S: Simd>(s: S, all: &mut Gathered, i: usize, from: Partial<'_>) {
    if from.total == 0.0 {
        return;
    }
    s.vectorize(
        #[inline(always)]
        || {
            let largest = if from.largest > all.largest[i] { from.largest } else { all.largest[i] };
            let old = exp_one(s, all.largest[i] - largest);
            let new = exp_one(s, from.largest - largest);
            all.largest[i] = largest;
            all.total[i] = all.total[i].mul_add(old, from.total * new);
            let (old, new, padded) = (s.splat(old), s.splat(new), from.acc.len());
            let acc = all.acc[i * padded..][..padded].as_chunks_mut::<16>().0;
            for (acc, from) in acc.iter_mut().zip(from.acc.as_chunks::<16>().0) {
                s.store(acc, s.fma(s.load(acc), old, s.mul(s.load(from), new)));
            }
        },
    );
}

/// The part of `visible` that lies in a page, counted from the page's start.
#[inline(always)]
fn within(visible: &Range<usize>, page: usize) -> (usize, usize) {
    let inside = |p: usize| p.clamp(page * PAGE, (page + 1) * PAGE) - page * PAGE;
    let (start, end) = (inside(visible.start), inside(visible.end));
    (start, end.max(start))
}

/// What `N` queries see of a page.
#[inline(always)]
fn all_within<const N: usize>(visible: &[Range<usize>], page: usize) -> [(usize, usize); N] {
    let mut seen = [(0, 0); N];
    for (seen, visible) in seen.iter_mut().zip(visible) {
        *seen = within(visible, page);
    }
    seen
}

/// What any of them sees.
#[inline(always)]
fn union(seen: impl Iterator<Item = (usize, usize)> + Clone) -> Range<usize> {
    let some = seen.filter(|seen| seen.0 < seen.1);
    let start = some.clone().map(|seen| seen.0).min().unwrap_or(0);
    start..some.map(|seen| seen.1).max().unwrap_or(0)
}

/// Hands out runs of positions that must be added in order: together those that all queries see,
/// one by one before and after.
fn in_runs<const N: usize>(seen: &[(usize, usize); N], mut add: impl FnMut(Run, Range<usize>)) {
    let start = seen.iter().map(|seen| seen.0).max().unwrap_or(0);
    let end = seen.iter().map(|seen| seen.1).min().unwrap_or(0);
    if start >= end {
        for (i, seen) in seen.iter().enumerate() {
            add(Run::One(i), seen.0..seen.1);
        }
        return;
    }
    for (i, seen) in seen.iter().enumerate() {
        add(Run::One(i), seen.0..start);
    }
    add(Run::All, start..end);
    for (i, seen) in seen.iter().enumerate() {
        add(Run::One(i), end..seen.1);
    }
}

/// Queries of a group.
enum Run {
    /// One.
    One(usize),
    /// All.
    All,
}

/// `e` to the power of one value.
#[inline(always)]
pub fn exp_one<S: Simd>(s: S, x: f32) -> f32 {
    s.largest(exp(s, s.splat(x)))
}
