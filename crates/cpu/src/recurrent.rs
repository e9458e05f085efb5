//! Operations that keep a state along a sequence: short convolutions and the gated delta rule.
//!
//! A prompt and a single token run the same arithmetic for each row, so that a row's bits do not
//! depend on how its sequence is cut. What a prompt gains is that a head's matrix stays in the
//! first cache: sixteen columns of it, lane by lane without sums across lanes, see all rows of a
//! block before the next sixteen do.

use crate::rows::apply;
use crate::run::Thread;
use crate::simd::Simd;
use crate::work::Work;
use ops::{Columns, DeltaNet, Op, Program, ShortConv};
use std::ops::Range;

/// Rows whose queries and keys are made ready together.
const BLOCK: usize = 64;
/// Channels in a chunk of a convolution.
const CHANNELS: usize = 256;

/// Memory of a thread for the recurrence of one head.
pub struct Recurrence {
    /// The matrix: (v_dim / 16, k_dim, 16).
    matrix: Vec<[f32; 16]>,
    /// Queries of unit length, scaled: (row, k_dim).
    q: Vec<f32>,
    /// Keys of unit length: (row, k_dim).
    k: Vec<f32>,
    /// How much of the matrix a row keeps, and how much of its change it makes.
    gates: [[f32; 2]; BLOCK],
}

impl Recurrence {
    /// Room for the widest head of a program.
    pub fn new(program: &Program) -> Recurrence {
        let shape = |op: &Op| match op {
            Op::DeltaNet(op) => Some((op.k_dim as usize, op.v_dim as usize)),
            _ => None,
        };
        let shapes = || program.ops().filter_map(shape);
        let matrix = shapes().map(|(k, v)| k * v.div_ceil(16)).max().unwrap_or(0);
        let k_dim = shapes().map(|(k, _)| k).max().unwrap_or(0);
        Recurrence {
            matrix: vec![[0.0; 16]; matrix],
            q: vec![0.0; BLOCK * k_dim],
            k: vec![0.0; BLOCK * k_dim],
            gates: [[0.0; 2]; BLOCK],
        }
    }

    /// Takes over a head's matrix, (k_dim, v_dim), or begins with zeros.
    fn load(&mut self, matrix: Option<&[f32]>, k_dim: usize, v_dim: usize) {
        let cells = v_dim.div_ceil(16) * k_dim;
        self.matrix[..cells].fill([0.0; 16]);
        let Some(matrix) = matrix else { return };
        for (i, row) in matrix.chunks_exact(v_dim).enumerate() {
            for (j, lane) in row.chunks(16).enumerate() {
                self.matrix[j * k_dim + i][..lane.len()].copy_from_slice(lane);
            }
        }
    }

    /// Hands over a head's matrix.
    fn store(&self, matrix: &mut [f32], k_dim: usize, v_dim: usize) {
        for (i, row) in matrix.chunks_exact_mut(v_dim).enumerate() {
            for (j, lane) in row.chunks_mut(16).enumerate() {
                lane.copy_from_slice(&self.matrix[j * k_dim + i][..lane.len()]);
            }
        }
    }
}

impl<S: Simd> Thread<'_, S> {
    /// Copies runs of columns.
    pub fn copy_columns(&mut self, op: &Columns) {
        let run = |first: u32, step: u32, i: u32| {
            let first = (first + i * step) as usize;
            first..first + op.take as usize
        };
        while let Some(row) = self.claim(0, self.work.count(op.x)) {
            let x = self.work.rows(op.x, row..row + 1);
            for i in 0..op.count {
                let y = self.work.columns_mut(op.y, row, run(op.at, op.pitch, i));
                y.copy_from_slice(&x[run(op.start, op.stride, i)]);
            }
        }
    }

    /// Convolves each sequence's channels.
    pub fn convolve(&mut self, op: &ShortConv) {
        let (work, s) = (self.work, self.s);
        let channels = work.width(op.x);
        let chunks = channels.div_ceil(CHANNELS);
        while let Some(chunk) = self.claim(0, work.runs.len() * chunks) {
            let run = &work.runs[chunk / chunks];
            let first = chunk % chunks * CHANNELS;
            let columns = first..channels.min(first + CHANNELS);
            s.vectorize(
                #[inline(always)]
                || convolve_run(s, work, op, run, columns),
            );
        }
    }

    /// Runs the gated delta rule along each sequence, a head at a time.
    pub fn gated_delta(&mut self, op: &DeltaNet) {
        let (work, s, heads) = (self.work, self.s, op.v_heads as usize);
        while let Some(chunk) = self.claim(0, work.runs.len() * heads) {
            let (run, head) = (&work.runs[chunk / heads], chunk % heads);
            let own = &mut self.own.recurrence;
            s.vectorize(
                #[inline(always)]
                || delta_run(s, work, op, run, head, own),
            );
        }
    }
}

