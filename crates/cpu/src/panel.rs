//! Products of sixteen weight rows with many activation rows: the matrix path of prompts.
//!
//! Up to 256 columns of sixteen rows are unpacked once into integers, neighbouring weights of a
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

use crate::rounded::{Rounded, RoundedRow};
use crate::simd::Simd;
use blocks::{IntShape, Ints, Kind, Row, Tensor};
use ops::numerics::BLOCK_MAX;
use std::array::{from_fn, from_mut};

/// Weight rows that are multiplied together.
pub const WIDTH: usize = 16;

/// Columns of sixteen weight rows as integers; one block, or as many short ones as fill it.
///
/// Vectors lie on their natural boundaries: one that crosses two cache lines is read twice.
#[repr(C, align(64))]
pub struct Panel {
    /// Weights in eights of columns, each (8 / [`Simd::SIDE`], row, [`Simd::SIDE`]).
    q: [Octet; BLOCK_MAX / 8],
    /// Scales, (run, row).
    scale: [[i32; WIDTH]; BLOCK_MAX / 16],
    /// Scales times what the weights' bytes lack, two sixteens of columns to a lane.
    rest: [[i32; WIDTH]; BLOCK_MAX / 32],
    /// Minima, two sixteens of columns to a lane.
    min: [[i32; WIDTH]; BLOCK_MAX / 32],
    /// Scales of scales, (block, row).
    d: [[f32; WIDTH]; BLOCK_MAX / 32],
    /// Scales of minima, (block, row).
    dmin: [[f32; WIDTH]; BLOCK_MAX / 32],
    ints: Ints,
}

/// Eight columns of sixteen rows.
type Octet = [[u8; 64]; 2];

impl Default for Panel {
    fn default() -> Panel {
        Panel {
            q: [[[0; 64]; 2]; BLOCK_MAX / 8],
            scale: [[0; WIDTH]; BLOCK_MAX / 16],
            rest: [[0; WIDTH]; BLOCK_MAX / 32],
            min: [[0; WIDTH]; BLOCK_MAX / 32],
            d: [[0.0; WIDTH]; BLOCK_MAX / 32],
            dmin: [[0.0; WIDTH]; BLOCK_MAX / 32],
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
    /// What each activation is multiplied with beside the weights' bytes.
    rest: i32,
}

impl Form {
    fn of<S: Simd>(kind: Kind) -> Option<Form> {
        let shape = kind.int_shape()?;
        let wide = shape.off == 128 || matches!(kind, Kind::Affine(affine) if affine.bits == 8);
        let signed = wide && !S::FULL_U8;
        let rest = if signed { 128 - shape.off } else { -shape.off };
        Some(Form { shape, signed, rest })
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
            multiply_runs::<S, 2>(s, weight, first, x, form, panel, acc);
        }
        Some(form) => multiply_runs::<S, 4>(s, weight, first, x, form, panel, acc),
        None => {}
    }
}

/// The same for formats whose runs are `OCTETS` eights of columns; one that has no scales may
/// have longer ones.
#[inline(always)]
fn multiply_runs<S: Simd, const OCTETS: usize>(
    s: S,
    weight: &Tensor,
    first: usize,
    x: &Rounded<'_>,
    form: Form,
    panel: &mut Panel,
    acc: &mut [[f32; WIDTH]],
) {
    let (total, most) = (x.cols / x.n, BLOCK_MAX / x.n);
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
            let rows = [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3].map(|m| x.row(m));
            add::<S, 4, 2, OCTETS>(s, panel, form, rows, start, blocks.len(), tile);
        }
        for (i, acc) in rest.iter_mut().enumerate() {
            let (rows, acc) = ([x.row(whole + i)], from_mut(acc));
            add::<S, 1, 1, OCTETS>(s, panel, form, rows, start, blocks.len(), acc);
        }
    }
}

