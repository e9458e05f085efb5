//! One thread's share of a step: every thread walks the program, claims chunks of each operation
//! and goes on when a stage's chunks are all finished.
#![allow(unsafe_code)]

use crate::attend::Tile;
use crate::dot;
use crate::experts::Mixture;
use crate::linear::{self, Scratch, Target};
use crate::recurrent::Recurrence;
use crate::rounded::round_row;
use crate::rows;
use crate::simd::Simd;
use crate::team::wait_until;
use crate::work::Work;
use ops::{
    Argmax, Attend, Columns, Combine, DeltaNet, Dot, Embed, Form, GatedAct, HeadLinear, Kernels,
    KvWrite, LayerNorm, Linear, LinearAt, Output, Pick, Recall, RmsNorm, Rope, Route, Scale,
    ShortConv, Slot, SoftCap, WeightId,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Values in a chunk of an element-wise operation: few, so that a thread takes what it has just
/// computed itself.
const CHUNK_VALUES: usize = 512;

/// A thread's own memory.
pub struct Own {
    /// For products.
    pub scratch: Scratch,
    /// Queries that attend together.
    pub tile: Tile,
    /// Frequencies of a rotation, one per pair.
    pub frequencies: Vec<f32>,
    /// Cosines of a row's angles, scaled.
    pub cos: Vec<f32>,
    /// Sines of a row's angles, scaled.
    pub sin: Vec<f32>,
    /// A row of a table.
    pub row: Vec<f32>,
    /// For routes and products by expert.
    pub mixture: Mixture,
    /// A head's matrix and rows of a recurrence.
    pub recurrence: Recurrence,
    /// A decoded row of a weight.
    pub weight_row: Vec<f32>,
}

/// A thread in a step.
pub struct Thread<'a, S> {
    /// The vector units.
    pub s: S,
    /// What all threads share.
    pub work: &'a Work<'a>,
    /// What is its own.
    pub own: &'a mut Own,
    /// Its number in the team; 0 measures and looks for cancellation.
    pub id: usize,
    /// Where it is.
    pub progress: Progress,
}

/// Where a thread is in the program.
#[derive(Default)]
pub struct Progress {
    /// The operation under way, counted over the program.
    op: usize,
    /// The operation and phase whose chunks are being claimed.
    claiming: Option<(usize, usize)>,
    /// Chunks that this thread has claimed and not yet reported finished.
    unreported: usize,
    /// Chunks of all operations up to here, whoever works on them.
    expected: usize,
}

