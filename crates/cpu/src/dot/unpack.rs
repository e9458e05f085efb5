//! The integers of sixteen weight rows, row by row: what panels are made of.

use super::pairs::Pairs;
use super::{affine4, blocks, codes, eights, fetch, fives, halves, runs};
use super::{eights::Eights as _, runs::Runs as _};
use super::{iq4_xs, q2_k, q3_k, q4_0, q4_1, q4_k, q5_k, q6_k, q8_0};
use crate::simd::Simd;
use blocks::{IntShape, Ints, Kind, Tensor, View};
use std::array::from_fn;

/// Sixteen rows of a weight.
pub struct Source<'a> {
    kind: Kind,
    shape: IntShape,
    view: View<'a>,
    /// Blocks of a row.
    count: usize,
    /// Bytes that are unpacked of a row at once.
    bytes: usize,
    rows: [usize; 16],
}

impl<'a> Source<'a> {
    /// Rows of `count` blocks from `first` on; those beyond the last repeat it.
    pub fn new(weight: &'a Tensor, shape: IntShape, first: usize, count: usize) -> Self {
        let rows = from_fn(|r| (first + r).min(weight.rows - 1));
        let view = weight.view();
        let bytes = view.row(rows[0]).data.len() / count * if shape.n == 32 { 2 } else { 1 };
        Source { kind: weight.kind, shape, view, count, bytes, rows }
    }
}

/// A block of 256 columns of sixteen rows, or two of 32.
#[repr(C, align(64))]
pub struct Unpacked {
    /// Weights, (column / 64, row, column % 64), less 128 where bytes must be signed.
    pub q: [[[u8; 64]; 16]; 4],
    /// Scales of the block's runs, (row, run).
    pub scale: [[i16; 16]; 16],
    /// Their minima.
    pub min: [[i16; 16]; 16],
    /// Scales of scales, (block, row).
    pub d: [[f32; 16]; 2],
    /// Scales of minima, (block, row).
    pub dmin: [[f32; 16]; 2],
    ints: Ints,
}

impl Unpacked {
    /// Nothing yet.
    pub const EMPTY: Unpacked = Unpacked {
        q: [[[0; 64]; 16]; 4],
        scale: [[1; 16]; 16],
        min: [[0; 16]; 16],
        d: [[0.0; 16]; 2],
        dmin: [[0.0; 16]; 2],
        ints: Ints::ZERO,
    };

    /// Unpacks block `block`, and of short ones the next too.
    #[inline(never)]
    pub fn fill<S: Simd>(&mut self, s: S, from: &Source<'_>, block: usize) {
        s.vectorize(
            #[inline(always)]
            || self.fill_here(s, from, block),
        );
    }

    #[inline(always)]
    fn fill_here<S: Simd>(&mut self, s: S, from: &Source<'_>, block: usize) {
        let Source { kind, shape, view, count, .. } = *from;
        for row in from.rows {
            // What comes after these rows; several rows at once are no pattern that a processor
            // foresees.
            let part = block * shape.n / shape.n.max(64);
            fetch(s, view.blocks(row + 16..row + 17), part, from.bytes);
        }
        for four in 0..4 {
            let rows = four!(r => from.rows[4 * four + r]);
            macro_rules! pairs {
                ($max:literal, $format:expr) => {
                    self.pair(s, $format(blocks(view, rows, count)), four, block, count)
                };
            }
            macro_rules! long {
                ($unpack:expr, $format:ty, $bytes:literal) => {{
                    let rows = blocks::<$bytes>(view, rows, count);
                    for r in 0..4 {
                        let ([a, b, c, d], at) = (&mut self.q, 4 * four + r);
                        let q = [&mut a[at], &mut b[at], &mut c[at], &mut d[at]];
                        [self.scale[at], self.min[at]] = $unpack(s, &rows[r][block], q, shape.sub);
                    }
                    put(s, halves(s, &rows, block, <$format>::D), &mut self.d[0], four);
                    if let Some(at) = <$format>::DMIN {
                        put(s, halves(s, &rows, block, at), &mut self.dmin[0], four);
                    }
                }};
            }
            macro_rules! eights {
                ($format:ty, $bytes:literal) => {
                    long!(eights::unpack::<S, $format, $bytes>, $format, $bytes)
                };
            }
            macro_rules! runs {
                ($format:ty, $bytes:literal) => {
                    long!(runs::unpack::<S, $format, $bytes>, $format, $bytes)
                };
            }
            macro_rules! affine4 {
                ($affine:ident) => {{
                    let rows = affine4::Affine4::new($affine, four!(r => view.row(rows[r])), count);
                    self.pair(s, rows, four, block, count)
                }};
            }
            macro_rules! other {
                ($($format:tt)*) => {
                    self.any::<S>(from, four, block)
                };
            }
            by_format!(kind, pairs, eights, runs, other, affine4, other);
        }
    }

    #[inline(always)]
    fn pair<S: Simd, P: Pairs>(&mut self, s: S, rows: P, four: usize, block: usize, count: usize) {
        // A last block without another is paired with itself.
        let next = (block + 1).min(count - 1);
        for r in 0..4 {
            P::ORDER.store(s, rows.weights(s, r, block, next), &mut self.q[0][4 * four + r]);
        }
        for (i, d) in rows.scales(s, block, next).into_iter().enumerate() {
            put(s, d, &mut self.d[i], four);
        }
        for (i, bias) in rows.biases(s, block, next).into_iter().flatten().enumerate() {
            put(s, s.q_scale(bias, -1.0), &mut self.dmin[i], four);
        }
    }

    /// Any format with an integer form.
    fn any<S: Simd>(&mut self, from: &Source<'_>, four: usize, block: usize) {
        let Source { kind, shape, count, .. } = *from;
        let flip = if shape.max > 127 && !S::FULL_U8 { 0x80 } else { 0 };
        for r in 4 * four..4 * four + 4 {
            let (row, ints) = (from.view.row(from.rows[r]), &mut self.ints);
            for i in 0..if shape.n == 32 { 2.min(count - block) } else { 1 } {
                kind.ints(row, block + i, ints);
                for (c, q) in ints.q[..shape.n].chunks(32).enumerate() {
                    let at = 32 * (i + c);
                    for (to, q) in self.q[at / 64][r][at % 64..].iter_mut().zip(q) {
                        *to = q ^ flip;
                    }
                }
                (self.d[i][r], self.dmin[i][r]) = (ints.d, ints.dmin);
            }
            let each = |numbers: &[i16; 16]| {
                if shape.sub > 32 { [numbers[0]; 16] } else { *numbers }
            };
            (self.scale[r], self.min[r]) = (each(&ints.scale), each(&ints.min));
        }
    }
}

/// Puts the numbers of four rows among those of sixteen.
#[inline(always)]
fn put<S: Simd>(s: S, x: S::Q, to: &mut [f32; 16], four: usize) {
    to[4 * four..][..4].copy_from_slice(&s.q_store(x));
}
