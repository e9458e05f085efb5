//! Q4_0: 32 weights of 4 bits around 8, one scale.

use bytemuck::AnyBitPattern;

use crate::bits::{f16, nibbles};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q4_0 {
    d: [u8; 2],
    /// Weights 0 to 15 in the low halves, 16 to 31 in the high halves.
    q: [u8; 16],
}

const _: () = assert!(size_of::<Q4_0>() == 18);

impl Block for Q4_0 {
    const LEN: usize = 32;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 32, sub: 32, off: 8, max: 15, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        nibbles(&self.q, &mut out.q[..32]);
    }
}
