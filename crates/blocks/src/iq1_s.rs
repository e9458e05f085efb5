//! IQ1_S: 256 weights in eights from a grid of 2048 ternary points, shifted by an eighth up or
//! down; shifts and scales of 3 bits per 32.

use bytemuck::AnyBitPattern;

use crate::bits::{each_byte, f16};
use crate::block::Block;
use crate::grids::IQ1 as GRID;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ1_S {
    d: [u8; 2],
    /// Lower eight bits of the points.
    low: [[u8; 4]; 8],
    /// Per 32 weights: four times three upper bits, the scale and whether the shift is down.
    words: [[u8; 2]; 8],
}

const _: () = assert!(size_of::<IQ1_S>() == 50);

impl Block for IQ1_S {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 32, off: 9, max: 18, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        out.d = f16(self.d) * 0.125;
        let q = out.q.as_chunks_mut::<8>().0.as_chunks_mut::<4>().0;
        for (s, q) in q.iter_mut().enumerate() {
            let word = u16::from_le_bytes(self.words[s]);
            out.scale[s] = 2 * (word >> 12 & 7) as i16 + 1;
            for (i, q) in q.iter_mut().enumerate() {
                let high = word >> (3 * i) & 7;
                let point = usize::from(high) << 8 | usize::from(self.low[s][i]);
                *q = shifted(GRID[point], word >> 15 != 0);
            }
        }
    }
}

/// Eighths: 8 * x + 1, or 8 * x - 1 where the shift is down, plus 9; `point` holds x + 1.
#[inline(always)]
pub(crate) fn shifted(point: u64, down: bool) -> [u8; 8] {
    ((point << 3) + each_byte(2) * u64::from(!down)).to_le_bytes()
}
