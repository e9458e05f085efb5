//! What the threads share in a step, and how they reach it.
#![allow(unsafe_code)]

use crate::linear::Activations;
use crate::rounded::Rounded;
use crate::share::Shared;
use blocks::Tensor;
use ops::{CacheRef, Domain, Form, Input, Program, Slot, StateRef, Step, WeightId};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// Everything that the threads share in a step.
pub struct Work<'a> {
    /// What is run.
    pub program: &'a Program,
    /// Its weights.
    pub weights: &'a [Tensor],
    /// Vectors as f32, by weight; empty for matrices.
    pub vectors: &'a [Vec<f32>],
    /// The batch.
    pub step: &'a Step<'a>,
    /// Which row of the step each wanted output is.
    pub wanted: &'a [u32],
    /// Slots of the step's rows: slot at `offset * max_rows`.
    pub arena: Shared<'a, f32>,
    /// Slots of the wanted rows.
    pub outputs: Shared<'a, f32>,
    /// Rows that the slots have room for.
    pub max_rows: usize,
    /// Wanted rows that the slots have room for.
    pub max_outputs: usize,
    /// The pools of the cache groups.
    pub caches: &'a [Shared<'a, u8>],
    /// Recurrent states, (slot, values).
    pub states: Shared<'a, f32>,
    /// Rows of one sequence each that attend together.
    pub tiles: &'a [Range<usize>],
    /// What queries gather in parts of their sequence, for attention that is split over it.
    pub gathered: Shared<'a, f32>,
    /// The rows of each sequence, where the program keeps a recurrent state.
    pub runs: &'a [Range<usize>],
    /// Ids that steps store for later ones.
    pub sampled: Shared<'a, u32>,
    /// Rounded activations in blocks of 32 and of 256.
    pub rounded: [RoundedRoom<'a>; 2],
    /// Counters of claimed chunks, (thread, operation, phase).
    pub claims: &'a [AtomicUsize],
    /// Chunks finished in this step.
    pub finished: &'a AtomicUsize,
    /// How many threads there are.
    pub threads: usize,
    /// How often a thread looks before it yields its core.
    pub spins: u32,
    /// Set when the step was cancelled.
    pub cancelled: &'a AtomicBool,
    /// Nanoseconds in each operation, when measuring.
    pub times: Option<&'a [AtomicUsize]>,
}

/// Memory for rounded activations.
#[derive(Clone, Copy)]
pub struct RoundedRoom<'a> {
    /// Values per scale.
    pub n: usize,
    /// Rounded values.
    pub q: Shared<'a, i8>,
    /// Scales.
    pub scales: Shared<'a, f32>,
    /// Sums in sixteens.
    pub sums: Shared<'a, i16>,
}

impl<'a> Work<'a> {
    /// Width of a slot.
    pub fn width(&self, slot: Slot) -> usize {
        self.program.slot(slot).width
    }

    /// How many rows a slot holds in this step.
    pub fn count(&self, slot: Slot) -> usize {
        match self.program.slot(slot).domain {
            Domain::Rows => self.step.rows.len(),
            Domain::Outputs => self.wanted.len(),
        }
    }

    /// The memory of a slot's rows.
    pub fn slot(&self, slot: Slot) -> (Shared<'a, f32>, usize) {
        let info = self.program.slot(slot);
        match info.domain {
            Domain::Rows => (self.arena, info.offset * self.max_rows),
            Domain::Outputs => (self.outputs, info.offset * self.max_outputs),
        }
    }

