//! Products of weights with f32 activations.
//!
//! Each product is one vector of sixteen sums over the columns, folded at the end: the same
//! operations in the same order however many activation rows take part, so that a row's bits
//! depend on itself only. For few activation rows weights are widened as they are read; for many
//! a panel of eight weight rows is unpacked to f32 once for 48 of them.
//!
//! Versions tried with AVX2 on two cores of Milan, F16, 1024 weights of a row with one activation
//! row from the nearest caches, then each of 48:
//! - four rows' loop amid the rest, 16 sums of four activation rows: 90 ns, as sums went through
//!   memory, and 116 ns;
//! - the loop as a function of its own, six sums at a time: 43 ns (memory delivers the weights in
//!   150) and 32 ns, 64% of the peak of 20.5;
//! - half of the lanes of twelve sums, seven loads for twelve products instead of ten: prompts of
//!   256 with Qwen3-0.6B 74 and 69 to 87 and 93 tokens/s in two alternations;
//! - the next panel fetched meanwhile: 45 to 50 GFLOP/s on one core, of which the loop alone
//!   reaches 66 to 98 from minute to minute. Two weight rows widened in the loop for six activation
//!   rows, operands from memory and other blocks of columns were no faster.

use crate::dot::Ahead;
use crate::plain::{Bf16, F16, F32, Plain};
use crate::simd::Simd;
use blocks::{Kind, Row, Tensor};
use std::array::from_fn;
use std::ops::Range;

/// Activation rows up to which plain weights are not unpacked.
const FEW: usize = 3;
/// Weight rows that are unpacked together.
const PANEL: usize = 8;
/// Columns that are unpacked together, in sixteens: a panel and three activation rows fit the
/// nearest cache.
const LANES: usize = 32;
/// Activation rows that are multiplied together.
const TILE: usize = 3;
/// Activation rows that share an unpacked panel, whole tiles of them.
const GROUP: usize = 16 * TILE;

/// A thread's own memory for many activation rows.
#[repr(C, align(64))]
pub struct Unpacked {
    /// Columns of a panel, (weight row, column).
    weights: [[[f32; 16]; LANES]; PANEL],
    /// Sums of a group, (tile, fours of weight rows, activation row, weight row).
    sums: [[[[[f32; 16]; 4]; TILE]; PANEL / 4]; GROUP / TILE],
}

impl Unpacked {
    /// Zeros.
    pub fn new() -> Box<Unpacked> {
        let sums = [[[[[0.0; 16]; 4]; TILE]; PANEL / 4]; GROUP / TILE];
        Box::new(Unpacked { weights: [[[0.0; 16]; LANES]; PANEL], sums })
    }
}

/// Multiplies weight rows `chunk` with each row of `x`, (m, cols); `put` takes the row, the first
/// of up to eight weight rows and their products.
#[inline(always)]
pub fn multiply<S: Simd>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &[f32],
    room: &mut Unpacked,
    put: impl FnMut(usize, usize, &[f32]),
) {
    let few = x.len() <= FEW * weight.cols;
    match weight.kind {
        Kind::F32 if few => plain::<S, F32>(s, weight, chunk, x, put),
        Kind::F16 if few => plain::<S, F16>(s, weight, chunk, x, put),
        Kind::BF16 if few => plain::<S, Bf16>(s, weight, chunk, x, put),
        _ => panels(s, weight, chunk, x, room, put),
    }
}

