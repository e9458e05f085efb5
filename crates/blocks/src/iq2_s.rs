//! IQ2_S: 256 weights in eights from a grid of 1024 points with signs; scales of 4 bits per 16.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::grids::{self, signed};
use crate::iq2_xs::odd_scales;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ2_S {
    d: [u8; 2],
    /// Lower eight bits of the points.
    low: [u8; 32],
    /// A bit per weight.
    signs: [u8; 32],
    /// Upper two bits of the points, in order.
    high: [u8; 8],
    /// The scales, two to a byte, in order.
    scales: [u8; 8],
}

const _: () = assert!(size_of::<IQ2_S>() == 82);

impl Block for IQ2_S {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 16, off: 64, max: 107, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d) * 0.125;
        odd_scales(&self.scales, &mut out.scale);
        for (i, q) in out.q.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let high = self.high[i / 4] >> (2 * (i % 4)) & 3;
            let point = usize::from(high) << 8 | usize::from(self.low[i]);
            *q = signed(grids::IQ2_S[point], self.signs[i], 64);
        }
    }
}
