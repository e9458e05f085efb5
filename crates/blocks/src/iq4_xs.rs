//! IQ4_XS: 256 weights from IQ4_NL's codebook; scales of 6 bits per 32.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::iq4_nl::{CODEBOOK, look_up};
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ4_XS {
    d: [u8; 2],
    /// Upper pairs of bits of the scales, in order.
    scales_high: [u8; 2],
    /// Low halves of the scales, in order.
    scales_low: [u8; 4],
    /// Each 16 bytes hold 16 weights in their low halves and the next 16 in their high halves.
    codes: [u8; 128],
}

const _: () = assert!(size_of::<IQ4_XS>() == 136);

impl Block for IQ4_XS {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 32, off: 128, max: 241, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        for s in 0..8 {
            let low = self.scales_low[s / 2] >> (4 * (s % 2)) & 15;
            let high = self.scales_high[s / 4] >> (2 * (s % 4)) & 3;
            out.scale[s] = i16::from(high << 4 | low) - 32;
        }
        let codes = self.codes.as_chunks::<16>().0;
        for (q, codes) in out.q.as_chunks_mut::<32>().0.iter_mut().zip(codes) {
            look_up(codes, &CODEBOOK, q);
        }
    }
}
