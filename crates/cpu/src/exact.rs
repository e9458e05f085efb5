//! Products of weights with f32 activations.
//!
//! Each product is one vector of sixteen sums over the columns, folded at the end: the same
//! operations in the same order however many activation rows take part, so that a row's bits
//! depend on itself only. For few activation rows weights are widened as they are read; for many
//! a block of weight rows stays in the second cache while all of them pass, three at a time.
//!
//! Versions tried with AVX2 on two cores of Milan, F16, 1024 weights of a row with one activation
//! row from the nearest caches, then each of 48:
//! - four rows' loop amid the rest, 16 sums of four activation rows: 90 ns, as sums went through
//!   memory, and 116 ns;
//! - the loop as a function of its own, six sums at a time: 43 ns (memory delivers the weights in
//!   150) and 32 ns, 64% of the peak of 20.5;
//! - eight weight rows unpacked for 48 activation rows, half of the lanes of twelve sums, seven
//!   loads for twelve products instead of ten: prompts of 256 with Qwen3-0.6B 74 and 69 to 87 and
//!   93 tokens/s in two alternations;
//! - the next panel fetched meanwhile: 47 GFLOP/s on one core in the slow minutes and 64 in the
//!   fast ones, of which the loop alone reaches 86 and 97. Two weight rows widened in the loop for
//!   six activation rows and operands from memory were no faster;
//! - nothing unpacked, but four weight rows widened for three activation rows, which is as fast a
//!   loop; 32 weight rows stay in the second cache: 53 and 71; products put 32 at a time: 57 and
//!   75. Fewer columns at once, more activation rows in the nearest cache, copies of them without
//!   gaps and huge pages were no faster.

use crate::dot::Ahead;
use crate::plain::{Bf16, F16, F32, Plain};
use crate::simd::Simd;
use blocks::{Kind, Tensor};
use std::array::from_fn;
use std::ops::Range;

/// Activation rows up to which plain weights are read once, from memory, for all of them.
const FEW: usize = 3;
/// Activation rows that are multiplied together.
const TILE: usize = 3;
/// Most weight rows that all activation rows pass before the next ones.
const BLOCK: usize = 32;
/// Bytes of such a block that stay in the second cache.
const BLOCK_BYTES: usize = 1 << 18;
/// Columns of a block that are multiplied together, in sixteens: those of three activation rows
/// stay in the nearest cache while the block's pass.
const LANES: usize = 64;
/// Activation rows that share four weight rows of a packed format, whole tiles of them.
const GROUP: usize = 16 * TILE;

/// Sums of four weight rows, (activation row, weight row), of sixteen lanes each.
type Sums = [[[f32; 16]; 4]; TILE];

/// A thread's own memory for many activation rows.
#[repr(C, align(64))]
pub struct Room {
    /// Columns of four rows of a packed format.
    weights: [[[f32; 16]; LANES]; 4],
    /// Of a block with a tile of activation rows, or of four weight rows with a group.
    sums: [Sums; GROUP / TILE],
}

impl Room {
    /// Zeros.
    pub fn new() -> Box<Room> {
        const { assert!(BLOCK / 4 <= GROUP / TILE) }
        Box::new(Room { weights: [[[0.0; 16]; LANES]; 4], sums: [EMPTY; GROUP / TILE] })
    }
}

const EMPTY: Sums = [[[0.0; 16]; 4]; TILE];

/// Multiplies weight rows `chunk` with each row of `x`, (m, cols); `put` takes the row, the first
/// of some weight rows and their products.
#[inline(always)]
pub fn multiply<S: Simd>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &[f32],
    room: &mut Room,
    put: impl FnMut(usize, usize, &[f32]),
) {
    match weight.kind {
        Kind::F32 => plain::<S, F32>(s, weight, chunk, x, &mut room.sums, put),
        Kind::F16 => plain::<S, F16>(s, weight, chunk, x, &mut room.sums, put),
        Kind::BF16 => plain::<S, Bf16>(s, weight, chunk, x, &mut room.sums, put),
        _ => packed(s, weight, chunk, x, room, put),
    }
}

/// Plain weights.
#[inline(always)]
fn plain<S: Simd, P: Plain>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &[f32],
    sums: &mut [Sums],
    put: impl FnMut(usize, usize, &[f32]),
) {
    if x.len() <= FEW * weight.cols {
        few::<S, P>(s, weight, chunk, x, put);
    } else {
        many::<S, P>(s, weight, chunk, x, sums, put);
    }
}

