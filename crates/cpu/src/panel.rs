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
//! - 1024 columns instead of 256: Q4_K 240 (67%);
//! - a loop for each largest byte, its sums added in place: they had gone through the stack three
//!   times for each run. On one core, best of 400 turns, Q4_K 176, Q6_K 152, Q8_0 104, Q4_0 160;
//!   medians beside busy neighbours 1.4 to 1.7 times those before;
//! - rows unpacked with vectors and turned as squares: 490 to some 100 ns for 1024 weights.
//!
//! And instructions for each weight and row of 64 on Arm, with matrix products and, in brackets,
//! with dot products only. They are counted under emulation (`.ci/neon-cost`), no Arm machine has
//! timed them:
//! - a run of all sixteen weight rows at a time: Q4_K 0.226 (0.271), Q6_K 0.238 (0.297), Q8_0 0.200
//!   (0.226), Q4_0 0.218 (0.244), IQ4_XS 0.150 (0.198);
//! - eight weight rows at a time, with sums in registers for a whole block, minima multiplied by
//!   lanes, and bytes that hold what weights count: Q4_K 0.160 (0.215), Q6_K 0.169 (0.226), Q8_0
//!   0.161 (0.223), Q4_0 0.164 (0.226), IQ4_XS 0.139 (0.194).

use crate::dot::unpack::{Form, Source, Turned, Unpacked};
use crate::rounded::{Rounded, RoundedRow};
use crate::simd::{Octet, Simd};
use blocks::Tensor;
use std::array::from_mut;
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
    /// Scales of blocks of 256, (run, row).
    scale: [[[i32; WIDTH]; 16]; COLUMNS / 256],
    /// Of blocks of 256, two sixteens of columns to a lane: scales times what the weights' bytes
    /// lack, then minima.
    sums: [[[[i32; WIDTH]; 8]; 2]; COLUMNS / 256],
    /// Scales of scales, (block, row).
    d: [[f32; WIDTH]; COLUMNS / 32],
    /// Scales of minima, (block, row).
    dmin: [[f32; WIDTH]; COLUMNS / 32],
    /// The next columns, row by row.
    rows: Unpacked,
}