    /// Some rows of a slot, to be read.
    pub fn rows(&self, slot: Slot, rows: Range<usize>) -> &'a [f32] {
        let ((memory, start), width) = (self.slot(slot), self.width(slot));
        // SAFETY: a slot is written only in stages before this one, or (in place) in rows that
        // the caller alone has claimed.
        unsafe { memory.read(start + rows.start * width..start + rows.end * width) }
    }

    /// Values `i * cols ..` of a slot: a row, or a part of one that holds several inputs.
    pub fn run(&self, slot: Slot, cols: usize, i: usize) -> &'a [f32] {
        let each = self.width(slot) / cols;
        &self.rows(slot, i / each..i / each + 1)[i % each * cols..][..cols]
    }

    /// Some rows of a slot, to be written.
    #[allow(clippy::mut_from_ref)]
    pub fn rows_mut(&self, slot: Slot, rows: Range<usize>) -> &'a mut [f32] {
        let ((memory, start), width) = (self.slot(slot), self.width(slot));
        // SAFETY: operations of a stage write different slots, and the caller alone has claimed
        // these rows; callers do not hold another reference to them.
        unsafe { memory.write(start + rows.start * width..start + rows.end * width) }
    }

    /// Some columns of a row, to be written.
    #[allow(clippy::mut_from_ref)]
    pub fn columns_mut(&self, slot: Slot, row: usize, columns: Range<usize>) -> &'a mut [f32] {
        let ((memory, start), width) = (self.slot(slot), self.width(slot));
        let at = start + row * width;
        // SAFETY: as for whole rows; the caller alone has claimed these columns.
        unsafe { memory.write(at + columns.start..at + columns.end) }
    }

    /// A part of a recurrent state, to be read.
    pub fn state(&self, slot: u32, state: StateRef) -> &'a [f32] {
        let at = slot as usize * self.program.state_width + state.offset;
        // SAFETY: a step writes no slot that it reads, as is checked before it starts.
        unsafe { self.states.read(at..at + state.width) }
    }

    /// Some values of a part of a recurrent state, to be written.
    #[allow(clippy::mut_from_ref)]
    pub fn state_mut(&self, slot: u32, state: StateRef, values: Range<usize>) -> &'a mut [f32] {
        let at = slot as usize * self.program.state_width + state.offset;
        assert!(values.end <= state.width);
        // SAFETY: sequences write different slots, operations different parts of one, and the
        // caller alone has claimed these values.
        unsafe { self.states.write(at + values.start..at + values.end) }
    }

    /// The state before a run of rows; `None` where its sequence begins.
    pub fn state_before(&self, run: &Range<usize>, state: StateRef) -> Option<&'a [f32]> {
        let row = &self.step.rows[run.start];
        let read = self.step.sequences[row.sequence as usize].states.read;
        (row.position[0] > 0).then(|| self.state(read, state))
    }

    /// The states to be kept of a run of rows, each with how many rows it has seen.
    pub fn state_writes(&self, run: &Range<usize>) -> impl Iterator<Item = (usize, u32)> + 'a {
        let row = &self.step.rows[run.start];
        let writes = self.step.sequences[row.sequence as usize].states.writes;
        let first = row.position[0];
        writes.iter().map(move |write| ((write.after - first) as usize, write.slot))
    }

    /// A row's id; none of a row that brings an embedding.
    pub fn id(&self, row: usize) -> Option<u32> {
        match self.step.rows[row].input {
            Input::Token(id) => Some(id),
            Input::Sampled(slot) => {
                let slot = slot as usize;
                // SAFETY: ids are stored in the last stage of an earlier step.
                let stored = unsafe { self.sampled.read(slot..slot + 1) };
                Some(stored[0])
            }
            Input::Embedding(_) => None,
        }
    }

    /// A vector as f32.
    pub fn vector(&self, weight: WeightId) -> &'a [f32] {
        &self.vectors[weight.0 as usize]
    }

    /// A weight as it is stored.
    pub fn weight(&self, weight: WeightId) -> &'a Tensor {
        &self.weights[weight.0 as usize]
    }

    /// The block of activations that a weight's integer form wants.
    pub fn block(&self, weight: WeightId) -> usize {
        let shape = self.program.weight(weight).kind.int_shape();
        shape.map_or(ops::numerics::BLOCK_MAX, |shape| shape.n)
    }

    /// The rows of a slot, rounded already where `form` is fast.
    pub fn activations(&self, x: Slot, weight: WeightId, form: Form) -> Activations<'a> {
        let (rows, cols) = (self.count(x), self.width(x));
        if form == Form::Exact {
            return Activations::Exact(self.rows(x, 0..rows));
        }
        Activations::Fast(self.rounded(weight, rows, cols))
    }

    /// So many rounded inputs of `cols` values, in the blocks that a weight wants.
    pub fn rounded(&self, weight: WeightId, rows: usize, cols: usize) -> Rounded<'a> {
        let n = self.block(weight);
        let room = if self.rounded[0].n == n { 0 } else { 1 };
        let room = &self.rounded[room];
        // SAFETY: written before all rows were finished in `round`; nobody writes until the stage
        // is over.
        let (q, scales, sums) = unsafe {
            (
                room.q.read(0..rows * cols),
                room.scales.read(0..rows * (cols / n)),
                room.sums.read(0..rows * (cols / 16)),
            )
        };
        Rounded { cols, n, q, scales, sums }
    }

    /// Bytes of the part of a page that holds a layer's keys, and where it starts.
    pub fn plane(&self, cache: CacheRef) -> (usize, usize) {
        let bytes = self.program.cache(cache).plane_bytes();
        (bytes, self.program.cache(cache).planes() * bytes * cache.layer as usize)
    }

    /// The pages of a cache's group up to `last`, to be read.
    pub fn pages(&self, cache: CacheRef, last: u32) -> &'a [u8] {
        let bytes = self.program.cache(cache).page_bytes();
        // SAFETY: keys and values are written in an earlier stage only.
        unsafe { self.caches[cache.group as usize].read(0..(last as usize + 1) * bytes) }
    }

    /// A row of a page, to be written.
    #[allow(clippy::mut_from_ref)]
    pub fn cell_mut(&self, cache: CacheRef, page: u32, at: usize) -> &'a mut [u8] {
        let group = self.program.cache(cache);
        let at = page as usize * group.page_bytes() + at;
        // SAFETY: a position of a sequence belongs to one row of the step, which the caller alone
        // has claimed; pages being written belong to one sequence.
        unsafe { self.caches[cache.group as usize].write(at..at + group.row_bytes()) }
    }

    /// What a query has gathered in a part, to be written.
    #[allow(clippy::mut_from_ref)]
    pub fn gathered_mut(&self, at: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: the caller alone has claimed this part of these queries.
        unsafe { self.gathered.write(at..at + len) }
    }

    /// The same, to be read.
    pub fn gathered(&self, at: usize, len: usize) -> &'a [f32] {
        // SAFETY: written before all parts were finished; nobody writes until the operation is
        // over.
        unsafe { self.gathered.read(at..at + len) }
    }
}
