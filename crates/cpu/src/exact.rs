//! Products of four weight rows with f32 activations.
//!
//! Each product is one vector of sixteen sums over the columns, folded at the end: the same
//! operations in the same order however many activation rows take part, so that a row's bits
//! depend on itself only. Packed formats are decoded once for all activation rows.

use crate::plain::{Bf16, F16, F32, Plain};
use crate::simd::Simd;
use blocks::{Kind, Tensor};

/// Activation rows that share one pass over four weight rows.
const TILE: usize = 4;

/// Multiplies weight rows `first .. first + 4` (as many as there are) with each row of `x`,
/// (m, cols); `put` takes the row and its four products. `decoded` has room for four rows; the
/// bytes `ahead` are fetched meanwhile.
#[inline(always)]
pub fn multiply<S: Simd>(
    s: S,
    weight: &Tensor,
    first: usize,
    x: &[f32],
    decoded: &mut [f32],
    ahead: &[u8],
    mut put: impl FnMut(usize, [f32; 4]),
) {
    let count = 4.min(weight.rows - first);
    // Rows beyond the last repeat it; their products are not used.
    let rows = [0, 1, 2, 3].map(|r| first + r.min(count - 1));
    let bytes = rows.map(|r| weight.row(r).data);
    // Decoding pays off when the rows are used more often than once.
    let few = x.len() <= TILE * weight.cols;
    match weight.kind {
        Kind::F32 => tiles::<S, F32>(s, bytes, weight.cols, x, ahead, &mut put),
        Kind::F16 if few => tiles::<S, F16>(s, bytes, weight.cols, x, ahead, &mut put),
        Kind::BF16 if few => tiles::<S, Bf16>(s, bytes, weight.cols, x, ahead, &mut put),
        _ => {
            for (row, decoded) in rows.into_iter().zip(decoded.chunks_exact_mut(weight.cols)) {
                decode::<S>(s, weight, row, decoded);
            }
            let bytes: &[u8] = bytemuck::cast_slice(decoded);
            let row = |r: usize| &bytes[4 * r * weight.cols..][..4 * weight.cols];
            let rows = [row(0), row(1), row(2), row(3)];
            tiles::<S, F32>(s, rows, weight.cols, x, ahead, &mut put);
        }
    }
}

#[inline(always)]
fn decode<S: Simd>(s: S, weight: &Tensor, row: usize, out: &mut [f32]) {
    match weight.kind {
        Kind::F16 => widen::<S, F16>(s, weight.row(row).data, out),
        Kind::BF16 => widen::<S, Bf16>(s, weight.row(row).data, out),
        _ => weight.decode_row(row, out),
    }
}

#[inline(always)]
fn widen<S: Simd, P: Plain>(s: S, bytes: &[u8], out: &mut [f32]) {
    for (k, out) in out.chunks_mut(16).enumerate() {
        s.store_n(out, P::lane(s, bytes, k));
    }
}

#[inline(always)]
fn tiles<S: Simd, P: Plain>(
    s: S,
    w: [&[u8]; 4],
    cols: usize,
    x: &[f32],
    ahead: &[u8],
    put: &mut impl FnMut(usize, [f32; 4]),
) {
    let rows = x.len() / cols;
    let row = |m: usize| &x[m * cols..][..cols];
    let mut m = 0;
    while m + TILE <= rows {
        let products =
            tile::<S, P, TILE>(s, w, [row(m), row(m + 1), row(m + 2), row(m + 3)], ahead);
        for (t, four) in products.into_iter().enumerate() {
            put(m + t, four);
        }
        m += TILE;
    }
    for m in m..rows {
        let [four] = tile::<S, P, 1>(s, w, [row(m)], ahead);
        put(m, four);
    }
}

#[inline(always)]
fn tile<S: Simd, P: Plain, const T: usize>(
    s: S,
    w: [&[u8]; 4],
    x: [&[f32]; T],
    ahead: &[u8],
) -> [[f32; 4]; T] {
    let mut acc = [[s.splat(0.0); 4]; T];
    let cols = x[0].len();
    for k in 0..cols / 16 {
        crate::dot::fetch(s, ahead, k, 64 * P::BYTES);
        let w = [
            lane::<S, P>(s, w[0], k),
            lane::<S, P>(s, w[1], k),
            lane::<S, P>(s, w[2], k),
            lane::<S, P>(s, w[3], k),
        ];
        for t in 0..T {
            let x = s.load(x[t][16 * k..][..16].try_into().expect("sixteen values"));
            for r in 0..4 {
                acc[t][r] = s.fma(w[r], x, acc[t][r]);
            }
        }
    }
    if !cols.is_multiple_of(16) {
        let k = cols / 16;
        for t in 0..T {
            let x = s.load_n(&x[t][16 * k..]);
            for r in 0..4 {
                acc[t][r] = s.fma(P::lane(s, w[r], k), x, acc[t][r]);
            }
        }
    }
    let mut products = [[0.0; 4]; T];
    for (four, acc) in products.iter_mut().zip(acc) {
        *four = s.sum4(acc);
    }
    products
}

/// Sixteen whole numbers of a row.
#[inline(always)]
fn lane<S: Simd, P: Plain>(s: S, row: &[u8], k: usize) -> S::F {
    P::load(s, &row[16 * k * P::BYTES..][..16 * P::BYTES])
}
