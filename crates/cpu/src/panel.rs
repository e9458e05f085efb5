//! Products of sixteen weight rows with many activation rows: the matrix path of prompts.
//!
//! Up to 1024 columns of sixteen rows are unpacked once into integers, neighbouring weights of a
//! row beside those of the next row, and then multiplied with every activation row. It computes
//! what [`ops::numerics::fast_dot`] states, so that a row's bits do not depend on the path.
//!
//! Versions tried on a prompt of 512 with Qwen3-0.6B's shapes, on two cores of Sapphire Rapids
//! with AVX-512, of which the integer peak is 1900 GOP/s:
//! - one block at a time, runs of any length, offsets and minima per run and activation row:
//!   Q4_K 320 to 350 GOP/s (17-18%), Q8_0 240 GOP/s (13%);
//! - runs of constant length, 256 columns for every format while sums stay in registers, offsets
//!   and minima as a small product with the activations' sums, weights on cache lines: Q4_K 410
//!   to 520 GOP/s (22-27%), Q8_0 300 to 390 GOP/s (16-20%).
//!
//! And on two cores of Milan with AVX2, which reach 360 GOP/s with products of four:
//! - as above, each product of four widened to 32 bits: Q4_K 143 GOP/s (40%), Q6_K 135 (37%),
//!   Q8_0 100 (28%), Q4_0 105 (29%);
//! - products added in sixteen bits as long as they fit, in one order that the registers hold, and
//!   widened with the scale: Q4_K 210 (58%), Q6_K 240 (67%), Q8_0 150 (42%), Q4_0 180 (50%);
//! - 1024 columns instead of 256: Q4_K 240 (67%).

use crate::rounded::{Rounded, RoundedRow};
use crate::simd::{Octet, Run, Simd};
use blocks::{IntShape, Ints, Kind, Row, Tensor};
use std::array::{from_fn, from_mut};
use std::ops::Range;

/// Weight rows that are multiplied together.
pub const WIDTH: usize = 16;

/// Columns that are unpacked together: so many that sums stay in registers for long, and so few
/// that sixteen rows of them fit the nearest cache beside the activations.
const COLUMNS: usize = 1024;

/// Columns of sixteen weight rows as integers; as many blocks as fit.
///
/// Vectors lie on their natural boundaries: one that crosses two cache lines is read twice.
#[repr(C, align(64))]
pub struct Panel {
    /// Weights in eights of columns, each (8 / [`Simd::SIDE`], row, [`Simd::SIDE`]).
    q: [Octet; COLUMNS / 8],
    /// Scales, (run, row).
    scale: [[i32; WIDTH]; COLUMNS / 16],
    /// Scales times what the weights' bytes lack, two sixteens of columns to a lane.
    rest: [[i32; WIDTH]; COLUMNS / 32],
    /// Minima, two sixteens of columns to a lane.
    min: [[i32; WIDTH]; COLUMNS / 32],
    /// Scales of scales, (block, row).
    d: [[f32; WIDTH]; COLUMNS / 32],
    /// Scales of minima, (block, row).
    dmin: [[f32; WIDTH]; COLUMNS / 32],
    ints: Ints,
}

impl Default for Panel {
    fn default() -> Panel {
        Panel {
            q: [[[0; 64]; 2]; COLUMNS / 8],
            scale: [[0; WIDTH]; COLUMNS / 16],
            rest: [[0; WIDTH]; COLUMNS / 32],
            min: [[0; WIDTH]; COLUMNS / 32],
            d: [[0.0; WIDTH]; COLUMNS / 32],
            dmin: [[0.0; WIDTH]; COLUMNS / 32],
            ints: Ints::ZERO,
        }
    }
}

/// How the integers of a format go into the dot product.
#[derive(Clone, Copy)]
struct Form {
    shape: IntShape,
    /// Whether 128 is taken off the weights, because they do not fit seven bits.
    signed: bool,
    /// The largest magnitude of a byte.
    max: u8,
    /// What each activation is multiplied with beside the weights' bytes.
    rest: i16,
}

impl Form {
    fn of<S: Simd>(kind: Kind) -> Option<Form> {
        let shape = kind.int_shape()?;
        let signed = shape.max > 127 && !S::FULL_U8;
        let max = if signed { 128 } else { shape.max };
        let rest = if signed { 128 - shape.off } else { -shape.off } as i16;
        Some(Form { shape, signed, max, rest })
    }
}

