//! What the AVX2 primitives are made of: functions of registers.
#![allow(unsafe_code)]

use super::Avx2;
use crate::plain::Plain;
use crate::simd::Octet;
use std::arch::x86_64::*;

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn enter<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline(never)]
pub fn apart<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Lane i + lane i + 8, then i + 4.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn fold8_4(a: [__m256; 2]) -> __m128 {
    let a = _mm256_add_ps(a[0], a[1]);
    _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a))
}

/// The sums of four vectors of four: lane i + lane i + 2 first.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn transpose_sum(a: [__m128; 4]) -> __m128 {
    let ab = _mm_add_ps(_mm_movelh_ps(a[0], a[1]), _mm_movehl_ps(a[1], a[0]));
    let cd = _mm_add_ps(_mm_movelh_ps(a[2], a[3]), _mm_movehl_ps(a[3], a[2]));
    let even = _mm_shuffle_ps::<0b10_00_10_00>(ab, cd);
    let odd = _mm_shuffle_ps::<0b11_01_11_01>(ab, cd);
    _mm_add_ps(even, odd)
}

/// [`crate::simd::Simd::add_products`].
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn add_products<P: Plain, const T: usize>(
    s: Avx2,
    sums: &mut [[[f32; 16]; 4]; T],
    w: [&[P::Lanes]; 4],
    x: [&[[f32; 16]]; T],
) {
    let n = w[0].len();
    let [w0, w1, w2, w3] = [&w[0][..n], &w[1][..n], &w[2][..n], &w[3][..n]];
    let mut x = x;
    for x in &mut x {
        *x = &x[..n];
    }
    // Half of the lanes at a time: seven loads for twelve products.
    for half in 0..2 {
        let mut acc = [[_mm256_setzero_ps(); 4]; T];
        for t in 0..T {
            for r in 0..4 {
                acc[t][r] = eight_f32(&sums[t][r], half);
            }
        }
        for k in 0..n {
            let mut values = [_mm256_setzero_ps(); T];
            for t in 0..T {
                values[t] = eight_f32(&x[t][k], half);
            }
            let w = [&w0[k], &w1[k], &w2[k], &w3[k]];
            for r in 0..4 {
                let w = P::wide(s, w[r])[half];
                for t in 0..T {
                    acc[t][r] = here_f32(_mm256_fmadd_ps(w, values[t], acc[t][r]));
                }
            }
        }
        for t in 0..T {
            for r in 0..4 {
                let to = sums[t][r].as_chunks_mut::<8>().0[half].as_mut_ptr();
                // SAFETY: eight numbers.
                unsafe { _mm256_storeu_ps(to, acc[t][r]) };
            }
        }
    }
}

/// One half of sixteen numbers.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn eight_f32(x: &[f32; 16], half: usize) -> __m256 {
    // SAFETY: eight numbers.
    unsafe { _mm256_loadu_ps(x.as_chunks::<8>().0[half].as_ptr()) }
}

/// The sums of four vectors of eight integers, as f32.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn sums_i(a: [__m256i; 4]) -> __m128 {
    let both = half_sums(a);
    let (low, high) = (_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both));
    _mm_cvtepi32_ps(_mm_add_epi32(low, high))
}

/// The sums of the halves of four vectors of eight integers.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn half_sums(a: [__m256i; 4]) -> __m256i {
    let ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a[0], a[1]), _mm256_unpackhi_epi32(a[0], a[1]));
    let cd = _mm256_add_epi32(_mm256_unpacklo_epi32(a[2], a[3]), _mm256_unpackhi_epi32(a[2], a[3]));
    _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd))
}

/// The same of vectors of pairs of sixteen bits, of which `LEVELS` sums of two fit such.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn half_sums_words<const LEVELS: usize>(a: [__m256i; 4]) -> __m256i {
    let ones = _mm256_set1_epi16(1);
    if LEVELS == 0 {
        let [first, second] = [_mm256_madd_epi16(a[0], ones), _mm256_madd_epi16(a[1], ones)];
        let [third, last] = [_mm256_madd_epi16(a[2], ones), _mm256_madd_epi16(a[3], ones)];
        return half_sums([first, second, third, last]);
    }
    let ab = _mm256_add_epi16(_mm256_unpacklo_epi32(a[0], a[1]), _mm256_unpackhi_epi32(a[0], a[1]));
    let cd = _mm256_add_epi16(_mm256_unpacklo_epi32(a[2], a[3]), _mm256_unpackhi_epi32(a[2], a[3]));
    let (low, high) = (_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    if LEVELS == 1 {
        return _mm256_add_epi32(_mm256_madd_epi16(low, ones), _mm256_madd_epi16(high, ones));
    }
    _mm256_madd_epi16(_mm256_add_epi16(low, high), ones)
}

