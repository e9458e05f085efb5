//! Q2_K: 256 weights of 2 bits; scales and minimums of 4 bits per 16.

use bytemuck::AnyBitPattern;

use crate::bits::{crumbs, f16};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q2_K {
    /// Scale in the low half, minimum in the high half.
    scales: [u8; 16],
    q: [u8; 64],
    d: [u8; 2],
    dmin: [u8; 2],
}

const _: () = assert!(size_of::<Q2_K>() == 84);

impl Block for Q2_K {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 16, off: 0, max: 3, mins: true, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        out.dmin = f16(self.dmin);
        for (s, byte) in self.scales.into_iter().enumerate() {
            out.scale[s] = i16::from(byte & 15);
            out.min[s] = i16::from(byte >> 4);
        }
        crumbs(&self.q, &mut out.q);
    }
}
