//! Q3_K: 256 weights of 3 bits around 4; scales of 6 bits per 16.

use bytemuck::AnyBitPattern;

use crate::bits::{crumbs, f16};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q3_K {
    /// Third bits: weight `32 * j + k` has bit `j` of byte `k`.
    high: [u8; 32],
    low: [u8; 64],
    /// Low halves of the 16 scales in 8 bytes as in Q4_0, then their upper pairs of bits.
    scales: [u8; 12],
    d: [u8; 2],
}

const _: () = assert!(size_of::<Q3_K>() == 110);

impl Block for Q3_K {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 16, off: 4, max: 7, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        for s in 0..16 {
            let low = self.scales[s % 8] >> (4 * (s / 8)) & 15;
            let high = self.scales[8 + s % 4] >> (2 * (s / 4)) & 3;
            out.scale[s] = i16::from(high << 4 | low) - 32;
        }
        crumbs(&self.low, &mut out.q);
        for (j, q) in out.q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for (q, high) in q.iter_mut().zip(self.high) {
                *q |= (high >> j & 1) << 2;
            }
        }
    }
}