/// The vector, computed here: the compiler would take sums apart and order them anew, for which
/// there are not enough registers.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn here(mut a: __m256i) -> __m256i {
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {} */", inout(ymm_reg) a, options(nomem, nostack, preserves_flags));
    }
    a
}

/// The same of f32.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn here_f32(a: __m256) -> __m256 {
    _mm256_castsi256_ps(here(_mm256_castps_si256(a)))
}

/// Sixteen words, by way of four numbers: the compiler would extract each of them, for which there
/// are two units only.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn words(x: __m256i) -> [u16; 16] {
    let (low, high) = (_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    let mut fours = [0; 4];
    fours[0] = _mm_cvtsi128_si64(low);
    fours[1] = _mm_extract_epi64::<1>(low);
    fours[2] = _mm_cvtsi128_si64(high);
    fours[3] = _mm_extract_epi64::<1>(high);
    for four in &mut fours {
        // SAFETY: no instruction at all.
        unsafe {
            std::arch::asm!(
                "/* {} */",
                inout(reg) * four,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
    }
    bytemuck::cast(fours)
}

/// Sixteen bytes, which are given twice, each as the highest of four: to widen them with their
/// signs would take twice as many instructions as to place them.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn high_bytes(x: __m256i) -> [__m256i; 2] {
    let low = _mm256_setr_epi8(
        -1, -1, -1, 0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1, 4, -1, -1, -1, 5,
        -1, -1, -1, 6, -1, -1, -1, 7,
    );
    let high = _mm256_setr_epi8(
        -1, -1, -1, 8, -1, -1, -1, 9, -1, -1, -1, 10, -1, -1, -1, 11, -1, -1, -1, 12, -1, -1, -1,
        13, -1, -1, -1, 14, -1, -1, -1, 15,
    );
    [_mm256_shuffle_epi8(x, low), _mm256_shuffle_epi8(x, high)]
}

/// The low halves of bytes, or the high ones, each less 8, as the high halves.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn high_halves<const HIGH: bool>(x: __m256i) -> __m256i {
    let mut signed = _mm256_xor_si256(x, _mm256_set1_epi8(0x88u8 as i8));
    // SAFETY: no instruction at all. Without it the compiler would do this once for each half.
    unsafe {
        std::arch::asm!(
            "/* {} */", inout(ymm_reg) signed, options(pure, nomem, nostack, preserves_flags)
        );
    }
    let signed = if HIGH { signed } else { _mm256_slli_epi16::<4>(signed) };
    _mm256_and_si256(signed, _mm256_set1_epi8(0xf0u8 as i8))
}

/// Sixteen bytes twice.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn twice(x: &[u8; 16]) -> __m256i {
    // SAFETY: a reference to sixteen bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(x.as_ptr().cast()) })
}

/// Two to the power of each lane.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn power(a: __m256) -> __m256 {
    let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
}

/// Four bytes at the start of a vector.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn four_bytes(x: &[u8; 4]) -> __m128i {
    _mm_cvtsi32_si128(i32::from_le_bytes(*x))
}

/// [`crate::simd::Simd::q_halves`].
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn halves(x: [&[u8; 4]; 4]) -> [__m128; 2] {
    let low = _mm_unpacklo_epi32(four_bytes(x[0]), four_bytes(x[1]));
    let high = _mm_unpacklo_epi32(four_bytes(x[2]), four_bytes(x[3]));
    let order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    let both = _mm256_cvtph_ps(_mm_shuffle_epi8(_mm_unpacklo_epi64(low, high), order));
    [_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both)]
}

/// Sixteen bytes of each.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn two(a: &[u8; 16], b: &[u8; 16]) -> __m256i {
    // SAFETY: references to sixteen bytes each.
    let (a, b) =
        unsafe { (_mm_loadu_si128(a.as_ptr().cast()), _mm_loadu_si128(b.as_ptr().cast())) };
    _mm256_set_m128i(b, a)
}

