//! The integers of sixteen weight rows, of all rows side by side: what panels are made of.

use super::pairs::Pairs;
use super::runs::Runs as _;
use super::{affine4, blocks, codes, eights, fetch, fives, halves, runs};
use super::{iq4_xs, q2_k, q3_k, q4_0, q4_1, q4_k, q5_k, q6_k, q8_0};
use crate::simd::{Octet, Simd};
use blocks::{IntShape, Ints, Kind, Tensor, View};
use std::array::from_fn;

/// How the integers of a format go into the dot product.
#[derive(Clone, Copy)]
pub struct Form {
    /// What the format's integers are like.
    pub shape: IntShape,
    /// What each activation is multiplied with beside the panel's bytes.
    pub rest: i16,
    /// What is taken off the unpacked bytes beforehand.
    less: u8,
}

impl Form {
    /// Of formats that have integers.
    pub fn of<S: Simd>(kind: Kind) -> Option<Form> {
        let shape = kind.int_shape()?;
        let signed = shape.max > 127 && !S::FULL_U8;
        // Of bytes that do not fit seven bits 128 is taken off as they are unpacked.
        let off = if signed { shape.off - 128 } else { shape.off };
        let fits = shape.off <= 128 && i32::from(shape.max) - shape.off <= 127;
        let less = if S::SIGNED && fits { off } else { 0 };
        Some(Form { shape, rest: (less - off) as i16, less: less as u8 })
    }
}

/// Sixteen rows of a weight.
pub struct Source<'a> {
    kind: Kind,
    form: Form,
    view: View<'a>,
    /// Blocks of a row.
    count: usize,
    /// Bytes of a row.
    line: usize,
    /// Bytes that are unpacked of a row at once.
    bytes: usize,
    rows: [usize; 16],
}

impl<'a> Source<'a> {
    /// Rows of `count` blocks from `first` on; those beyond the last repeat it.
    pub fn new(weight: &'a Tensor, form: Form, first: usize, count: usize) -> Self {
        let rows = from_fn(|r| (first + r).min(weight.rows - 1));
        let view = weight.view();
        let blocks = if form.shape.n == 32 { 2 } else { 1 };
        let line = view.row(rows[0]).data.len();
        let bytes = line / count * blocks;
        Source { kind: weight.kind, form, view, count, line, bytes, rows }
    }
}

/// Where a block of 256 columns of sixteen rows goes, or two of 32: all rows side by side.
pub struct Turned<'a> {
    /// Weights, of which [`Form::rest`] and minima are not taken off.
    pub q: &'a mut [Octet],
    /// Scales of the runs of blocks of 256, (run, row), as [`Simd::run_scale`] makes them.
    pub scale: &'a mut [[i32; 16]; 16],
    /// Of blocks of 256, two sixteens of columns to a lane: scales times [`Form::rest`], then
    /// minima.
    pub sums: &'a mut [[[i32; 16]; 8]; 2],
    /// Scales of scales, (block, row).
    pub d: &'a mut [[f32; 16]],
    /// Scales of minima, (block, row).
    pub dmin: &'a mut [[f32; 16]],
}

/// A block of 256 columns of sixteen rows, or two of 32, row by row.
#[repr(C, align(64))]
pub struct Unpacked {
    /// Weights, (column / 64, row, column % 64), less 128 where bytes must be signed.
    q: [[[u8; 64]; 16]; 4],
    /// Scales of the block's runs and their minima, (row, two, run), two to a lane.
    numbers: [[i32; 16]; 16],
    ints: Ints,
}

impl Unpacked {
    /// Nothing yet.
    pub const EMPTY: Unpacked =
        Unpacked { q: [[[0; 64]; 16]; 4], numbers: [[0; 16]; 16], ints: Ints::ZERO };

    /// Unpacks block `block`, and of short ones the next too.
    #[inline(never)]
    pub fn fill<S: Simd>(&mut self, s: S, from: &Source<'_>, block: usize, mut to: Turned<'_>) {
        s.vectorize(
            #[inline(always)]
            || self.fill_here(s, from, block, &mut to),
        );
    }