/// Some channels of one sequence.
#[inline(always)]
fn convolve_run<S: Simd>(
    s: S,
    work: &Work<'_>,
    op: &ShortConv,
    run: &Range<usize>,
    columns: Range<usize>,
) {
    let channels = work.width(op.x);
    let weight = work.vector(op.w);
    let (kernel, dilation) = (weight.len() / channels, op.dilation as usize);
    let history = (kernel - 1) * dilation;
    let before = work.state_before(run, op.state);
    // The inputs at a position counted from `history` positions before the run.
    let input = |at: usize| -> Option<&[f32]> {
        if at < history {
            return before.map(|before| &before[at * channels..][columns.clone()]);
        }
        let row = run.start + at - history;
        Some(&work.rows(op.x, row..row + 1)[columns.clone()])
    };
    for (now, row) in run.clone().enumerate() {
        let y = work.columns_mut(op.y, row, columns.clone());
        y.fill(0.0);
        for tap in 0..kernel {
            let Some(x) = input(now + tap * dilation) else { continue };
            let w = &weight[tap * channels..][columns.clone()];
            for ((y, x), w) in y.chunks_mut(16).zip(x.chunks(16)).zip(w.chunks(16)) {
                s.store_n(y, s.fma(s.load_n(w), s.load_n(x), s.load_n(y)));
            }
        }
        for y in y.chunks_mut(16) {
            s.store_n(y, apply(s, op.act, s.load_n(y)));
        }
    }
    for (seen, slot) in work.state_writes(run) {
        for at in 0..history {
            let start = at * channels;
            let kept = work.state_mut(slot, op.state, start + columns.start..start + columns.end);
            match input(seen + at) {
                Some(x) => kept.copy_from_slice(x),
                None => kept.fill(0.0),
            }
        }
    }
}

/// One head of one sequence.
#[inline(always)]
fn delta_run<S: Simd>(
    s: S,
    work: &Work<'_>,
    op: &DeltaNet,
    run: &Range<usize>,
    head: usize,
    own: &mut Recurrence,
) {
    let (k_dim, v_dim) = (op.k_dim as usize, op.v_dim as usize);
    let cells = head * k_dim * v_dim..(head + 1) * k_dim * v_dim;
    let before = work.state_before(run, op.state);
    own.load(before.map(|before| &before[cells.clone()]), k_dim, v_dim);
    let mut start = run.start;
    let mut writes = work.state_writes(run).peekable();
    while start < run.end {
        let kept = writes.peek().map_or(run.end, |(seen, _)| run.start + seen);
        let rows = start..kept.min(run.end).min(start + BLOCK);
        prepare(s, work, op, &rows, head, own);
        for columns in 0..v_dim.div_ceil(16) {
            sixteen_columns(s, work, op, &rows, head, columns, own);
        }
        start = rows.end;
        while let Some((_, slot)) = writes.next_if(|(seen, _)| run.start + seen == start) {
            own.store(work.state_mut(slot, op.state, cells.clone()), k_dim, v_dim);
        }
    }
}

