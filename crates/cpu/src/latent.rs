//! Products by head: each head has rows of a weight of its own, or their columns.
//!
//! A weight row is decoded once for all rows of the step. Sums run in one order for every row, so
//! that its bits do not depend on the others.

use crate::run::Thread;
use crate::simd::Simd;
use ops::{HeadLinear, Op, Program};

/// The longest weight row of a product by head.
pub fn longest(program: &Program) -> usize {
    let cols = program.ops().filter_map(|op| match op {
        Op::HeadLinear(op) => Some(program.weight(op.w).cols),
        _ => None,
    });
    cols.max().unwrap_or(0)
}

impl<S: Simd> Thread<'_, S> {
    /// Multiplies head by head.
    pub fn by_head(&mut self, op: &HeadLinear) {
        let (work, s) = (self.work, self.s);
        while let Some(head) = self.claim(0, op.heads as usize) {
            let row = &mut self.own.weight_row;
            s.vectorize(
                #[inline(always)]
                || one_head(s, work, op, head, row),
            );
        }
    }
}

#[inline(always)]
fn one_head<S: Simd>(
    s: S,
    work: &crate::work::Work<'_>,
    op: &HeadLinear,
    head: usize,
    weights: &mut [f32],
) {
    let weight = work.weight(op.w);
    let weights = &mut weights[..weight.cols];
    let own = work.width(op.x) / op.heads as usize;
    let first = op.first as usize + head * op.stride as usize;
    let at = head * op.pitch as usize;
    for i in 0..op.take as usize {
        weight.decode_row(first + i, weights);
        for row in 0..work.count(op.x) {
            let x = &work.rows(op.x, row..row + 1)[head * own..][..own];
            if op.transposed {
                let y = work.columns_mut(op.y, row, at..at + weights.len());
                if i == 0 {
                    y.fill(0.0);
                }
                let x = s.splat(x[i]);
                for (y, w) in y.chunks_mut(16).zip(weights.chunks(16)) {
                    s.store_n(y, s.fma(s.load_n(w), x, s.load_n(y)));
                }
            } else {
                let mut sum = s.splat(0.0);
                for (x, w) in x.chunks(16).zip(weights.chunks(16)) {
                    sum = s.fma(s.load_n(w), s.load_n(x), sum);
                }
                work.columns_mut(op.y, row, at + i..at + i + 1)[0] = s.sum(sum);
            }
        }
    }
}
