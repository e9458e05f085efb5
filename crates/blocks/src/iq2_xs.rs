//! IQ2_XS: 256 weights in eights from a grid of 512 points with signs; scales of 4 bits per 16.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::grids::{self, even_signs, signed};
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ2_XS {
    d: [u8; 2],
    /// Nine bits for a point, seven for signs.
    codes: [[u8; 2]; 32],
    /// The scales, two to a byte, in order.
    scales: [u8; 8],
}

const _: () = assert!(size_of::<IQ2_XS>() == 74);

impl Block for IQ2_XS {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 16, off: 64, max: 107, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d) * 0.125;
        odd_scales(&self.scales, &mut out.scale);
        for (q, code) in out.q.as_chunks_mut::<8>().0.iter_mut().zip(self.codes) {
            let code = u16::from_le_bytes(code);
            let point = grids::IQ2_XS[usize::from(code & 511)];
            *q = signed(point, even_signs(u32::from(code >> 9)), 64);
        }
    }
}

/// Scales of 4 bits, two to a byte: a scale of d * (0.5 + s) / 4 is d / 8 * (2 * s + 1).
#[inline(always)]
pub(crate) fn odd_scales(bytes: &[u8], scale: &mut [i16; 16]) {
    for (scale, byte) in scale.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *scale = [2 * i16::from(byte & 15) + 1, 2 * i16::from(byte >> 4) + 1];
    }
}