impl<'a, S: Simd> Thread<'a, S> {
    /// Runs the program.
    pub fn run(&mut self) {
        let (work, id) = (self.work, self.id);
        let _abandon = Abandon(work.cancelled);
        for stage in &work.program.stages {
            for op in &stage.ops {
                self.timed(|this| this.dispatch(op));
                self.progress.op += 1;
            }
            if id == 0 && work.step.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
                work.cancelled.store(true, Ordering::Relaxed);
            }
            self.progress.op -= 1;
            self.timed(|this| this.settle());
            self.progress.op += 1;
            if work.cancelled.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Adds the time of `part` to the operation under way, if this thread measures.
    fn timed(&mut self, part: impl FnOnce(&mut Self)) {
        let Some(times) = self.work.times.filter(|_| self.id == 0) else { return part(self) };
        let start = Instant::now();
        part(self);
        let nanos = start.elapsed().as_nanos() as usize;
        times[self.progress.op].fetch_add(nanos, Ordering::Relaxed);
    }

    /// Claims chunk after chunk of `total`; `phase` is 0 or 1. A thread first takes its own share
    /// from the start, so that it reads memory in one direction, then what others have left.
    pub fn claim(&mut self, phase: usize, total: usize) -> Option<usize> {
        let (threads, op) = (self.work.threads, self.progress.op);
        if self.progress.claiming.replace((op, phase)) != Some((op, phase)) {
            self.progress.expected += total;
        }
        let claims = |owner: usize| {
            &self.work.claims[owner * self.work.claims.len() / threads + 2 * op + phase]
        };
        let claimed = (0..threads).find_map(|other| {
            let owner = (self.id + other) % threads;
            let share = owner * total / threads..(owner + 1) * total / threads;
            // A look first: adding is dear where other threads add too.
            if claims(owner).load(Ordering::Relaxed) >= share.len() {
                return None;
            }
            let chunk = claims(owner).fetch_add(1, Ordering::Relaxed);
            (chunk < share.len()).then_some(share.start + chunk)
        });
        match claimed {
            Some(_) => self.progress.unreported += 1,
            // Reported together: whoever waits, waits for the last chunk anyway.
            None => {
                let finished = std::mem::take(&mut self.progress.unreported);
                self.work.finished.fetch_add(finished, Ordering::Release);
            }
        }
        claimed
    }

    /// Waits until every chunk so far is finished. Threads are not waited for: one that the
    /// system has set aside between two chunks holds nobody up.
    pub fn settle(&self) {
        let work = self.work;
        wait_until(work.spins, || {
            work.finished.load(Ordering::Acquire) >= self.progress.expected
                || work.cancelled.load(Ordering::Relaxed)
        });
    }

    /// Rounds the input, as rows of `cols` values, for the weights that want it rounded, and waits
    /// until that is done.
    pub fn round(
        &mut self,
        x: Slot,
        cols: usize,
        weights: impl Iterator<Item = (WeightId, Form)> + Clone,
    ) {
        let mut fast = weights.filter(|(_, form)| *form == Form::Fast);
        let wants = |n: usize| fast.clone().any(|(weight, _)| self.work.block(weight) == n);
        let wants = self.work.rounded.map(|room| wants(room.n));
        let rows = self.work.count(x) * self.work.width(x) / cols;
        while let Some(row) = self.claim(0, rows) {
            let x = self.work.run(x, cols, row);
            for (room, _) in self.work.rounded.iter().zip(wants).filter(|(_, wants)| *wants) {
                let (blocks, sums) = (cols / room.n, cols / 16);
                // SAFETY: this thread alone has claimed the row, and nobody reads it before all
                // rows are finished.
                let (q, scales, sums) = unsafe {
                    (
                        room.q.write(row * cols..(row + 1) * cols),
                        room.scales.write(row * blocks..(row + 1) * blocks),
                        room.sums.write(row * sums..(row + 1) * sums),
                    )
                };
                let s = self.s;
                s.vectorize(
                    #[inline(always)]
                    || round_row(s, x, room.n, q, scales, sums),
                );
            }
        }
        if fast.next().is_some() {
            self.settle();
        }
    }
}

/// Tells the others when a thread's work panics, so that they do not wait for it.
struct Abandon<'a>(&'a AtomicBool);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl<S: Simd> Kernels for Thread<'_, S> {
    fn embed(&mut self, op: &Embed) {
        self.read_rows(op);
    }

    fn recall(&mut self, op: &Recall) {
        self.look_up(op);
    }

    fn dot(&mut self, op: &Dot) {
        self.multiply_rows(op);
    }

    fn rms_norm(&mut self, op: &RmsNorm) {
        self.divide_by_rms(op);
    }

    fn layer_norm(&mut self, op: &LayerNorm) {
        self.normalize(op);
    }

    fn scale(&mut self, op: &Scale) {
        self.multiply(op);
    }

    fn soft_cap(&mut self, op: &SoftCap) {
        self.bound(op);
    }

    fn route(&mut self, op: &Route) {
        self.choose_experts(op);
    }

    fn linear_at(&mut self, op: &LinearAt) {
        self.multiply_by_expert(op);
    }

    fn combine(&mut self, op: &Combine) {
        self.add_runs(op);
    }

    fn linear(&mut self, op: &Linear) {
        let rows = self.work.count(op.x);
        let weight_rows = |part: &ops::Part| self.work.program.weight(part.weight).rows;
        let size = linear::chunk_rows(op.parts.iter().map(weight_rows).sum(), self.work.threads);
        let chunks = |part: &ops::Part| weight_rows(part).div_ceil(size);
        let total: usize = op.parts.iter().map(chunks).sum();
        let (s, work) = (self.s, self.work);
        // A chunk's part and rows.
        let find = |mut chunk: usize| {
            let part = op.parts.iter().find(|part| {
                let here = chunk < chunks(part);
                chunk -= if here { 0 } else { chunks(part) };
                here
            })?;
            let weight = work.weight(part.weight);
            Some((part, weight, chunk * size..weight.rows.min((chunk + 1) * size)))
        };
        if let Some((_, weight, range)) = find(self.id * total / work.threads)
            && rows < dot::panel_rows(weight.kind)
        {
            linear::warm(s, weight, &range);
        }
        let weights = op.parts.iter().map(|part| (part.weight, part.form));
        self.round(op.x, work.width(op.x), weights);
        if rows == 0 {
            return;
        }
        while let Some((part, weight, range)) = self.claim(1, total).and_then(find) {
            let x = work.activations(op.x, part.weight, part.form);
            let (y, start) = work.slot(part.y);
            let target = Target {
                y: y.from(start),
                width: work.width(part.y),
                bias: part.bias.map(|bias| &work.vectors[bias.0 as usize][..]),
                add: part.add,
                scale: part.scale,
                runs: None,
            };
            let scratch = &mut self.own.scratch;
            s.vectorize(
                #[inline(always)]
                || linear::chunk(s, weight, range, &x, rows, scratch, &target),
            );
        }
    }

    fn rope(&mut self, op: &Rope) {
        let rotation = self.work.program.rotation(op.rotation);
        let half = rotation.frequencies.len();
        while let Some(row) = self.claim(0, self.work.step.rows.len()) {
            let step_row = &self.work.step.rows[row];
            let own = &mut *self.own;
            let frequencies = &mut own.frequencies[..half];
            rotation.frequencies(self.work.step.length(step_row), frequencies);
            for (i, frequency) in frequencies.iter().enumerate() {
                let (sin, cos) = (step_row.position[0] as f32 * frequency).sin_cos();
                (own.sin[i], own.cos[i]) = (sin * rotation.magnitude, cos * rotation.magnitude);
            }
            let x = self.work.rows_mut(op.x, row..row + 1);
            let (cos, sin) = (&self.own.cos[..half], &self.own.sin[..half]);
            let (dim, interleaved) = (op.head_dim as usize, rotation.interleaved);
            self.s.vectorize(
                #[inline(always)]
                || rows::rope(x, dim, interleaved, cos, sin),
            );
        }
    }

    fn kv_write(&mut self, op: &KvWrite) {
        self.store_rows(op);
    }

    fn attend(&mut self, op: &Attend) {
        self.attend_tiles(op);
    }

    fn gated_act(&mut self, op: &GatedAct) {
        let (width, gate_width) = (self.work.width(op.y), self.work.width(op.gate));
        let chunks = width.div_ceil(CHUNK_VALUES);
        let total = self.work.count(op.y) * chunks;
        while let Some(chunk) = self.claim(0, total) {
            let (row, first) = (chunk / chunks, chunk % chunks * CHUNK_VALUES);
            let columns = first..width.min(first + CHUNK_VALUES);
            let (memory, start) = self.work.slot(op.y);
            let at = start + row * width;
            // SAFETY: this thread alone has claimed these columns of the row.
            let y = unsafe { memory.write(at + columns.start..at + columns.end) };
            self.gate(op, row, columns, gate_width, y);
        }
    }

    fn columns(&mut self, op: &Columns) {
        self.copy_columns(op);
    }

    fn short_conv(&mut self, op: &ShortConv) {
        self.convolve(op);
    }

    fn head_linear(&mut self, op: &HeadLinear) {
        self.by_head(op);
    }

    fn delta_net(&mut self, op: &DeltaNet) {
        self.gated_delta(op);
    }

    fn pick(&mut self, op: &Pick) {
        while let Some(i) = self.claim(0, self.work.wanted.len()) {
            let row = self.work.wanted[i] as usize;
            self.work.rows_mut(op.y, i..i + 1).copy_from_slice(self.work.rows(op.x, row..row + 1));
        }
    }

    fn argmax(&mut self, op: &Argmax) {
        while let Some(i) = self.claim(0, self.work.wanted.len()) {
            let row = &self.work.step.rows[self.work.wanted[i] as usize];
            if let Output::Sampled(slot) = row.output {
                let id = ops::reference::argmax(self.work.rows(op.logits, i..i + 1));
                let slot = slot as usize;
                // SAFETY: rows of a step store into different slots, and this thread alone has
                // claimed the row.
                let stored = unsafe { self.work.sampled.write(slot..slot + 1) };
                stored[0] = id;
            }
        }
    }
}
