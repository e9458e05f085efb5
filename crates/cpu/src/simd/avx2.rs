//! AVX2 with FMA and F16C: two registers for a vector.
//!
//! Long because it is a table: a few instructions for each primitive. No closures in it: they are
//! compiled without these instructions, which they would have to call.
#![allow(unsafe_code)]

mod parts;

use super::{Octet, Run, Simd};
use crate::plain::Plain;
pub(super) use parts::halves;
use parts::*;
use std::arch::x86_64::*;

/// Proof of AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, if the processor has them.
    pub fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
        .then_some(Avx2(()))
    }
}

/// What turns half a byte that is the highest of eight into its number.
const I4: f32 = 1.0 / (1 << 28) as f32;
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// Calls an intrinsic.
macro_rules! x {
    ($e:expr) => {
        // SAFETY: `self` proves that the processor has the instruction; memory operands are
        // references to arrays of the full width, or masked to a slice's length.
        unsafe { $e }
    };
}

impl Simd for Avx2 {
    const NAME: &'static str = "AVX2";
    const FULL_U8: bool = false;
    type F = [__m256; 2];
    type I = [__m256i; 2];
    type B = [__m256i; 2];
    type H = __m256i;
    type Q = __m128;
    /// Those with even numbers, then those with odd numbers.
    type K = __m256i;
    type E = Eights;

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        x!(enter(f))
    }

    #[inline(always)]
    fn apart<R>(self, f: impl FnOnce() -> R) -> R {
        x!(apart(f))
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], at: usize) {
        x!(_mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(at).cast()));
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [__m256; 2] {
        x!([_mm256_set1_ps(x); 2])
    }

    #[inline(always)]
    fn load(self, x: &[f32; 16]) -> [__m256; 2] {
        x!([_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))])
    }

    #[inline(always)]
    fn load_n(self, x: &[f32]) -> [__m256; 2] {
        // The second address may lie past the slice, where the mask lets nothing through.
        x!([
            _mm256_maskload_ps(x.as_ptr(), mask(x.len(), 0)),
            _mm256_maskload_ps(x.as_ptr().wrapping_add(8), mask(x.len(), 8)),
        ])
    }

    #[inline(always)]
    fn load_f32(self, x: &[u8; 64]) -> [__m256; 2] {
        x!([_mm256_loadu_ps(x.as_ptr().cast()), _mm256_loadu_ps(x.as_ptr().add(32).cast())])
    }

    #[inline(always)]
    fn load_f16(self, x: &[u8; 32]) -> [__m256; 2] {
        x!([
            _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())),
            _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().add(16).cast())),
        ])
    }

    #[inline(always)]
    fn load_bf16(self, x: &[u8; 32]) -> [__m256; 2] {
        x!({
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().cast()));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().add(16).cast()));
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
            ]
        })
    }

    #[inline(always)]
    fn store(self, y: &mut [f32; 16], x: [__m256; 2]) {
        x!({
            _mm256_storeu_ps(y.as_mut_ptr(), x[0]);
            _mm256_storeu_ps(y.as_mut_ptr().add(8), x[1]);
        });
    }

    #[inline(always)]
    fn store_n(self, y: &mut [f32], x: [__m256; 2]) {
        // Masked stores take a dozen times as long on some processors.
        if let Ok(y) = y.try_into() {
            return self.store(y, x);
        }
        let n = y.len();
        x!({
            _mm256_maskstore_ps(y.as_mut_ptr(), mask(n, 0), x[0]);
            _mm256_maskstore_ps(y.as_mut_ptr().wrapping_add(8), mask(n, 8), x[1]);
        });
    }

    #[inline(always)]
    fn store_f16(self, y: &mut [u8; 32], x: [__m256; 2]) {
        x!({
            _mm_storeu_si128(
                y.as_mut_ptr().cast(),
                _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[0]),
            );
            _mm_storeu_si128(
                y.as_mut_ptr().add(16).cast(),
                _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[1]),
            );
        });
    }

    #[inline(always)]
    fn store_i8(self, y: &mut [i8; 16], x: [__m256; 2]) {
        x!({
            let words = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
            // Packing works within halves of a register: put its quarters back in order.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(y.as_mut_ptr().cast(), _mm_packs_epi16(low, high));
        });
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        x!([_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])])
    }

    #[inline(always)]
    fn sub(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        x!([_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])])
    }

    #[inline(always)]
    fn mul(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        x!([_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])])
    }

    #[inline(always)]
    fn div(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        x!([_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])])
    }

    #[inline(always)]
    fn fma(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        x!([_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])])
    }

    #[inline(always)]
    fn max(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        x!([_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])])
    }

    #[inline(always)]
    fn min(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        x!([_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])])
    }

    #[inline(always)]
    fn abs(self, a: [__m256; 2]) -> [__m256; 2] {
        x!({
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
        })
    }

    #[inline(always)]
    fn round(self, a: [__m256; 2]) -> [__m256; 2] {
        x!([_mm256_round_ps::<NEAREST>(a[0]), _mm256_round_ps::<NEAREST>(a[1])])
    }

    #[inline(always)]
    fn pow2(self, a: [__m256; 2]) -> [__m256; 2] {
        x!([power(a[0]), power(a[1])])
    }

    #[inline(always)]
    fn keep_from(self, x: [__m256; 2], limit: [__m256; 2], a: [__m256; 2]) -> [__m256; 2] {
        x!([
            _mm256_and_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(x[0], limit[0]), a[0]),
            _mm256_and_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(x[1], limit[1]), a[1]),
        ])
    }

    #[inline(always)]
    fn sum(self, a: [__m256; 2]) -> f32 {
        x!({
            let four = fold8_4(a);
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        })
    }

    #[inline(always)]
    fn largest(self, a: [__m256; 2]) -> f32 {
        x!({
            let eight = _mm256_max_ps(a[0], a[1]);
            let high = _mm256_extractf128_ps::<1>(eight);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), high);
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        })
    }

    #[inline(always)]
    fn sum4(self, a: [[__m256; 2]; 4]) -> [f32; 4] {
        let sums = x!(transpose_sum([fold8_4(a[0]), fold8_4(a[1]), fold8_4(a[2]), fold8_4(a[3])]));
        self.q_store(sums)
    }

    /// Half of the lanes at a time: twelve sums and what they need fit the registers.
    #[inline(always)]
    fn add_products<P: Plain, const T: usize>(
        self,
        sums: &mut [[[f32; 16]; 4]; T],
        w: [&[P::Lanes]; 4],
        x: [&[[f32; 16]]; T],
    ) {
        x!(add_products::<P, T>(self, sums, w, x));
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> [__m256i; 2] {
        x!([_mm256_set1_epi32(x); 2])
    }

    #[inline(always)]
    fn load_i(self, x: &[i32; 16]) -> [__m256i; 2] {
        x!([_mm256_loadu_si256(x.as_ptr().cast()), _mm256_loadu_si256(x.as_ptr().add(8).cast())])
    }

    #[inline(always)]
    fn add_i(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        x!([_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])])
    }

    #[inline(always)]
    fn mul_add_i(self, acc: [__m256i; 2], a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        x!([
            _mm256_add_epi32(acc[0], _mm256_mullo_epi32(a[0], b[0])),
            _mm256_add_epi32(acc[1], _mm256_mullo_epi32(a[1], b[1])),
        ])
    }

    #[inline(always)]
    fn dot_i16(self, acc: [__m256i; 2], a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        x!([
            _mm256_add_epi32(acc[0], _mm256_madd_epi16(a[0], b[0])),
            _mm256_add_epi32(acc[1], _mm256_madd_epi16(a[1], b[1])),
        ])
    }

    #[inline(always)]
    fn to_f(self, a: [__m256i; 2]) -> [__m256; 2] {
        x!([_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])])
    }

    #[inline(always)]
    fn sum4_i(self, a: [[__m256i; 2]; 4]) -> __m128 {
        x!(sums_i([
            _mm256_add_epi32(a[0][0], a[0][1]),
            _mm256_add_epi32(a[1][0], a[1][1]),
            _mm256_add_epi32(a[2][0], a[2][1]),
            _mm256_add_epi32(a[3][0], a[3][1]),
        ]))
    }

    #[inline(always)]
    fn dot4_blocks<const MAX: u8>(
        self,
        w: [[__m256i; 2]; 4],
        x: [__m256i; 2],
        sums: &[i16; 4],
        off: i16,
    ) -> (__m128, __m128) {
        if MAX > 63 {
            let zero = self.splat_i(0);
            let [a, b] = [self.dot_ss(zero, w[0], x), self.dot_ss(zero, w[1], x)];
            let [c, d] = [self.dot_ss(zero, w[2], x), self.dot_ss(zero, w[3], x)];
            return self.sum4_blocks([a, b, c, d], sums, off);
        }
        x!({
            let [a, b] = [dot4_words(w[0], x), dot4_words(w[1], x)];
            let [c, d] = [dot4_words(w[2], x), dot4_words(w[3], x)];
            let dots = match MAX {
                0..=15 => half_sums_words::<2>([a, b, c, d]),
                16..=31 => half_sums_words::<1>([a, b, c, d]),
                _ => half_sums_words::<0>([a, b, c, d]),
            };
            blocks_sums(dots, sums, off)
        })
    }

    #[inline(always)]
    fn sum4_blocks(self, a: [[__m256i; 2]; 4], sums: &[i16; 4], off: i16) -> (__m128, __m128) {
        x!({
            let dots = half_sums([
                _mm256_add_epi32(a[0][0], a[0][1]),
                _mm256_add_epi32(a[1][0], a[1][1]),
                _mm256_add_epi32(a[2][0], a[2][1]),
                _mm256_add_epi32(a[3][0], a[3][1]),
            ]);
            blocks_sums(dots, sums, off)
        })
    }

    #[inline(always)]
    fn scales_u8(self, x: [u8; 8]) -> __m256i {
        x!({
            let words = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(i64::from_le_bytes(x)));
            _mm256_set_m128i(words, words)
        })
    }

    #[inline(always)]
    fn eights(self, x: [&[u8; 16]; 4], sums: &[i16; 16], scales: &mut Eights) -> __m128 {
        x!({
            let (a, b) = (six_bits(two(x[0], x[1])), six_bits(two(x[2], x[3])));
            scales.store([a, b]);
            // Sums of runs, in either half.
            let runs =
                _mm256_madd_epi16(_mm256_loadu_si256(sums.as_ptr().cast()), _mm256_set1_epi16(1));
            let runs = _mm256_packs_epi32(runs, runs);
            let runs = _mm256_permute4x64_epi64::<0b10_00_10_00>(runs);
            let zero = _mm256_setzero_si256();
            let a = _mm256_madd_epi16(_mm256_unpackhi_epi8(a, zero), runs);
            let b = _mm256_madd_epi16(_mm256_unpackhi_epi8(b, zero), runs);
            // Two sums of rows 0 and 2, then of rows 1 and 3.
            let both = _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
            let first = _mm_castsi128_ps(_mm256_castsi256_si128(both));
            let second = _mm_castsi128_ps(_mm256_extracti128_si256::<1>(both));
            let even = _mm_shuffle_ps::<0b10_00_10_00>(first, second);
            let odd = _mm_shuffle_ps::<0b11_01_11_01>(first, second);
            let sums = _mm_add_epi32(_mm_castps_si128(even), _mm_castps_si128(odd));
            _mm_cvtepi32_ps(_mm_shuffle_epi32::<0b11_01_10_00>(sums))
        })
    }

    #[inline(always)]
    fn room(self) -> Eights {
        Eights([[[0; 4]; 4]; 2])
    }

    #[inline(always)]
    fn dot_eights(
        self,
        acc: [[__m256i; 2]; 4],
        w: [[__m256i; 2]; 4],
        x: [__m256i; 2],
        scales: &Eights,
        j: usize,
    ) -> [[__m256i; 2]; 4] {
        x!([
            [eight(acc[0][0], w[0], x, scales.of(0, j)), acc[0][1]],
            [eight(acc[1][0], w[1], x, scales.of(1, j)), acc[1][1]],
            [eight(acc[2][0], w[2], x, scales.of(2, j)), acc[2][1]],
            [eight(acc[3][0], w[3], x, scales.of(3, j)), acc[3][1]],
        ])
    }

    #[inline(always)]
    fn scales_i8(self, x: &[i8; 16]) -> __m256i {
        x!({
            let order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
            let bytes = _mm_loadu_si128(x.as_ptr().cast());
            _mm256_cvtepi8_epi16(_mm_shuffle_epi8(bytes, order))
        })
    }

    #[inline(always)]
    fn numbers(self, scales: __m256i) -> [i16; 16] {
        let mut numbers = [0; 16];
        x!({
            let (even, odd) =
                (_mm256_castsi256_si128(scales), _mm256_extracti128_si256::<1>(scales));
            let low = _mm_unpacklo_epi16(even, odd);
            let both = _mm256_set_m128i(_mm_unpackhi_epi16(even, odd), low);
            _mm256_storeu_si256(numbers.as_mut_ptr().cast(), both);
        });
        numbers
    }

    #[inline(always)]
    fn sums(self, x: &[i16; 16]) -> __m256i {
        x!({
            let order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
            let words = _mm256_loadu_si256(x.as_ptr().cast());
            let words = _mm256_shuffle_epi8(words, _mm256_set_m128i(order, order));
            _mm256_permute4x64_epi64::<0b11_01_10_00>(words)
        })
    }

    #[inline(always)]
    fn dot_sums(self, acc: [__m256i; 2], sums: __m256i, scales: __m256i) -> [__m256i; 2] {
        [x!(_mm256_add_epi32(acc[0], _mm256_madd_epi16(sums, scales))), acc[1]]
    }

    #[inline(always)]
    fn dot_runs<const SIGNED: bool>(
        self,
        acc: [[__m256i; 2]; 4],
        w: [[__m256i; 2]; 4],
        x: [__m256i; 2],
        scales: [__m256i; 4],
        j: usize,
    ) -> [[__m256i; 2]; 4] {
        x!({
            let (first, second) = (here(place(2 * j)), here(place(2 * j + 1)));
            [
                [runs::<SIGNED>(acc[0][0], w[0], x, scales[0], first, second), acc[0][1]],
                [runs::<SIGNED>(acc[1][0], w[1], x, scales[1], first, second), acc[1][1]],
                [runs::<SIGNED>(acc[2][0], w[2], x, scales[2], first, second), acc[2][1]],
                [runs::<SIGNED>(acc[3][0], w[3], x, scales[3], first, second), acc[3][1]],
            ]
        })
    }

    #[inline(always)]
    fn load_b(self, x: &[u8; 64]) -> [__m256i; 2] {
        x!(load(x))
    }

    #[inline(always)]
    fn load_s(self, x: &[i8; 64]) -> [__m256i; 2] {
        x!([_mm256_loadu_si256(x.as_ptr().cast()), _mm256_loadu_si256(x.as_ptr().add(32).cast())])
    }

    #[inline(always)]
    fn store_b(self, y: &mut [u8; 64], x: [__m256i; 2]) {
        x!({
            _mm256_storeu_si256(y.as_mut_ptr().cast(), x[0]);
            _mm256_storeu_si256(y.as_mut_ptr().add(32).cast(), x[1]);
        });
    }

    #[inline(always)]
    fn splat_b(self, x: &[i8; 4]) -> [__m256i; 2] {
        x!([_mm256_set1_epi32(i32::from_le_bytes(bytemuck::cast(*x))); 2])
    }

    #[inline(always)]
    fn dot_us(self, acc: [__m256i; 2], u: [__m256i; 2], s: [__m256i; 2]) -> [__m256i; 2] {
        x!([dot4(acc[0], u[0], s[0]), dot4(acc[1], u[1], s[1])])
    }

    #[inline(always)]
    fn dot_ss(self, acc: [__m256i; 2], w: [__m256i; 2], x: [__m256i; 2]) -> [__m256i; 2] {
        x!({
            let (u, s) = (abs(w), with_sign(x, w));
            [dot4(acc[0], u[0], s[0]), dot4(acc[1], u[1], s[1])]
        })
    }

    /// Twice, for the two sums of a lane.
    #[inline(always)]
    fn run_scale(scale: i16) -> i32 {
        i32::from(scale as u16) | i32::from(scale) << 16
    }

    #[inline(always)]
    fn dot_run<const T: usize, const OCTETS: usize, const MAX: u8>(
        self,
        acc: &mut [[__m256i; 2]; T],
        run: &Run<'_, OCTETS>,
        x: [&[[i8; 8]; OCTETS]; T],
    ) {
        x!({
            let scale = run.scale.map_or([_mm256_set1_epi16(1); 2], |scale| self.load_i(scale));
            // So many sums of two products fit sixteen bits: 32767 / (2 * 127 * MAX).
            match MAX {
                0..=15 if OCTETS == 4 => dot_run::<T, OCTETS, 8>(acc, run.q, scale, x),
                0..=31 => dot_run::<T, OCTETS, 4>(acc, run.q, scale, x),
                32..=63 => dot_run::<T, OCTETS, 2>(acc, run.q, scale, x),
                64..=127 => dot_run::<T, OCTETS, 1>(acc, run.q, scale, x),
                _ => dot_signed(acc, run.q, scale, x),
            }
        });
    }

    #[inline(always)]
    fn to_octets(self, rows: [&[u8; 64]; 16], octets: &mut [Octet; 8]) {
        let octets: &mut [[f32; 16]; 16] = bytemuck::cast_mut(octets);
        x!(super::turn::turn(rows, octets, 1));
    }

    #[inline(always)]
    fn join(self, low: __m256i, high: __m256i) -> [__m256i; 2] {
        [low, high]
    }

    #[inline(always)]
    fn load_h(self, x: &[u8; 32]) -> __m256i {
        x!(_mm256_loadu_si256(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn splat_h(self, x: u8) -> __m256i {
        x!(_mm256_set1_epi8(x as i8))
    }

    #[inline(always)]
    fn eights_h(self, x: [u64; 4]) -> __m256i {
        x!(_mm256_setr_epi64x(x[0] as i64, x[1] as i64, x[2] as i64, x[3] as i64))
    }

    #[inline(always)]
    fn fours_h(self, low: [u32; 4], high: [u32; 4]) -> __m256i {
        let ([a, b, c, d], [e, f, g, h]) = (low, high);
        x!(_mm256_set_m128i(
            _mm_setr_epi32(e as i32, f as i32, g as i32, h as i32),
            _mm_setr_epi32(a as i32, b as i32, c as i32, d as i32),
        ))
    }

    #[inline(always)]
    fn signed(self, a: __m256i, signs: u32) -> __m256i {
        x!({
            let places = _mm256_setr_epi64x(
                0,
                0x0101_0101_0101_0101,
                0x0202_0202_0202_0202,
                0x0303_0303_0303_0303,
            );
            let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
            let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(signs as i32), places);
            let negative = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits);
            _mm256_sign_epi8(a, _mm256_or_si256(negative, _mm256_set1_epi8(1)))
        })
    }

    #[inline(always)]
    fn ninth_bits(self, low: &[u8; 16], high: u16) -> [u16; 16] {
        x!({
            let bits = _mm256_setr_epi16(
                1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768,
            );
            let low = _mm256_cvtepu8_epi16(_mm_loadu_si128(low.as_ptr().cast()));
            let set = _mm256_and_si256(_mm256_set1_epi16(high as i16), bits);
            let ninth = _mm256_slli_epi16::<8>(_mm256_abs_epi16(_mm256_cmpeq_epi16(set, bits)));
            words(_mm256_or_si256(low, ninth))
        })
    }

    #[inline(always)]
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        x!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn or(self, a: __m256i, b: __m256i) -> __m256i {
        x!(_mm256_or_si256(a, b))
    }

    #[inline(always)]
    fn shr(self, a: __m256i, bits: u32) -> __m256i {
        x!(_mm256_srl_epi16(a, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    fn shl(self, a: __m256i, bits: u32) -> __m256i {
        x!(_mm256_sll_epi16(a, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    fn sixteens(self, a: &[u8; 32], b: &[u8; 32]) -> [__m256i; 2] {
        let ([a0, a1], [b0, b1]) = (super::split(a), super::split(b));
        x!([two(a0, b0), two(a1, b1)])
    }

    #[inline(always)]
    fn sixteens_s(self, x: &[i8; 64]) -> [__m256i; 2] {
        let [a, b] = bytemuck::cast_ref::<[i8; 64], [[u8; 32]; 2]>(x);
        self.sixteens(a, b)
    }

    #[inline(always)]
    fn even_odd_s(self, x: &[i8; 64]) -> [__m256i; 2] {
        x!({
            let order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
            let order = _mm256_set_m128i(order, order);
            let [a, b] = self.load_s(x);
            let (a, b) = (_mm256_shuffle_epi8(a, order), _mm256_shuffle_epi8(b, order));
            let a = _mm256_permute4x64_epi64::<0b11_01_10_00>(a);
            let b = _mm256_permute4x64_epi64::<0b11_01_10_00>(b);
            [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
        })
    }

    #[inline(always)]
    fn undo_sixteens(self, a: [__m256i; 2]) -> [__m256i; 2] {
        x!([
            _mm256_permute2x128_si256::<0x20>(a[0], a[1]),
            _mm256_permute2x128_si256::<0x31>(a[0], a[1]),
        ])
    }

    #[inline(always)]
    fn undo_even_odd(self, [even, odd]: [__m256i; 2]) -> [__m256i; 2] {
        let (low, high) = x!((_mm256_unpacklo_epi8(even, odd), _mm256_unpackhi_epi8(even, odd)));
        self.undo_sixteens([low, high])
    }

    #[inline(always)]
    fn nibbles(self, a: &[u8; 16], b: &[u8; 16]) -> [__m256i; 2] {
        x!({
            let (bytes, low) = (two(a, b), _mm256_set1_epi8(0x0f));
            let high = _mm256_srli_epi16::<4>(bytes);
            [_mm256_and_si256(bytes, low), _mm256_and_si256(high, low)]
        })
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16], a: [__m256i; 2]) -> [__m256i; 2] {
        x!({
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            [_mm256_shuffle_epi8(table, a[0]), _mm256_shuffle_epi8(table, a[1])]
        })
    }

    #[inline(always)]
    fn flip(self, a: [__m256i; 2]) -> [__m256i; 2] {
        x!({
            let highest = _mm256_set1_epi8(-128);
            [_mm256_xor_si256(a[0], highest), _mm256_xor_si256(a[1], highest)]
        })
    }

    #[inline(always)]
    fn q_load(self, x: [f32; 4]) -> __m128 {
        x!(_mm_loadu_ps(x.as_ptr()))
    }

    #[inline(always)]
    fn q_f16(self, x: [&[u8; 4]; 4]) -> __m128 {
        x!({
            let (a, b) = (four_bytes(x[0]), four_bytes(x[1]));
            let (c, d) = (four_bytes(x[2]), four_bytes(x[3]));
            let four = _mm_unpacklo_epi32(_mm_unpacklo_epi16(a, b), _mm_unpacklo_epi16(c, d));
            _mm_cvtph_ps(four)
        })
    }

    #[inline(always)]
    fn q_halves(self, x: [&[u8; 4]; 4]) -> [__m128; 2] {
        x!(halves(x))
    }

    #[inline(always)]
    fn q_store(self, x: __m128) -> [f32; 4] {
        let mut y = [0.0; 4];
        x!(_mm_storeu_ps(y.as_mut_ptr(), x));
        y
    }

    #[inline(always)]
    fn q_scale(self, a: __m128, b: f32) -> __m128 {
        x!(_mm_mul_ps(a, _mm_set1_ps(b)))
    }

    #[inline(always)]
    fn q_fma(self, a: __m128, b: __m128, c: __m128) -> __m128 {
        x!(_mm_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn load_i8(self, x: &[u8; 16]) -> [__m256; 2] {
        // Both from memory: to take a register apart would be one more instruction.
        let [low, high] = x!([
            _mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().cast())),
            _mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().add(8).cast())),
        ]);
        self.to_f([low, high])
    }

    #[inline(always)]
    fn load_i4<const HIGH: bool>(self, x: &[u8; 16]) -> [__m256; 2] {
        let [low, high] = x!(high_bytes(high_halves::<HIGH>(twice(x))));
        self.mul(self.to_f([low, high]), self.splat(I4))
    }

    #[inline(always)]
    fn scaled_i4<const HIGH: bool>(self, x: &[u8; 16], scale: [u8; 2]) -> [__m256; 2] {
        let scale = self.mul(self.splat_f16(scale), self.splat(I4));
        let [low, high] = x!(high_bytes(high_halves::<HIGH>(twice(x))));
        self.mul(self.to_f([low, high]), scale)
    }

    #[inline(always)]
    fn splat_f16(self, x: [u8; 2]) -> [__m256; 2] {
        x!([_mm256_cvtph_ps(_mm_set1_epi16(i16::from_le_bytes(x))); 2])
    }

    #[inline(always)]
    fn turn(self, x: &[[f32; 16]; 16], y: &mut [[f32; 16]], stride: usize) {
        x!(super::turn::turn(x.each_ref().map(bytemuck::cast_ref), y, stride));
    }
}
