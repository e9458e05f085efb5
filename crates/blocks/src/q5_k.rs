//! Q5_K: 256 weights of 5 bits; scales and minimums of 6 bits per 32.

use bytemuck::AnyBitPattern;

use crate::bits::{f16, nibbles};
use crate::block::Block;
use crate::q4_k::Scales;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q5_K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: Scales,
    /// Fifth bits: weight `32 * j + k` has bit `j` of byte `k`.
    high: [u8; 32],
    /// Each 32 bytes hold 32 weights in their low halves and the next 32 in their high halves.
    low: [u8; 128],
}

const _: () = assert!(size_of::<Q5_K>() == 176);

impl Block for Q5_K {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 32, off: 0, max: 31, mins: true, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        out.dmin = f16(self.dmin);
        self.scales.unpack(out);
        let low = self.low.as_chunks::<32>().0;
        for (q, bytes) in out.q.as_chunks_mut::<64>().0.iter_mut().zip(low) {
            nibbles(bytes, q);
        }
        for (j, q) in out.q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for (q, high) in q.iter_mut().zip(self.high) {
                *q |= (high >> j & 1) << 4;
            }
        }
    }
}
