//! IQ3_XXS: 256 weights in fours from a grid of 256 points with signs; scales of 4 bits per 32.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::grids::{IQ3_XXS as GRID, even_signs, joined, signed};
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ3_XXS {
    d: [u8; 2],
    points: [[u8; 8]; 8],
    /// Per 32 weights: four times seven signs and the scale.
    words: [[u8; 4]; 8],
}

const _: () = assert!(size_of::<IQ3_XXS>() == 98);

impl Block for IQ3_XXS {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 32, off: 64, max: 126, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        // The scale is d * (0.5 + s) / 2, in other words d / 4 * (2 * s + 1).
        out.d = f16(self.d) * 0.25;
        let q = out.q.as_chunks_mut::<8>().0.as_chunks_mut::<4>().0;
        for (s, q) in q.iter_mut().enumerate() {
            let word = u32::from_le_bytes(self.words[s]);
            out.scale[s] = 2 * (word >> 28) as i16 + 1;
            for (i, q) in q.iter_mut().enumerate() {
                let [a, b] = [2 * i, 2 * i + 1].map(|i| GRID[usize::from(self.points[s][i])]);
                *q = signed(joined(a, b), even_signs(word >> (7 * i)), 64);
            }
        }
    }
}
