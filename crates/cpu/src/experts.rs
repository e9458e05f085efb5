//! Products by expert: rows are grouped by the experts that they were routed to, so that each
//! expert's weights are read once for all of its rows, and those of idle experts not at all.
//!
//! Every thread groups for itself: sorting some thousand numbers is quicker than waiting for
//! another thread to do it. What a row computes does not depend on its group, because every path
//! of a product gives the same bits for any number of rows.

use crate::attend::exp_one;
use crate::linear::{self, Activations, Target};
use crate::rounded::Rounded;
use crate::rows;
use crate::run::Thread;
use crate::simd::Simd;
use ops::{Form, LinearAt, Op, Program, Route};

/// Inputs that are gathered and multiplied together.
pub const TILE: usize = 32;

/// A thread's own memory for routes and products by expert.
pub struct Mixture {
    scores: Vec<f32>,
    ranks: Vec<f32>,
    groups: Groups,
    gather: Gather,
}

/// Which choices fell on which expert.
struct Groups {
    /// Choices, numbered row * active + choice, expert after expert.
    order: Vec<u32>,
    /// Where each expert's choices start, and where the last one's end.
    starts: Vec<u32>,
    /// The experts that were chosen.
    used: Vec<u32>,
}

/// Inputs beside each other that belong to one expert.
struct Gather {
    x: Vec<f32>,
    q: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i16>,
    factors: [f32; TILE],
}

impl Mixture {
    /// Room for what `program` needs in steps of so many rows.
    pub fn new(program: &Program, rows: usize) -> Mixture {
        let (mut experts, mut active, mut cols) = (0, 0, 0);
        for op in program.ops() {
            if let Op::Route(op) = op {
                experts = experts.max(program.slot(op.logits).width);
            }
            if let Op::LinearAt(op) = op {
                experts = experts.max(op.experts as usize);
                active = active.max(program.slot(op.routes).width / 2);
                let wide = op.parts.iter().map(|part| program.weight(part.first).cols).max();
                cols = cols.max(wide.unwrap_or(0));
            }
        }
        let starts = vec![0; experts + 1];
        let groups =
            Groups { order: vec![0; rows * active], starts, used: Vec::with_capacity(experts) };
        let values = TILE * cols;
        let gather = Gather {
            x: vec![0.0; values],
            q: vec![0; values],
            scales: vec![0.0; values / 32],
            sums: vec![0; values / 16],
            factors: [0.0; TILE],
        };
        Mixture { scores: vec![0.0; experts], ranks: vec![0.0; experts], groups, gather }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let groups = self.groups.order.len() + 2 * self.groups.starts.len();
        4 * (2 * self.scores.len() + groups) + self.gather.x.len() * 21 / 4
    }
}

impl Groups {
    /// Sorts the choices of routes, (rows, 2 * active), by expert; those of one keep their order.
    fn sort(&mut self, routes: &[f32], active: usize, experts: usize) {
        let starts = &mut self.starts[..experts + 1];
        starts.fill(0);
        let rows = routes.chunks_exact(2 * active);
        for id in rows.clone().flat_map(|row| &row[..active]) {
            starts[*id as usize + 1] += 1;
        }
        self.used.clear();
        self.used.extend((0..experts as u32).filter(|e| starts[*e as usize + 1] > 0));
        for e in 0..experts {
            starts[e + 1] += starts[e];
        }
        for (choice, id) in rows.flat_map(|row| &row[..active]).enumerate() {
            let at = &mut starts[*id as usize];
            self.order[*at as usize] = choice as u32;
            *at += 1;
        }
        // Each start has moved to its group's end, which is the next one's start.
        starts.copy_within(..experts, 1);
        starts[0] = 0;
    }

    /// The choices of an expert.
    fn of(&self, expert: u32) -> &[u32] {
        let e = expert as usize;
        &self.order[self.starts[e] as usize..self.starts[e + 1] as usize]
    }
}

impl Gather {
    /// Copies inputs of rounded rows beside each other.
    fn rounded(&mut self, x: Rounded<'_>, inputs: impl Iterator<Item = usize>) -> Rounded<'_> {
        let (cols, blocks, sums) = (x.cols, x.cols / x.n, x.cols / 16);
        let mut count = 0;
        for (i, input) in inputs.enumerate() {
            let row = x.row(input);
            self.q[i * cols..][..cols].copy_from_slice(row.q);
            self.scales[i * blocks..][..blocks].copy_from_slice(row.scales);
            self.sums[i * sums..][..sums].copy_from_slice(row.sums);
            count = i + 1;
        }
        Rounded {
            cols,
            n: x.n,
            q: &self.q[..count * cols],
            scales: &self.scales[..count * blocks],
            sums: &self.sums[..count * sums],
        }
    }
}

impl<S: Simd> Thread<'_, S> {
    /// Chooses experts for the rows that this thread claims.
    pub fn choose_experts(&mut self, op: &Route) {
        let (s, work) = (self.s, self.work);
        let (count, experts) = (work.count(op.y), work.width(op.logits));
        let correction = op.correction.map(|weight| work.vector(weight));
        let factors = op.expert_scale.map(|weight| work.vector(weight));
        while let Some(row) = self.claim(0, count) {
            let logits = work.rows(op.logits, row..row + 1);
            let chosen = work.rows_mut(op.y, row..row + 1);
            let own = &mut self.own.mixture;
            let (scores, ranks) = (&mut own.scores[..experts], &mut own.ranks[..experts]);
            s.vectorize(
                #[inline(always)]
                || rows::scores(s, op.routing.score, logits, scores),
            );
            ranks.copy_from_slice(scores);
            if let Some(correction) = correction {
                ranks.iter_mut().zip(correction).for_each(|(rank, c)| *rank += c);
            }
            ops::routing::choose(&op.routing, scores, ranks, chosen, |x| exp_one(s, x));
            let (ids, weights) = chosen.split_at_mut(op.routing.active as usize);
            if let Some(factors) = factors {
                for (id, weight) in ids.iter().zip(weights) {
                    *weight *= factors[*id as usize];
                }
            }
        }
    }

