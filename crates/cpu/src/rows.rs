//! Operations that treat each row alone: embedding, norms, rotation, activation, cache writes.

use crate::simd::{Simd, exp};
use ops::{Act, Score};

/// How a norm's gains lie: one for each value of a run, the same for all runs or not.
#[derive(Clone, Copy)]
pub struct Gains<'a> {
    /// The gains, (dim) or (n * dim); all one when `None`.
    pub w: Option<&'a [f32]>,
    /// Values in a run.
    pub dim: usize,
    /// Added to the mean square or the variance.
    pub eps: f32,
}

impl<'a> Gains<'a> {
    /// The gains of a run.
    #[inline(always)]
    fn of(&self, run: usize) -> Option<&'a [f32]> {
        self.w.map(|w| &w[run * self.dim % w.len()..][..self.dim])
    }
}

/// `y (+)= x / sqrt(mean(x^2) + eps) * w` over runs of values.
#[inline(always)]
pub fn rms_norm<S: Simd>(s: S, x: &[f32], gains: Gains<'_>, y: &mut [f32], add: bool) {
    for (i, (x, y)) in x.chunks_exact(gains.dim).zip(y.chunks_exact_mut(gains.dim)).enumerate() {
        let (scale, w) = (s.splat(inverse_rms(s, x, gains.eps)), gains.of(i));
        for (k, (x, y)) in x.chunks(16).zip(y.chunks_mut(16)).enumerate() {
            let normed = gained(s, s.mul(s.load_n(x), scale), w, k);
            let old = s.load_n(y);
            s.store_n(y, if add { s.add(old, normed) } else { normed });
        }
    }
}

/// The same with the output in the input's place.
#[inline(always)]
pub fn rms_norm_in_place<S: Simd>(s: S, x: &mut [f32], gains: Gains<'_>) {
    for (i, x) in x.chunks_exact_mut(gains.dim).enumerate() {
        let (scale, w) = (s.splat(inverse_rms(s, x, gains.eps)), gains.of(i));
        for (k, x) in x.chunks_mut(16).enumerate() {
            let y = gained(s, s.mul(s.load_n(x), scale), w, k);
            s.store_n(x, y);
        }
    }
}

/// `y = (x - mean(x)) / sqrt(variance(x) + eps) * w + bias` over runs of values, in place.
#[inline(always)]
pub fn layer_norm<S: Simd>(s: S, x: &mut [f32], gains: Gains<'_>, bias: Option<&[f32]>) {
    let biases = Gains { w: bias, ..gains };
    for (i, x) in x.chunks_exact_mut(gains.dim).enumerate() {
        let mut sum = s.splat(0.0);
        for x in x.chunks(16) {
            sum = s.add(sum, s.load_n(x));
        }
        let mean = s.sum(sum) / gains.dim as f32;
        x.iter_mut().for_each(|x| *x -= mean);
        let (scale, w, bias) = (s.splat(inverse_rms(s, x, gains.eps)), gains.of(i), biases.of(i));
        for (k, x) in x.chunks_mut(16).enumerate() {
            let y = gained(s, s.mul(s.load_n(x), scale), w, k);
            let y = bias.map_or(y, |bias| s.add(y, s.load_n(part(bias, k))));
            s.store_n(x, y);
        }
    }
}

/// Sixteen values, number `k` of their run, times their gains.
#[inline(always)]
fn gained<S: Simd>(s: S, x: S::F, w: Option<&[f32]>, k: usize) -> S::F {
    w.map_or(x, |w| s.mul(x, s.load_n(part(w, k))))
}

/// Values `16 * k ..` of a run, up to sixteen.
#[inline(always)]
fn part(run: &[f32], k: usize) -> &[f32] {
    &run[16 * k..run.len().min(16 * k + 16)]
}

#[inline(always)]
fn inverse_rms<S: Simd>(s: S, x: &[f32], eps: f32) -> f32 {
    let mut squares = s.splat(0.0);
    for x in x.chunks(16) {
        let x = s.load_n(x);
        squares = s.fma(x, x, squares);
    }
    1.0 / (s.sum(squares) / x.len() as f32 + eps).sqrt()
}

/// `a . b`
#[inline(always)]
pub fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let mut sum = s.splat(0.0);
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        sum = s.fma(s.load_n(a), s.load_n(b), sum);
    }
    s.sum(sum)
}

/// `x * factor`, in place.
#[inline(always)]
pub fn scale<S: Simd>(s: S, x: &mut [f32], factor: f32) {
    for x in x.chunks_mut(16) {
        let y = s.mul(s.load_n(x), s.splat(factor));
        s.store_n(x, y);
    }
}

/// `cap * tanh(x / cap)`, in place.
#[inline(always)]
pub fn soft_cap<S: Simd>(s: S, x: &mut [f32], cap: f32) {
    for x in x.chunks_mut(16) {
        // tanh(z) = 1 - 2 / (1 + e^2z)
        let e = exp(s, s.mul(s.load_n(x), s.splat(2.0 / cap)));
        let tanh = s.sub(s.splat(1.0), s.div(s.splat(2.0), s.add(s.splat(1.0), e)));
        s.store_n(x, s.mul(tanh, s.splat(cap)));
    }
}

