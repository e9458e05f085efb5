//! Q8_0: 32 signed bytes, one scale.

use bytemuck::AnyBitPattern;

use crate::bits::{f16, half, largest};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q8_0 {
    d: [u8; 2],
    /// Two's complement.
    q: [u8; 32],
}

const _: () = assert!(size_of::<Q8_0>() == 34);

impl Block for Q8_0 {
    const LEN: usize = 32;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 32, sub: 32, off: 128, max: 255, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        for (q, byte) in out.q.iter_mut().zip(self.q) {
            *q = byte ^ 0x80;
        }
    }
}

/// Packs 32 numbers as ggml does: the largest magnitude becomes 127, halves round away from zero.
#[inline(always)]
pub fn encode(x: &[f32; 32]) -> [u8; 34] {
    let d = largest(x) / 127.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    let mut block = [0; 34];
    block[..2].copy_from_slice(&half(d));
    for (q, x) in block[2..].iter_mut().zip(x) {
        // What lies just under a half makes halves round away, and nothing else.
        let x = x * inverse;
        *q = (x + 0.499_999_97_f32.copysign(x)) as i32 as u8;
    }
    block
}