    /// Multiplies rows with the matrices of their experts.
    pub fn multiply_by_expert(&mut self, op: &LinearAt) {
        let work = self.work;
        let Some(first) = op.parts.first() else { return };
        let cols = work.program.weight(first.first).cols;
        self.round(op.x, cols, op.parts.iter().map(|part| (part.first, part.form)));
        let (rows, active) = (work.count(op.routes), work.width(op.routes) / 2);
        let height = |part: &ops::ExpertPart| work.program.weight(part.first).rows;
        // As many experts as may have been chosen: how many were is known to those only who have
        // claimed a chunk. A thread that comes too late for one must not look at the routes, whose
        // place may hold something else by then.
        let most = (op.experts as usize).min(rows * active);
        let all = most * op.parts.iter().map(height).sum::<usize>();
        let size = linear::chunk_rows(all, work.threads);
        let chunks = |part: &ops::ExpertPart| height(part).div_ceil(size);
        let each: usize = op.parts.iter().map(chunks).sum();
        let mut sorted = false;
        while let Some(chunk) = self.claim(1, most * each) {
            if !std::mem::replace(&mut sorted, true) {
                let routes = work.rows(op.routes, 0..rows);
                self.own.mixture.groups.sort(routes, active, op.experts as usize);
            }
            let (group, mut chunk) = (chunk / each, chunk % each);
            let Some(&expert) = self.own.mixture.groups.used.get(group) else { continue };
            let Some(part) = op.parts.iter().find(|part| {
                let here = chunk < chunks(part);
                chunk -= if here { 0 } else { chunks(part) };
                here
            }) else {
                continue;
            };
            let range = chunk * size..height(part).min((chunk + 1) * size);
            self.multiply_group(op, part, expert, range, cols);
        }
    }

    /// Some weight rows of one expert with all inputs of its group.
    fn multiply_group(
        &mut self,
        op: &LinearAt,
        part: &ops::ExpertPart,
        expert: u32,
        range: std::ops::Range<usize>,
        cols: usize,
    ) {
        let (s, work, own) = (self.s, self.work, &mut *self.own);
        let (groups, gather) = (&own.mixture.groups, &mut own.mixture.gather);
        let weight = &work.weights[(part.first.0 + expert) as usize];
        let (active, each) = (work.width(op.routes) / 2, work.width(op.x) / cols);
        let (y, start) = work.slot(part.y);
        let height = weight.rows;
        let bias = part.bias.map(|bias| &work.vector(bias)[expert as usize * height..][..height]);
        // A row has one input for all choices, or one for each.
        let input = |choice: &u32| *choice as usize * each / active;
        let inputs = work.count(op.x) * each;
        for tile in groups.of(expert).chunks(TILE) {
            for (factor, choice) in gather.factors.iter_mut().zip(tile) {
                let (row, choice) = (*choice as usize / active, *choice as usize % active);
                let route = work.rows(op.routes, row..row + 1);
                *factor = if op.weighted { route[active + choice] } else { 1.0 };
            }
            let factors = gather.factors;
            let x = match part.form {
                Form::Exact => {
                    for (i, choice) in tile.iter().enumerate() {
                        let x = work.run(op.x, cols, input(choice));
                        gather.x[i * cols..][..cols].copy_from_slice(x);
                    }
                    Activations::Exact(&gather.x[..tile.len() * cols])
                }
                Form::Fast => {
                    let x = work.rounded(part.first, inputs, cols);
                    Activations::Fast(gather.rounded(x, tile.iter().map(input)))
                }
            };
            let runs = Some((tile, &factors[..tile.len()]));
            let (y, width) = (y.from(start), height);
            let target = Target { y, width, bias, add: false, scale: 1.0, runs };
            let (scratch, range) = (&mut own.scratch, range.clone());
            s.vectorize(
                #[inline(always)]
                || linear::chunk(s, weight, range, &x, tile.len(), scratch, &target),
            );
        }
    }
}
