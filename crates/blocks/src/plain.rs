//! Weights as plain floats, one after another.

use bytemuck::AnyBitPattern;
use half::slice::HalfFloatSliceExt;

use crate::IntShape;
use crate::block::Block;

/// A plain float format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Plain {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of an IEEE single.
    BF16,
}

impl Plain {
    /// Bytes per number.
    pub fn bytes(self) -> usize {
        match self {
            Plain::F32 => 4,
            Plain::F16 | Plain::BF16 => 2,
        }
    }

    /// Number `index` of `bytes`.
    #[inline(always)]
    pub(crate) fn get(self, bytes: &[u8], index: usize) -> f32 {
        match self {
            Plain::F32 => f32::from_le_bytes(bytes.as_chunks().0[index]),
            Plain::F16 => crate::bits::f16(bytes.as_chunks().0[index]),
            Plain::BF16 => bf16(bytes.as_chunks().0[index]),
        }
    }
}

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(transparent)]
pub(crate) struct F32([u8; 4]);

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(transparent)]
pub(crate) struct F16([u8; 2]);

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(transparent)]
pub(crate) struct BF16([u8; 2]);

impl Block for F32 {
    const LEN: usize = 1;
    const INTS: Option<IntShape> = None;

    fn decode(blocks: &[Self], out: &mut [f32]) {
        for (w, block) in out.iter_mut().zip(blocks) {
            *w = f32::from_le_bytes(block.0);
        }
    }
}

impl Block for F16 {
    const LEN: usize = 1;
    const INTS: Option<IntShape> = None;

    fn decode(blocks: &[Self], out: &mut [f32]) {
        // A chunk of bits on the stack is aligned, whatever the file is.
        let mut bits = [0u16; 256];
        for (out, blocks) in out.chunks_mut(256).zip(blocks.chunks(256)) {
            for (bits, block) in bits.iter_mut().zip(blocks) {
                *bits = u16::from_le_bytes(block.0);
            }
            let halves: &[half::f16] = bytemuck::cast_slice(&bits[..blocks.len()]);
            halves.convert_to_f32_slice(out);
        }
    }
}

impl Block for BF16 {
    const LEN: usize = 1;
    const INTS: Option<IntShape> = None;

    fn decode(blocks: &[Self], out: &mut [f32]) {
        for (w, block) in out.iter_mut().zip(blocks) {
            *w = bf16(block.0);
        }
    }
}

#[inline(always)]
fn bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}
