//! AVX-512 with VNNI: one register for a vector.
//!
//! Long because it is a table: a few instructions for each primitive.
#![allow(unsafe_code)]

use super::{Octet, Simd, eights, lacking};
use std::arch::x86_64::*;

/// Proof of AVX-512 F, BW, DQ, VL and VNNI.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// The proof, if the processor has them.
    pub fn detect() -> Option<Avx512> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
        .then_some(Avx512(()))
    }
}

/// Calls an intrinsic.
macro_rules! x {
    ($e:expr) => {
        // SAFETY: `self` proves that the processor has the instruction; memory operands are
        // references to arrays of the full width, or masked to a slice's length.
        unsafe { $e }
    };
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn enter<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline(never)]
fn apart<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Lane i + lane i + 8.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn fold8(a: __m512) -> __m256 {
    _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a))
}

/// Lane i + lane i + 4.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn fold4(a: __m256) -> __m128 {
    _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a))
}

/// The sums of four vectors of four: lane i + lane i + 2 first.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn transpose_sum(a: [__m128; 4]) -> __m128 {
    let ab = _mm_add_ps(_mm_movelh_ps(a[0], a[1]), _mm_movehl_ps(a[1], a[0]));
    let cd = _mm_add_ps(_mm_movelh_ps(a[2], a[3]), _mm_movehl_ps(a[3], a[2]));
    let even = _mm_shuffle_ps::<0b10_00_10_00>(ab, cd);
    let odd = _mm_shuffle_ps::<0b11_01_11_01>(ab, cd);
    _mm_add_ps(even, odd)
}

/// In each 128 bits the sums of four vectors' 128 bits: few shuffles, which are what integer
/// kernels run out of first.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn transpose_sum_i(a: [__m512i; 4]) -> __m512i {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a[0], a[1]), _mm512_unpackhi_epi32(a[0], a[1]));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(a[2], a[3]), _mm512_unpackhi_epi32(a[2], a[3]));
    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
}

/// Adds the products of a row, times the scales of runs `4 * j ..= 4 * j + 3`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn runs<const SIGNED: bool>(
    acc: __m512i,
    w: __m512i,
    x: __m512i,
    scales: __m512i,
    j: usize,
) -> __m512i {
    let scales = match j {
        0 => _mm512_shuffle_epi32::<0b00_00_00_00>(scales),
        1 => _mm512_shuffle_epi32::<0b01_01_01_01>(scales),
        2 => _mm512_shuffle_epi32::<0b10_10_10_10>(scales),
        _ => _mm512_shuffle_epi32::<0b11_11_11_11>(scales),
    };
    if SIGNED {
        let dots = dot_signed(_mm512_setzero_si512(), w, x);
        let scales = _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(scales));
        return _mm512_add_epi32(acc, _mm512_mullo_epi32(dots, scales));
    }
    // Four products with weights up to 63 fit sixteen bits; their sign above is multiplied with
    // the zero above the scale.
    let dots = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, x);
    _mm512_dpwssd_epi32(acc, dots, scales)
}

/// Adds to each lane four products, of which the activations take the weights' signs.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn dot_signed(acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
    let negative = _mm512_movepi8_mask(w);
    let signed = _mm512_mask_sub_epi8(x, negative, _mm512_setzero_si512(), x);
    _mm512_dpbusd_epi32(acc, _mm512_abs_epi8(w), signed)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn fold4_i(a: __m256i) -> __m128i {
    _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a))
}

/// Sixteen bytes of each.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn two(a: &[u8; 16], b: &[u8; 16]) -> __m256i {
    // SAFETY: references to sixteen bytes each.
    let (a, b) =
        unsafe { (_mm_loadu_si128(a.as_ptr().cast()), _mm_loadu_si128(b.as_ptr().cast())) };
    _mm256_set_m128i(b, a)
}

#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    ((1u32 << n.min(16)) - 1) as __mmask16
}

impl Simd for Avx512 {
    const NAME: &'static str = "AVX-512 VNNI";
    const FULL_U8: bool = true;
    type F = __m512;
    type I = __m512i;
    type B = __m512i;
    type H = __m256i;
    type Q = __m128;
    /// As i32 without a sign, (4 in a group, 4 groups): a product of words takes them so.
    type K = __m512i;
    type E = [Self::K; 4];

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
    fn splat(self, x: f32) -> __m512 {
        x!(_mm512_set1_ps(x))
    }

