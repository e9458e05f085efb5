//! Writing keys and values, and how the threads share attention: by tiles of rows and key heads,
//! and where those are few by parts of the sequences as well, which are joined afterwards.

use crate::attend::{Cached, PART, Partial, parts};
use crate::plain::{F16, F32};
use crate::run::Thread;
use crate::simd::Simd;
use crate::stored::{Q4_0, Q8_0, Stored};
use crate::work::Work;
use ops::{Attend, KvKind, KvWrite, Op, PAGE, Program, Row, Sizes};
use std::ops::Range;

/// Rows of a prompt whose queries attend together.
pub const TILE_ROWS: usize = 32;
/// Chunks for each thread below which attention is split over the sequence.
const CHUNKS: usize = 4;

/// Rows of one sequence each that attend together.
pub fn tiles(rows: &[Row]) -> impl Iterator<Item = Range<usize>> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let sequence = rows.get(first)?.sequence;
        let same = rows[first..].iter().take(TILE_ROWS);
        let count = same.take_while(|row| row.sequence == sequence).count();
        first += count;
        Some(first - count..first)
    })
}

/// Numbers of a query's outputs, its maximum and its sum.
fn gathered_len(dim: usize) -> usize {
    dim.next_multiple_of(16) + 2
}

/// Numbers that attention needs where it is split: for a row of every sequence, however long.
/// Where a step would need more it is not split, which changes no bit.
pub fn gathered_room(program: &Program, sizes: &Sizes, threads: usize) -> usize {
    let room = program.ops().filter_map(|op| match op {
        Op::Attend(op) if threads > 1 => {
            let group = program.cache(op.cache);
            let most = CHUNKS * threads / group.kv_heads as usize;
            let parts = sizes.pages[op.cache.group as usize] * PAGE / PART + 2 * most;
            Some(parts * op.heads as usize * gathered_len(group.head_dim as usize))
        }
        _ => None,
    });
    room.max().unwrap_or(0)
}

/// Some rows of a sequence and a head of its keys.
#[derive(Clone)]
struct Place {
    rows: Range<usize>,
    head: usize,
}

/// How an operation is split over the sequences of a step.
struct Split<'a> {
    work: &'a Work<'a>,
    op: &'a Attend,
    /// Key heads.
    heads: usize,
    /// Queries of a row that share a key head.
    shared: usize,
    /// Numbers of a query in a part.
    len: usize,
}

/// Where a part of a place is.
struct Part {
    place: Place,
    /// Which part of the sequence.
    part: usize,
    /// Where the place's first query begins in what is gathered.
    at: usize,
}

