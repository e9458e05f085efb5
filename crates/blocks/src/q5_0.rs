//! Q5_0: 32 weights of 5 bits around 16, one scale.

use bytemuck::AnyBitPattern;

use crate::bits::{MASKS, each_byte, f16, nibbles};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q5_0 {
    d: [u8; 2],
    /// The weights' fifth bits, in order.
    high: [u8; 4],
    /// Weights 0 to 15 in the low halves, 16 to 31 in the high halves.
    low: [u8; 16],
}

const _: () = assert!(size_of::<Q5_0>() == 22);

impl Block for Q5_0 {
    const LEN: usize = 32;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 32, sub: 32, off: 16, max: 31, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        fives(&self.low, &self.high, &mut out.q[..32]);
    }
}

/// 32 numbers of 5 bits, whose fifth bits lie apart.
#[inline(always)]
pub(crate) fn fives(low: &[u8; 16], high: &[u8; 4], out: &mut [u8]) {
    nibbles(low, out);
    for (q, &bits) in out.as_chunks_mut::<8>().0.iter_mut().zip(high) {
        let fifth = MASKS[usize::from(bits)] & each_byte(16);
        *q = (u64::from_le_bytes(*q) | fifth).to_le_bytes();
    }
}
