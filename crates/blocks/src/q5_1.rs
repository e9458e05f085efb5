//! Q5_1: 32 weights of 5 bits, one scale and one minimum.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::q5_0::fives;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q5_1 {
    d: [u8; 2],
    /// The smallest weight, which is added.
    min: [u8; 2],
    /// The weights' fifth bits, in order.
    high: [u8; 4],
    /// Weights 0 to 15 in the low halves, 16 to 31 in the high halves.
    low: [u8; 16],
}

const _: () = assert!(size_of::<Q5_1>() == 24);

impl Block for Q5_1 {
    const LEN: usize = 32;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 32, sub: 32, off: 0, max: 31, mins: true, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        out.dmin = -f16(self.min);
        out.min[0] = 1;
        fives(&self.low, &self.high, &mut out.q[..32]);
    }
}
