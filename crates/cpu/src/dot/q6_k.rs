//! Q6_K: blocks of 256 in sixteen runs of 16, each with an 8-bit scale; weights less 32.
//!
//! 210 bytes: 128 of low halves (of each 64 bytes the low four bits are two runs of 32, the high
//! four bits the two runs after those); 64 of pairs of high bits (of each 32 bytes the four pairs
//! belong to four runs of 32); 16 scales; d (half).

use super::runs::Runs;
use crate::simd::Simd;

/// Its blocks.
pub struct Q6K;

impl Runs<210> for Q6K {
    const OFF: i16 = 32;
    const D: usize = 208;

    #[inline(always)]
    fn scales<S: Simd>(s: S, block: &[u8; 210]) -> S::K {
        s.scales_i8(bytemuck::cast_ref(
            block[192..208].first_chunk::<16>().expect("sixteen scales"),
        ))
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, block: &[u8; 210], j: usize) -> S::B {
        let (low, high) = (s.splat_h(0x0f), s.splat_h(0x30));
        let load = |at: usize| s.load_h(block[at..][..32].try_into().expect("32 bytes"));
        let half = j / 2;
        let (first, second) = (load(64 * half), load(64 * half + 32));
        let bits = load(128 + 32 * half);
        if j.is_multiple_of(2) {
            let w0 = s.or(s.and(first, low), s.and(s.shl(bits, 4), high));
            let w1 = s.or(s.and(second, low), s.and(s.shl(bits, 2), high));
            s.join(w0, w1)
        } else {
            let w2 = s.or(s.and(s.shr(first, 4), low), s.and(bits, high));
            let w3 = s.or(s.and(s.shr(second, 4), low), s.and(s.shr(bits, 2), high));
            s.join(w2, w3)
        }
    }
}