/// `y (+)= scale * (x[0] + x[1] + ...)` over runs as wide as `y`.
#[inline(always)]
pub fn combine<S: Simd>(s: S, x: &[f32], y: &mut [f32], scale: f32, add: bool) {
    let width = y.len();
    for (k, y) in y.chunks_mut(16).enumerate() {
        let mut sum = s.splat(0.0);
        for run in x.chunks_exact(width) {
            sum = s.add(sum, s.load_n(part(run, k)));
        }
        let (sum, old) = (s.mul(sum, s.splat(scale)), s.load_n(y));
        s.store_n(y, if add { s.add(old, sum) } else { sum });
    }
}

/// What the logits of a row become: their softmax, or the sigmoid of each.
#[inline(always)]
pub fn scores<S: Simd>(s: S, score: Score, logits: &[f32], y: &mut [f32]) {
    y.copy_from_slice(logits);
    match score {
        Score::SoftmaxChosen => {}
        Score::Sigmoid => activate(s, Act::Sigmoid, y),
        Score::Softmax => {
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut total = s.splat(0.0);
            for y in y.chunks_mut(16) {
                let power = exp(s, s.sub(s.load_n(y), s.splat(largest)));
                s.store_n(y, power);
                total = s.add(total, s.load_n(y));
            }
            scale(s, y, 1.0 / s.sum(total));
        }
    }
}

/// Rotates the heads of one row: `cos` and `sin` hold one value per pair.
#[inline(always)]
pub fn rope(x: &mut [f32], head_dim: usize, interleaved: bool, cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    for head in x.chunks_exact_mut(head_dim) {
        if interleaved {
            for ((pair, cos), sin) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
                let [a, b] = *pair;
                *pair = [a * cos - b * sin, a * sin + b * cos];
            }
        } else {
            let (low, high) = head.split_at_mut(half);
            for (((a, b), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
            }
        }
    }
}

/// `y = act(gate) * up`, where `y` is `gate`.
#[inline(always)]
pub fn gated_act<S: Simd>(s: S, act: Act, gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.chunks_mut(16).zip(up.chunks(16)) {
        let y = s.mul(apply(s, act, s.load_n(gate)), gated(s, act, s.load_n(up)));
        s.store_n(gate, y);
    }
}

/// The same where gate and up stand in turn in `pairs`.
#[inline(always)]
pub fn gated_pairs<S: Simd>(s: S, act: Act, pairs: &[f32], y: &mut [f32]) {
    for (pairs, y) in pairs.chunks(32).zip(y.chunks_mut(16)) {
        let (mut gate, mut up) = ([0.0; 16], [0.0; 16]);
        for ((pair, gate), up) in pairs.as_chunks::<2>().0.iter().zip(&mut gate).zip(&mut up) {
            [*gate, *up] = *pair;
        }
        let value = s.mul(apply(s, act, s.load(&gate)), gated(s, act, s.load(&up)));
        s.store_n(y, value);
    }
}

/// `x = act(x)`, in place.
#[inline(always)]
pub fn activate<S: Simd>(s: S, act: Act, x: &mut [f32]) {
    for x in x.chunks_mut(16) {
        let y = apply(s, act, s.load_n(x));
        s.store_n(x, y);
    }
}

/// `act(x)`
#[inline(always)]
pub fn apply<S: Simd>(s: S, act: Act, x: S::F) -> S::F {
    match act {
        Act::Silu => silu(s, x, 1.0),
        Act::GeluTanh => gelu_tanh(s, x),
        Act::Gelu | Act::RootSigmoid => {
            let mut lanes = [0.0; 16];
            s.store(&mut lanes, x);
            for lane in &mut lanes {
                *lane = ops::reference::act(act, *lane);
            }
            s.load(&lanes)
        }
        Act::Sigmoid => {
            let e = exp(s, s.sub(s.splat(0.0), x));
            s.div(s.splat(1.0), s.add(s.splat(1.0), e))
        }
        Act::ClampedSilu { alpha, limit } => silu(s, s.min(s.splat(limit), x), alpha),
    }
}

/// What an activation makes of the values that it gates.
#[inline(always)]
fn gated<S: Simd>(s: S, act: Act, up: S::F) -> S::F {
    match act {
        Act::ClampedSilu { limit, .. } => {
            let low = s.max(s.splat(-limit), up);
            s.add(s.min(s.splat(limit), low), s.splat(1.0))
        }
        _ => up,
    }
}

/// `x / (1 + e^(-steepness * x))`
#[inline(always)]
fn silu<S: Simd>(s: S, x: S::F, steepness: f32) -> S::F {
    let e = exp(s, s.mul(x, s.splat(-steepness)));
    s.div(x, s.add(s.splat(1.0), e))
}

/// `x / (1 + e^-2z)` with `z = sqrt(2 / pi) * (x + 0.044715 x^3)`, which is GELU with tanh.
#[inline(always)]
fn gelu_tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let cube = s.mul(s.mul(x, x), x);
    let inner = s.fma(cube, s.splat(0.044_715), x);
    let e = exp(s, s.mul(inner, s.splat(-1.595_769)));
    s.div(x, s.add(s.splat(1.0), e))
}

#[cfg(test)]
mod tests;
