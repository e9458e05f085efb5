//! TQ2_0: 256 ternary weights, four to a byte, one scale.

use bytemuck::AnyBitPattern;

use crate::bits::{crumbs, f16};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct TQ2_0 {
    q: [u8; 64],
    d: [u8; 2],
}

const _: () = assert!(size_of::<TQ2_0>() == 66);

impl Block for TQ2_0 {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 256, off: 1, max: 3, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        crumbs(&self.q, &mut out.q);
    }
}
