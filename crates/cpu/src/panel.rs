//! Products of sixteen weight rows with many activation rows: the matrix path of prompts.
//!
//! A block of sixteen rows is unpacked once into integers, four neighbouring weights of a row
//! beside those of the next row, and then multiplied with every activation row. It computes what
//! [`ops::numerics::fast_dot`] states, so that a row's bits do not depend on the path.

use crate::rounded::Rounded;
use crate::simd::Simd;
use blocks::{IntShape, Ints, Kind, Tensor};

/// Weight rows that are multiplied together.
pub const WIDTH: usize = 16;

/// A block of sixteen weight rows as integers.
pub struct Panel {
    /// Weights, (n / 4, row, 4).
    q: Vec<[u8; 64]>,
    /// Scales, (run, row).
    scale: [[i32; 16]; 16],
    /// Minima, (run, row).
    min: [[i32; 16]; 16],
    d: [f32; 16],
    dmin: [f32; 16],
    ints: Ints,
}

impl Default for Panel {
    fn default() -> Panel {
        let q = vec![[0; 64]; ops::numerics::BLOCK_MAX / 4];
        let (scale, min) = ([[0; 16]; 16], [[0; 16]; 16]);
        Panel { q, scale, min, d: [0.0; 16], dmin: [0.0; 16], ints: Ints::ZERO }
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
    acc: &mut [[f32; 16]],
) {
    let Some(form) = Form::of::<S>(weight.kind) else { return };
    for b in 0..x.cols / x.n {
        panel.unpack::<S>(weight, first, b, form);
        let (tiles, rest) = acc.as_chunks_mut::<4>();
        let whole = 4 * tiles.len();
        for (i, tile) in tiles.iter_mut().enumerate() {
            let m = 4 * i;
            add_block::<S, 4, 2>(s, panel, form, x, [m, m + 1, m + 2, m + 3], b, tile);
        }
        for (i, acc) in rest.iter_mut().enumerate() {
            add_block::<S, 1, 1>(s, panel, form, x, [whole + i], b, std::array::from_mut(acc));
        }
    }
}

impl Panel {
    fn unpack<S: Simd>(&mut self, weight: &Tensor, first: usize, block: usize, form: Form) {
        let shape = form.shape;
        let flip = if form.signed { 0x80 } else { 0 };
        for r in 0..WIDTH.min(weight.rows - first) {
            weight.kind.ints(weight.row(first + r), block, &mut self.ints);
            // Rows beside each other in a vector, vectors beside each other for sixteen rows.
            let (rows, vectors) = (64 / S::SIDE, S::SIDE / 4);
            for (i, side) in self.ints.q[..shape.n].chunks_exact(S::SIDE).enumerate() {
                let at = &mut self.q[i * vectors + r / rows][S::SIDE * (r % rows)..][..S::SIDE];
                for (to, from) in at.iter_mut().zip(side) {
                    *to = from ^ flip;
                }
            }
            for run in 0..shape.n / shape.sub {
                self.scale[run][r] = i32::from(self.ints.scale[run]);
                self.min[run][r] = i32::from(self.ints.min[run]);
            }
            (self.d[r], self.dmin[r]) = (self.ints.d, self.ints.dmin);
        }
    }
}

/// Adds one block's products for `T` activation rows, which are `P` pairs.
#[inline(always)]
fn add_block<S: Simd, const T: usize, const P: usize>(
    s: S,
    panel: &Panel,
    form: Form,
    x: &Rounded<'_>,
    m: [usize; T],
    block: usize,
    acc: &mut [[f32; 16]; T],
) {
    let shape = form.shape;
    let rows = m.map(|m| x.row(m));
    let (runs, quads) = (shape.n / shape.sub, shape.sub / 4);
    let mut products = [s.splat_i(0); T];
    let mut minima = [s.splat_i(0); T];
    for run in 0..runs {
        let at = block * shape.n + run * shape.sub;
        let mut sums = [0; T];
        let mut dots = [s.splat_i(0); T];
        for t in 0..T {
            let sixteens = &rows[t].sums[at / 16..][..shape.sub / 16];
            sums[t] = sixteens.iter().map(|sum| i32::from(*sum)).sum();
            dots[t] = s.splat_i(form.rest * sums[t]);
        }
        let octets = rows.map(|row| row.q[at..][..shape.sub].as_chunks::<8>().0);
        // A row alone is paired with itself.
        let pair = |p: usize| [2 * p, (2 * p + 1).min(T - 1)];
        let mut pairs = [[s.splat_i(0); 2]; P];
        for p in 0..P {
            pairs[p] = s.pair(pair(p).map(|t| dots[t]));
        }
        for (i, w) in panel.q[run * quads..][..quads].as_chunks::<2>().0.iter().enumerate() {
            let w = [s.load_b(&w[0]), s.load_b(&w[1])];
            for p in 0..P {
                let x = pair(p).map(|t| &octets[t][i]);
                pairs[p] = s.dot_pair(pairs[p], w, x, form.signed);
            }
        }
        for p in 0..P {
            let (unpaired, [a, b]) = (s.unpair(pairs[p]), pair(p));
            (dots[b], dots[a]) = (unpaired[1], unpaired[0]);
        }
        for t in 0..T {
            products[t] = if shape.scales {
                s.mul_add_i(products[t], dots[t], s.load_i(&panel.scale[run]))
            } else {
                dots[t]
            };
            if shape.mins {
                let min = s.load_i(&panel.min[run]);
                minima[t] = s.mul_add_i(minima[t], s.splat_i(sums[t]), min);
            }
        }
    }
    for t in 0..T {
        let dx = rows[t].scales[block];
        let d = s.mul(s.load(&panel.d), s.splat(dx));
        let mut sum = s.fma(d, s.to_f(products[t]), s.load(&acc[t]));
        if shape.mins {
            let dmin = s.mul(s.load(&panel.dmin), s.splat(-dx));
            sum = s.fma(dmin, s.to_f(minima[t]), sum);
        }
        s.store(&mut acc[t], sum);
    }
}