/// Plain weights and up to three activation rows.
#[inline(always)]
fn plain<S: Simd, P: Plain>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &[f32],
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let (view, cols, rows) = (weight.view(), weight.cols, x.len() / weight.cols);
    let bytes_ahead = Ahead::new(view, &chunk);
    let x: [&[f32]; FEW] = from_fn(|m| &x[m.min(rows - 1) * cols..][..cols]);
    for first in chunk.clone().step_by(4) {
        let number = 4.min(chunk.end - first);
        // Rows beyond the last repeat it; their products are not used.
        let w: [&[u8]; 4] = from_fn(|r| view.row(first + r.min(number - 1)).data);
        let ahead = bytes_ahead.from(first);
        if rows == 1 {
            let [sums] = apart::<S, P, 4, 1>(s, w, [x[0]], ahead);
            put(0, first, &s.sum4(sums)[..number]);
            continue;
        }
        // All sums of two weight rows fit the registers that every processor has.
        let (low, high) = ahead.split_at(ahead.len() / 2);
        if rows == 2 {
            let a = apart::<S, P, 2, 2>(s, [w[0], w[1]], [x[0], x[1]], low);
            let b = apart::<S, P, 2, 2>(s, [w[2], w[3]], [x[0], x[1]], high);
            for m in 0..2 {
                put(m, first, &s.sum4([a[m][0], a[m][1], b[m][0], b[m][1]])[..number]);
            }
        } else {
            let a = apart::<S, P, 2, FEW>(s, [w[0], w[1]], x, low);
            let b = apart::<S, P, 2, FEW>(s, [w[2], w[3]], x, high);
            for m in 0..FEW {
                put(m, first, &s.sum4([a[m][0], a[m][1], b[m][0], b[m][1]])[..number]);
            }
        }
    }
}

/// [`tile`] as a function of its own.
#[inline(always)]
fn apart<S: Simd, P: Plain, const R: usize, const T: usize>(
    s: S,
    w: [&[u8]; R],
    x: [&[f32]; T],
    ahead: &[u8],
) -> [[S::F; R]; T] {
    s.apart(
        #[inline(always)]
        || tile::<S, P, R, T>(s, w, x, ahead),
    )
}

/// The sums of `R` weight rows with `T` activation rows. Meanwhile the bytes `ahead` are fetched.
#[inline(always)]
fn tile<S: Simd, P: Plain, const R: usize, const T: usize>(
    s: S,
    w: [&[u8]; R],
    x: [&[f32]; T],
    ahead: &[u8],
) -> [[S::F; R]; T] {
    let mut sums = [[s.splat(0.0); R]; T];
    let whole = x[0].len() / 16;
    let lanes: [&[P::Lanes]; R] = w.map(|w| &P::lanes(w)[..whole]);
    let values: [&[[f32; 16]]; T] = x.map(|x| &x.as_chunks().0[..whole]);
    for k in 0..whole {
        crate::dot::fetch(s, ahead, k, 16 * R * P::BYTES);
        let mut w = [s.splat(0.0); R];
        for r in 0..R {
            w[r] = P::wide(s, &lanes[r][k]);
        }
        for t in 0..T {
            let x = s.load(&values[t][k]);
            for r in 0..R {
                sums[t][r] = s.fma(w[r], x, sums[t][r]);
            }
        }
    }
    if !x[0].len().is_multiple_of(16) {
        for t in 0..T {
            let x = s.load_n(&x[t][16 * whole..]);
            for r in 0..R {
                sums[t][r] = s.fma(P::lane(s, w[r], whole), x, sums[t][r]);
            }
        }
    }
    sums
}

/// Any weights and activation rows.
#[inline(always)]
fn panels<S: Simd>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &[f32],
    room: &mut Unpacked,
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let (kind, view, cols) = (weight.kind, weight.view(), weight.cols);
    for (group, x) in x.chunks(GROUP * cols).enumerate() {
        let rows = x.len() / cols;
        for first in chunk.clone().step_by(PANEL) {
            let number = PANEL.min(chunk.end - first);
            room.clear(rows);
            // Each tile fetches its part of the next panel, which it would wait for.
            let next = view.blocks(first + PANEL..first + 2 * PANEL);
            let tiles = cols.div_ceil(16 * LANES) * rows.div_ceil(TILE);
            let mut next = next.chunks(next.len().div_ceil(tiles).next_multiple_of(64).max(64));
            for from in (0..cols).step_by(16 * LANES) {
                let columns = from..cols.min(from + 16 * LANES);
                for (r, lanes) in room.weights[..number].iter_mut().enumerate() {
                    let to = lanes.as_flattened_mut();
                    unpack(s, kind, view.row(first + r), columns.clone(), to);
                }
                room.add(s, number.div_ceil(4), x, cols, columns, &mut next);
            }
            for m in 0..rows {
                let mut products = [0.0; PANEL];
                for (four, products) in products.as_chunks_mut().0.iter_mut().enumerate() {
                    let [a, b, c, d] = &room.sums[m / TILE][four][m % TILE];
                    *products = s.sum4([s.load(a), s.load(b), s.load(c), s.load(d)]);
                }
                put(GROUP * group + m, first, &products[..number]);
            }
        }
    }
}

