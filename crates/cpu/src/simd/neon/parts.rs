//! What the NEON primitives are made of: functions of registers.
#![allow(unsafe_code)]

use std::arch::{aarch64::*, asm};

#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn enter<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[target_feature(enable = "neon,dotprod,i8mm")]
#[inline]
pub fn enter_matrix<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[target_feature(enable = "neon,dotprod")]
#[inline(never)]
pub fn alone<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[target_feature(enable = "neon,dotprod,i8mm")]
#[inline(never)]
pub fn alone_matrix<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// [`crate::simd::Simd::add_products`], eight lanes after the other eight: 24 sums and what they
/// need fit the registers.
#[target_feature(enable = "neon")]
#[inline]
#[expect(clippy::needless_range_loop, reason = "several arrays are read at the same place")]
pub fn add_products<const T: usize>(
    sums: &mut [[[f32; 16]; 4]; T],
    w: [&[[f32; 16]]; 4],
    mut x: [&[[f32; 16]]; T],
) {
    let n = w[0].len();
    let w = [&w[0][..n], &w[1][..n], &w[2][..n], &w[3][..n]];
    for x in &mut x {
        *x = &x[..n];
    }
    for half in 0..2 {
        let mut acc = [[[vdupq_n_f32(0.0); 2]; 4]; T];
        for t in 0..T {
            for r in 0..4 {
                acc[t][r] = [quarter(&sums[t][r], 2 * half), quarter(&sums[t][r], 2 * half + 1)];
            }
        }
        for k in 0..n {
            for q in 0..2 {
                let mut values = [vdupq_n_f32(0.0); T];
                for t in 0..T {
                    values[t] = quarter(&x[t][k], 2 * half + q);
                }
                for r in 0..4 {
                    let w = quarter(&w[r][k], 2 * half + q);
                    for t in 0..T {
                        acc[t][r][q] = vfmaq_f32(acc[t][r][q], w, values[t]);
                    }
                }
            }
        }
        for t in 0..T {
            for r in 0..4 {
                for q in 0..2 {
                    let to = &mut sums[t][r].as_chunks_mut::<4>().0[2 * half + q];
                    // SAFETY: a reference to four numbers.
                    unsafe { vst1q_f32(to.as_mut_ptr(), acc[t][r][q]) };
                }
            }
        }
    }
}

/// Four of sixteen numbers.
#[target_feature(enable = "neon")]
#[inline]
pub fn quarter(x: &[f32; 16], i: usize) -> float32x4_t {
    // SAFETY: a reference to four numbers.
    unsafe { vld1q_f32(x.as_chunks::<4>().0[i].as_ptr()) }
}

/// The bytes, negated where `negative` has all bits set.
#[target_feature(enable = "neon")]
#[inline]
pub fn negated(a: uint8x16_t, negative: uint8x16_t) -> uint8x16_t {
    vsubq_u8(veorq_u8(a, negative), negative)
}

/// Sixteen bytes as i32.
#[target_feature(enable = "neon")]
#[inline]
pub fn widen_i8(x: int8x16_t) -> [int32x4_t; 4] {
    let (a, b) = (vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x));
    [vmovl_s16(vget_low_s16(a)), vmovl_high_s16(a), vmovl_s16(vget_low_s16(b)), vmovl_high_s16(b)]
}

/// Adds the products of two rows of eight signed bytes with two rows: (row of a, row of b).
#[target_feature(enable = "neon,i8mm")]
#[inline]
pub fn smmla(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: reads and writes registers only. Rust 1.95 has no stable intrinsic for it.
    unsafe {
        asm!(
            "smmla {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) acc, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// Eight numbers, each twice.
#[target_feature(enable = "neon")]
#[inline]
pub fn twice(x: &[i32; 8]) -> [int32x4_t; 4] {
    // SAFETY: four numbers from the first and from the fifth of eight.
    let (a, b) = unsafe { (vld1q_s32(x.as_ptr()), vld1q_s32(x.as_ptr().add(4))) };
    [vzip1q_s32(a, a), vzip2q_s32(a, a), vzip1q_s32(b, b), vzip2q_s32(b, b)]
}

/// The sums of each of two activation rows, of (weight row, activation row) as [`smmla`] has them.
#[target_feature(enable = "neon")]
#[inline]
pub fn apart([a, b]: [[int32x4_t; 4]; 2]) -> [[int32x4_t; 4]; 2] {
    [
        [
            vuzp1q_s32(a[0], a[1]),
            vuzp1q_s32(a[2], a[3]),
            vuzp1q_s32(b[0], b[1]),
            vuzp1q_s32(b[2], b[3]),
        ],
        [
            vuzp2q_s32(a[0], a[1]),
            vuzp2q_s32(a[2], a[3]),
            vuzp2q_s32(b[0], b[1]),
            vuzp2q_s32(b[2], b[3]),
        ],
    ]
}

/// Adds to each lane four products of signed bytes.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn sdot(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: reads and writes registers only. Rust 1.95 has no stable intrinsic for it.
    unsafe {
        asm!(
            "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) acc, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// Adds to each lane two products of signed halves.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn dot_i16(acc: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
    let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
    let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
    vaddq_s32(acc, vpaddq_s32(low, vmull_high_s16(a, b)))
}

/// The larger of each pair; `b` where either is no number, unlike `vmaxq_f32`.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgtq_f32(a, b), a, b)
}

/// The smaller of each pair; `b` where either is no number.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn smaller(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcltq_f32(a, b), a, b)
}

/// Lane i + lane i + 8, then i + 4.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn fold8_4(a: [float32x4_t; 4]) -> float32x4_t {
    vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]))
}

/// Lane i + lane i + 2 of two vectors.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn fold2(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    let low = vcombine_f32(vget_low_f32(a), vget_low_f32(b));
    vaddq_f32(low, vcombine_f32(vget_high_f32(a), vget_high_f32(b)))
}

/// The sums of four vectors of four integers plus `add`, as f32.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn sums_i(a: [int32x4_t; 4], add: i32) -> float32x4_t {
    let sums = vpaddq_s32(vpaddq_s32(a[0], a[1]), vpaddq_s32(a[2], a[3]));
    vcvtq_f32_s32(vaddq_s32(sums, vdupq_n_s32(add)))
}

/// Rounded to nearest even; what has no i32 gives the smallest one, as x86 has it.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn to_i32(x: float32x4_t) -> int32x4_t {
    let whole = vcaltq_f32(x, vdupq_n_f32(2_147_483_648.0));
    vbslq_s32(whole, vcvtnq_s32_f32(x), vdupq_n_s32(i32::MIN))
}

#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn from_f16(bits: uint16x4_t) -> float32x4_t {
    vcvt_f32_f16(vreinterpret_f16_u16(bits))
}

#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn to_f16(a: float32x4_t, b: float32x4_t) -> uint8x16_t {
    let (a, b) = (vcvt_f16_f32(a), vcvt_f16_f32(b));
    vreinterpretq_u8_u16(vcombine_u16(vreinterpret_u16_f16(a), vreinterpret_u16_f16(b)))
}
