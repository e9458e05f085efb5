//! NEON with the dot product instructions: four registers for a vector.
//!
//! Long because it is a table: a few instructions for each primitive.
#![allow(unsafe_code)]

mod parts;

use super::{Octet, Simd, eights, lacking};
use crate::plain::Plain;
use parts::*;
use std::arch::aarch64::*;

/// Proof of the dot product instructions, and where `MATRIX` of the matrix product instructions;
/// the rest is part of every 64-bit ARM.
#[derive(Clone, Copy, Debug)]
pub struct Neon<const MATRIX: bool>(());

impl Neon<false> {
    /// The proof, if the processor has them.
    pub fn detect() -> Option<Neon<false>> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Neon(()))
    }
}

impl Neon<true> {
    /// The proof, if the processor has them.
    pub fn detect() -> Option<Neon<true>> {
        (std::arch::is_aarch64_feature_detected!("dotprod")
            && std::arch::is_aarch64_feature_detected!("i8mm"))
        .then_some(Neon(()))
    }
}

/// Calls an intrinsic.
macro_rules! x {
    ($e:expr) => {
        // SAFETY: `self` proves that the processor has the instruction; memory operands are
        // references to arrays of the full width.
        unsafe { $e }
    };
}

/// The same for each register.
macro_rules! x4 {
    ($i:ident, $e:expr) => {
        [one!($i, 0, $e), one!($i, 1, $e), one!($i, 2, $e), one!($i, 3, $e)]
    };
}

macro_rules! one {
    ($i:ident, $n:literal, $e:expr) => {{
        let $i = $n;
        x!($e)
    }};
}

