//! Sixteen rows of sixteen numbers of four bytes, turned so that columns are rows, with AVX.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

/// Writes column `i` of `x` as row `i * stride` of `y`: four squares of eight, each by pairs, then
/// fours, then halves of registers.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub fn turn(x: [&[u8; 64]; 16], y: &mut [[f32; 16]], stride: usize) {
    for down in [0, 8] {
        for across in [0, 8] {
            let mut rows = [_mm256_setzero_ps(); 8];
            for i in 0..8 {
                // SAFETY: eight numbers from the first or the ninth of sixteen.
                rows[i] = unsafe { _mm256_loadu_ps(x[down + i].as_ptr().add(4 * across).cast()) };
            }
            let columns = square(rows);
            for i in 0..8 {
                // SAFETY: as above.
                unsafe {
                    _mm256_storeu_ps(y[(across + i) * stride].as_mut_ptr().add(down), columns[i])
                };
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn square(x: [__m256; 8]) -> [__m256; 8] {
    let mut fours = [_mm256_setzero_ps(); 8];
    for i in [0, 4] {
        let (a, b) = (_mm256_unpacklo_ps(x[i], x[i + 1]), _mm256_unpackhi_ps(x[i], x[i + 1]));
        let (c, d) =
            (_mm256_unpacklo_ps(x[i + 2], x[i + 3]), _mm256_unpackhi_ps(x[i + 2], x[i + 3]));
        fours[i] = _mm256_shuffle_ps::<0b01_00_01_00>(a, c);
        fours[i + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, c);
        fours[i + 2] = _mm256_shuffle_ps::<0b01_00_01_00>(b, d);
        fours[i + 3] = _mm256_shuffle_ps::<0b11_10_11_10>(b, d);
    }
    let mut y = [_mm256_setzero_ps(); 8];
    for i in 0..4 {
        y[i] = _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]);
        y[i + 4] = _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]);
    }
    y
}