/// Adds the products of weight rows `first .. first + 16` (as many as there are) with every row
/// of `x` to `acc`, (rows of x, 16), which the caller has cleared.
#[inline(always)]
pub fn multiply<S: Simd>(
    s: S,
    weight: &Tensor,
    first: usize,
    x: &Rounded<'_>,
    panel: &mut Panel,
    acc: &mut [[f32; WIDTH]],
) {
    match Form::of::<S>(weight.kind) {
        Some(form) if form.shape.sub == 16 => {
            multiply_runs::<S, 16, 2>(s, weight, first, x, form, panel, acc);
        }
        Some(form) if form.shape.n == 32 => {
            multiply_runs::<S, 1, 4>(s, weight, first, x, form, panel, acc);
        }
        Some(form) => multiply_runs::<S, 8, 4>(s, weight, first, x, form, panel, acc),
        None => {}
    }
}

/// The same for formats of `RUNS` runs to a block, which are `OCTETS` eights of columns; one that
/// has no scales may have longer ones.
#[inline(always)]
fn multiply_runs<S: Simd, const RUNS: usize, const OCTETS: usize>(
    s: S,
    weight: &Tensor,
    first: usize,
    x: &Rounded<'_>,
    form: Form,
    panel: &mut Panel,
    acc: &mut [[f32; WIDTH]],
) {
    let (total, most) = (x.cols / x.n, COLUMNS / x.n);
    let view = weight.view();
    let weights = from_fn(|r| view.row((first + r).min(weight.rows - 1)));
    for start in (0..total).step_by(most) {
        let blocks = start..total.min(start + most);
        for (i, block) in blocks.clone().enumerate() {
            panel.unpack::<S>(weight.kind, &weights, block, i, form);
        }
        let (tiles, rest) = acc.as_chunks_mut::<4>();
        let whole = 4 * tiles.len();
        for (i, tile) in tiles.iter_mut().enumerate() {
            let rows = [x.row(4 * i), x.row(4 * i + 1), x.row(4 * i + 2), x.row(4 * i + 3)];
            for r in 4 * i + 4..x.rows().min(4 * i + 8) {
                for line in x.row(r).q[start * x.n..][..blocks.len() * x.n].chunks(64) {
                    s.prefetch(bytemuck::cast_slice(line), 0);
                }
            }
            add::<S, 4, RUNS, OCTETS>(s, panel, form, rows, blocks.clone(), tile);
        }
        for (i, acc) in rest.iter_mut().enumerate() {
            let (rows, acc) = ([x.row(whole + i)], from_mut(acc));
            add::<S, 1, RUNS, OCTETS>(s, panel, form, rows, blocks.clone(), acc);
        }
    }
}

impl Panel {
    /// Run `run`.
    #[inline(always)]
    fn run<const OCTETS: usize>(&self, form: Form, run: usize) -> Run<'_, OCTETS> {
        let q = &self.q.as_chunks().0[run];
        let scale = form.shape.scales.then(|| &self.scale[run]);
        Run { q, signed: form.signed, max: form.max, scale }
    }

    /// Unpacks a block of the weight as block `i` of the panel.
    fn unpack<S: Simd>(
        &mut self,
        kind: Kind,
        weights: &[Row<'_>; WIDTH],
        block: usize,
        i: usize,
        form: Form,
    ) {
        let IntShape { n, sub, scales, mins, .. } = form.shape;
        let twos = i * n / 32..(i + 1) * n / 32;
        for (r, weights) in weights.iter().enumerate() {
            let ints = &mut self.ints;
            kind.ints(*weights, block, ints);
            if form.signed {
                for q in &mut ints.q[..n] {
                    *q ^= 0x80;
                }
            }
            let to = self.q[i * n / 8..].as_flattened_mut().as_flattened_mut();
            if S::SIDE == 8 {
                spread::<8>(&ints.q[..n], to, r);
            } else {
                spread::<4>(&ints.q[..n], to, r);
            }
            if scales {
                let to = &mut self.scale[i * n / sub..];
                for (to, &scale) in to.iter_mut().zip(&ints.scale[..n / sub]) {
                    to[r] = S::run_scale(scale);
                }
            }
            // A run of 32 is two sixteens. Scales are below 2^8 and the rest within 2^7.
            let runs = |numbers: &[i16; 16], two: usize| match sub {
                16 => [numbers[2 * two], numbers[2 * two + 1]],
                32 => [numbers[two]; 2],
                _ => [numbers[0]; 2],
            };
            let rest = self.rest[twos.clone()].iter_mut().enumerate();
            for (two, to) in rest.filter(|_| form.rest != 0) {
                let [a, b] = if scales { runs(&ints.scale, two) } else { [1, 1] };
                to[r] = lane([a * form.rest, b * form.rest]);
            }
            for (two, to) in self.min[twos.clone()].iter_mut().enumerate().filter(|_| mins) {
                to[r] = lane(runs(&ints.min, two));
            }
            (self.d[i][r], self.dmin[i][r]) = (ints.d, ints.dmin);
        }
    }
}