impl<const MATRIX: bool> Simd for Neon<MATRIX> {
    const NAME: &'static str = if MATRIX { "NEON i8mm" } else { "NEON dotprod" };
    const FULL_U8: bool = false;
    const SIDE: usize = if MATRIX { 8 } else { 4 };
    const SIGNED: bool = true;
    type F = [float32x4_t; 4];
    type I = [int32x4_t; 4];
    type B = [int8x16_t; 4];
    type H = [uint8x16_t; 2];
    type Q = float32x4_t;
    /// As i32.
    type K = [int32x4_t; 4];
    type E = [Self::K; 4];

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        if MATRIX { x!(enter_matrix(f)) } else { x!(enter(f)) }
    }

    #[inline(always)]
    fn apart<R>(self, f: impl FnOnce() -> R) -> R {
        if MATRIX { x!(alone_matrix(f)) } else { x!(alone(f)) }
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], at: usize) {
        // SAFETY: a hint, which reads nothing.
        unsafe {
            std::arch::asm!(
                "prfm pldl1keep, [{}]",
                in(reg) bytes.as_ptr().wrapping_add(at),
                options(nostack, readonly)
            );
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [float32x4_t; 4] {
        x!([vdupq_n_f32(x); 4])
    }

    #[inline(always)]
    fn load(self, x: &[f32; 16]) -> [float32x4_t; 4] {
        x4!(i, vld1q_f32(x.as_ptr().add(4 * i)))
    }

    #[inline(always)]
    fn load_n(self, x: &[f32]) -> [float32x4_t; 4] {
        let mut all = [0.0; 16];
        let n = x.len().min(16);
        all[..n].copy_from_slice(&x[..n]);
        self.load(&all)
    }

    #[inline(always)]
    fn load_f32(self, x: &[u8; 64]) -> [float32x4_t; 4] {
        x4!(i, vreinterpretq_f32_u8(vld1q_u8(x.as_ptr().add(16 * i))))
    }

    #[inline(always)]
    fn load_f16(self, x: &[u8; 32]) -> [float32x4_t; 4] {
        x!({
            let [a, b] = self.load_h(x).map(|half| vreinterpretq_u16_u8(half));
            [
                from_f16(vget_low_u16(a)),
                from_f16(vget_high_u16(a)),
                from_f16(vget_low_u16(b)),
                from_f16(vget_high_u16(b)),
            ]
        })
    }

    #[inline(always)]
    fn load_bf16(self, x: &[u8; 32]) -> [float32x4_t; 4] {
        x!({
            // A half of zeros below each bfloat16.
            let [a, b] = self.load_h(x).map(|half| vreinterpretq_u16_u8(half));
            let zero = vdupq_n_u16(0);
            [vzip1q_u16(zero, a), vzip2q_u16(zero, a), vzip1q_u16(zero, b), vzip2q_u16(zero, b)]
                .map(|wide| vreinterpretq_f32_u16(wide))
        })
    }

    #[inline(always)]
    fn store(self, y: &mut [f32; 16], x: [float32x4_t; 4]) {
        x!(for (i, x) in x.into_iter().enumerate() {
            vst1q_f32(y.as_mut_ptr().add(4 * i), x);
        });
    }

    #[inline(always)]
    fn store_n(self, y: &mut [f32], x: [float32x4_t; 4]) {
        let mut all = [0.0; 16];
        self.store(&mut all, x);
        let n = y.len().min(16);
        y[..n].copy_from_slice(&all[..n]);
    }

    #[inline(always)]
    fn store_f16(self, y: &mut [u8; 32], x: [float32x4_t; 4]) {
        x!({
            vst1q_u8(y.as_mut_ptr(), to_f16(x[0], x[1]));
            vst1q_u8(y.as_mut_ptr().add(16), to_f16(x[2], x[3]));
        });
    }

    #[inline(always)]
    fn store_i8(self, y: &mut [i8; 16], x: [float32x4_t; 4]) {
        x!({
            let [a, b, c, d] = x.map(|x| vqmovn_s32(to_i32(x)));
            let (low, high) = (vqmovn_s16(vcombine_s16(a, b)), vqmovn_s16(vcombine_s16(c, d)));
            vst1q_s8(y.as_mut_ptr(), vcombine_s8(low, high));
        });
    }

    #[inline(always)]
    fn add(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, vaddq_f32(a[i], b[i]))
    }

    #[inline(always)]
    fn sub(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, vsubq_f32(a[i], b[i]))
    }

    #[inline(always)]
    fn mul(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, vmulq_f32(a[i], b[i]))
    }

    #[inline(always)]
    fn div(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, vdivq_f32(a[i], b[i]))
    }

    #[inline(always)]
    fn fma(
        self,
        a: [float32x4_t; 4],
        b: [float32x4_t; 4],
        c: [float32x4_t; 4],
    ) -> [float32x4_t; 4] {
        x4!(i, vfmaq_f32(c[i], a[i], b[i]))
    }

    #[inline(always)]
    fn max(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, larger(a[i], b[i]))
    }

    #[inline(always)]
    fn min(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, smaller(a[i], b[i]))
    }

    #[inline(always)]
    fn abs(self, a: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, vabsq_f32(a[i]))
    }

    #[inline(always)]
    fn round(self, a: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, vrndnq_f32(a[i]))
    }

    #[inline(always)]
    fn pow2(self, a: [float32x4_t; 4]) -> [float32x4_t; 4] {
        let one = x!(vdupq_n_s32(127));
        let exponent = x4!(i, vaddq_s32(vcvtq_s32_f32(a[i]), one));
        x4!(i, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent[i])))
    }

    #[inline(always)]
    fn keep_from(
        self,
        x: [float32x4_t; 4],
        limit: [float32x4_t; 4],
        a: [float32x4_t; 4],
    ) -> [float32x4_t; 4] {
        x4!(i, vbslq_f32(vcgeq_f32(x[i], limit[i]), a[i], vdupq_n_f32(0.0)))
    }

    #[inline(always)]
    fn sum(self, a: [float32x4_t; 4]) -> f32 {
        x!({
            let four = fold8_4(a);
            vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
        })
    }

    #[inline(always)]
    fn largest(self, a: [float32x4_t; 4]) -> f32 {
        x!({
            let four = larger(larger(a[0], a[2]), larger(a[1], a[3]));
            let two = larger(four, vextq_f32::<2>(four, four));
            vgetq_lane_f32::<0>(larger(two, vextq_f32::<1>(two, two)))
        })
    }

    #[inline(always)]
    fn sum4(self, a: [[float32x4_t; 4]; 4]) -> [f32; 4] {
        let fours = x4!(i, fold8_4(a[i]));
        self.q_store(x!(vpaddq_f32(fold2(fours[0], fours[1]), fold2(fours[2], fours[3]))))
    }

    #[inline(always)]
    fn add_products<P: Plain, const T: usize>(
        self,
        sums: &mut [[[f32; 16]; 4]; T],
        w: [&[P::Lanes]; 4],
        x: [&[[f32; 16]]; T],
    ) {
        x!(add_products::<Self, P, T>(self, sums, w, x));
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> [int32x4_t; 4] {
        x!([vdupq_n_s32(x); 4])
    }

    #[inline(always)]
    fn load_i(self, x: &[i32; 16]) -> [int32x4_t; 4] {
        x4!(i, vld1q_s32(x.as_ptr().add(4 * i)))
    }

    #[inline(always)]
    fn add_i(self, a: [int32x4_t; 4], b: [int32x4_t; 4]) -> [int32x4_t; 4] {
        x4!(i, vaddq_s32(a[i], b[i]))
    }

    #[inline(always)]
    fn mul_add_i(
        self,
        acc: [int32x4_t; 4],
        a: [int32x4_t; 4],
        b: [int32x4_t; 4],
    ) -> [int32x4_t; 4] {
        x4!(i, vmlaq_s32(acc[i], a[i], b[i]))
    }

    #[inline(always)]
    fn dot_i16(self, acc: [int32x4_t; 4], a: [int32x4_t; 4], b: [int32x4_t; 4]) -> [int32x4_t; 4] {
        x4!(i, dot_i16(acc[i], a[i], b[i]))
    }

    #[inline(always)]
    fn to_f(self, a: [int32x4_t; 4]) -> [float32x4_t; 4] {
        x4!(i, vcvtq_f32_s32(a[i]))
    }

    #[inline(always)]
    fn sum4_i(self, a: [[int32x4_t; 4]; 4]) -> float32x4_t {
        let sums = x4!(i, vaddq_s32(vaddq_s32(a[i][0], a[i][1]), vaddq_s32(a[i][2], a[i][3])));
        x!(sums_i(sums, 0))
    }

    #[inline(always)]
    fn sum4_blocks(
        self,
        a: [[int32x4_t; 4]; 4],
        sums: &[i16; 4],
        off: i16,
    ) -> (float32x4_t, float32x4_t) {
        let add = lacking(sums, off);
        let first = x4!(i, vaddq_s32(a[i][0], a[i][2]));
        let second = x4!(i, vaddq_s32(a[i][1], a[i][3]));
        x!((sums_i(first, add[0]), sums_i(second, add[1])))
    }

    #[inline(always)]
    fn scales_u8(self, x: [u8; 8]) -> [int32x4_t; 4] {
        x!({
            let words = vmovl_u8(vcreate_u8(u64::from_le_bytes(x)));
            let a = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
            let b = vreinterpretq_s32_u32(vmovl_high_u16(words));
            [vzip1q_s32(a, a), vzip2q_s32(a, a), vzip1q_s32(b, b), vzip2q_s32(b, b)]
        })
    }

    #[inline(always)]
    fn eights(self, x: [&[u8; 16]; 4], sums: &[i16; 16], scales: &mut Self::E) -> float32x4_t {
        eights(self, x, sums, scales)
    }

    #[inline(always)]
    fn room(self) -> Self::E {
        [self.scales_u8([0; 8]); 4]
    }

    #[inline(always)]
    fn dot_eights(
        self,
        acc: [[int32x4_t; 4]; 4],
        w: [[int8x16_t; 4]; 4],
        x: [int8x16_t; 4],
        scales: &Self::E,
        j: usize,
    ) -> [[int32x4_t; 4]; 4] {
        self.dot_runs::<false>(acc, w, x, *scales, j)
    }

    #[inline(always)]
    fn scales_i8(self, x: &[i8; 16]) -> [int32x4_t; 4] {
        x!(widen_i8(vld1q_s8(x.as_ptr())))
    }

    #[inline(always)]
    fn numbers(self, scales: [int32x4_t; 4]) -> [i16; 16] {
        let mut numbers = [0; 16];
        for (four, scales) in numbers.as_chunks_mut::<4>().0.iter_mut().zip(scales) {
            x!(vst1_s16(four.as_mut_ptr(), vmovn_s32(scales)));
        }
        numbers
    }

    #[inline(always)]
    fn sums(self, x: &[i16; 16]) -> [int32x4_t; 4] {
        x4!(i, vmovl_s16(vld1_s16(x.as_ptr().add(4 * i))))
    }

    #[inline(always)]
    fn dot_sums(
        self,
        acc: [int32x4_t; 4],
        sums: [int32x4_t; 4],
        scales: [int32x4_t; 4],
    ) -> [int32x4_t; 4] {
        self.mul_add_i(acc, sums, scales)
    }

    #[inline(always)]
    fn dot_runs<const SIGNED: bool>(
        self,
        mut acc: [[int32x4_t; 4]; 4],
        w: [[int8x16_t; 4]; 4],
        x: [int8x16_t; 4],
        scales: [[int32x4_t; 4]; 4],
        j: usize,
    ) -> [[int32x4_t; 4]; 4] {
        for r in 0..4 {
            let (sums, dots) = (acc[r], self.dot_ss(self.splat_i(0), w[r], x));
            let scales = scales[r][j];
            acc[r] = x!([
                vmlaq_laneq_s32::<0>(sums[0], dots[0], scales),
                vmlaq_laneq_s32::<1>(sums[1], dots[1], scales),
                vmlaq_laneq_s32::<2>(sums[2], dots[2], scales),
                vmlaq_laneq_s32::<3>(sums[3], dots[3], scales),
            ]);
        }
        acc
    }

    #[inline(always)]
    fn load_b(self, x: &[u8; 64]) -> [int8x16_t; 4] {
        x4!(i, vreinterpretq_s8_u8(vld1q_u8(x.as_ptr().add(16 * i))))
    }

    #[inline(always)]
    fn load_s(self, x: &[i8; 64]) -> [int8x16_t; 4] {
        x4!(i, vld1q_s8(x.as_ptr().add(16 * i)))
    }

    #[inline(always)]
    fn store_b(self, y: &mut [u8; 64], x: [int8x16_t; 4]) {
        for (y, x) in y.as_chunks_mut::<16>().0.iter_mut().zip(x) {
            x!(vst1q_s8(y.as_mut_ptr().cast(), x));
        }
    }

    #[inline(always)]
    fn splat_b(self, x: &[i8; 4]) -> [int8x16_t; 4] {
        x!([vreinterpretq_s8_s32(vdupq_n_s32(i32::from_le_bytes(x.map(|b| b as u8)))); 4])
    }

    #[inline(always)]
    fn dot_us(self, acc: [int32x4_t; 4], u: [int8x16_t; 4], s: [int8x16_t; 4]) -> [int32x4_t; 4] {
        self.dot_ss(acc, u, s)
    }

    #[inline(always)]
    fn dot_ss(self, acc: [int32x4_t; 4], w: [int8x16_t; 4], x: [int8x16_t; 4]) -> [int32x4_t; 4] {
        x!([
            sdot(acc[0], w[0], x[0]),
            sdot(acc[1], w[1], x[1]),
            sdot(acc[2], w[2], x[2]),
            sdot(acc[3], w[3], x[3]),
        ])
    }

    #[inline(always)]
    fn dot_block<const T: usize, const RUNS: usize, const OCTETS: usize, const MAX: u8>(
        self,
        acc: &mut [[int32x4_t; 4]; T],
        q: &[[Octet; OCTETS]; RUNS],
        scales: Option<&[[i32; 16]; RUNS]>,
        x: [&[[[i8; 8]; OCTETS]; RUNS]; T],
    ) {
        if !MATRIX {
            return super::dot_block::<_, T, RUNS, OCTETS, MAX>(self, acc, q, scales, x);
        }
        let products = x!(matrix_block(q, scales, x));
        for t in 0..T {
            acc[t] = self.add_i(acc[t], products[t]);
        }
    }

    #[inline(always)]
    fn dot_pairs<const T: usize, const SAME: bool>(
        self,
        acc: &mut [[int32x4_t; 4]; T],
        w: &[[i32; 16]; 8],
        x: [&[[i16; 2]; 8]; T],
    ) {
        x!(dot_pairs::<T, SAME>(acc, w, x));
    }

    #[inline(always)]
    fn join(self, low: [uint8x16_t; 2], high: [uint8x16_t; 2]) -> [int8x16_t; 4] {
        x!([low[0], low[1], high[0], high[1]].map(|quarter| vreinterpretq_s8_u8(quarter)))
    }

    #[inline(always)]
    fn load_h(self, x: &[u8; 32]) -> [uint8x16_t; 2] {
        x!([vld1q_u8(x.as_ptr()), vld1q_u8(x.as_ptr().add(16))])
    }

    #[inline(always)]
    fn splat_h(self, x: u8) -> [uint8x16_t; 2] {
        x!([vdupq_n_u8(x); 2])
    }

    #[inline(always)]
    fn eights_h(self, x: [u64; 4]) -> [uint8x16_t; 2] {
        x!([
            vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(x[0]), vcreate_u64(x[1]))),
            vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(x[2]), vcreate_u64(x[3]))),
        ])
    }

    #[inline(always)]
    fn fours_h(self, low: [u32; 4], high: [u32; 4]) -> [uint8x16_t; 2] {
        x!([
            vreinterpretq_u8_u32(vld1q_u32(low.as_ptr())),
            vreinterpretq_u8_u32(vld1q_u32(high.as_ptr())),
        ])
    }

    #[inline(always)]
    fn signed(self, a: [uint8x16_t; 2], signs: u32) -> [uint8x16_t; 2] {
        x!({
            let bits = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
            let signs = vreinterpretq_u8_u32(vdupq_n_u32(signs));
            let eight = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
            let first = vtstq_u8(vqtbl1q_u8(signs, eight), bits);
            let last = vtstq_u8(vqtbl1q_u8(signs, vorrq_u8(eight, vdupq_n_u8(2))), bits);
            [negated(a[0], first), negated(a[1], last)]
        })
    }

    #[inline(always)]
    fn ninth_bits(self, low: &[u8; 16], high: u16) -> [u16; 16] {
        let mut numbers = [0; 16];
        x!({
            let bits = vcombine_u16(
                vcreate_u16(0x0008_0004_0002_0001),
                vcreate_u16(0x0080_0040_0020_0010),
            );
            let (low, ninth) = (vld1q_u8(low.as_ptr()), vdupq_n_u16(256));
            let first = vandq_u16(vtstq_u16(vdupq_n_u16(high), bits), ninth);
            let last = vandq_u16(vtstq_u16(vdupq_n_u16(high >> 8), bits), ninth);
            vst1q_u16(numbers.as_mut_ptr(), vorrq_u16(first, vmovl_u8(vget_low_u8(low))));
            vst1q_u16(numbers.as_mut_ptr().add(8), vorrq_u16(last, vmovl_high_u8(low)));
        });
        numbers
    }

    #[inline(always)]
    fn and(self, a: [uint8x16_t; 2], b: [uint8x16_t; 2]) -> [uint8x16_t; 2] {
        x!([vandq_u8(a[0], b[0]), vandq_u8(a[1], b[1])])
    }

    #[inline(always)]
    fn or(self, a: [uint8x16_t; 2], b: [uint8x16_t; 2]) -> [uint8x16_t; 2] {
        x!([vorrq_u8(a[0], b[0]), vorrq_u8(a[1], b[1])])
    }

    #[inline(always)]
    fn shr(self, a: [uint8x16_t; 2], bits: u32) -> [uint8x16_t; 2] {
        x!({
            // A negative shift to the left is one to the right.
            let by = vdupq_n_s16(-(bits as i16));
            a.map(|a| vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(a), by)))
        })
    }

    #[inline(always)]
    fn shl(self, a: [uint8x16_t; 2], bits: u32) -> [uint8x16_t; 2] {
        x!({
            let by = vdupq_n_s16(bits as i16);
            a.map(|a| vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(a), by)))
        })
    }

    #[inline(always)]
    fn sixteens(self, a: &[u8; 32], b: &[u8; 32]) -> [int8x16_t; 4] {
        let ([a0, a1], [b0, b1]) = (self.load_h(a), self.load_h(b));
        x!([a0, b0, a1, b1].map(|quarter| vreinterpretq_s8_u8(quarter)))
    }

    #[inline(always)]
    fn sixteens_s(self, x: &[i8; 64]) -> [int8x16_t; 4] {
        let [a0, a1, b0, b1] = self.load_s(x);
        [a0, b0, a1, b1]
    }

    #[inline(always)]
    fn even_odd_s(self, x: &[i8; 64]) -> [int8x16_t; 4] {
        let [a0, a1, b0, b1] = self.load_s(x);
        x!([vuzp1q_s8(a0, a1), vuzp1q_s8(b0, b1), vuzp2q_s8(a0, a1), vuzp2q_s8(b0, b1)])
    }

    #[inline(always)]
    fn undo_sixteens(self, a: [int8x16_t; 4]) -> [int8x16_t; 4] {
        [a[0], a[2], a[1], a[3]]
    }

    #[inline(always)]
    fn undo_even_odd(self, a: [int8x16_t; 4]) -> [int8x16_t; 4] {
        let first = x!([vzip1q_s8(a[0], a[2]), vzip2q_s8(a[0], a[2])]);
        let second = x!([vzip1q_s8(a[1], a[3]), vzip2q_s8(a[1], a[3])]);
        [first[0], first[1], second[0], second[1]]
    }

    #[inline(always)]
    fn nibbles(self, a: &[u8; 16], b: &[u8; 16]) -> [int8x16_t; 4] {
        x!({
            let (a, b) = (vld1q_u8(a.as_ptr()), vld1q_u8(b.as_ptr()));
            let low = vdupq_n_u8(0x0f);
            [vandq_u8(a, low), vandq_u8(b, low), vshrq_n_u8::<4>(a), vshrq_n_u8::<4>(b)]
                .map(|quarter| vreinterpretq_s8_u8(quarter))
        })
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16], a: [int8x16_t; 4]) -> [int8x16_t; 4] {
        let table = x!(vreinterpretq_s8_u8(vld1q_u8(table.as_ptr())));
        x4!(i, vqtbl1q_s8(table, vreinterpretq_u8_s8(a[i])))
    }

    #[inline(always)]
    fn flip(self, a: [int8x16_t; 4]) -> [int8x16_t; 4] {
        x4!(i, veorq_s8(a[i], vdupq_n_s8(-128)))
    }

    #[inline(always)]
    fn q_load(self, x: [f32; 4]) -> float32x4_t {
        x!(vld1q_f32(x.as_ptr()))
    }

    #[inline(always)]
    fn q_f16(self, x: [&[u8; 4]; 4]) -> float32x4_t {
        let x = x.map(|x| u16::from_le_bytes([x[0], x[1]]));
        x!(from_f16(vld1_u16(x.as_ptr())))
    }

    #[inline(always)]
    fn q_store(self, x: float32x4_t) -> [f32; 4] {
        x!({
            let mut y = [0.0; 4];
            vst1q_f32(y.as_mut_ptr(), x);
            y
        })
    }

    #[inline(always)]
    fn q_scale(self, a: float32x4_t, b: f32) -> float32x4_t {
        x!(vmulq_n_f32(a, b))
    }

    #[inline(always)]
    fn q_fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        x!(vfmaq_f32(c, a, b))
    }

    #[inline(always)]
    fn load_i8(self, x: &[u8; 16]) -> [float32x4_t; 4] {
        self.to_f(x!(widen_i8(vreinterpretq_s8_u8(vld1q_u8(x.as_ptr())))))
    }

    #[inline(always)]
    fn load_i4<const HIGH: bool>(self, x: &[u8; 16]) -> [float32x4_t; 4] {
        let low = x!({
            let bytes = vld1q_u8(x.as_ptr());
            let low = if HIGH { vshrq_n_u8::<4>(bytes) } else { vandq_u8(bytes, vdupq_n_u8(15)) };
            widen_i8(vsubq_s8(vreinterpretq_s8_u8(low), vdupq_n_s8(8)))
        });
        self.to_f(low)
    }
}
