//! Q4_K: 256 weights of 4 bits; scales and minimums of 6 bits per 32.

use bytemuck::AnyBitPattern;

use crate::bits::{f16, nibbles};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q4_K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: Scales,
    /// Each 32 bytes hold 32 weights in their low halves and the next 32 in their high halves.
    q: [u8; 128],
}

const _: () = assert!(size_of::<Q4_K>() == 144);

impl Block for Q4_K {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 32, off: 0, max: 15, mins: true, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        out.dmin = f16(self.dmin);
        self.scales.unpack(out);
        for (q, bytes) in out.q.as_chunks_mut::<64>().0.iter_mut().zip(self.q.as_chunks::<32>().0) {
            nibbles(bytes, q);
        }
    }
}

/// Eight scales and eight minimums of 6 bits, as Q4_K and Q5_K have them.
///
/// Bytes 0 to 3 are the first four scales, 4 to 7 the first four minimums, each with two upper bits
/// of a later one on top; bytes 8 to 11 are the low halves of those later scales and minimums.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(transparent)]
pub(crate) struct Scales([u8; 12]);

impl Scales {
    #[inline(always)]
    pub(crate) fn unpack(&self, out: &mut Ints) {
        let Scales(bytes) = self;
        for s in 0..4 {
            let (scale, min, low) = (bytes[s], bytes[s + 4], bytes[s + 8]);
            out.scale[s] = i16::from(scale & 63);
            out.min[s] = i16::from(min & 63);
            out.scale[s + 4] = i16::from(scale >> 6 << 4 | low & 15);
            out.min[s + 4] = i16::from(min >> 6 << 4 | low >> 4);
        }
    }
}