/// Makes queries, keys and gates of some rows ready.
#[inline(always)]
fn prepare<S: Simd>(
    s: S,
    work: &Work<'_>,
    op: &DeltaNet,
    rows: &Range<usize>,
    head: usize,
    own: &mut Recurrence,
) {
    let (k_heads, v_heads, k_dim) = (op.k_heads as usize, op.v_heads as usize, op.k_dim as usize);
    let shared = if op.tiled { head % k_heads } else { head * k_heads / v_heads };
    let (rate, bias) = (work.vector(op.rate)[head], work.vector(op.bias)[head]);
    let scale = 1.0 / (k_dim as f32).sqrt();
    for (i, row) in rows.clone().enumerate() {
        let qkv = work.rows(op.qkv, row..row + 1);
        let (q, k) = (&qkv[shared * k_dim..], &qkv[(k_heads + shared) * k_dim..]);
        unit(s, &q[..k_dim], op.eps, scale, &mut own.q[i * k_dim..][..k_dim]);
        unit(s, &k[..k_dim], op.eps, 1.0, &mut own.k[i * k_dim..][..k_dim]);
        let decay = work.rows(op.decay, row..row + 1)[head] + bias;
        let beta = work.rows(op.beta, row..row + 1)[head];
        let (keep, write) = gates(rate, decay, beta);
        own.gates[i] = [keep, write];
    }
}

/// `exp(rate * softplus(decay))` and `sigmoid(beta)`, one of each for a row and a head: in f64, so
/// that a last bit in which two libraries differ is rounded away.
fn gates(rate: f32, decay: f32, beta: f32) -> (f32, f32) {
    let (decay, beta) = (f64::from(decay), f64::from(beta));
    let softplus = decay.max(0.0) + (-decay.abs()).exp().ln_1p();
    ((f64::from(rate) * softplus).exp() as f32, (1.0 / (1.0 + (-beta).exp())) as f32)
}

/// `y = x / sqrt(sum(x^2) + eps) * scale`
#[inline(always)]
fn unit<S: Simd>(s: S, x: &[f32], eps: f32, scale: f32, y: &mut [f32]) {
    let mut squares = s.splat(0.0);
    for x in x.chunks(16) {
        let x = s.load_n(x);
        squares = s.fma(x, x, squares);
    }
    let scale = s.splat(scale / (s.sum(squares) + eps).sqrt());
    for (x, y) in x.chunks(16).zip(y.chunks_mut(16)) {
        s.store_n(y, s.mul(s.load_n(x), scale));
    }
}

/// Some rows of one head, for sixteen columns of its matrix. Sums over a column's cells run in
/// four chains, which are added in one order.
#[inline(always)]
fn sixteen_columns<S: Simd>(
    s: S,
    work: &Work<'_>,
    op: &DeltaNet,
    rows: &Range<usize>,
    head: usize,
    columns: usize,
    own: &mut Recurrence,
) {
    let (k_dim, v_dim) = (op.k_dim as usize, op.v_dim as usize);
    let matrix = &mut own.matrix[columns * k_dim..][..k_dim];
    let lane = 16 * columns..v_dim.min(16 * columns + 16);
    let values = 2 * op.k_heads as usize * k_dim + head * v_dim;
    for (i, row) in rows.clone().enumerate() {
        let (q, k) = (&own.q[i * k_dim..][..k_dim], &own.k[i * k_dim..][..k_dim]);
        let [keep, write] = own.gates[i].map(|gate| s.splat(gate));
        let mut seen = [s.splat(0.0); 4];
        for (cells, k) in matrix.chunks(4).zip(k.chunks(4)) {
            for ((seen, cell), k) in seen.iter_mut().zip(cells).zip(k) {
                *seen = s.fma(s.load(cell), s.splat(*k), *seen);
            }
        }
        let v = &work.rows(op.qkv, row..row + 1)[values..][lane.clone()];
        let seen = s.mul(keep, chains(s, seen));
        let change = s.mul(write, s.sub(s.load_n(v), seen));
        let mut sums = [s.splat(0.0); 4];
        for ((cells, k), q) in matrix.chunks_mut(4).zip(k.chunks(4)).zip(q.chunks(4)) {
            for (((sum, cell), k), q) in sums.iter_mut().zip(cells).zip(k).zip(q) {
                let kept = s.mul(s.load(cell), keep);
                let now = s.fma(change, s.splat(*k), kept);
                s.store(cell, now);
                *sum = s.fma(now, s.splat(*q), *sum);
            }
        }
        let at = head * v_dim;
        let y = work.columns_mut(op.y, row, at + lane.start..at + lane.end);
        s.store_n(y, chains(s, sums));
    }
}

#[inline(always)]
fn chains<S: Simd>(s: S, [a, b, c, d]: [S::F; 4]) -> S::F {
    s.add(s.add(a, b), s.add(c, d))
}
