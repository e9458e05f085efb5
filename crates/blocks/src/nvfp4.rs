//! NVFP4: 64 weights of FP4 (E2M1); scales of FP8 (E4M3) per 16.
//!
//! The scales of a block span 17 powers of two, so they are no integers of 16 bits.

use bytemuck::AnyBitPattern;

use crate::IntShape;
use crate::block::Block;
use crate::iq4_nl::look_up;
use crate::mxfp4::DOUBLED;

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct NVFP4 {
    /// E4M3 without a sign.
    scales: [u8; 4],
    /// Each 8 bytes hold 8 weights in their low halves and the next 8 in their high halves.
    codes: [u8; 32],
}

const _: () = assert!(size_of::<NVFP4>() == 36);

impl Block for NVFP4 {
    const LEN: usize = 64;
    const INTS: Option<IntShape> = None;

    fn decode(blocks: &[Self], out: &mut [f32]) {
        let mut q = [0; 16];
        for (block, out) in blocks.iter().zip(out.as_chunks_mut::<64>().0) {
            let subs = block.scales.iter().zip(block.codes.as_chunks::<8>().0);
            for (out, (&scale, codes)) in out.as_chunks_mut::<16>().0.iter_mut().zip(subs) {
                look_up(codes, &DOUBLED, &mut q);
                let d = half_of_e4m3(scale);
                for (w, q) in out.iter_mut().zip(q) {
                    *w = d * (i32::from(q) - 12) as f32;
                }
            }
        }
    }
}

/// Half of the number that an E4M3 byte stands for, because the codebook is doubled.
#[inline(always)]
fn half_of_e4m3(byte: u8) -> f32 {
    let (exponent, fraction) = (u32::from(byte >> 3 & 15), byte & 7);
    let normal = f32::from_bits((exponent + 127 - 8) << 23) * (1.0 + f32::from(fraction) / 8.0);
    let subnormal = f32::from(fraction) / 1024.0;
    match byte {
        // This one is no number; the format's other programs read it as none.
        0x7f => 0.0,
        _ if exponent == 0 => subnormal,
        _ => normal,
    }
}
