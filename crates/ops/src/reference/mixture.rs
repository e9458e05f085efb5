//! Mixtures of experts: choosing them, products with their weights, sums of what they give.

use super::{Run, act, exact, fast};
use crate::list::{Combine, LinearAt, Route};
use crate::program::{Act, Form, Score};

impl Run<'_> {
    pub(super) fn choose_experts(&mut self, op: &Route) {
        let (experts, width) = (self.width(op.logits), self.width(op.y));
        let correction = op.correction.map(|c| self.vector(c));
        let factors = op.expert_scale.map(|f| self.vector(f));
        let (logits, mut y) = (self.read(op.logits), self.read(op.y));
        for (logits, y) in logits.chunks(experts).zip(y.chunks_mut(width)) {
            let scores = scores(op.routing.score, logits);
            let mut ranks = scores.clone();
            if let Some(correction) = &correction {
                ranks.iter_mut().zip(correction).for_each(|(rank, c)| *rank += c);
            }
            crate::routing::choose(&op.routing, &scores, &mut ranks, y, f32::exp);
            let (ids, weights) = y.split_at_mut(width / 2);
            for (id, weight) in ids.iter().zip(weights) {
                *weight *= factors.as_ref().map_or(1.0, |factors| factors[*id as usize]);
            }
        }
        self.write(op.y, y);
    }

    pub(super) fn multiply_by_expert(&mut self, op: &LinearAt) {
        let (routes, active) = (self.read(op.routes), self.width(op.routes) / 2);
        let (x, width) = (self.read(op.x), self.width(op.x));
        for part in &op.parts {
            let info = self.program.weight(part.first);
            let (rows, cols) = (info.rows, info.cols);
            let bias = part.bias.map(|bias| self.vector(bias));
            let mut y = self.read(part.y);
            for (i, y) in y.chunks_mut(rows).enumerate() {
                let (row, choice) = (i / active, i % active);
                let route = &routes[row * 2 * active..][..2 * active];
                let (expert, factor) = (route[choice] as usize, route[active + choice]);
                let weight = &self.loaded.weights[part.first.0 as usize + expert];
                // The row's one input, or the choice's own.
                let x = &x[row * width + if width == cols { 0 } else { choice * cols }..][..cols];
                let products = match part.form {
                    Form::Exact => exact(weight, x),
                    Form::Fast => fast(weight, x),
                };
                for (r, (y, product)) in y.iter_mut().zip(products).enumerate() {
                    let product = product + bias.as_ref().map_or(0.0, |b| b[expert * rows + r]);
                    *y = if op.weighted { product * factor } else { product };
                }
            }
            self.write(part.y, y);
        }
    }

    pub(super) fn add_runs(&mut self, op: &Combine) {
        let (x, width, dim) = (self.read(op.x), self.width(op.x), self.width(op.y));
        let sum = |x: &[f32]| -> Vec<f32> {
            (0..dim).map(|i| x.chunks(dim).map(|run| run[i]).sum::<f32>() * op.scale).collect()
        };
        self.put(op.y, x.chunks(width).flat_map(sum).collect(), op.add);
    }
}

/// What a router's logits become.
fn scores(score: Score, logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = || logits.iter().map(|l| f64::from(l - largest).exp());
    match score {
        Score::Softmax => {
            let total: f64 = powers().sum();
            powers().map(|power| (power / total) as f32).collect()
        }
        Score::SoftmaxChosen => logits.to_vec(),
        Score::Sigmoid => logits.iter().map(|logit| act(Act::Sigmoid, *logit)).collect(),
    }
}