/// Plain weights and up to three activation rows.
#[inline(always)]
fn few<S: Simd, P: Plain>(
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

/// Plain weights and any activation rows.
#[inline(always)]
fn many<S: Simd, P: Plain>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &[f32],
    sums: &mut [Sums],
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let (view, cols, row_bytes) = (weight.view(), weight.cols, weight.cols * P::BYTES);
    let block = (BLOCK_BYTES / row_bytes / 4 * 4).clamp(4, BLOCK);
    for first in chunk.clone().step_by(block) {
        let number = block.min(chunk.end - first);
        let bytes = view.blocks(first..first + number);
        let sums = &mut sums[..number.div_ceil(4)];
        // Each tile of products fetches its part of the next block, which it would wait for.
        let next = view.blocks(first + block..first + 2 * block);
        let tiles = sums.len() * cols.div_ceil(16 * LANES) * (x.len() / cols).div_ceil(TILE);
        let mut next = next.chunks(next.len().div_ceil(tiles).next_multiple_of(64).max(64));
        for (tile, x) in x.chunks(TILE * cols).enumerate() {
            sums.fill(EMPTY);
            for from in (0..cols).step_by(16 * LANES) {
                let columns = from..cols.min(from + 16 * LANES);
                for (sums, bytes) in sums.iter_mut().zip(bytes.chunks(4 * row_bytes)) {
                    for line in next.next().unwrap_or_default().chunks(64) {
                        s.prefetch(line, 0);
                    }
                    let w = four_rows(bytes, row_bytes);
                    let w = w.map(|w| &w[columns.start * P::BYTES..columns.end * P::BYTES]);
                    add::<S, P>(s, w, x, cols, columns.clone(), sums);
                }
            }
            for m in 0..x.len() / cols {
                let mut products = [[0.0; 4]; BLOCK / 4];
                for (four, sums) in products.iter_mut().zip(&*sums) {
                    *four = folded(s, &sums[m]);
                }
                put(TILE * tile + m, first, &products.as_flattened()[..number]);
            }
        }
    }
}

/// Four rows; those beyond the last repeat it, and their products are not used.
#[inline(always)]
fn four_rows(bytes: &[u8], row_bytes: usize) -> [&[u8]; 4] {
    let last = bytes.len() - row_bytes;
    let row = |r: usize| &bytes[last.min(r * row_bytes)..][..row_bytes];
    [row(0), row(1), row(2), row(3)]
}

/// The products that four sums of lanes make.
#[inline(always)]
fn folded<S: Simd>(s: S, [a, b, c, d]: &[[f32; 16]; 4]) -> [f32; 4] {
    s.sum4([s.load(a), s.load(b), s.load(c), s.load(d)])
}

/// Weights of packed formats and any activation rows.
#[inline(always)]
fn packed<S: Simd>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &[f32],
    room: &mut Room,
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let (kind, view, cols) = (weight.kind, weight.view(), weight.cols);
    for (group, x) in x.chunks(GROUP * cols).enumerate() {
        for first in chunk.clone().step_by(4) {
            let number = 4.min(chunk.end - first);
            let sums = &mut room.sums[..(x.len() / cols).div_ceil(TILE)];
            sums.fill(EMPTY);
            for from in (0..cols).step_by(16 * LANES) {
                let columns = from..cols.min(from + 16 * LANES);
                for (r, row) in room.weights[..number].iter_mut().enumerate() {
                    let to = &mut row.as_flattened_mut()[..columns.len()];
                    kind.decode(view.row(first + r), from, to);
                }
                let rows: [&[u8]; 4] = from_fn(|r| {
                    bytemuck::cast_slice(&room.weights[r].as_flattened()[..columns.len()])
                });
                for (x, sums) in x.chunks(TILE * cols).zip(&mut *sums) {
                    add::<S, F32>(s, rows, x, cols, columns.clone(), sums);
                }
            }
            for (m, sums) in sums.as_flattened()[..x.len() / cols].iter().enumerate() {
                put(GROUP * group + m, first, &folded(s, sums)[..number]);
            }
        }
    }
}

/// Adds the products of some columns of four weight rows with a tile of activation rows.
#[inline(always)]
fn add<S: Simd, P: Plain>(
    s: S,
    w: [&[u8]; 4],
    x: &[f32],
    cols: usize,
    columns: Range<usize>,
    sums: &mut Sums,
) {
    match x.len() / cols {
        TILE => add_rows::<S, P, TILE>(s, w, x, columns, sums),
        2 => add_rows::<S, P, 2>(s, w, x, columns, sums),
        _ => add_rows::<S, P, 1>(s, w, x, columns, sums),
    }
}

/// The same with `T` activation rows.
#[inline(always)]
fn add_rows<S: Simd, P: Plain, const T: usize>(
    s: S,
    w: [&[u8]; 4],
    x: &[f32],
    columns: Range<usize>,
    sums: &mut Sums,
) {
    let cols = x.len() / T;
    let x: [&[f32]; T] = from_fn(|t| &x[t * cols..][..cols][columns.clone()]);
    let whole = columns.len() / 16;
    let sums = sums.first_chunk_mut::<T>().expect("at most as many rows");
    let (w_whole, x_whole) = (w.map(P::lanes), x.map(|x| x.as_chunks().0));
    s.apart(
        #[inline(always)]
        || s.add_products::<P, T>(sums, w_whole, x_whole),
    );
    if !columns.len().is_multiple_of(16) {
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = s.load_n(&x[16 * whole..]);
            for (sum, w) in sums.iter_mut().zip(w) {
                let lanes = s.fma(P::lane(s, w, whole), x, s.load(sum));
                s.store(sum, lanes);
            }
        }
    }
}
