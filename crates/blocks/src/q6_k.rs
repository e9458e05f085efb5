//! Q6_K: 256 weights of 6 bits around 32; scales of 8 bits per 16.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q6_K {
    /// Each 64 bytes hold 64 weights in their low halves and the next 64 in their high halves.
    low: [u8; 128],
    /// Upper pairs of bits: each 32 bytes hold four runs of 32, the first in the lowest bits.
    high: [u8; 64],
    /// Two's complement.
    scales: [u8; 16],
    d: [u8; 2],
}

const _: () = assert!(size_of::<Q6_K>() == 210);

impl Block for Q6_K {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 16, off: 32, max: 63, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        for (scale, byte) in out.scale.iter_mut().zip(self.scales) {
            *scale = i16::from(byte as i8);
        }
        let halves = self.low.as_chunks::<64>().0.iter().zip(self.high.as_chunks::<32>().0);
        for (q, (low, high)) in out.q.as_chunks_mut::<128>().0.iter_mut().zip(halves) {
            for k in 0..32 {
                q[k] = low[k] & 15 | (high[k] & 3) << 4;
                q[k + 32] = low[k + 32] & 15 | (high[k] >> 2 & 3) << 4;
                q[k + 64] = low[k] >> 4 | (high[k] >> 4 & 3) << 4;
                q[k + 96] = low[k + 32] >> 4 | (high[k] >> 6) << 4;
            }
        }
    }
}