/// Widens some columns of a row, followed by zeros that fill up sixteen.
#[inline(always)]
fn unpack<S: Simd>(s: S, kind: Kind, row: Row<'_>, columns: Range<usize>, to: &mut [f32]) {
    let width = columns.len();
    to[width..width.next_multiple_of(16)].fill(0.0);
    let to = &mut to[..width];
    match kind {
        Kind::F32 => widen::<S, F32>(s, row.data, columns.start, to),
        Kind::F16 => widen::<S, F16>(s, row.data, columns.start, to),
        Kind::BF16 => widen::<S, Bf16>(s, row.data, columns.start, to),
        kind => kind.decode(row, columns.start, to),
    }
}

#[inline(always)]
fn widen<S: Simd, P: Plain>(s: S, row: &[u8], from: usize, to: &mut [f32]) {
    let (lanes, rest) = to.as_chunks_mut();
    for (to, lanes) in lanes.iter_mut().zip(&P::lanes(row)[from / 16..]) {
        s.store(to, P::wide(s, lanes));
    }
    if !rest.is_empty() {
        s.store_n(rest, P::lane(s, row, from / 16 + lanes.len()));
    }
}

impl Unpacked {
    fn clear(&mut self, rows: usize) {
        self.sums[..rows.div_ceil(TILE)].fill([[[[0.0; 16]; 4]; TILE]; PANEL / 4]);
    }

    /// Adds the products of some columns, which are unpacked, with all rows of `x`; each tile of
    /// them fetches some bytes of what is `next`.
    #[inline(always)]
    fn add<'a, S: Simd>(
        &mut self,
        s: S,
        fours: usize,
        x: &[f32],
        cols: usize,
        columns: Range<usize>,
        next: &mut impl Iterator<Item = &'a [u8]>,
    ) {
        for (x, sums) in x.chunks(TILE * cols).zip(&mut self.sums) {
            for line in next.next().unwrap_or_default().chunks(64) {
                s.prefetch(line, 0);
            }
            let sums = &mut sums[..fours];
            match x.len() / cols {
                TILE => add_rows::<S, TILE>(s, &self.weights, x, columns.clone(), sums),
                2 => add_rows::<S, 2>(s, &self.weights, x, columns.clone(), sums),
                _ => add_rows::<S, 1>(s, &self.weights, x, columns.clone(), sums),
            }
        }
    }
}

/// Adds the products with `T` rows of `x`.
#[inline(always)]
fn add_rows<S: Simd, const T: usize>(
    s: S,
    weights: &[[[f32; 16]; LANES]; PANEL],
    x: &[f32],
    columns: Range<usize>,
    sums: &mut [[[[f32; 16]; 4]; TILE]],
) {
    let cols = x.len() / T;
    let x: [&[f32]; T] = from_fn(|t| &x[t * cols..][..cols][columns.clone()]);
    let (whole, rest) = (columns.len() / 16, columns.len() % 16);
    for (w, sums) in weights.as_chunks::<4>().0.iter().zip(sums) {
        let sums = sums.first_chunk_mut::<T>().expect("at most as many rows");
        let w = w.each_ref();
        let (w_whole, x_whole) = (w.map(|w| &w[..whole]), x.map(|x| &x.as_chunks().0[..whole]));
        s.apart(
            #[inline(always)]
            || s.add_products(sums, w_whole, x_whole),
        );
        if rest > 0 {
            let mut last = [[[0.0; 16]]; T];
            for (last, x) in last.iter_mut().zip(x) {
                last[0][..rest].copy_from_slice(&x[16 * whole..]);
            }
            s.add_products(sums, w.map(|w| &w[whole..=whole]), last.each_ref().map(|x| &x[..]));
        }
    }
}