    #[inline(always)]
    fn load(self, x: &[f32; 16]) -> __m512 {
        x!(_mm512_loadu_ps(x.as_ptr()))
    }

    #[inline(always)]
    fn load_n(self, x: &[f32]) -> __m512 {
        x!(_mm512_maskz_loadu_ps(mask(x.len()), x.as_ptr()))
    }

    #[inline(always)]
    fn load_f32(self, x: &[u8; 64]) -> __m512 {
        x!(_mm512_loadu_ps(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn load_f16(self, x: &[u8; 32]) -> __m512 {
        x!(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_bf16(self, x: &[u8; 32]) -> __m512 {
        x!({
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(x.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        })
    }

    #[inline(always)]
    fn store(self, y: &mut [f32; 16], x: __m512) {
        x!(_mm512_storeu_ps(y.as_mut_ptr(), x));
    }

    #[inline(always)]
    fn store_n(self, y: &mut [f32], x: __m512) {
        x!(_mm512_mask_storeu_ps(y.as_mut_ptr(), mask(y.len()), x));
    }

    #[inline(always)]
    fn store_f16(self, y: &mut [u8; 32], x: __m512) {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        x!(_mm256_storeu_si256(y.as_mut_ptr().cast(), _mm512_cvtps_ph::<NEAREST>(x)));
    }

    #[inline(always)]
    fn store_i8(self, y: &mut [i8; 16], x: __m512) {
        x!(_mm_storeu_si128(y.as_mut_ptr().cast(), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x))));
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        x!(_mm512_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        x!(_mm512_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        x!(_mm512_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        x!(_mm512_div_ps(a, b))
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        x!(_mm512_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        x!(_mm512_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        x!(_mm512_min_ps(a, b))
    }

    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        x!(_mm512_abs_ps(a))
    }

    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        x!(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }

    #[inline(always)]
    fn pow2(self, a: __m512) -> __m512 {
        x!({
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        })
    }

    #[inline(always)]
    fn keep_from(self, x: __m512, limit: __m512, a: __m512) -> __m512 {
        x!(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(x, limit), a))
    }

    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        x!({
            let four = fold4(fold8(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        })
    }

    #[inline(always)]
    fn largest(self, a: __m512) -> f32 {
        x!(_mm512_reduce_max_ps(a))
    }

    #[inline(always)]
    fn sum4(self, a: [__m512; 4]) -> [f32; 4] {
        let sums = x!(transpose_sum([
            fold4(fold8(a[0])),
            fold4(fold8(a[1])),
            fold4(fold8(a[2])),
            fold4(fold8(a[3])),
        ]));
        self.q_store(sums)
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> __m512i {
        x!(_mm512_set1_epi32(x))
    }

    #[inline(always)]
    fn load_i(self, x: &[i32; 16]) -> __m512i {
        x!(_mm512_loadu_si512(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn add_i(self, a: __m512i, b: __m512i) -> __m512i {
        x!(_mm512_add_epi32(a, b))
    }

    #[inline(always)]
    fn mul_add_i(self, acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        x!(_mm512_add_epi32(acc, _mm512_mullo_epi32(a, b)))
    }

    #[inline(always)]
    fn dot_i16(self, acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        x!(_mm512_dpwssd_epi32(acc, a, b))
    }

    #[inline(always)]
    fn to_f(self, a: __m512i) -> __m512 {
        x!(_mm512_cvtepi32_ps(a))
    }

    #[inline(always)]
    fn sum4_i(self, a: [__m512i; 4]) -> __m128 {
        x!({
            let sums = transpose_sum_i(a);
            let high = _mm512_extracti64x4_epi64::<1>(sums);
            _mm_cvtepi32_ps(fold4_i(_mm256_add_epi32(_mm512_castsi512_si256(sums), high)))
        })
    }

    #[inline(always)]
    fn sum4_blocks(self, a: [__m512i; 4], sums: &[i16; 4], off: i16) -> (__m128, __m128) {
        let add = lacking(sums, off);
        x!({
            let sums = transpose_sum_i(a);
            let high = _mm512_extracti64x4_epi64::<1>(sums);
            let sums = _mm256_add_epi32(_mm512_castsi512_si256(sums), high);
            let add = _mm256_set_m128i(_mm_set1_epi32(add[1]), _mm_set1_epi32(add[0]));
            let both = _mm256_cvtepi32_ps(_mm256_add_epi32(sums, add));
            (_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both))
        })
    }

    #[inline(always)]
    fn scales_u8(self, x: [u8; 8]) -> __m512i {
        x!({
            let order = _mm_setr_epi8(0, 2, 4, 6, 0, 2, 4, 6, 1, 3, 5, 7, 1, 3, 5, 7);
            let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(x));
            _mm512_cvtepu8_epi32(_mm_shuffle_epi8(bytes, order))
        })
    }

    #[inline(always)]
    fn eights(self, x: [&[u8; 16]; 4], sums: &[i16; 16], scales: &mut Self::E) -> __m128 {
        eights(self, x, sums, scales)
    }

    #[inline(always)]
    fn room(self) -> Self::E {
        [self.scales_u8([0; 8]); 4]
    }

    #[inline(always)]
    fn dot_eights(
        self,
        acc: [__m512i; 4],
        w: [__m512i; 4],
        x: __m512i,
        scales: &Self::E,
        j: usize,
    ) -> [__m512i; 4] {
        self.dot_runs::<false>(acc, w, x, *scales, j)
    }

    #[inline(always)]
    fn scales_i8(self, x: &[i8; 16]) -> __m512i {
        x!({
            let order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let bytes = _mm_loadu_si128(x.as_ptr().cast());
            let words = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(bytes, order));
            _mm512_cvtepu16_epi32(words)
        })
    }

    #[inline(always)]
    fn numbers(self, scales: __m512i) -> [i16; 16] {
        let mut fours = [[0; 4]; 4];
        x!(_mm256_storeu_si256(fours.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(scales)));
        std::array::from_fn(|i| fours[i % 4][i / 4])
    }

    #[inline(always)]
    fn sums(self, x: &[i16; 16]) -> __m512i {
        x!({
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let words = _mm256_loadu_si256(x.as_ptr().cast());
            _mm512_permutexvar_epi32(order, _mm512_cvtepu16_epi32(words))
        })
    }

    #[inline(always)]
    fn dot_sums(self, acc: __m512i, sums: __m512i, scales: __m512i) -> __m512i {
        x!(_mm512_dpwssd_epi32(acc, sums, scales))
    }

    #[inline(always)]
    fn dot_runs<const SIGNED: bool>(
        self,
        acc: [__m512i; 4],
        w: [__m512i; 4],
        x: __m512i,
        scales: [__m512i; 4],
        j: usize,
    ) -> [__m512i; 4] {
        x!([
            runs::<SIGNED>(acc[0], w[0], x, scales[0], j),
            runs::<SIGNED>(acc[1], w[1], x, scales[1], j),
            runs::<SIGNED>(acc[2], w[2], x, scales[2], j),
            runs::<SIGNED>(acc[3], w[3], x, scales[3], j),
        ])
    }

    #[inline(always)]
    fn load_b(self, x: &[u8; 64]) -> __m512i {
        x!(_mm512_loadu_si512(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn load_s(self, x: &[i8; 64]) -> __m512i {
        x!(_mm512_loadu_si512(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn store_b(self, y: &mut [u8; 64], x: __m512i) {
        x!(_mm512_storeu_si512(y.as_mut_ptr().cast(), x));
    }

    #[inline(always)]
    fn splat_b(self, x: &[i8; 4]) -> __m512i {
        x!(_mm512_set1_epi32(i32::from_le_bytes(x.map(|b| b as u8))))
    }

    #[inline(always)]
    fn dot_us(self, acc: __m512i, u: __m512i, s: __m512i) -> __m512i {
        x!(_mm512_dpbusd_epi32(acc, u, s))
    }

    #[inline(always)]
    fn dot_ss(self, acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
        x!(dot_signed(acc, w, x))
    }

    #[inline(always)]
    fn join(self, low: __m256i, high: __m256i) -> __m512i {
        x!(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
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
        x!(_mm256_mask_sub_epi8(a, signs, _mm256_setzero_si256(), a))
    }

    #[inline(always)]
    fn ninth_bits(self, low: &[u8; 16], high: u16) -> [u16; 16] {
        let mut numbers = [0; 16];
        x!({
            let low = _mm256_cvtepu8_epi16(_mm_loadu_si128(low.as_ptr().cast()));
            let numbers = numbers.as_mut_ptr().cast();
            _mm256_storeu_si256(
                numbers,
                _mm256_mask_add_epi16(low, high, low, _mm256_set1_epi16(256)),
            );
        });
        numbers
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
    fn sixteens(self, a: &[u8; 32], b: &[u8; 32]) -> __m512i {
        let both = self.join(self.load_h(a), self.load_h(b));
        x!(_mm512_shuffle_i64x2::<0b11_01_10_00>(both, both))
    }

    #[inline(always)]
    fn sixteens_s(self, x: &[i8; 64]) -> __m512i {
        let both = self.load_s(x);
        x!(_mm512_shuffle_i64x2::<0b11_01_10_00>(both, both))
    }

    #[inline(always)]
    fn even_odd_s(self, x: &[i8; 64]) -> __m512i {
        x!({
            let apart = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
            let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
            let apart = _mm512_shuffle_epi8(self.load_s(x), _mm512_broadcast_i32x4(apart));
            _mm512_permutexvar_epi64(order, apart)
        })
    }

    #[inline(always)]
    fn undo_sixteens(self, a: __m512i) -> __m512i {
        x!(_mm512_shuffle_i64x2::<0b11_01_10_00>(a, a))
    }

    #[inline(always)]
    fn undo_even_odd(self, a: __m512i) -> __m512i {
        let sixteens = x!({
            let (even, odd) = (_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64::<1>(a));
            let low = _mm512_castsi256_si512(_mm256_unpacklo_epi8(even, odd));
            _mm512_inserti64x4::<1>(low, _mm256_unpackhi_epi8(even, odd))
        });
        self.undo_sixteens(sixteens)
    }

    #[inline(always)]
    fn nibbles(self, a: &[u8; 16], b: &[u8; 16]) -> __m512i {
        x!({
            let bytes = two(a, b);
            let both = self.join(bytes, _mm256_srli_epi16::<4>(bytes));
            _mm512_and_si512(both, _mm512_set1_epi8(0x0f))
        })
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16], a: __m512i) -> __m512i {
        x!({
            let table = _mm_loadu_si128(table.as_ptr().cast());
            _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), a)
        })
    }

    #[inline(always)]
    fn flip(self, a: __m512i) -> __m512i {
        x!(_mm512_xor_si512(a, _mm512_set1_epi8(-128)))
    }

    #[inline(always)]
    fn q_load(self, x: [f32; 4]) -> __m128 {
        x!(_mm_loadu_ps(x.as_ptr()))
    }

    #[inline(always)]
    fn q_f16(self, x: [&[u8; 4]; 4]) -> __m128 {
        x!({
            let [a, b, c, d] = x.map(|x| _mm_cvtsi32_si128(i32::from_le_bytes(*x)));
            let four = _mm_unpacklo_epi32(_mm_unpacklo_epi16(a, b), _mm_unpacklo_epi16(c, d));
            _mm_cvtph_ps(four)
        })
    }

    #[inline(always)]
    fn q_halves(self, x: [&[u8; 4]; 4]) -> [__m128; 2] {
        x!(super::avx2::halves(x))
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
    fn load_i8(self, x: &[u8; 16]) -> __m512 {
        x!(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast()))))
    }

    #[inline(always)]
    fn load_i4<const HIGH: bool>(self, x: &[u8; 16]) -> __m512 {
        x!({
            let bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(x.as_ptr().cast()));
            let bytes = if HIGH { _mm512_srli_epi32::<4>(bytes) } else { bytes };
            let low = _mm512_and_si512(bytes, _mm512_set1_epi32(15));
            _mm512_cvtepi32_ps(_mm512_sub_epi32(low, _mm512_set1_epi32(8)))
        })
    }

    #[inline(always)]
    fn splat_f16(self, x: [u8; 2]) -> __m512 {
        x!(_mm512_cvtph_ps(_mm256_set1_epi16(i16::from_le_bytes(x))))
    }

    #[inline(always)]
    fn to_octets(self, rows: [&[u8; 64]; 16], octets: &mut [Octet; 8]) {
        let octets: &mut [[f32; 16]; 16] = bytemuck::cast_mut(octets);
        x!(super::turn::turn(rows, octets, 1));
    }

    #[inline(always)]
    fn turn(self, x: &[[f32; 16]; 16], y: &mut [[f32; 16]], stride: usize) {
        x!(super::turn::turn(x.each_ref().map(bytemuck::cast_ref), y, stride));
    }
}
