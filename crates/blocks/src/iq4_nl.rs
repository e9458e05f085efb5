//! IQ4_NL: 32 weights from a codebook of 16 values, one scale.

use bytemuck::AnyBitPattern;

use crate::bits::{f16, nibbles};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ4_NL {
    d: [u8; 2],
    /// Weights 0 to 15 in the low halves, 16 to 31 in the high halves.
    codes: [u8; 16],
}

const _: () = assert!(size_of::<IQ4_NL>() == 18);

impl Block for IQ4_NL {
    const LEN: usize = 32;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 32, sub: 32, off: 128, max: 241, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        look_up(&self.codes, &CODEBOOK, &mut out.q[..32]);
    }
}

/// The values -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89 and 113, each
/// plus 128.
pub const CODEBOOK: [u8; 16] =
    [1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241];

/// The codebook's values for the low halves of `codes`, then for the high halves.
#[inline(always)]
pub(crate) fn look_up<const N: usize>(codes: &[u8; N], codebook: &[u8; 16], out: &mut [u8]) {
    nibbles(codes, out);
    for q in out {
        *q = codebook[usize::from(*q & 15)];
    }
}
