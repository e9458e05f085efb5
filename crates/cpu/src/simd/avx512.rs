//! AVX-512 with VNNI: one register for a vector.
#![allow(unsafe_code)]

use super::Simd;
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

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
fn fold4_i(a: __m256i) -> __m128i {
    _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a))
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

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        x!(enter(f))
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], at: usize) {
        if at < bytes.len() {
            x!(_mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().add(at).cast()));
        }
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
    fn halves(self, a: i32, b: i32) -> __m512i {
        x!(_mm512_inserti64x4::<1>(
            _mm512_zextsi128_si512(_mm_cvtsi32_si128(a)),
            _mm256_zextsi128_si256(_mm_cvtsi32_si128(b))
        ))
    }

    #[inline(always)]
    fn load_i(self, x: &[i32; 16]) -> __m512i {
        x!(_mm512_loadu_si512(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn load_i16(self, x: &[i16; 16]) -> __m512i {
        x!(_mm512_cvtepi16_epi32(_mm256_loadu_si256(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_i8(self, x: &[i8; 16]) -> __m512i {
        x!(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn pairs_u8(self, x: [u8; 8]) -> __m512i {
        x!({
            let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(x));
            _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes))
        })
    }

    #[inline(always)]
    fn spread(self, a: __m512i, j: usize) -> __m512i {
        x!({
            let lanes = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
            _mm512_permutexvar_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(4 * j as i32)), a)
        })
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
    fn sum4_halves(self, a: [__m512i; 4]) -> (__m128, __m128) {
        x!({
            let sums = transpose_sum_i(a);
            let low = fold4_i(_mm512_castsi512_si256(sums));
            let high = fold4_i(_mm512_extracti64x4_epi64::<1>(sums));
            (_mm_cvtepi32_ps(low), _mm_cvtepi32_ps(high))
        })
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
    fn splat_b(self, x: &[i8; 4]) -> __m512i {
        x!(_mm512_set1_epi32(i32::from_le_bytes(x.map(|b| b as u8))))
    }

    #[inline(always)]
    fn dot_us(self, acc: __m512i, u: __m512i, s: __m512i) -> __m512i {
        x!(_mm512_dpbusd_epi32(acc, u, s))
    }

    #[inline(always)]
    fn dot_ss(self, acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
        x!({
            let negative = _mm512_movepi8_mask(w);
            let signed = _mm512_mask_sub_epi8(x, negative, _mm512_setzero_si512(), x);
            _mm512_dpbusd_epi32(acc, _mm512_abs_epi8(w), signed)
        })
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
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        x!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn or(self, a: __m256i, b: __m256i) -> __m256i {
        x!(_mm256_or_si256(a, b))
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        x!(_mm256_xor_si256(a, b))
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
    fn nibbles(self, x: &[u8; 16]) -> __m256i {
        x!({
            let bytes = _mm_loadu_si128(x.as_ptr().cast());
            let both = _mm256_set_m128i(_mm_srli_epi16::<4>(bytes), bytes);
            _mm256_and_si256(both, _mm256_set1_epi8(0x0f))
        })
    }

    #[inline(always)]
    fn nibble_pairs(self, x: &[u8; 16]) -> __m256i {
        x!({
            // Each byte as 16 bits, the high half moved up by four bits.
            let wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(x.as_ptr().cast()));
            let both = _mm256_or_si256(wide, _mm256_slli_epi16::<4>(wide));
            _mm256_and_si256(both, _mm256_set1_epi8(0x0f))
        })
    }

    #[inline(always)]
    fn q_load(self, x: [f32; 4]) -> __m128 {
        x!(_mm_loadu_ps(x.as_ptr()))
    }

    #[inline(always)]
    fn q_f16(self, x: [u16; 4]) -> __m128 {
        x!({
            let bits = u64::from(x[0])
                | u64::from(x[1]) << 16
                | u64::from(x[2]) << 32
                | u64::from(x[3]) << 48;
            _mm_cvtph_ps(_mm_cvtsi64_si128(bits as i64))
        })
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
}
