//! Operations that keep a state along a sequence, row by row in f64.

use super::{Run, act, dot};
use crate::list::{Columns, DeltaNet, ShortConv};
use crate::program::StateRef;
use std::ops::Range;

impl Run<'_> {
    pub(super) fn copy_columns(&mut self, op: &Columns) {
        let (x, mut y) = (self.read(op.x), self.read(op.y));
        let rows = x.chunks(self.width(op.x)).zip(y.chunks_mut(self.program.slot(op.y).width));
        for (x, y) in rows {
            for i in 0..op.count {
                let run = |first: u32, step: u32| {
                    let first = (first + i * step) as usize;
                    first..first + op.take as usize
                };
                y[run(op.at, op.pitch)].copy_from_slice(&x[run(op.start, op.stride)]);
            }
        }
        self.write(op.y, y);
    }

    pub(super) fn convolve(&mut self, op: &ShortConv) {
        let (x, channels) = (self.read(op.x), self.width(op.x));
        let weight = self.vector(op.w);
        let kernel = weight.len() / channels;
        let (dilation, history) = (op.dilation as usize, op.state.width / channels);
        let mut y = vec![0.0; x.len()];
        for rows in self.step.runs() {
            // What came before, oldest first, and after it the rows.
            let mut inputs = self.state_before(&rows, op.state);
            for row in rows {
                inputs.extend_from_slice(&x[row * channels..][..channels]);
                let now = inputs.len() / channels - 1;
                for c in 0..channels {
                    let product = |j: usize| {
                        let at = now - (kernel - 1 - j) * dilation;
                        f64::from(weight[c * kernel + j]) * f64::from(inputs[at * channels + c])
                    };
                    let sum: f64 = (0..kernel).map(product).sum();
                    y[row * channels + c] = act(op.act, sum as f32);
                }
                let kept = inputs[(now + 1 - history) * channels..].to_vec();
                self.state_after(row, op.state, &kept);
            }
        }
        self.write(op.y, y);
    }

    pub(super) fn gated_delta(&mut self, op: &DeltaNet) {
        let (k_heads, v_heads) = (op.k_heads as usize, op.v_heads as usize);
        let (k_dim, v_dim) = (op.k_dim as usize, op.v_dim as usize);
        let (qkv, width) = (self.read(op.qkv), self.width(op.qkv));
        let (decay, beta) = (self.read(op.decay), self.read(op.beta));
        let (rate, bias) = (self.vector(op.rate), self.vector(op.bias));
        let mut y = self.read(op.y);
        for rows in self.step.runs() {
            let state = self.state_before(&rows, op.state);
            let mut state: Vec<f64> = state.into_iter().map(f64::from).collect();
            for row in rows {
                let qkv = &qkv[row * width..][..width];
                for head in 0..v_heads {
                    let shared = if op.tiled { head % k_heads } else { head * k_heads / v_heads };
                    let q = unit(&qkv[shared * k_dim..][..k_dim], op.eps);
                    let k = unit(&qkv[(k_heads + shared) * k_dim..][..k_dim], op.eps);
                    let v = &qkv[2 * k_heads * k_dim + head * v_dim..][..v_dim];
                    let at = row * v_heads + head;
                    let step = softplus(f64::from(decay[at]) + f64::from(bias[head]));
                    let forget = (f64::from(rate[head]) * step).exp();
                    let write = 1.0 / (1.0 + (-f64::from(beta[at])).exp());
                    let matrix = &mut state[head * k_dim * v_dim..][..k_dim * v_dim];
                    for j in 0..v_dim {
                        let seen: f64 = (0..k_dim).map(|i| matrix[i * v_dim + j] * k[i]).sum();
                        let change = write * (f64::from(v[j]) - forget * seen);
                        let mut sum = 0.0;
                        for i in 0..k_dim {
                            let cell = &mut matrix[i * v_dim + j];
                            *cell = forget * *cell + k[i] * change;
                            sum += *cell * q[i];
                        }
                        y[at * v_dim + j] = (sum / (k_dim as f64).sqrt()) as f32;
                    }
                }
                let kept: Vec<f32> = state.iter().map(|v| *v as f32).collect();
                self.state_after(row, op.state, &kept);
            }
        }
        self.write(op.y, y);
    }

    pub(super) fn state_before(&self, rows: &Range<usize>, state: StateRef) -> Vec<f32> {
        let row = &self.step.rows[rows.start];
        if row.position[0] == 0 {
            return vec![0.0; state.width];
        }
        let slot = self.step.sequences[row.sequence as usize].states.read as usize;
        self.loaded.states[slot][state.offset..][..state.width].to_vec()
    }

    pub(super) fn state_after(&mut self, row: usize, state: StateRef, values: &[f32]) {
        let row = &self.step.rows[row];
        let writes = self.step.sequences[row.sequence as usize].states.writes;
        for write in writes.iter().filter(|write| write.after == row.position[0] + 1) {
            let kept = &mut self.loaded.states[write.slot as usize];
            kept[state.offset..][..state.width].copy_from_slice(values);
        }
    }
}

fn unit(x: &[f32], eps: f32) -> Vec<f64> {
    let scale = 1.0 / (dot(x, x) + f64::from(eps)).sqrt();
    x.iter().map(|v| f64::from(*v) * scale).collect()
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