impl<'a> Split<'a> {
    /// The split, if the operation gains by one and there is room for it.
    fn of(work: &'a Work<'a>, op: &'a Attend) -> Option<Split<'a>> {
        let group = work.program.cache(op.cache);
        let (heads, dim) = (group.kv_heads as usize, group.head_dim as usize);
        if work.threads == 1 || work.tiles.len() * heads >= CHUNKS * work.threads {
            return None;
        }
        let shared = op.heads as usize / heads;
        let split = Split { work, op, heads, shared, len: gathered_len(dim) };
        let gains = split.total() > work.tiles.len() * heads;
        (gains && split.numbers() <= work.gathered.len()).then_some(split)
    }

    /// The parts that rows see.
    fn parts(&self, rows: &Range<usize>) -> Range<usize> {
        let visible = |row: usize| {
            let row = &self.work.step.rows[row];
            let mask = self.work.step.sequences[row.sequence as usize].mask;
            mask.visible(row.position[0], self.op.reach)
        };
        parts(rows.clone().map(visible))
    }

    /// Parts of all places.
    fn total(&self) -> usize {
        self.work.tiles.iter().map(|rows| self.heads * self.parts(rows).len()).sum()
    }

    /// Numbers of all of them.
    fn numbers(&self) -> usize {
        let of = |rows: &Range<usize>| self.heads * self.parts(rows).len() * self.numbers_of(rows);
        self.work.tiles.iter().map(of).sum()
    }

    /// Numbers of rows in a part, for one key head.
    fn numbers_of(&self, rows: &Range<usize>) -> usize {
        rows.len() * self.shared * self.len
    }

    /// Part `chunk` of all, those of a place one after the other.
    fn find(&self, mut chunk: usize) -> Option<Part> {
        let mut at = 0;
        for rows in self.work.tiles {
            let parts = self.parts(rows);
            if chunk < self.heads * parts.len() {
                let (head, part) = (chunk / parts.len(), parts.start + chunk % parts.len());
                at += chunk * self.numbers_of(rows);
                return Some(Part { place: Place { rows: rows.clone(), head }, part, at });
            }
            chunk -= self.heads * parts.len();
            at += self.heads * parts.len() * self.numbers_of(rows);
        }
        None
    }

    /// The first part of place `i`, and how many it has.
    fn place(&self, i: usize) -> Option<(Part, usize)> {
        let (tile, head) = (i / self.heads, i % self.heads);
        let before = self.work.tiles[..tile].iter().map(|rows| self.heads * self.parts(rows).len());
        let parts = self.parts(&self.work.tiles[tile]).len();
        Some((self.find(before.sum::<usize>() + head * parts)?, parts))
    }
}

impl<'a, S: Simd> Thread<'a, S> {
    /// Writes keys and values of every row.
    pub fn store_rows(&mut self, op: &KvWrite) {
        while let Some(row) = self.claim(0, self.work.step.rows.len()) {
            match self.work.program.cache(op.cache).kind {
                KvKind::F32 => self.store_row::<F32>(op, row),
                KvKind::F16 => self.store_row::<F16>(op, row),
                KvKind::Q8_0 => self.store_row::<Q8_0>(op, row),
                KvKind::Q4_0 => self.store_row::<Q4_0>(op, row),
            }
        }
    }

    fn store_row<P: Stored>(&self, op: &KvWrite, row: usize) {
        let (work, s) = (self.work, self.s);
        let group = work.program.cache(op.cache);
        let step_row = &work.step.rows[row];
        let position = step_row.position[0] as usize;
        let table = &work.step.sequences[step_row.sequence as usize].tables;
        let page = table[op.cache.group as usize][position / PAGE];
        let dim = group.head_dim as usize;
        let (plane, start) = work.plane(op.cache);
        for (i, slot) in [Some(op.k), op.v].into_iter().flatten().enumerate() {
            for (head, x) in work.rows(slot, row..row + 1).chunks_exact(dim).enumerate() {
                let cell = (head * PAGE + position % PAGE) * P::row_bytes(dim);
                let bytes = work.cell_mut(op.cache, page, start + i * plane + cell);
                s.vectorize(
                    #[inline(always)]
                    || P::put(s, bytes, x),
                );
            }
        }
    }

    /// Attends from every row.
    pub fn attend_tiles(&mut self, op: &Attend) {
        match self.work.program.cache(op.cache).kind {
            KvKind::F32 => self.attend_as::<F32>(op),
            KvKind::F16 => self.attend_as::<F16>(op),
            KvKind::Q8_0 => self.attend_as::<Q8_0>(op),
            KvKind::Q4_0 => self.attend_as::<Q4_0>(op),
        }
    }

    fn attend_as<P: Stored>(&mut self, op: &Attend) {
        let work = self.work;
        if let Some(split) = Split::of(work, op) {
            return self.attend_split::<P>(&split);
        }
        let (tiles, heads) = (work.tiles.len(), work.program.cache(op.cache).kv_heads as usize);
        while let Some(chunk) = self.claim(0, tiles * heads) {
            // Later rows see more: they come first in every share, so that what is left for the
            // end, and for other threads to take, is short.
            let (tile, head) = (tiles - 1 - chunk / heads, chunk % heads);
            let place = Place { rows: work.tiles[tile].clone(), head };
            for heads in self.head_runs(op, &place) {
                let cached = self.begin(op, &place, heads.clone());
                self.own.tile.attend::<S, P>(self.s, cached);
                self.write_outputs(op, &place, heads);
            }
        }
    }

