//! Plain numbers at any address, sixteen at a time: weights and caches that are not packed.

use crate::simd::Simd;

/// A plain format.
pub trait Plain: Copy {
    /// Bytes of a number.
    const BYTES: usize;
    /// The bytes of sixteen numbers.
    type Lanes: Copy;

    /// A row in sixteens, as many as are whole.
    fn lanes(row: &[u8]) -> &[Self::Lanes];
    /// Sixteen numbers.
    fn wide<S: Simd>(s: S, lanes: &Self::Lanes) -> S::F;
    /// The sixteen numbers at the start of `bytes`.
    #[inline(always)]
    fn load<S: Simd>(s: S, bytes: &[u8]) -> S::F {
        Self::wide(s, &Self::lanes(bytes)[0])
    }
    /// Stores up to sixteen numbers.
    fn store<S: Simd>(s: S, bytes: &mut [u8], x: S::F);

    /// Numbers `16 * k ..` of a row, as many as it has, then zeros.
    #[inline(always)]
    fn lane<S: Simd>(s: S, row: &[u8], k: usize) -> S::F {
        let rest = &row[16 * k * Self::BYTES..];
        if rest.len() >= 16 * Self::BYTES {
            return Self::load(s, &rest[..16 * Self::BYTES]);
        }
        let mut padded = [0; 64];
        padded[..rest.len()].copy_from_slice(rest);
        Self::load(s, &padded[..16 * Self::BYTES])
    }

    /// Stores a row.
    #[inline(always)]
    fn write<S: Simd>(s: S, row: &mut [u8], x: &[f32]) {
        for (bytes, x) in row.chunks_mut(16 * Self::BYTES).zip(x.chunks(16)) {
            let mut padded = [0; 64];
            let x = s.load_n(x);
            if bytes.len() == 16 * Self::BYTES {
                Self::store(s, bytes, x);
            } else {
                Self::store(s, &mut padded[..16 * Self::BYTES], x);
                bytes.copy_from_slice(&padded[..bytes.len()]);
            }
        }
    }
}

/// IEEE binary32.
#[derive(Clone, Copy, Debug)]
pub struct F32;

/// IEEE binary16.
#[derive(Clone, Copy, Debug)]
pub struct F16;

/// bfloat16; read only.
#[derive(Clone, Copy, Debug)]
pub struct Bf16;

/// The message for lengths that the callers above fix.
const FIXED: &str = "sixteen numbers";

impl Plain for F32 {
    const BYTES: usize = 4;
    type Lanes = [u8; 64];

    #[inline(always)]
    fn lanes(row: &[u8]) -> &[[u8; 64]] {
        row.as_chunks().0
    }

    #[inline(always)]
    fn wide<S: Simd>(s: S, lanes: &[u8; 64]) -> S::F {
        s.load_f32(lanes)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, bytes: &mut [u8], x: S::F) {
        let mut lanes = [0.0; 16];
        s.store(&mut lanes, x);
        for (bytes, lane) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(lanes) {
            *bytes = lane.to_le_bytes();
        }
    }
}

impl Plain for F16 {
    const BYTES: usize = 2;
    type Lanes = [u8; 32];

    #[inline(always)]
    fn lanes(row: &[u8]) -> &[[u8; 32]] {
        row.as_chunks().0
    }

    #[inline(always)]
    fn wide<S: Simd>(s: S, lanes: &[u8; 32]) -> S::F {
        s.load_f16(lanes)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, bytes: &mut [u8], x: S::F) {
        s.store_f16(bytes.try_into().expect(FIXED), x);
    }
}

impl Plain for Bf16 {
    const BYTES: usize = 2;
    type Lanes = [u8; 32];

    #[inline(always)]
    fn lanes(row: &[u8]) -> &[[u8; 32]] {
        row.as_chunks().0
    }

    #[inline(always)]
    fn wide<S: Simd>(s: S, lanes: &[u8; 32]) -> S::F {
        s.load_bf16(lanes)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, bytes: &mut [u8], x: S::F) {
        let mut lanes = [0.0; 16];
        s.store(&mut lanes, x);
        for (bytes, lane) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(lanes) {
            *bytes = half::bf16::from_f32(lane).to_le_bytes();
        }
    }
}
