//! TQ1_0: 256 ternary weights, five to a byte, one scale.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct TQ1_0 {
    /// Weights `32 * j + k`, `j` below 5.
    first: [u8; 32],
    /// Weights `160 + 16 * j + k`, `j` below 5.
    second: [u8; 16],
    /// Weights `240 + 4 * j + k`, `j` below 4.
    third: [u8; 4],
    d: [u8; 2],
}

const _: () = assert!(size_of::<TQ1_0>() == 54);

impl Block for TQ1_0 {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 256, off: 1, max: 2, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        trits(&self.first, &mut out.q[..160]);
        trits(&self.second, &mut out.q[160..240]);
        trits(&self.third, &mut out.q[240..]);
    }
}

/// A byte is a fraction of 256 written in base 3: times 3 its next digit stands before the point.
#[inline(always)]
fn trits<const N: usize>(bytes: &[u8; N], out: &mut [u8]) {
    let mut rest = *bytes;
    for out in out.as_chunks_mut::<N>().0 {
        for k in 0..N {
            let tripled = 3 * u16::from(rest[k]);
            out[k] = (tripled >> 8) as u8;
            rest[k] = tripled as u8;
        }
    }
}
