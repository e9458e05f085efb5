//! Formats whose blocks of 32 hold places in a codebook of sixteen: IQ4_NL and MXFP4.
//!
//! IQ4_NL: 18 bytes, a scale (half) and the codes. MXFP4: 17 bytes, a power of two and the codes.
//! The low halves of sixteen bytes are the first sixteen codes.

use super::{halves, pairs::Pairs};
use crate::simd::Simd;
use blocks::{FP4_DOUBLED, HALVES_OF_POWERS, IQ4_CODEBOOK};

/// A codebook that was made unsigned by adding `off`, as signed bytes.
pub const fn signed(codebook: [u8; 16], off: u8) -> [u8; 16] {
    let (mut bytes, mut i) = ([0; 16], 0);
    while i < 16 {
        bytes[i] = codebook[i].wrapping_sub(off);
        i += 1;
    }
    bytes
}

/// Four rows of IQ4_NL.
pub struct IQ4NL<'a>(pub [&'a [[u8; 18]]; 4]);

impl Pairs for IQ4NL<'_> {
    const BYTES: usize = 18;

    #[inline(always)]
    fn off<S: Simd>(&self) -> i16 {
        if S::FULL_U8 { 128 } else { 0 }
    }

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B {
        let codes = |b: usize| self.0[r][b].last_chunk().expect("sixteen bytes");
        let table = if S::FULL_U8 { &IQ4_CODEBOOK } else { const { &signed(IQ4_CODEBOOK, 128) } };
        s.look_up(table, s.nibbles(codes(a), codes(b)))
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2] {
        [halves(s, &self.0, a, 0), halves(s, &self.0, b, 0)]
    }
}

/// Four rows of MXFP4.
pub struct MXFP4<'a>(pub [&'a [[u8; 17]]; 4]);

impl Pairs for MXFP4<'_> {
    const BYTES: usize = 17;

    #[inline(always)]
    fn off<S: Simd>(&self) -> i16 {
        12
    }

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, a: usize, b: usize) -> S::B {
        let codes = |b: usize| self.0[r][b].last_chunk().expect("sixteen bytes");
        s.look_up(&FP4_DOUBLED, s.nibbles(codes(a), codes(b)))
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, a: usize, b: usize) -> [S::Q; 2] {
        let powers = |b: usize| four!(r => HALVES_OF_POWERS[usize::from(self.0[r][b][0])]);
        [s.q_load(powers(a)), s.q_load(powers(b))]
    }
}
