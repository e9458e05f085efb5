//! Every operation, scalar and obviously right: what a backend is compared with.
//!
//! It is a backend itself, so that whole models run on it. Speed is not its concern.

mod latent;
mod mixture;
mod recurrent;
mod tables;

use crate::backend::{Backend, Executor, Fault, Outputs, Profile, Sizes, Ticket, Unsupported};
use crate::list::{
    Argmax, Attend, Columns, Combine, DeltaNet, Dot, Embed, GatedAct, HeadLinear, Kernels, KvWrite,
    LayerNorm, Linear, LinearAt, Op, Pick, Recall, RmsNorm, Rope, Route, Scale, ShortConv, SoftCap,
};
use crate::numerics;
use crate::program::{Act, CacheRef, Domain, Form, PAGE, Program, Slot, Up, WeightId};
use crate::step::{Input, Output, Row, Step};
use blocks::Tensor;
use std::sync::Arc;

/// The scalar backend.
#[derive(Debug, Default)]
pub struct Reference;

impl Backend for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn supports(&self, _: &Op, _: &Program) -> Result<(), Unsupported> {
        Ok(())
    }

    fn load(
        &self,
        program: Arc<Program>,
        weights: Vec<Tensor>,
        sizes: Sizes,
    ) -> Result<Box<dyn Executor>, Fault> {
        let slots = program.slots.iter().map(|_| Vec::new()).collect();
        let pool =
            |(group, pages): (&crate::CacheGroup, &usize)| vec![0.0; group.page_values() * pages];
        let caches = program.caches.iter().zip(&sizes.pages).map(pool).collect();
        let sampled = vec![0; sizes.sampled];
        let states = vec![vec![0.0; program.state_width]; sizes.states];
        let profile = Profile::default();
        let loaded =
            Loaded { program, weights, slots, caches, states, sampled, profile, tickets: 0 };
        Ok(Box::new(loaded))
    }
}

/// A program loaded on the scalar backend. Caches are f32 whose values are rounded as the group
/// stores them.
struct Loaded {
    program: Arc<Program>,
    weights: Vec<Tensor>,
    slots: Vec<Vec<f32>>,
    caches: Vec<Vec<f32>>,
    /// Recurrent states, (slot, values).
    states: Vec<Vec<f32>>,
    sampled: Vec<u32>,
    profile: Profile,
    tickets: u64,
}

impl Executor for Loaded {
    fn submit(&mut self, step: &Step<'_>) -> Result<Ticket, Fault> {
        if self.program.state_width > 0 {
            step.check_states(self.states.len()).map_err(Fault::InvalidStep)?;
        }
        let program = self.program.clone();
        for (info, values) in program.slots.iter().zip(&mut self.slots) {
            let rows = match info.domain {
                Domain::Rows => step.rows.len(),
                Domain::Outputs => step.outputs(),
            };
            values.clear();
            values.resize(rows * info.width, 0.0);
        }
        let mut run = Run { loaded: self, program: &program, step };
        for op in program.ops() {
            run.dispatch(op);
        }
        self.tickets += 1;
        Ok(Ticket(self.tickets))
    }

    fn wait(&mut self, _: Ticket) -> Result<Outputs<'_>, Fault> {
        let values = |slot: Option<Slot>| slot.map_or(&[][..], |s| &self.slots[s.0 as usize]);
        Ok(Outputs {
            logits: values(self.program.logits),
            hidden: values(self.program.hidden),
            sampled: &self.sampled,
        })
    }

    fn copy_page(&mut self, group: usize, from: u32, to: u32) {
        let info = &self.program.caches[group];
        let size = info.page_values();
        let from = from as usize * size;
        self.caches[group].copy_within(from..from + size, to as usize * size);
    }

    fn set_profiling(&mut self, _: bool) {}

    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn bytes(&self) -> usize {
        4 * (self.slots.iter().chain(&self.caches).chain(&self.states).map(Vec::len).sum::<usize>())
    }
}

struct Run<'a> {
    loaded: &'a mut Loaded,
    program: &'a Program,
    step: &'a Step<'a>,
}