    #[inline(always)]
    fn fill_here<S: Simd>(&mut self, s: S, from: &Source<'_>, block: usize, to: &mut Turned<'_>) {
        let Source { kind, form: Form { shape, .. }, view, count, .. } = *from;
        // What comes after these rows; several rows at once are no pattern that a processor
        // foresees.
        let part = if shape.n == 32 { block / 2 } else { block };
        let next = view.blocks(from.rows[0] + 16..from.rows[0] + 32);
        for row in next.chunks_exact(from.line) {
            fetch(s, row, part, from.bytes);
        }
        macro_rules! eights {
            ($format:ty, $bytes:literal) => {{
                let rows = four!(four => blocks::<$bytes>(view, from.four(four), count));
                to.scales_of_scales(s, &rows, block, 0, Some(2));
                let rows = from_fn(|r| &rows[r / 4][r % 4][block]);
                return eights::turned::<S, $format, $bytes>(s, rows, to);
            }};
        }
        macro_rules! runs {
            ($format:ty, $bytes:literal) => {{
                let rows = four!(four => blocks::<$bytes>(view, from.four(four), count));
                to.scales_of_scales(s, &rows, block, <$format>::D, <$format>::DMIN);
                for at in 0..16 {
                    let [a, b, c, d] = &mut self.q;
                    let q = [&mut a[at], &mut b[at], &mut c[at], &mut d[at]];
                    let row = &rows[at / 4][at % 4][block];
                    let numbers = runs::unpack::<S, $format, $bytes>(s, row, q, shape.sub);
                    self.numbers[at] = bytemuck::cast(numbers);
                }
            }};
        }
        macro_rules! pairs {
            ($max:literal, $format:expr) => {
                for four in 0..4 {
                    let rows = $format(blocks(view, from.four(four), count));
                    self.pair(s, rows, four, block, count, to);
                }
            };
        }
        macro_rules! affine4 {
            ($affine:ident) => {
                for four in 0..4 {
                    let rows = from.four(four);
                    let rows = four!(r => view.row(rows[r]));
                    let rows = affine4::Affine4::new($affine, rows, count);
                    self.pair(s, rows, four, block, count, to);
                }
            };
        }
        macro_rules! other {
            ($($format:tt)*) => {
                self.any::<S>(from, block, to)
            };
        }
        by_format!(kind, pairs, eights, runs, other, affine4, other);
        self.turn(s, from.form, to);
    }

    /// Turns what was unpacked row by row.
    #[inline(always)]
    fn turn<S: Simd>(&mut self, s: S, form: Form, to: &mut Turned<'_>) {
        let Form { shape, rest, less } = form;
        for (q, octets) in self.q.iter_mut().zip(to.q.as_chunks_mut().0) {
            if S::SIGNED && less != 0 {
                for q in q.as_flattened_mut() {
                    *q = q.wrapping_sub(less);
                }
            }
            s.to_octets(q.each_ref(), octets);
            if shape.n == 32 {
                return;
            }
        }
        let mut turned = [[0.0; 16]; 16];
        s.turn(bytemuck::cast_ref(&self.numbers), &mut turned, 1);
        let [scales, minima]: [[[i32; 16]; 8]; 2] = bytemuck::cast(turned);
        for (two, scales) in scales.iter().enumerate() {
            for (row, scales) in scales.iter().enumerate() {
                to.scale[2 * two][row] = S::run_scale(*scales as i16);
                to.scale[2 * two + 1][row] = S::run_scale((*scales >> 16) as i16);
            }
        }
        if rest != 0 {
            sums(&scales, shape.sub, rest, &mut to.sums[0]);
        }
        if shape.mins {
            sums(&minima, shape.sub, 1, &mut to.sums[1]);
        }
    }

