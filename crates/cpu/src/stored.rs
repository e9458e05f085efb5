//! Rows of the caches as they are stored: plain numbers, or blocks of 32 with a scale.
//!
//! A number times a scale is exact in f32, so what is read are the format's values to the bit.

use crate::plain::Plain;
use crate::simd::Simd;
use blocks::{encode_q4_0, encode_q8_0};

/// How a row is stored.
pub trait Stored: Copy {
    /// Bytes of 32 numbers.
    const BLOCK: usize;
    /// Bytes of a row of so many numbers.
    fn row_bytes(dim: usize) -> usize;
    /// The first sixteen numbers of the block that `bytes` begin with, or the second sixteen.
    fn half<S: Simd, const SECOND: bool>(s: S, bytes: &[u8]) -> S::F;
    /// Numbers `16 * k ..` of a row, as many as it has, then zeros.
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F;
    /// Stores a row.
    fn put<S: Simd>(s: S, row: &mut [u8], x: &[f32]);

    /// The numbers of the block that `bytes` begin with.
    #[inline(always)]
    fn block<S: Simd>(s: S, bytes: &[u8]) -> [S::F; 2] {
        let block = &bytes[..Self::BLOCK];
        [Self::half::<S, false>(s, block), Self::half::<S, true>(s, block)]
    }
}

/// Numbers `16 * k ..` of a row of blocks.
#[inline(always)]
fn lane<S: Simd, P: Stored>(s: S, row: &[u8], k: usize) -> S::F {
    let block = &row[k / 2 * P::BLOCK..];
    if k.is_multiple_of(2) { P::half::<S, false>(s, block) } else { P::half::<S, true>(s, block) }
}

impl<P: Plain> Stored for P {
    const BLOCK: usize = 32 * P::BYTES;

    #[inline(always)]
    fn row_bytes(dim: usize) -> usize {
        dim * P::BYTES
    }

    #[inline(always)]
    fn half<S: Simd, const SECOND: bool>(s: S, bytes: &[u8]) -> S::F {
        let first = if SECOND { 16 * P::BYTES } else { 0 };
        P::load(s, &bytes[first..first + 16 * P::BYTES])
    }

    #[inline(always)]
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
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

impl Stored for Q8_0 {
    const BLOCK: usize = 34;

    #[inline(always)]
    fn row_bytes(dim: usize) -> usize {
        dim / 32 * 34
    }

    #[inline(always)]
    fn half<S: Simd, const SECOND: bool>(s: S, bytes: &[u8]) -> S::F {
        let block: &[u8; 34] = bytes.first_chunk().expect("a whole block");
        let q = block[if SECOND { 18 } else { 2 }..].first_chunk().expect("sixteen of 32");
        s.mul(s.load_i8(q), s.splat_f16([block[0], block[1]]))
    }

    #[inline(always)]
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        lane::<S, Self>(s, row, k)
    }

    #[inline(always)]
    fn put<S: Simd>(_: S, row: &mut [u8], x: &[f32]) {
        for (block, x) in row.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
            *block = encode_q8_0(x);
        }
    }
}

impl Stored for Q4_0 {
    const BLOCK: usize = 18;

    #[inline(always)]
    fn row_bytes(dim: usize) -> usize {
        dim / 32 * 18
    }

    #[inline(always)]
    fn half<S: Simd, const SECOND: bool>(s: S, bytes: &[u8]) -> S::F {
        let block: &[u8; 18] = bytes.first_chunk().expect("a whole block");
        let q = block[2..].first_chunk().expect("sixteen bytes");
        s.scaled_i4::<SECOND>(q, [block[0], block[1]])
    }

    #[inline(always)]
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        lane::<S, Self>(s, row, k)
    }

    #[inline(always)]
    fn put<S: Simd>(_: S, row: &mut [u8], x: &[f32]) {
        for (block, x) in row.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
            *block = encode_q4_0(x);
        }
    }
}