impl Run<'_> {
    fn read(&self, slot: Slot) -> Vec<f32> {
        self.loaded.slots[slot.0 as usize].clone()
    }

    fn write(&mut self, slot: Slot, values: Vec<f32>) {
        self.loaded.slots[slot.0 as usize] = values;
    }

    /// Writes or adds.
    fn put(&mut self, slot: Slot, mut values: Vec<f32>, add: bool) {
        if add {
            values.iter_mut().zip(self.read(slot)).for_each(|(value, old)| *value += old);
        }
        self.write(slot, values);
    }

    fn width(&self, slot: Slot) -> usize {
        self.program.slot(slot).width
    }

    /// A row's id; none of a row that brings an embedding.
    fn id(&self, row: &Row) -> Option<u32> {
        match row.input {
            Input::Token(id) => Some(id),
            Input::Sampled(slot) => Some(self.loaded.sampled[slot as usize]),
            Input::Embedding(_) => None,
        }
    }

    fn vector(&self, weight: WeightId) -> Vec<f32> {
        self.loaded.weights[weight.0 as usize].to_f32()
    }

    /// Index of a cached value: `plane` 0 holds keys, 1 values.
    fn cell(
        &self,
        cache: CacheRef,
        page: u32,
        plane: usize,
        head: usize,
        position: usize,
    ) -> usize {
        let group = self.program.cache(cache);
        let plane_size = group.kv_heads as usize * PAGE * group.head_dim as usize;
        let layer = page as usize * group.layers as usize + cache.layer as usize;
        let planes = layer * group.planes() + plane % group.planes();
        let dim = group.head_dim as usize;
        planes * plane_size + (head * PAGE + position % PAGE) * dim
    }
}

