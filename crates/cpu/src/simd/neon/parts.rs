//! What the NEON primitives are made of: functions of registers.
#![allow(unsafe_code)]

use crate::plain::Plain;
use crate::simd::{Octet, Simd};
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
pub fn add_products<S: Simd<F = [float32x4_t; 4]>, P: Plain, const T: usize>(
    s: S,
    sums: &mut [[[f32; 16]; 4]; T],
    w: [&[P::Lanes]; 4],
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
                    let w = P::wide(s, &w[r][k])[2 * half + q];
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

/// The products of a block's runs with `T` activation rows: of eight weight rows, then of the
/// others. Two activation rows share accumulators, and all of those of eight weight rows and four
/// activation rows stay in registers.
///
/// # Safety
/// The processor must have matrix products.
#[inline(always)]
pub unsafe fn matrix_block<const T: usize, const RUNS: usize, const OCTETS: usize>(
    q: &[[Octet; OCTETS]; RUNS],
    scales: Option<&[[i32; 16]; RUNS]>,
    x: [&[[[i8; 8]; OCTETS]; RUNS]; T],
) -> [[int32x4_t; 4]; T] {
    // SAFETY: as the caller assures.
    unsafe {
        let low = matrix_half::<T, RUNS, OCTETS, 0>(q, scales, x);
        let high = matrix_half::<T, RUNS, OCTETS, 1>(q, scales, x);
        let mut dots = low;
        for t in (0..T).step_by(2) {
            let [first, second] = apart([low[t], high[t]]);
            dots[t] = first;
            if t + 1 < T {
                dots[t + 1] = second;
            }
        }
        dots
    }
}

/// The same of eight weight rows, in every second of the sums.
///
/// # Safety
/// The processor must have matrix products.
#[inline(always)]
unsafe fn matrix_half<const T: usize, const RUNS: usize, const OCTETS: usize, const HALF: usize>(
    q: &[[Octet; OCTETS]; RUNS],
    scales: Option<&[[i32; 16]; RUNS]>,
    x: [&[[[i8; 8]; OCTETS]; RUNS]; T],
) -> [[int32x4_t; 4]; T] {
    // SAFETY: as the caller assures; loads are of arrays of the full width.
    unsafe {
        let zero = [[vdupq_n_s32(0); 4]; T];
        let mut acc = zero;
        for run in 0..RUNS {
            let mut dots = if scales.is_some() { zero } else { acc };
            for (c, octets) in q[run].as_chunks::<2>().0.iter().enumerate() {
                let w = [load(&octets[0][HALF]), load(&octets[1][HALF])];
                for t in (0..T).step_by(2) {
                    let (a, b) = (&x[t][run].as_chunks::<2>().0[c], &x[T.min(t + 2) - 1][run]);
                    let x = by_pairs(a, &b.as_chunks::<2>().0[c]);
                    for i in 0..4 {
                        dots[t][i] = smmla(smmla(dots[t][i], w[0][i], x[0]), w[1][i], x[1]);
                    }
                }
            }
            let Some(scales) = scales else {
                acc = dots;
                continue;
            };
            let scale = twice(&scales[run].as_chunks::<8>().0[HALF]);
            for t in (0..T).step_by(2) {
                for i in 0..4 {
                    acc[t][i] = vmlaq_s32(acc[t][i], dots[t][i], scale[i]);
                }
            }
        }
        acc
    }
}

/// Eight numbers, each twice.
#[target_feature(enable = "neon")]
#[inline]
fn twice(x: &[i32; 8]) -> [int32x4_t; 4] {
    // SAFETY: four numbers from the first and from the fifth of eight.
    let (a, b) = unsafe { (vld1q_s32(x.as_ptr()), vld1q_s32(x.as_ptr().add(4))) };
    [vzip1q_s32(a, a), vzip2q_s32(a, a), vzip1q_s32(b, b), vzip2q_s32(b, b)]
}

#[target_feature(enable = "neon")]
#[inline]
fn load(x: &[u8; 64]) -> [int8x16_t; 4] {
    // SAFETY: four times sixteen of sixty-four bytes.
    let four = unsafe { vld1q_s8_x4(x.as_ptr().cast()) };
    [four.0, four.1, four.2, four.3]
}

/// The first eights of two activation rows, then the second ones.
#[target_feature(enable = "neon")]
#[inline]
fn by_pairs(a: &[[i8; 8]; 2], b: &[[i8; 8]; 2]) -> [int8x16_t; 2] {
    // SAFETY: sixteen bytes each.
    let (a, b) = unsafe { (vld1q_s64(a.as_ptr().cast()), vld1q_s64(b.as_ptr().cast())) };
    [vreinterpretq_s8_s64(vzip1q_s64(a, b)), vreinterpretq_s8_s64(vzip2q_s64(a, b))]
}

/// [`Simd::dot_pairs`](crate::simd::Simd::dot_pairs): one number of `x` at a time with those of
/// all weight rows.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub fn dot_pairs<const T: usize, const SAME: bool>(
    acc: &mut [[int32x4_t; 4]; T],
    w: &[[i32; 16]; 8],
    x: [&[[i16; 2]; 8]; T],
) {
    let mut numbers = [[vdupq_n_s16(0); 2]; T];
    for t in 0..T {
        let x: *const i16 = x[t].as_ptr().cast();
        // SAFETY: the first and the second eight of sixteen.
        let (a, b) = unsafe { (vld1q_s16(x), vld1q_s16(x.add(8))) };
        let both = vpaddq_s16(a, b);
        numbers[t] = if SAME { [both; 2] } else { [vuzp1q_s16(a, b), vuzp2q_s16(a, b)] };
    }
    macro_rules! pair {
        ($i:literal) => {
            // SAFETY: four times four of sixteen.
            let [a, b] = unsafe {
                let w: *const i16 = w[$i].as_ptr().cast();
                [[vld1q_s16(w), vld1q_s16(w.add(8))], [vld1q_s16(w.add(16)), vld1q_s16(w.add(24))]]
            };
            let first = [vuzp1q_s16(a[0], a[1]), vuzp1q_s16(b[0], b[1])];
            for t in 0..T {
                acc[t] = add_multiples::<$i>(acc[t], first, numbers[t][0]);
            }
            if !SAME {
                let second = [vuzp2q_s16(a[0], a[1]), vuzp2q_s16(b[0], b[1])];
                for t in 0..T {
                    acc[t] = add_multiples::<$i>(acc[t], second, numbers[t][1]);
                }
            }
        };
    }
    pair!(0);
    pair!(1);
    pair!(2);
    pair!(3);
    pair!(4);
    pair!(5);
    pair!(6);
    pair!(7);
}

/// Adds the products of sixteen numbers with one.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn add_multiples<const LANE: i32>(
    acc: [int32x4_t; 4],
    w: [int16x8_t; 2],
    x: int16x8_t,
) -> [int32x4_t; 4] {
    [
        vmlal_laneq_s16::<LANE>(acc[0], vget_low_s16(w[0]), x),
        vmlal_high_laneq_s16::<LANE>(acc[1], w[0], x),
        vmlal_laneq_s16::<LANE>(acc[2], vget_low_s16(w[1]), x),
        vmlal_high_laneq_s16::<LANE>(acc[3], w[1], x),
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
