//! Operations that treat each row alone: embedding, norms, rotation, activation, cache writes.

use crate::simd::{Simd, exp};
use ops::Act;

/// `y = x / sqrt(mean(x^2) + eps) * w` over runs of `w.len()` values, in place.
#[inline(always)]
pub fn rms_norm<S: Simd>(s: S, x: &[f32], w: &[f32], eps: f32, y: &mut [f32]) {
    for (x, y) in x.chunks_exact(w.len()).zip(y.chunks_exact_mut(w.len())) {
        let scale = s.splat(inverse_rms(s, x, eps));
        for ((x, w), y) in x.chunks(16).zip(w.chunks(16)).zip(y.chunks_mut(16)) {
            s.store_n(y, s.mul(s.mul(s.load_n(x), scale), s.load_n(w)));
        }
    }
}

/// The same with the output in the input's place.
#[inline(always)]
pub fn rms_norm_in_place<S: Simd>(s: S, x: &mut [f32], w: &[f32], eps: f32) {
    for x in x.chunks_exact_mut(w.len()) {
        let scale = s.splat(inverse_rms(s, x, eps));
        for (x, w) in x.chunks_mut(16).zip(w.chunks(16)) {
            let y = s.mul(s.mul(s.load_n(x), scale), s.load_n(w));
            s.store_n(x, y);
        }
    }
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
        let y = activate(s, act, s.load_n(gate));
        s.store_n(gate, s.mul(y, s.load_n(up)));
    }
}

/// `act(x)`
#[inline(always)]
pub fn activate<S: Simd>(s: S, act: Act, x: S::F) -> S::F {
    match act {
        Act::Silu => silu(s, x),
        Act::Sigmoid => sigmoid(s, x),
        Act::GeluTanh => gelu_tanh(s, x),
        Act::Gelu => {
            let mut lanes = [0.0; 16];
            s.store(&mut lanes, x);
            s.load(&lanes.map(|x| ops::reference::act(Act::Gelu, x)))
        }
    }
}

/// `1 / (1 + e^-x)`
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(s.splat(1.0), s.add(s.splat(1.0), exp(s, s.sub(s.splat(0.0), x))))
}

/// `x / (1 + e^-x)`
#[inline(always)]
fn silu<S: Simd>(s: S, x: S::F) -> S::F {
    let e = exp(s, s.sub(s.splat(0.0), x));
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
