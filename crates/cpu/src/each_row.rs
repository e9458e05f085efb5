//! Operations on each row alone: norms, factors, bounds, sums of runs, gates.

use crate::rows::{self, Gains};
use crate::run::Thread;
use crate::simd::Simd;
use crate::work::Work;
use ops::{Combine, Dot, GatedAct, LayerNorm, RmsNorm, Scale, Slot, SoftCap, Up};
use std::ops::Range;

impl<S: Simd> Thread<'_, S> {
    /// Divides runs of each row by their root mean square.
    pub fn divide_by_rms(&mut self, op: &RmsNorm) {
        let (s, in_place) = (self.s, op.x == op.y);
        let w = op.w.map(|w| self.work.vector(w));
        let gains = Gains { w, dim: op.dim as usize, eps: op.eps };
        let count = self.work.count(op.x);
        while let Some(row) = self.claim(0, count) {
            let y = self.work.rows_mut(op.y, row..row + 1);
            if in_place {
                s.vectorize(
                    #[inline(always)]
                    || rows::rms_norm_in_place(s, y, gains),
                );
            } else {
                let x = self.work.rows(op.x, row..row + 1);
                s.vectorize(
                    #[inline(always)]
                    || rows::rms_norm(s, x, gains, y, op.add),
                );
            }
        }
    }

    /// Gives runs of each row a mean of zero and a variance of one.
    pub fn normalize(&mut self, op: &LayerNorm) {
        let s = self.s;
        let gains = Gains { w: Some(self.work.vector(op.w)), dim: op.dim as usize, eps: op.eps };
        let bias = op.bias.map(|bias| self.work.vector(bias));
        self.each_row(op.y, |work, row, y| {
            if op.x != op.y {
                y.copy_from_slice(work.rows(op.x, row..row + 1));
            }
            s.vectorize(
                #[inline(always)]
                || rows::layer_norm(s, y, gains, bias),
            );
        });
    }

    /// Multiplies the rows of two slots with each other.
    pub fn multiply_rows(&mut self, op: &Dot) {
        let s = self.s;
        self.each_row(op.y, |work, row, y| {
            let (a, b) = (work.rows(op.a, row..row + 1), work.rows(op.b, row..row + 1));
            s.vectorize(
                #[inline(always)]
                || y[0] = op.scale * rows::dot(s, a, b),
            );
        });
    }

    /// Multiplies rows by one number.
    pub fn multiply(&mut self, op: &Scale) {
        let (s, factor) = (self.s, self.work.vector(op.w)[0]);
        self.each_row(op.x, |_, _, x| {
            s.vectorize(
                #[inline(always)]
                || rows::scale(s, x, factor),
            );
        });
    }

    /// Brings rows within a bound.
    pub fn bound(&mut self, op: &SoftCap) {
        let s = self.s;
        self.each_row(op.x, |_, _, x| {
            s.vectorize(
                #[inline(always)]
                || rows::soft_cap(s, x, op.cap),
            );
        });
    }

    /// Adds the runs of each row.
    pub fn add_runs(&mut self, op: &Combine) {
        let s = self.s;
        self.each_row(op.y, |work, row, y| {
            let x = work.rows(op.x, row..row + 1);
            s.vectorize(
                #[inline(always)]
                || rows::combine(s, x, y, op.scale, op.add),
            );
        });
    }

    /// Works on each row of a slot that this thread claims.
    fn each_row(&mut self, y: Slot, mut work: impl FnMut(&Work<'_>, usize, &mut [f32])) {
        let count = self.work.count(y);
        while let Some(row) = self.claim(0, count) {
            work(self.work, row, self.work.rows_mut(y, row..row + 1));
        }
    }

    /// Some columns of a row of a gate's output.
    pub fn gate(
        &self,
        op: &GatedAct,
        row: usize,
        columns: Range<usize>,
        gate_width: usize,
        y: &mut [f32],
    ) {
        let (s, work) = (self.s, self.work);
        let gate = |columns: Range<usize>| &work.rows(op.gate, row..row + 1)[columns];
        let up = |slot, first: u32| {
            let first = first as usize;
            &work.rows(slot, row..row + 1)[first + columns.start..first + columns.end]
        };
        match op.up {
            Up::Neighbour => {
                let pairs = gate(2 * columns.start..2 * columns.end);
                s.vectorize(
                    #[inline(always)]
                    || rows::gated_pairs(s, op.act, pairs, y),
                );
            }
            // One gate for the whole row, which may be gated in its place.
            Up::Slot(slot, first) if gate_width == 1 => {
                let mut one = [gate(0..1)[0]];
                if op.y != slot {
                    y.copy_from_slice(up(slot, first));
                }
                s.vectorize(
                    #[inline(always)]
                    || {
                        rows::activate(s, op.act, &mut one);
                        rows::scale(s, y, one[0]);
                    },
                );
            }
            Up::None | Up::Slot(..) => {
                if op.y != op.gate {
                    y.copy_from_slice(gate(columns.clone()));
                }
                let up = match op.up {
                    Up::Slot(slot, first) => Some(up(slot, first)),
                    _ => None,
                };
                s.vectorize(
                    #[inline(always)]
                    || match up {
                        Some(up) => rows::gated_act(s, op.act, y, up),
                        None => rows::activate(s, op.act, y),
                    },
                );
            }
        }
    }
}
