//! IQ1_M: IQ1_S's grid, with a shift per 8 weights and a scale of 3 bits per 16.

use bytemuck::AnyBitPattern;

use crate::bits::f16;
use crate::block::Block;
use crate::grids::IQ1 as GRID;
use crate::iq1_s::shifted;
use crate::{IntShape, Ints};

#[allow(non_camel_case_types)]
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct IQ1_M {
    /// Lower eight bits of the points.
    low: [u8; 32],
    /// Two to a byte: three upper bits of the points and whether the shift is down.
    high: [u8; 16],
    /// Four times three bits of scales; their highest four bits are together the half `d`.
    words: [[u8; 2]; 4],
}

const _: () = assert!(size_of::<IQ1_M>() == 56);

impl Block for IQ1_M {
    const LEN: usize = 256;
    const INTS: Option<IntShape> =
        Some(IntShape { n: 256, sub: 16, off: 9, max: 18, mins: false, scales: true });

    #[inline(always)]
    fn ints(&self, out: &mut Ints) {
        let [a, b, c, d] = self.words.map(|[_, upper]| upper >> 4);
        out.d = f16([b << 4 | a, d << 4 | c]) * 0.125;
        for s in 0..16 {
            let word = u16::from_le_bytes(self.words[s / 4]);
            out.scale[s] = 2 * (word >> (3 * (s % 4)) & 7) as i16 + 1;
        }
        for (i, q) in out.q.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let code = self.high[i / 2] >> (4 * (i % 2));
            let point = usize::from(code & 7) << 8 | usize::from(self.low[i]);
            *q = shifted(GRID[point], code & 8 != 0);
        }
    }
}