/// Both bytes of number `i` of each half, in all its lanes.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn place(i: usize) -> __m256i {
    _mm256_set1_epi16((i * 0x0202 + 0x0100) as i16)
}

/// Adds the products of a row, times the scales in two places.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn runs<const SIGNED: bool>(
    acc: __m256i,
    w: [__m256i; 2],
    x: [__m256i; 2],
    scales: __m256i,
    first: __m256i,
    second: __m256i,
) -> __m256i {
    let (w, x) = if SIGNED { (abs(w), with_sign(x, w)) } else { (w, x) };
    let (first, second) = (_mm256_shuffle_epi8(scales, first), _mm256_shuffle_epi8(scales, second));
    let low = _mm256_madd_epi16(_mm256_maddubs_epi16(w[0], x[0]), first);
    let high = _mm256_madd_epi16(_mm256_maddubs_epi16(w[1], x[1]), second);
    here(_mm256_add_epi32(_mm256_add_epi32(acc, low), high))
}

/// Eight scales of each of four rows, in memory: from there one comes to all lanes without an
/// arithmetic unit. By pairs of rows: the first four of the one and of the other, the last four.
#[repr(align(32))]
pub struct Eights(pub [[[i32; 4]; 4]; 2]);

impl Eights {
    /// Stores the bytes of pairs of rows, each as two words of a lane.
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    pub fn store(&mut self, pairs: [__m256i; 2]) {
        let four = _mm_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1);
        let first = _mm256_broadcastsi128_si256(four);
        let last = _mm256_broadcastsi128_si256(_mm_or_si128(four, _mm_set1_epi16(4)));
        for (rows, bytes) in self.0.iter_mut().zip(pairs) {
            let rows = rows.as_mut_ptr().cast::<__m256i>();
            // SAFETY: two vectors of sixty-four aligned bytes.
            unsafe {
                _mm256_store_si256(rows, _mm256_shuffle_epi8(bytes, first));
                _mm256_store_si256(rows.add(1), _mm256_shuffle_epi8(bytes, last));
            }
        }
        // The compiler would keep them in registers and shuffle again for each use.
        // SAFETY: no instruction at all.
        unsafe {
            std::arch::asm!("/* {} */", in(reg) self, options(nostack, preserves_flags));
        }
    }

    /// Scales `2 * j` and `2 * j + 1` of a row.
    #[inline(always)]
    pub fn of(&self, row: usize, j: usize) -> [i32; 2] {
        let four = &self.0[row / 2][j / 2 * 2 + row % 2];
        [four[j % 2 * 2], four[j % 2 * 2 + 1]]
    }
}

/// The scales and the minima of six bits of two rows: eight bytes and eight bytes of each.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn six_bits(x: __m256i) -> __m256i {
    // By lanes of four: something, first, second and third four bytes.
    let low = _mm256_setr_epi32(0, 0, 0, 4, 0, 0, 0, 4);
    let high = _mm256_setr_epi32(0, 2, 0, 2, 0, 2, 0, 2);
    let low = _mm256_srlv_epi32(_mm256_shuffle_epi32::<0b11_10_11_01>(x), low);
    let high = _mm256_srlv_epi32(_mm256_shuffle_epi32::<0b10_10_01_01>(x), high);
    let masks = _mm256_set1_epi64x(0x0f0f_0f0f_3f3f_3f3f);
    let tops = _mm256_set1_epi64x(0x3030_3030_0000_0000);
    _mm256_or_si256(_mm256_and_si256(low, masks), _mm256_and_si256(high, tops))
}

/// Adds the products of two runs of a row, times their scales.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn eight(acc: __m256i, w: [__m256i; 2], x: [__m256i; 2], scales: [i32; 2]) -> __m256i {
    let [first, second] = [_mm256_set1_epi32(scales[0]), _mm256_set1_epi32(scales[1])];
    let low = _mm256_madd_epi16(_mm256_maddubs_epi16(w[0], x[0]), first);
    let high = _mm256_madd_epi16(_mm256_maddubs_epi16(w[1], x[1]), second);
    here(_mm256_add_epi32(_mm256_add_epi32(acc, low), high))
}

/// The magnitude of each byte.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn abs(w: [__m256i; 2]) -> [__m256i; 2] {
    [_mm256_abs_epi8(w[0]), _mm256_abs_epi8(w[1])]
}