impl Default for Panel {
    fn default() -> Panel {
        Panel {
            q: [[[0; 64]; 2]; COLUMNS / 8],
            scale: [[[0; WIDTH]; 16]; COLUMNS / 256],
            sums: [[[[0; WIDTH]; 8]; 2]; COLUMNS / 256],
            d: [[0.0; WIDTH]; COLUMNS / 32],
            dmin: [[0.0; WIDTH]; COLUMNS / 32],
            rows: Unpacked::EMPTY,
        }
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
    let Some(form) = Form::of::<S>(weight.kind) else { return };
    macro_rules! runs {
        ($runs:literal, $octets:literal, $max:literal) => {
            multiply_runs::<S, $runs, $octets, $max>(s, weight, first, x, form, panel, acc)
        };
    }
    // Loops for the bytes that a processor may treat in a way of their own.
    match (form.shape.sub, form.shape.n, form.shape.max) {
        (16, _, ..=31) => runs!(16, 2, 31),
        (16, _, ..=63) => runs!(16, 2, 63),
        (16, _, _) => runs!(16, 2, 127),
        (_, 32, ..=15) => runs!(1, 4, 15),
        (_, 32, ..=31) => runs!(1, 4, 31),
        (_, 32, ..=127) => runs!(1, 4, 127),
        (_, 32, _) => runs!(1, 4, 255),
        (_, _, ..=15) => runs!(8, 4, 15),
        (_, _, ..=31) => runs!(8, 4, 31),
        (_, _, ..=127) => runs!(8, 4, 127),
        _ => runs!(8, 4, 255),
    }
}

/// The same for formats of `RUNS` runs to a block, which are `OCTETS` eights of columns, with
/// bytes up to `MAX`; one that has no scales may have longer ones.
#[inline(never)]
fn multiply_runs<S: Simd, const RUNS: usize, const OCTETS: usize, const MAX: u8>(
    s: S,
    weight: &Tensor,
    first: usize,
    x: &Rounded<'_>,
    form: Form,
    panel: &mut Panel,
    acc: &mut [[f32; WIDTH]],
) {
    s.vectorize(
        #[inline(always)]
        || multiply_blocks::<S, RUNS, OCTETS, MAX>(s, weight, first, x, form, panel, acc),
    );
}

#[inline(always)]
fn multiply_blocks<S: Simd, const RUNS: usize, const OCTETS: usize, const MAX: u8>(
    s: S,
    weight: &Tensor,
    first: usize,
    x: &Rounded<'_>,
    form: Form,
    panel: &mut Panel,
    acc: &mut [[f32; WIDTH]],
) {
    let (total, most) = (x.cols / x.n, COLUMNS / x.n);
    let from = Source::new(weight, form, first, total);
    for start in (0..total).step_by(most) {
        let blocks = start..total.min(start + most);
        for block in blocks.clone().step_by(if RUNS == 1 { 2 } else { 1 }) {
            panel.fill::<S, RUNS>(s, &from, start, block);
        }
        let (tiles, rest) = acc.as_chunks_mut::<4>();
        let whole = 4 * tiles.len();
        for (i, tile) in tiles.iter_mut().enumerate() {
            let rows = [x.row(4 * i), x.row(4 * i + 1), x.row(4 * i + 2), x.row(4 * i + 3)];
            for r in 4 * i + 4..x.rows().min(4 * i + 8) {
                let ahead = &x.row(r).q[start * x.n..][..blocks.len() * x.n];
                for line in ahead.as_chunks::<64>().0 {
                    s.prefetch(bytemuck::cast_slice(line), 0);
                }
            }
            add::<S, 4, RUNS, OCTETS, MAX>(s, panel, form, rows, blocks.clone(), tile);
        }
        match rest {
            [] => {}
            [acc] => {
                let rows = [x.row(whole)];
                add::<S, 1, RUNS, OCTETS, MAX>(s, panel, form, rows, blocks, from_mut(acc));
            }
            // Two or three cost less as four than one by one.
            rest => {
                let mut tile = [[0.0; WIDTH]; 4];
                tile[..rest.len()].copy_from_slice(rest);
                let last = x.rows() - 1;
                let rows = [x.row(whole), x.row(whole + 1), x.row(last), x.row(last)];
                add::<S, 4, RUNS, OCTETS, MAX>(s, panel, form, rows, blocks, &mut tile);
                rest.copy_from_slice(&tile[..rest.len()]);
            }
        }
    }
}

impl Panel {
    /// Unpacks block `block`, and of short ones the next too; the panel's first is `start`.
    #[inline(always)]
    fn fill<S: Simd, const RUNS: usize>(
        &mut self,
        s: S,
        from: &Source<'_>,
        start: usize,
        block: usize,
    ) {
        let i = block - start;
        // Blocks of 32 have no scales of runs.
        let (octet, long) = if RUNS == 1 { (4 * i, 0) } else { (32 * i, i) };
        let to = Turned {
            q: &mut self.q[octet..],
            scale: &mut self.scale[long],
            sums: &mut self.sums[long],
            d: &mut self.d[i..],
            dmin: &mut self.dmin[i..],
        };
        self.rows.fill(s, from, block, to);
    }
}

/// Adds the panel's products with `blocks` of `T` activation rows.
#[inline(always)]
fn add<S: Simd, const T: usize, const RUNS: usize, const OCTETS: usize, const MAX: u8>(
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
    let mut x: [&[[[[i8; 8]; OCTETS]; RUNS]]; T] = [&[]; T];
    let mut sum = [s.splat(0.0); T];
    for t in 0..T {
        scales[t] = &rows[t].scales[blocks.clone()];
        sums[t] = &rows[t].sums.as_chunks().0[twos * blocks.start..][..twos * count];
        x[t] = &rows[t].q.as_chunks().0.as_chunks().0.as_chunks().0[blocks.clone()];
        sum[t] = s.load(&acc[t]);
    }
    let q = panel.q.as_chunks().0.as_chunks().0;
    for i in 0..count {
        let mut at = [&x[0][i]; T];
        for t in 0..T {
            at[t] = &x[t][i];
        }
        let of_runs = if RUNS == 1 { None } else { panel.scale[i].first_chunk() };
        let mut products = [s.splat_i(0); T];
        s.dot_block::<T, RUNS, OCTETS, MAX>(&mut products, &q[i], of_runs, at);
        if form.rest != 0 {
            let of_32 = i32::from(form.rest);
            add_sums::<S, T, RUNS>(s, &mut products, panel, 0, i, &sums, of_32);
        }
        for t in 0..T {
            let d = s.mul(s.load(&panel.d[i]), s.splat(scales[t][i]));
            sum[t] = s.fma(d, s.to_f(products[t]), sum[t]);
        }
        if form.shape.mins {
            let mut minima = [s.splat_i(0); T];
            add_sums::<S, T, RUNS>(s, &mut minima, panel, 1, i, &sums, 1);
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

/// Adds the products of block `i` of one of the panel's numbers for sums, which in blocks of 32
/// is the same everywhere, with the activations' sums in sixteens.
#[inline(always)]
fn add_sums<S: Simd, const T: usize, const RUNS: usize>(
    s: S,
    products: &mut [S::I; T],
    panel: &Panel,
    which: usize,
    i: usize,
    sums: &[&[[i16; 2]]; T],
    of_32: i32,
) {
    if RUNS == 1 {
        for t in 0..T {
            let [a, b] = sums[t][i].map(i32::from);
            products[t] = s.add_i(products[t], s.splat_i(of_32 * (a + b)));
        }
        return;
    }
    let mut x = [&[[0; 2]; 8]; T];
    for t in 0..T {
        x[t] = &sums[t].as_chunks().0[i];
    }
    // A run of 32 or more is two sixteens with the same number.
    if RUNS == 16 {
        s.dot_pairs::<T, false>(products, &panel.sums[i][which], x);
    } else {
        s.dot_pairs::<T, true>(products, &panel.sums[i][which], x);
    }
}