/// Puts a row's weights among those of sixteen rows, `SIDE` bytes of each side by side.
#[inline(always)]
fn spread<const SIDE: usize>(q: &[u8], to: &mut [u8], r: usize) {
    let (q, to) = (q.as_chunks::<SIDE>().0, to.as_chunks_mut::<SIDE>().0);
    for (q, to) in q.iter().zip(to.as_chunks_mut::<WIDTH>().0) {
        to[r] = *q;
    }
}

/// Adds the panel's products with `blocks` of `T` activation rows.
#[expect(clippy::needless_range_loop, reason = "several arrays are read at the same place")]
#[inline(always)]
fn add<S: Simd, const T: usize, const RUNS: usize, const OCTETS: usize>(
    s: S,
    panel: &Panel,
    form: Form,
    rows: [RoundedRow<'_>; T],
    blocks: Range<usize>,
    acc: &mut [[f32; WIDTH]; T],
) {
    let (count, twos) = (blocks.len(), RUNS * OCTETS / 4);
    let mut scales: [&[f32]; T] = [&[]; T];
    let mut sums: [&[[i16; 2]]; T] = [&[]; T];
    let mut x: [&[[[i8; 8]; OCTETS]]; T] = [&[]; T];
    let mut sum = [s.splat(0.0); T];
    for t in 0..T {
        scales[t] = &rows[t].scales[blocks.clone()];
        sums[t] = &rows[t].sums.as_chunks().0[twos * blocks.start..][..twos * count];
        x[t] = &rows[t].q.as_chunks().0.as_chunks().0[RUNS * blocks.start..][..RUNS * count];
        sum[t] = s.load(&acc[t]);
    }
    for i in 0..count {
        let mut products = [s.splat_i(0); T];
        if form.rest != 0 {
            products = multiply_sums::<S, T, RUNS, OCTETS>(s, &panel.rest, i, &sums);
        }
        for run in i * RUNS..(i + 1) * RUNS {
            let mut at = [&x[0][run]; T];
            for t in 0..T {
                at[t] = &x[t][run];
            }
            products = s.dot_run(products, &panel.run(form, run), at);
        }
        for t in 0..T {
            let d = s.mul(s.load(&panel.d[i]), s.splat(scales[t][i]));
            sum[t] = s.fma(d, s.to_f(products[t]), sum[t]);
        }
        if form.shape.mins {
            let minima = multiply_sums::<S, T, RUNS, OCTETS>(s, &panel.min, i, &sums);
            for t in 0..T {
                let dmin = s.mul(s.load(&panel.dmin[i]), s.splat(-scales[t][i]));
                sum[t] = s.fma(dmin, s.to_f(minima[t]), sum[t]);
            }
        }
    }
    for t in 0..T {
        s.store(&mut acc[t], sum[t]);
    }
}

/// Products of block `i` of numbers per sixteen columns with the activations' sums in sixteens.
#[inline(always)]
fn multiply_sums<S: Simd, const T: usize, const RUNS: usize, const OCTETS: usize>(
    s: S,
    w: &[[i32; WIDTH]; COLUMNS / 32],
    i: usize,
    sums: &[&[[i16; 2]]; T],
) -> [S::I; T] {
    let mut products = [s.splat_i(0); T];
    for two in i * (RUNS * OCTETS / 4)..(i + 1) * (RUNS * OCTETS / 4) {
        let w = s.load_i(&w[two]);
        for t in 0..T {
            products[t] = s.dot_i16(products[t], w, s.splat_i(lane(sums[t][two])));
        }
    }
    products
}

/// Two numbers as one lane of [`Simd::dot_i16`].
#[inline(always)]
fn lane([low, high]: [i16; 2]) -> i32 {
    i32::from(low as u16) | i32::from(high) << 16
}