    /// The same with the sequences in parts, each by whoever claims it.
    fn attend_split<P: Stored>(&mut self, split: &Split<'_>) {
        let (s, op) = (self.s, split.op);
        while let Some(Part { place, part, mut at }) =
            self.claim(0, split.total()).and_then(|chunk| split.find(chunk))
        {
            for heads in self.head_runs(op, &place) {
                let cached = self.begin(op, &place, heads.clone());
                self.own.tile.attend_part::<S, P>(s, cached, part);
                for query in 0..place.rows.len() * heads.len() {
                    let from = self.own.tile.partial(query);
                    let to = self.work.gathered_mut(at, split.len);
                    to[..from.acc.len()].copy_from_slice(from.acc);
                    to[from.acc.len()..].copy_from_slice(&[from.largest, from.total]);
                    at += split.len;
                }
            }
        }
        self.settle();
        while let Some((Part { place, at, .. }, parts)) =
            self.claim(1, split.work.tiles.len() * split.heads).and_then(|i| split.place(i))
        {
            let (mut first, each) = (at, split.numbers_of(&place.rows));
            for heads in self.head_runs(op, &place) {
                self.begin(op, &place, heads.clone());
                for query in 0..place.rows.len() * heads.len() {
                    for part in 0..parts {
                        let from = self.work.gathered(first + part * each, split.len);
                        let (acc, rest) = from.split_at(split.len - 2);
                        let from = Partial { acc, largest: rest[0], total: rest[1] };
                        self.own.tile.join(s, query, from);
                    }
                    first += split.len;
                }
                self.write_outputs(op, &place, heads);
            }
        }
    }

    /// The heads that share a key head, as many at a time as the tile holds for all rows.
    fn head_runs(
        &self,
        op: &Attend,
        place: &Place,
    ) -> impl Iterator<Item = Range<usize>> + use<'a, S> {
        let shared = (op.heads / self.work.program.cache(op.cache).kv_heads) as usize;
        let together = (self.own.tile.capacity() / place.rows.len()).clamp(1, shared);
        let first = place.head * shared;
        let runs = (0..shared).step_by(together);
        runs.map(move |run| first + run..first + shared.min(run + together))
    }

    /// Begins a tile of the queries of some rows and heads, and says where their keys are.
    fn begin(&mut self, op: &Attend, place: &Place, heads: Range<usize>) -> Cached<'a> {
        let work = self.work;
        let group = work.program.cache(op.cache);
        let dim = group.head_dim as usize;
        let sequence = &work.step.sequences[work.step.rows[place.rows.start].sequence as usize];
        let sinks = op.sinks.map(|sinks| work.vector(sinks));
        let tile = &mut self.own.tile;
        tile.clear(dim, op.cap);
        for row in place.rows.clone() {
            let position = work.step.rows[row].position[0];
            let visible = sequence.mask.visible(position, op.reach);
            let scale = op.temperature.map_or(op.scale, |t| op.scale * t.at(position));
            let q = work.rows(op.q, row..row + 1);
            for head in heads.clone() {
                let sink = sinks.map(|sinks| sinks[head]);
                tile.push(&q[head * dim..][..dim], scale, sink, visible.clone());
            }
        }
        let table = &sequence.tables[op.cache.group as usize];
        let (plane, start) = work.plane(op.cache);
        let head = place.head * PAGE * group.row_bytes();
        Cached {
            pool: work.pages(op.cache, table.iter().copied().max().unwrap_or(0)),
            table,
            page_bytes: group.page_bytes(),
            keys: start + head,
            values: start + (group.planes() - 1) * plane + head,
            dim,
            value_dim: work.width(op.y) / op.heads as usize,
        }
    }

    /// Writes what the tile's queries have gathered.
    fn write_outputs(&mut self, op: &Attend, place: &Place, heads: Range<usize>) {
        let width = self.work.width(op.y) / op.heads as usize;
        let queries = place.rows.clone().flat_map(|row| heads.clone().map(move |h| (row, h)));
        for (query, (row, head)) in queries.enumerate() {
            let y = self.work.columns_mut(op.y, row, head * width..(head + 1) * width);
            self.own.tile.output(query, y);
        }
    }
}
