//! IQ2_XXS: 256 weights in eights from a grid of 256 points with signs; scales of 4 bits per 32.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::grids::{self, even_signs, signed};
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ2_XXS {
    d: [u8; 2],
    /// Per 32 weights: four points, then a word of four times seven signs and the scale.
    subs: [[[u8; 4]; 2]; 8],
}

const _: () = assert!(size_of::<IQ2_XXS>() == 66);

impl Block for IQ2_XXS {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 32, off: 64, max: 107, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        // The scale is d * (0.5 + s) / 4, in other words d / 8 * (2 * s + 1).
        out.d = f16(self.d) * 0.125;
        let q = out.q.as_chunks_mut::<8>().0.as_chunks_mut::<4>().0;
        for (s, (q, [points, word])) in q.iter_mut().zip(self.subs).enumerate() {
            let word = u32::from_le_bytes(word);
            out.scale[s] = 2 * (word >> 28) as i16 + 1;
            for i in 0..4 {
                let point = grids::IQ2_XXS[usize::from(points[i])];
                q[i] = signed(point, even_signs(word >> (7 * i)), 64);
            }
        }
    }
}
