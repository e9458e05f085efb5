//! Products by head, as attention over a latent needs them.

use super::{Run, dot};
use crate::list::HeadLinear;

impl Run<'_> {
    pub(super) fn by_head(&mut self, op: &HeadLinear) {
        let (x, cols) = (self.read(op.x), self.width(op.x));
        let (mut y, width) = (self.read(op.y), self.width(op.y));
        let own = cols / op.heads as usize;
        let mut row = vec![0.0; self.program.weight(op.w).cols];
        for head in 0..op.heads {
            let first = (op.first + head * op.stride) as usize;
            let at = (head * op.pitch) as usize;
            for (x, y) in x.chunks(cols).zip(y.chunks_mut(width)) {
                let x = &x[head as usize * own..][..own];
                let mut sums = vec![0.0f64; row.len()];
                for i in 0..op.take as usize {
                    self.loaded.weights[op.w.0 as usize].decode_row(first + i, &mut row);
                    if op.transposed {
                        let each = sums.iter_mut().zip(&row);
                        each.for_each(|(sum, w)| *sum += f64::from(*w) * f64::from(x[i]));
                    } else {
                        y[at + i] = dot(&row, x) as f32;
                    }
                }
                if op.transposed {
                    y[at..][..row.len()].iter_mut().zip(sums).for_each(|(y, sum)| *y = sum as f32);
                }
            }
        }
        self.write(op.y, y);
    }
}
