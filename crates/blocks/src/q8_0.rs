//! Q8_0: 32 signed bytes, one scale.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q8_0 {
    d: [u8; 2],
    /// Two's complement.
    q: [u8; 32],
}

const _: () = assert!(size_of::<Q8_0>() == 34);

impl Block for Q8_0 {
    const LEN: usize = 32;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 32, sub: 32, off: 128, max: 255, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        for (q, byte) in out.q.iter_mut().zip(self.q) {
            *q = byte ^ 0x80;
        }
    }
}