impl Kernels for Run<'_> {
    fn embed(&mut self, op: &Embed) {
        self.read_rows(op);
    }

    fn recall(&mut self, op: &Recall) {
        self.look_up(op);
    }

    fn rms_norm(&mut self, op: &RmsNorm) {
        let (mut values, dim) = (self.read(op.x), op.dim as usize);
        let gains = op.w.map_or_else(|| vec![1.0; dim], |w| self.vector(w));
        for (i, run) in values.chunks_mut(dim).enumerate() {
            let squares: f64 = run.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            let scale = 1.0 / (squares / f64::from(op.dim) + f64::from(op.eps)).sqrt();
            for (v, gain) in run.iter_mut().zip(&gains[i * dim % gains.len()..]) {
                *v = (f64::from(*v) * scale) as f32 * gain;
            }
        }
        self.put(op.y, values, op.add);
    }

    fn layer_norm(&mut self, op: &LayerNorm) {
        let (mut values, dim, gains) = (self.read(op.x), op.dim as usize, self.vector(op.w));
        let bias = op.bias.map_or_else(|| vec![0.0; gains.len()], |bias| self.vector(bias));
        for (i, run) in values.chunks_mut(dim).enumerate() {
            let mean = run.iter().map(|v| f64::from(*v)).sum::<f64>() / dim as f64;
            let squares: f64 = run.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
            let scale = 1.0 / (squares / dim as f64 + f64::from(op.eps)).sqrt();
            let at = i * dim % gains.len();
            for ((v, gain), bias) in run.iter_mut().zip(&gains[at..]).zip(&bias[at..]) {
                *v = ((f64::from(*v) - mean) * scale) as f32 * gain + bias;
            }
        }
        self.write(op.y, values);
    }

    fn dot(&mut self, op: &Dot) {
        let (a, b, width) = (self.read(op.a), self.read(op.b), self.width(op.a));
        let product = |(a, b)| (f64::from(op.scale) * dot(a, b)) as f32;
        let y = a.chunks(width).zip(b.chunks(width)).map(product).collect();
        self.write(op.y, y);
    }

    fn scale(&mut self, op: &Scale) {
        let (mut values, factor) = (self.read(op.x), self.vector(op.w)[0]);
        values.iter_mut().for_each(|v| *v *= factor);
        self.write(op.x, values);
    }

    fn soft_cap(&mut self, op: &SoftCap) {
        let mut values = self.read(op.x);
        let cap = |v: f32| soft_cap(f64::from(v), op.cap) as f32;
        values.iter_mut().for_each(|v| *v = cap(*v));
        self.write(op.x, values);
    }

    fn linear(&mut self, op: &Linear) {
        let (x, cols) = (self.read(op.x), self.width(op.x));
        for part in &op.parts {
            let mut y = self.read(part.y);
            let bias = part.bias.map(|bias| self.vector(bias));
            let weight = &self.loaded.weights[part.weight.0 as usize];
            for (x, y) in x.chunks(cols).zip(y.chunks_mut(weight.rows)) {
                let products = match part.form {
                    Form::Exact => exact(weight, x),
                    Form::Fast => fast(weight, x),
                };
                for (i, product) in products.into_iter().enumerate() {
                    let product = product + bias.as_ref().map_or(0.0, |bias| bias[i]);
                    let product = product * part.scale;
                    y[i] = if part.add { y[i] + product } else { product };
                }
            }
            self.write(part.y, y);
        }
    }

    fn rope(&mut self, op: &Rope) {
        let rotation = self.program.rotation(op.rotation);
        let (mut x, width, dim) = (self.read(op.x), self.width(op.x), op.head_dim as usize);
        let half = rotation.frequencies.len();
        let mut frequencies = vec![0.0; half];
        for (row, values) in self.step.rows.iter().zip(x.chunks_mut(width)) {
            rotation.frequencies(self.step.length(row), &mut frequencies);
            for head in values.chunks_mut(dim) {
                for (i, frequency) in frequencies.iter().enumerate() {
                    let (sin, cos) = (row.position[0] as f32 * frequency).sin_cos();
                    let (sin, cos) = (sin * rotation.magnitude, cos * rotation.magnitude);
                    let (a, b) =
                        if rotation.interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
                    (head[a], head[b]) =
                        (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
                }
            }
        }
        self.write(op.x, x);
    }

    fn kv_write(&mut self, op: &KvWrite) {
        let group = self.program.cache(op.cache).clone();
        let dim = group.head_dim as usize;
        for (plane, slot) in [Some(op.k), op.v].into_iter().flatten().enumerate() {
            let (x, width) = (self.read(slot), self.width(slot));
            for (row, values) in self.step.rows.iter().zip(x.chunks(width)) {
                let position = row.position[0] as usize;
                let sequence = &self.step.sequences[row.sequence as usize];
                let page = sequence.tables[op.cache.group as usize][position / PAGE];
                for (head, values) in values.chunks(dim).enumerate() {
                    let cell = self.cell(op.cache, page, plane, head, position);
                    let cells = &mut self.loaded.caches[op.cache.group as usize][cell..][..dim];
                    cells.copy_from_slice(values);
                    group.kind.round(cells);
                }
            }
        }
    }

    fn attend(&mut self, op: &Attend) {
        let group = self.program.cache(op.cache);
        let dim = group.head_dim as usize;
        let shared = (op.heads / group.kv_heads) as usize;
        let cache = &self.loaded.caches[op.cache.group as usize];
        let (q, width) = (self.read(op.q), self.width(op.q));
        let sinks = op.sinks.map(|sinks| self.vector(sinks));
        let mut y = self.read(op.y);
        let wide = self.width(op.y);
        for ((row, q), y) in self.step.rows.iter().zip(q.chunks(width)).zip(y.chunks_mut(wide)) {
            let sequence = &self.step.sequences[row.sequence as usize];
            let table = &sequence.tables[op.cache.group as usize];
            let visible = sequence.mask.visible(row.position[0], op.reach);
            let growth = op.temperature.map_or(1.0, |t| t.at(row.position[0]));
            let scale = f64::from(op.scale) * f64::from(growth);
            let heads = q.chunks(dim).zip(y.chunks_mut(wide / op.heads as usize));
            for (head, (q, y)) in heads.enumerate() {
                let at = |plane, position: usize| {
                    let page = table[position / PAGE];
                    &cache[self.cell(op.cache, page, plane, head / shared, position)..][..dim]
                };
                let score = |p| {
                    let score = scale * dot(q, at(0, p));
                    op.cap.map_or(score, |cap| soft_cap(score, cap))
                };
                let scores: Vec<f64> = visible.clone().map(score).collect();
                let sink = sinks.as_ref().map_or(f64::NEG_INFINITY, |s| f64::from(s[head]));
                let largest = scores.iter().copied().fold(sink, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
                let total: f64 = weights.iter().sum::<f64>() + (sink - largest).exp();
                let mut sums = vec![0.0f64; dim];
                for (position, weight) in visible.clone().zip(&weights) {
                    for (sum, v) in sums.iter_mut().zip(at(1, position)) {
                        *sum += weight / total * f64::from(*v);
                    }
                }
                y.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum as f32);
            }
        }
        self.write(op.y, y);
    }

    fn gated_act(&mut self, op: &GatedAct) {
        let (width, gate_width) = (self.width(op.y), self.width(op.gate));
        let gate = self.read(op.gate);
        let up = match op.up {
            Up::Slot(up, first) => Some((self.read(up), self.width(up), first as usize)),
            _ => None,
        };
        let value = |i: usize| {
            let (row, column) = (i / width, i % width);
            match (op.up, &up) {
                (Up::Neighbour, _) => gated(op.act, gate[2 * i], gate[2 * i + 1]),
                (_, Some((up, up_width, first))) => {
                    let column_of_gate = if gate_width == 1 { 0 } else { column };
                    let gate = gate[row * gate_width + column_of_gate];
                    gated(op.act, gate, up[row * up_width + first + column])
                }
                _ => act(op.act, gate[i]),
            }
        };
        let y = (0..self.read(op.y).len()).map(value).collect();
        self.write(op.y, y);
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
        let (x, width) = (self.read(op.x), self.width(op.x));
        let wanted = self.step.rows.iter().zip(x.chunks(width));
        let y = wanted.filter(|(row, _)| row.output != Output::None).flat_map(|(_, x)| x.to_vec());
        let y = y.collect();
        self.write(op.y, y);
    }

    fn argmax(&mut self, op: &Argmax) {
        let (logits, width) = (self.read(op.logits), self.width(op.logits));
        let wanted = self.step.rows.iter().filter(|row| row.output != Output::None);
        for (row, logits) in wanted.zip(logits.chunks(width)) {
            if let Output::Sampled(slot) = row.output {
                self.loaded.sampled[slot as usize] = argmax(logits);
            }
        }
    }
}