    #[inline(always)]
    fn pair<S: Simd, P: Pairs>(
        &mut self,
        s: S,
        rows: P,
        four: usize,
        block: usize,
        count: usize,
        to: &mut Turned<'_>,
    ) {
        // A last block without another is paired with itself.
        let next = (block + 1).min(count - 1);
        for r in 0..4 {
            P::ORDER.store(s, rows.weights(s, r, block, next), &mut self.q[0][4 * four + r]);
        }
        for (i, d) in rows.scales(s, block, next).into_iter().enumerate() {
            put(s, d, &mut to.d[i], four);
        }
        for (i, bias) in rows.biases(s, block, next).into_iter().flatten().enumerate() {
            put(s, s.q_scale(bias, -1.0), &mut to.dmin[i], four);
        }
    }

    /// Any format with an integer form.
    fn any<S: Simd>(&mut self, from: &Source<'_>, block: usize, to: &mut Turned<'_>) {
        let Source { kind, form: Form { shape, .. }, count, .. } = *from;
        let flip = if shape.max > 127 && !S::FULL_U8 { 0x80 } else { 0 };
        for (r, row) in from.rows.into_iter().enumerate() {
            let (row, ints) = (from.view.row(row), &mut self.ints);
            for i in 0..if shape.n == 32 { 2.min(count - block) } else { 1 } {
                kind.ints(row, block + i, ints);
                for (c, q) in ints.q[..shape.n].chunks(32).enumerate() {
                    let at = 32 * (i + c);
                    for (to, q) in self.q[at / 64][r][at % 64..].iter_mut().zip(q) {
                        *to = q ^ flip;
                    }
                }
                (to.d[i][r], to.dmin[i][r]) = (ints.d, ints.dmin);
            }
            let each = |numbers: &[i16; 16]| {
                if shape.sub > 32 { [numbers[0]; 16] } else { *numbers }
            };
            self.numbers[r] = bytemuck::cast([each(&ints.scale), each(&ints.min)]);
        }
    }
}

impl Turned<'_> {
    /// Puts the scales of a block's scales, halves at byte `d`, and of its minima.
    #[inline(always)]
    fn scales_of_scales<S: Simd, const BYTES: usize>(
        &mut self,
        s: S,
        rows: &[[&[[u8; BYTES]]; 4]; 4],
        block: usize,
        d: usize,
        dmin: Option<usize>,
    ) {
        for (four, rows) in rows.iter().enumerate() {
            put(s, halves(s, rows, block, d), &mut self.d[0], four);
            if let Some(dmin) = dmin {
                put(s, halves(s, rows, block, dmin), &mut self.dmin[0], four);
            }
        }
    }
}

impl Source<'_> {
    /// Four of the rows.
    #[inline(always)]
    fn four(&self, four: usize) -> [usize; 4] {
        four!(r => self.rows[4 * four + r])
    }
}

/// Numbers of runs, two to a lane, times a factor, now of two sixteens to a lane. Scales are below
/// 2^8 and what bytes lack is within 2^7.
#[inline(always)]
fn sums(runs: &[[i32; 16]; 8], sub: usize, factor: i16, to: &mut [[i32; 16]; 8]) {
    if sub == 16 {
        *to = *runs;
    } else {
        // A run of 32 or more is two sixteens.
        for (to, runs) in to.as_chunks_mut::<2>().0.iter_mut().zip(runs) {
            for (row, run) in runs.iter().enumerate() {
                to[0][row] = run << 16 | run & 0xffff;
                to[1][row] = run & !0xffff | run >> 16 & 0xffff;
            }
        }
    }
    if factor != 1 {
        for to in to {
            let numbers: &mut [i16; 32] = bytemuck::cast_mut(to);
            for number in numbers {
                *number = number.wrapping_mul(factor);
            }
        }
    }
}

/// Puts the numbers of four rows among those of sixteen.
#[inline(always)]
fn put<S: Simd>(s: S, x: S::Q, to: &mut [f32; 16], four: usize) {
    to[4 * four..][..4].copy_from_slice(&s.q_store(x));
}
