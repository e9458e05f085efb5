//! MXFP4: 32 weights of FP4 (E2M1) with one power of two as their scale.
//!
//! OCP Microscaling Formats, version 1.0. Doubled, the FP4 numbers are integers.

use bytemuck::AnyBitPattern;

use crate::block::Block;
use crate::iq4_nl::look_up;
use crate::{IntShape, Ints};

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct MXFP4 {
    /// E8M0: the exponent, biased by 127.
    exponent: u8,
    /// Weights 0 to 15 in the low halves, 16 to 31 in the high halves.
    codes: [u8; 16],
}

const _: () = assert!(size_of::<MXFP4>() == 17);

impl Block for MXFP4 {
    const LEN: usize = 32;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 32, sub: 32, off: 12, max: 24, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = half_of_power(self.exponent);
        look_up(&self.codes, &DOUBLED, &mut out.q[..32]);
    }
}

/// FP4's values 0, 0.5, 1, 1.5, 2, 3, 4 and 6 and their negatives, doubled, plus 12.
pub const DOUBLED: [u8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

/// Half of the power of two that the exponent stands for.
#[inline(always)]
pub(crate) fn half_of_power(exponent: u8) -> f32 {
    HALVES_OF_POWERS[usize::from(exponent)]
}

/// Half of the power of two that each exponent stands for.
pub static HALVES_OF_POWERS: [f32; 256] = {
    // The two smallest lie below the normal numbers.
    let mut halves = [f32::from_bits(0x0020_0000); 256];
    halves[1] = f32::from_bits(0x0040_0000);
    let mut exponent = 2;
    while exponent < 256 {
        halves[exponent] = f32::from_bits((exponent as u32 - 1) << 23);
        exponent += 1;
    }
    halves
};