impl Panel {
    /// Unpacks a block of the weight as block `i` of the panel.
    fn unpack<S: Simd>(
        &mut self,
        kind: Kind,
        weights: &[Row<'_>; WIDTH],
        block: usize,
        i: usize,
        form: Form,
    ) {
        let shape = form.shape;
        let flip = if form.signed { 0x80 } else { 0 };
        // Rows beside each other in a vector, vectors beside each other for sixteen rows.
        let (rows, vectors) = (64 / S::SIDE, S::SIDE / 4);
        for (r, weights) in weights.iter().enumerate() {
            let ints = &mut self.ints;
            kind.ints(*weights, block, ints);
            let q = self.q[i * shape.n / 8..].as_flattened_mut();
            for (side, from) in ints.q[..shape.n].chunks_exact(S::SIDE).enumerate() {
                let to = &mut q[side * vectors + r / rows][S::SIDE * (r % rows)..][..S::SIDE];
                for (to, from) in to.iter_mut().zip(from) {
                    *to = from ^ flip;
                }
            }
            if shape.scales {
                for run in 0..shape.n / shape.sub {
                    self.scale[i * shape.n / shape.sub + run][r] = i32::from(ints.scale[run]);
                }
            }
            for two in 0..shape.n / 32 {
                let [a, b] = [32 * two, 32 * two + 16].map(|column| column / shape.sub);
                // Scales are below 2^8 and the rest within 2^7.
                let rest = |run: usize| {
                    let scale = if shape.scales { i32::from(ints.scale[run]) } else { 1 };
                    (scale * form.rest) as i16
                };
                self.rest[i * shape.n / 32 + two][r] = lane([rest(a), rest(b)]);
                self.min[i * shape.n / 32 + two][r] = lane([ints.min[a], ints.min[b]]);
            }
            (self.d[i][r], self.dmin[i][r]) = (ints.d, ints.dmin);
        }
    }
}

/// Adds the panel's products for `T` activation rows, which are `P` pairs; its first block is
/// block `start` of theirs.
#[inline(always)]
fn add<S: Simd, const T: usize, const P: usize, const OCTETS: usize>(
    s: S,
    panel: &Panel,
    form: Form,
    rows: [RoundedRow<'_>; T],
    start: usize,
    blocks: usize,
    acc: &mut [[f32; WIDTH]; T],
) {
    let shape = form.shape;
    let mut sum = [s.splat(0.0); T];
    for t in 0..T {
        sum[t] = s.load(&acc[t]);
    }
    for i in 0..blocks {
        let block = start + i;
        let sums = rows.map(|row| row.sums[block * shape.n / 16..][..shape.n / 16].as_chunks().0);
        let zero = [s.splat_i(0); T];
        let rest = &panel.rest[i * shape.n / 32..][..shape.n / 32];
        let products = if form.rest == 0 { zero } else { multiply_sums(s, rest, &sums) };
        let products = multiply_bytes::<S, T, P, OCTETS>(s, panel, form, &rows, block, i, products);
        for t in 0..T {
            let d = s.mul(s.load(&panel.d[i]), s.splat(rows[t].scales[block]));
            sum[t] = s.fma(d, s.to_f(products[t]), sum[t]);
        }
        if shape.mins {
            let minima = multiply_sums(s, &panel.min[i * shape.n / 32..][..shape.n / 32], &sums);
            for t in 0..T {
                let dmin = s.mul(s.load(&panel.dmin[i]), s.splat(-rows[t].scales[block]));
                sum[t] = s.fma(dmin, s.to_f(minima[t]), sum[t]);
            }
        }
    }
    for t in 0..T {
        s.store(&mut acc[t], sum[t]);
    }
}

/// Adds to `products` those of block `i` of the panel with block `block` of the activations.
#[inline(always)]
fn multiply_bytes<S: Simd, const T: usize, const P: usize, const OCTETS: usize>(
    s: S,
    panel: &Panel,
    form: Form,
    rows: &[RoundedRow<'_>; T],
    block: usize,
    i: usize,
    mut products: [S::I; T],
) -> [S::I; T] {
    let IntShape { n, scales, .. } = form.shape;
    let runs = n / (8 * OCTETS);
    let octets = rows.map(|row| row.q[block * n..][..n].as_chunks::<8>().0);
    // A row alone is paired with itself.
    let pair = |p: usize| [2 * p, (2 * p + 1).min(T - 1)];
    for run in 0..runs {
        let x = octets.map(|octets| &octets.as_chunks::<OCTETS>().0[run]);
        let mut dots = [[s.splat_i(0); 2]; P];
        for (p, dots) in dots.iter_mut().enumerate().filter(|_| !scales) {
            *dots = s.pair(pair(p).map(|t| products[t]));
        }
        for (c, w) in panel.q.as_chunks::<OCTETS>().0[i * runs + run].iter().enumerate() {
            let w = [s.load_b(&w[0]), s.load_b(&w[1])];
            for (p, dots) in dots.iter_mut().enumerate() {
                *dots = s.dot_pair(*dots, w, pair(p).map(|t| &x[t][c]), form.signed);
            }
        }
        let dots = dots.map(|dots| s.unpair(dots));
        let scale = s.load_i(&panel.scale[(i * runs + run) % panel.scale.len()]);
        for (t, product) in products.iter_mut().enumerate() {
            let dot = dots[t / 2][t % 2];
            *product = if scales { s.mul_add_i(*product, dot, scale) } else { dot };
        }
    }
    products
}

/// Products of numbers per sixteen columns with the activations' sums in sixteens.
#[inline(always)]
fn multiply_sums<S: Simd, const T: usize>(
    s: S,
    w: &[[i32; WIDTH]],
    sums: &[&[[i16; 2]]; T],
) -> [S::I; T] {
    let mut products = [s.splat_i(0); T];
    for (i, w) in w.iter().enumerate() {
        let w = s.load_i(w);
        for (product, sums) in products.iter_mut().zip(sums) {
            *product = s.dot_i16(*product, w, s.splat_i(lane(sums[i])));
        }
    }
    products
}

/// Two numbers as one lane of [`Simd::dot_i16`].
#[inline(always)]
fn lane([low, high]: [i16; 2]) -> i32 {
    i32::from(low as u16) | i32::from(high) << 16
}
