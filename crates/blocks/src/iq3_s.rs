//! IQ3_S: 256 weights in fours from a grid of 512 points with signs; scales of 4 bits per 32.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::grids::{IQ3_S as GRID, joined, signed};
use crate::iq2_xs::odd_scales;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ3_S {
    d: [u8; 2],
    /// Lower eight bits of the points.
    low: [u8; 64],
    /// Ninth bits of the points, in order.
    high: [u8; 8],
    /// A bit per weight.
    signs: [u8; 32],
    /// The scales, two to a byte, in order.
    scales: [u8; 4],
}

const _: () = assert!(size_of::<IQ3_S>() == 110);

impl Block for IQ3_S {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 32, off: 16, max: 31, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        odd_scales(&self.scales, &mut out.scale);
        for (i, q) in out.q.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let [a, b] = [2 * i, 2 * i + 1].map(|i| {
                let high = self.high[i / 8] >> (i % 8) & 1;
                GRID[usize::from(high) << 8 | usize::from(self.low[i])]
            });
            *q = signed(joined(a, b), self.signs[i], 16);
        }
    }
}
