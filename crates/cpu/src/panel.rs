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
        panel.unpack(weight, first, b, form);
        let (tiles, rest) = acc.as_chunks_mut::<4>();
        let whole = 4 * tiles.len();
        for (i, tile) in tiles.iter_mut().enumerate() {
            let m = 4 * i;
            add_block::<S, 4>(s, panel, form, x, [m, m + 1, m + 2, m + 3], b, tile);
        }
        for (i, acc) in rest.iter_mut().enumerate() {
            add_block::<S, 1>(s, panel, form, x, [whole + i], b, std::array::from_mut(acc));
        }
    }
}

impl Panel {
    fn unpack(&mut self, weight: &Tensor, first: usize, block: usize, form: Form) {
        let shape = form.shape;
        let flip = if form.signed { 0x8080_8080 } else { 0 };
        for r in 0..WIDTH.min(weight.rows - first) {
            weight.kind.ints(weight.row(first + r), block, &mut self.ints);
            let words = self.ints.q[..shape.n].as_chunks::<4>().0;
            for (quad, word) in self.q.iter_mut().zip(words) {
                let word = (u32::from_le_bytes(*word) ^ flip).to_le_bytes();
                quad[4 * r..4 * r + 4].copy_from_slice(&word);
            }
            for run in 0..shape.n / shape.sub {
                self.scale[run][r] = i32::from(self.ints.scale[run]);
                self.min[run][r] = i32::from(self.ints.min[run]);
            }
            (self.d[r], self.dmin[r]) = (self.ints.d, self.ints.dmin);
        }
    }
}

/// Adds one block's products for `T` activation rows.
#[inline(always)]
fn add_block<S: Simd, const T: usize>(
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
        let mut q = [&[][..]; T];
        for t in 0..T {
            q[t] = rows[t].q[at..][..shape.sub].as_chunks::<4>().0;
        }
        for (i, w) in panel.q[run * quads..][..quads].iter().enumerate() {
            let w = s.load_b(w);
            for t in 0..T {
                let x = s.splat_b(&q[t][i]);
                dots[t] =
                    if form.signed { s.dot_ss(dots[t], w, x) } else { s.dot_us(dots[t], w, x) };
            }
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