/// The index of the largest value, the first of equals; 0 if none is a number.
pub fn argmax(values: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, value) in values.iter().enumerate() {
        if *value > best.1 {
            best = (i, *value);
        }
    }
    best.0 as u32
}

/// `cap * tanh(x / cap)`.
fn soft_cap(x: f64, cap: f32) -> f64 {
    f64::from(cap) * (x / f64::from(cap)).tanh()
}

/// A gate's activation times what it gates.
pub fn gated(function: Act, gate: f32, up: f32) -> f32 {
    let up = match function {
        Act::ClampedSilu { limit, .. } => up.clamp(-limit, limit) + 1.0,
        _ => up,
    };
    act(function, gate) * up
}

/// An activation function, in f64.
pub fn act(act: Act, x: f32) -> f32 {
    let x = f64::from(x);
    let y = match act {
        Act::Silu => x / (1.0 + (-x).exp()),
        Act::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Act::RootSigmoid if x == 0.0 => 0.5,
        Act::RootSigmoid => 1.0 / (1.0 + (-x.abs().max(1e-6).sqrt().copysign(x)).exp()),
        Act::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Act::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Act::ClampedSilu { alpha, limit } => {
            let x = x.min(f64::from(limit));
            x / (1.0 + (-f64::from(alpha) * x).exp())
        }
    };
    y as f32
}

/// The error function by its Maclaurin series, and by its complement's continued fraction beyond.
pub fn erf(x: f64) -> f64 {
    let z = x.abs();
    let value = if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..80 {
            let n = f64::from(n);
            term *= -z * z / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let mut fraction = z;
        for n in (1..60).rev() {
            fraction = z + f64::from(n) / 2.0 / fraction;
        }
        1.0 - (-z * z).exp() / (fraction * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

fn exact(weight: &Tensor, x: &[f32]) -> Vec<f32> {
    let mut row = vec![0.0; weight.cols];
    let mut product = |r| {
        weight.decode_row(r, &mut row);
        dot(&row, x) as f32
    };
    (0..weight.rows).map(&mut product).collect()
}

fn fast(weight: &Tensor, x: &[f32]) -> Vec<f32> {
    let n = weight.kind.int_shape().map_or(numerics::BLOCK_MAX, |shape| shape.n);
    let (mut q, mut scales) = (vec![0; x.len()], vec![0.0; x.len().div_ceil(n)]);
    numerics::quantize_row(x, n, &mut q, &mut scales);
    let product = |r| numerics::fast_dot(weight.kind, weight.row(r), &q, &scales);
    (0..weight.rows).map(product).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