/// Each byte of `x` times the sign of that of `w`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn with_sign(x: [__m256i; 2], w: [__m256i; 2]) -> [__m256i; 2] {
    [_mm256_sign_epi8(x[0], w[0]), _mm256_sign_epi8(x[1], w[1])]
}

/// Sums of four neighbouring products, two apart.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn dot4_words(w: [__m256i; 2], x: [__m256i; 2]) -> __m256i {
    _mm256_add_epi16(_mm256_maddubs_epi16(w[0], x[0]), _mm256_maddubs_epi16(w[1], x[1]))
}

/// The sums of four rows' two blocks, less `off` times the sums of their activations.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn blocks_sums(dots: __m256i, sums: &[i16; 4], off: i16) -> (__m128, __m128) {
    let mut dots = dots;
    if off != 0 {
        let sums = _mm_cvtsi64_si128(i64::from_le_bytes(bytemuck::cast(*sums)));
        let lacking = _mm_madd_epi16(sums, _mm_set1_epi16(-off));
        let places = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
        let lacking = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(lacking), places);
        dots = _mm256_add_epi32(dots, lacking);
    }
    let both = _mm256_cvtepi32_ps(dots);
    (_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both))
}

/// Sums of four neighbouring products; those of two neighbours are within i16.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn dot4(acc: __m256i, u: __m256i, s: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(u, s);
    _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

/// Adds the products of a run, of which `CARRY` pairs of products fit sixteen bits: those are
/// added as they are, and widened and scaled in one.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn dot_run<const T: usize, const OCTETS: usize, const CARRY: usize>(
    acc: &mut [[__m256i; 2]; T],
    q: &[Octet; OCTETS],
    scale: [__m256i; 2],
    x: [&[[i8; 8]; OCTETS]; T],
) {
    for (part, q) in q.as_flattened().as_chunks::<CARRY>().0.iter().enumerate() {
        let mut sums = [[_mm256_setzero_si256(); 2]; T];
        for (i, q) in q.iter().enumerate() {
            let [low, high] = load(q);
            for t in 0..T {
                let x = quad(x[t], CARRY * part + i);
                let (low, high) = (_mm256_maddubs_epi16(low, x), _mm256_maddubs_epi16(high, x));
                sums[t] = if i == 0 {
                    [low, high]
                } else {
                    [
                        here(_mm256_add_epi16(sums[t][0], low)),
                        here(_mm256_add_epi16(sums[t][1], high)),
                    ]
                };
            }
        }
        for t in 0..T {
            acc[t][0] = _mm256_add_epi32(acc[t][0], _mm256_madd_epi16(sums[t][0], scale[0]));
            acc[t][1] = _mm256_add_epi32(acc[t][1], _mm256_madd_epi16(sums[t][1], scale[1]));
        }
    }
}

/// The same for signed weights, of which the products take their sign from the activations.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn dot_signed<const T: usize, const OCTETS: usize>(
    acc: &mut [[__m256i; 2]; T],
    q: &[Octet; OCTETS],
    scale: [__m256i; 2],
    x: [&[[i8; 8]; OCTETS]; T],
) {
    for (i, q) in q.as_flattened().iter().enumerate() {
        let w = load(q);
        let magnitudes = [_mm256_abs_epi8(w[0]), _mm256_abs_epi8(w[1])];
        for t in 0..T {
            let x = quad(x[t], i);
            for half in 0..2 {
                let x = _mm256_sign_epi8(x, w[half]);
                let sums = _mm256_maddubs_epi16(magnitudes[half], x);
                let sums = _mm256_madd_epi16(sums, scale[half]);
                acc[t][half] = here(_mm256_add_epi32(acc[t][half], sums));
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn load(x: &[u8; 64]) -> [__m256i; 2] {
    // SAFETY: a reference to sixty-four bytes.
    unsafe {
        [_mm256_loadu_si256(x.as_ptr().cast()), _mm256_loadu_si256(x.as_ptr().add(32).cast())]
    }
}

/// Four bytes from place `4 * i` on in every lane.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn quad<const OCTETS: usize>(x: &[[i8; 8]; OCTETS], i: usize) -> __m256i {
    let bytes: &[[u8; 4]] = bytemuck::cast_slice(x.as_slice());
    _mm256_set1_epi32(i32::from_le_bytes(bytes[i]))
}

/// All bits set in the lanes below `n`, the first of them numbered `first`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn mask(n: usize, first: i32) -> __m256i {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n.min(16) as i32 - first), lanes)
}
