//! Q4_0: 32 weights of 4 bits around 8, one scale.

use bytemuck::AnyBitPattern;

use crate::bits::{f16, half, largest, nibbles};
use crate::block::Block;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct Q4_0 {
    d: [u8; 2],
    /// Weights 0 to 15 in the low halves, 16 to 31 in the high halves.
    q: [u8; 16],
}

const _: () = assert!(size_of::<Q4_0>() == 18);

impl Block for Q4_0 {
    const LEN: usize = 32;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 32, sub: 32, off: 8, max: 15, mins: false, scales: false });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d);
        nibbles(&self.q, &mut out.q[..32]);
    }
}

/// Packs 32 numbers as ggml does: the number of largest magnitude, the first of equals, becomes -8.
#[inline(always)]
pub fn encode(x: &[f32; 32]) -> [u8; 18] {
    let largest = largest(x);
    let furthest = x.iter().find(|x| x.abs() == largest).copied().unwrap_or(0.0);
    let d = furthest / -8.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    let mut block = [0; 18];
    block[..2].copy_from_slice(&half(d));
    // In f64, where the product is exact: a sum rounded up to the next whole number would count.
    let code = |x: f32| ((f64::from(x) * f64::from(inverse) + 8.5) as i32).clamp(0, 15) as u8;
    let (low, high) = x.split_at(16);
    for ((q, low), high) in block[2..].iter_mut().zip(low).zip(high) {
        *q = code(*low) | code(*high) << 4;
    }
    block
}
