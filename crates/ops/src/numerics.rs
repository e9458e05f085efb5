//! What the fast form of a linear operation computes, to the bit.
//!
//! Activations are rounded to int8 in blocks of 32 or 256 values, as the weight's format says
//! ([`blocks::IntShape::n`]). Weights are read as integers with integer scales. Products and their
//! sums within a block are exact integers, so that a backend may order them as it likes; then one
//! f32 fused multiply-add per block, in the order of the blocks, and one more where the format
//! has minima. A result therefore has the same bits on every path and every processor.

use blocks::{Ints, Kind, Row};

/// The largest block of activations.
pub const BLOCK_MAX: usize = 256;

/// Rounds a block of activations to int8 and returns its scale: `x ~ scale * q`.
///
/// The scale is the largest magnitude over 127; halves round to even. A block that is not finite
/// keeps that in its scale, so that the result is not finite either.
pub fn quantize_block(x: &[f32], q: &mut [i8]) -> f32 {
    let largest = x.iter().fold(0.0f32, |m, v| if v.abs() > m || v.is_nan() { v.abs() } else { m });
    if largest == 0.0 || !largest.is_finite() {
        q.fill(0);
        return largest;
    }
    let inverse = 127.0 / largest;
    for (q, x) in q.iter_mut().zip(x) {
        *q = (x * inverse).round_ties_even() as i8;
    }
    largest / 127.0
}

/// Rounds a row of activations in blocks of `n`; `scales` holds one value per block.
pub fn quantize_row(x: &[f32], n: usize, q: &mut [i8], scales: &mut [f32]) {
    for ((x, q), scale) in x.chunks(n).zip(q.chunks_mut(n)).zip(scales) {
        *scale = quantize_block(x, q);
    }
}

/// The fast form's product of a weight row and a rounded activation row.
///
/// # Panics
/// When `kind` has no integer form; the plan never chooses the fast form for such a weight.
pub fn fast_dot(kind: Kind, row: Row<'_>, q: &[i8], scales: &[f32]) -> f32 {
    let shape = kind.int_shape().expect("the fast form needs a format with an integer form");
    let mut ints = Ints::ZERO;
    let mut acc = 0.0f32;
    for (block, (x, &dx)) in q.chunks(shape.n).zip(scales).enumerate() {
        kind.ints(row, block, &mut ints);
        let (mut products, mut minima) = (0i32, 0i32);
        for (sub, xs) in x.chunks(shape.sub).enumerate() {
            let weights = &ints.q[sub * shape.sub..];
            let dot: i32 = xs
                .iter()
                .zip(weights)
                .map(|(x, w)| i32::from(*x) * (i32::from(*w) - shape.off))
                .sum();
            products += if shape.scales { i32::from(ints.scale[sub]) * dot } else { dot };
            minima += i32::from(ints.min[sub]) * xs.iter().map(|x| i32::from(*x)).sum::<i32>();
        }
        acc = (ints.d * dx).mul_add(products as f32, acc);
        if shape.mins {
            acc = (-(ints.dmin * dx)).mul_add(minima as f32, acc);
        }
    }
    acc
}
