//! Rows of the caches as they are stored: plain numbers, or blocks of 32 with a scale.
//!
//! A number times a scale is exact in f32, so what is read are the format's values to the bit.

use crate::plain::Plain;
use crate::simd::Simd;
use blocks::{encode_q4_0, encode_q8_0};

/// How a row is stored.
pub trait Stored: Copy {
    /// Bytes of a row of so many numbers.
    fn row_bytes(dim: usize) -> usize;
    /// Numbers `16 * k .. 16 * k + 16` of a row that has them.
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F;
    /// Numbers `16 * k ..` of a row, as many as it has, then zeros.
    fn rest<S: Simd>(s: S, row: &[u8], k: usize) -> S::F;
    /// Stores a row.
    fn put<S: Simd>(s: S, row: &mut [u8], x: &[f32]);
}

impl<P: Plain> Stored for P {
    #[inline(always)]
    fn row_bytes(dim: usize) -> usize {
        dim * P::BYTES
    }

    #[inline(always)]
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        P::load(s, &row[16 * k * P::BYTES..][..16 * P::BYTES])
    }

    #[inline(always)]
    fn rest<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        P::lane(s, row, k)
    }

    #[inline(always)]
    fn put<S: Simd>(s: S, row: &mut [u8], x: &[f32]) {
        P::write(s, row, x);
    }
}

/// GGUF's Q8_0: a half, then 32 signed bytes.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug)]
pub struct Q8_0;

/// GGUF's Q4_0: a half, then sixteen bytes whose low halves are the first sixteen numbers.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug)]
pub struct Q4_0;

/// Block `i` of a row.
#[inline(always)]
fn block<const N: usize>(row: &[u8], i: usize) -> &[u8; N] {
    row[N * i..].first_chunk().expect("whole blocks")
}

impl Stored for Q8_0 {
    #[inline(always)]
    fn row_bytes(dim: usize) -> usize {
        dim / 32 * 34
    }

    #[inline(always)]
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        let block: &[u8; 34] = block(row, k / 2);
        let q = block[2 + k % 2 * 16..].first_chunk().expect("sixteen of 32");
        s.mul(s.load_i8(q), s.splat_f16([block[0], block[1]]))
    }

    #[inline(always)]
    fn rest<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        Self::lane(s, row, k)
    }

    #[inline(always)]
    fn put<S: Simd>(_: S, row: &mut [u8], x: &[f32]) {
        for (block, x) in row.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
            *block = encode_q8_0(x);
        }
    }
}

impl Stored for Q4_0 {
    #[inline(always)]
    fn row_bytes(dim: usize) -> usize {
        dim / 32 * 18
    }

    #[inline(always)]
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        let block: &[u8; 18] = block(row, k / 2);
        let q = block[2..].first_chunk().expect("sixteen bytes");
        s.mul(s.load_i4(q, k % 2 == 1), s.splat_f16([block[0], block[1]]))
    }

    #[inline(always)]
    fn rest<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        Self::lane(s, row, k)
    }

    #[inline(always)]
    fn put<S: Simd>(_: S, row: &mut [u8], x: &[f32]) {
        for (block, x) in row.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
            *block = encode_q4_0(x);
        }
    }
}
