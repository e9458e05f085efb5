//! Plain arrays: what every other implementation has to equal, bit for bit.

use super::{Simd, eights, lacking};
use half::f16;
use std::array::from_fn;

/// No vector units are needed.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

#[inline(always)]
fn zip<const N: usize, A: Copy, B: Copy, C>(a: [A; N], b: [B; N], f: impl Fn(A, B) -> C) -> [C; N] {
    from_fn(|i| f(a[i], b[i]))
}

/// Sixteen lanes to one: i with i + 8, then i + 4, i + 2, i + 1.
#[inline(always)]
fn fold<T: Copy>(a: [T; 16], f: impl Fn(T, T) -> T) -> T {
    let eight: [T; 8] = from_fn(|i| f(a[i], a[i + 8]));
    let four: [T; 4] = from_fn(|i| f(eight[i], eight[i + 4]));
    f(f(four[0], four[2]), f(four[1], four[3]))
}

/// `a`, unless it is smaller or either is no number.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// `a`, unless it is larger or either is no number.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Rounded to nearest even; what has no i32 gives the smallest one, as x86 has it.
#[inline(always)]
fn to_i32(x: f32) -> i32 {
    if x.abs() < 2_147_483_648.0 { x.round_ties_even() as i32 } else { i32::MIN }
}

/// Sixteen little-endian numbers.
#[inline(always)]
fn words(x: &[u8; 32]) -> [u16; 16] {
    from_fn(|i| u16::from_le_bytes([x[2 * i], x[2 * i + 1]]))
}

/// The little-endian bytes of sixteen numbers.
#[inline(always)]
fn bytes(x: [u16; 16]) -> [u8; 32] {
    from_fn(|i| x[i / 2].to_le_bytes()[i % 2])
}

impl Simd for Scalar {
    const NAME: &'static str = "scalar";
    const FULL_U8: bool = true;
    type F = [f32; 16];
    type I = [i32; 16];
    type B = [u8; 64];
    type H = [u8; 32];
    type Q = [f32; 4];
    type K = [i16; 16];
    type E = [Self::K; 4];

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    #[inline(always)]
    fn apart<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    #[inline(always)]
    fn prefetch(self, _: &[u8], _: usize) {}

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 16] {
        [x; 16]
    }

    #[inline(always)]
    fn load(self, x: &[f32; 16]) -> [f32; 16] {
        *x
    }

    #[inline(always)]
    fn load_n(self, x: &[f32]) -> [f32; 16] {
        from_fn(|i| x.get(i).copied().unwrap_or(0.0))
    }

    #[inline(always)]
    fn load_f32(self, x: &[u8; 64]) -> [f32; 16] {
        from_fn(|i| f32::from_le_bytes([x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]]))
    }

    #[inline(always)]
    fn load_f16(self, x: &[u8; 32]) -> [f32; 16] {
        words(x).map(|bits| f16::from_bits(bits).to_f32_const())
    }

    #[inline(always)]
    fn load_bf16(self, x: &[u8; 32]) -> [f32; 16] {
        words(x).map(|bits| f32::from_bits(u32::from(bits) << 16))
    }

    #[inline(always)]
    fn store(self, y: &mut [f32; 16], x: [f32; 16]) {
        *y = x;
    }

    #[inline(always)]
    fn store_n(self, y: &mut [f32], x: [f32; 16]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = x;
        }
    }

    #[inline(always)]
    fn store_f16(self, y: &mut [u8; 32], x: [f32; 16]) {
        *y = bytes(x.map(|x| f16::from_f32_const(x).to_bits()));
    }

    #[inline(always)]
    fn store_i8(self, y: &mut [i8; 16], x: [f32; 16]) {
        *y = x.map(|x| to_i32(x).clamp(-128, 127) as i8);
    }

    #[inline(always)]
    fn add(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn fma(self, a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        from_fn(|i| a[i].mul_add(b[i], c[i]))
    }

    #[inline(always)]
    fn max(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, larger)
    }

    #[inline(always)]
    fn min(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, smaller)
    }

    #[inline(always)]
    fn abs(self, a: [f32; 16]) -> [f32; 16] {
        a.map(f32::abs)
    }

    #[inline(always)]
    fn round(self, a: [f32; 16]) -> [f32; 16] {
        a.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn pow2(self, a: [f32; 16]) -> [f32; 16] {
        a.map(|a| f32::from_bits(((to_i32(a) + 127) << 23) as u32))
    }

    #[inline(always)]
    fn keep_from(self, x: [f32; 16], limit: [f32; 16], a: [f32; 16]) -> [f32; 16] {
        from_fn(|i| if x[i] >= limit[i] { a[i] } else { 0.0 })
    }

    #[inline(always)]
    fn sum(self, a: [f32; 16]) -> f32 {
        fold(a, |a, b| a + b)
    }

    #[inline(always)]
    fn largest(self, a: [f32; 16]) -> f32 {
        fold(a, larger)
    }

    #[inline(always)]
    fn sum4(self, a: [[f32; 16]; 4]) -> [f32; 4] {
        a.map(|a| self.sum(a))
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> [i32; 16] {
        [x; 16]
    }

    #[inline(always)]
    fn load_i(self, x: &[i32; 16]) -> [i32; 16] {
        *x
    }

    #[inline(always)]
    fn add_i(self, a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        from_fn(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn mul_add_i(self, acc: [i32; 16], a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        from_fn(|i| acc[i].wrapping_add(a[i].wrapping_mul(b[i])))
    }

    #[inline(always)]
    fn dot_i16(self, acc: [i32; 16], a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        let low = |x: i32| i32::from(x as i16);
        let products =
            zip(a, b, |a, b| (low(a) * low(b)).wrapping_add((a >> 16).wrapping_mul(b >> 16)));
        zip(acc, products, i32::wrapping_add)
    }

    #[inline(always)]
    fn to_f(self, a: [i32; 16]) -> [f32; 16] {
        a.map(|a| a as f32)
    }

    #[inline(always)]
    fn sum4_i(self, a: [[i32; 16]; 4]) -> [f32; 4] {
        a.map(|a| fold(a, i32::wrapping_add) as f32)
    }

    #[inline(always)]
    fn sum4_blocks(self, a: [[i32; 16]; 4], sums: &[i16; 4], off: i16) -> ([f32; 4], [f32; 4]) {
        let add = lacking(sums, off);
        let sum = |a: &[i32; 16], block: usize| {
            let (first, second) = (4 * block..4 * block + 4, 4 * block + 8..4 * block + 12);
            let lanes = a[first].iter().chain(&a[second]);
            lanes.fold(add[block], |sum, a| sum.wrapping_add(*a)) as f32
        };
        (a.map(|a| sum(&a, 0)), a.map(|a| sum(&a, 1)))
    }

    #[inline(always)]
    fn scales_u8(self, x: [u8; 8]) -> [i16; 16] {
        from_fn(|i| x[i / 2].into())
    }

    #[inline(always)]
    fn eights(self, x: [&[u8; 16]; 4], sums: &[i16; 16], scales: &mut Self::E) -> [f32; 4] {
        eights(self, x, sums, scales)
    }

    #[inline(always)]
    fn room(self) -> Self::E {
        [self.scales_u8([0; 8]); 4]
    }

    #[inline(always)]
    fn dot_eights(
        self,
        acc: [[i32; 16]; 4],
        w: [[u8; 64]; 4],
        x: [u8; 64],
        scales: &Self::E,
        j: usize,
    ) -> [[i32; 16]; 4] {
        self.dot_runs::<false>(acc, w, x, *scales, j)
    }

    #[inline(always)]
    fn scales_i8(self, x: &[i8; 16]) -> [i16; 16] {
        x.map(i16::from)
    }

    #[inline(always)]
    fn numbers(self, scales: [i16; 16]) -> [i16; 16] {
        scales
    }

    #[inline(always)]
    fn sums(self, x: &[i16; 16]) -> [i16; 16] {
        *x
    }

    #[inline(always)]
    fn dot_sums(self, acc: [i32; 16], sums: [i16; 16], scales: [i16; 16]) -> [i32; 16] {
        from_fn(|i| acc[i].wrapping_add(i32::from(sums[i]) * i32::from(scales[i])))
    }

    #[inline(always)]
    fn dot_runs<const SIGNED: bool>(
        self,
        acc: [[i32; 16]; 4],
        w: [[u8; 64]; 4],
        x: [u8; 64],
        scales: [[i16; 16]; 4],
        j: usize,
    ) -> [[i32; 16]; 4] {
        from_fn(|r| {
            let zero = [0; 16];
            let dots = if SIGNED { self.dot_ss(zero, w[r], x) } else { self.dot_us(zero, w[r], x) };
            let scales = &scales[r][4 * j..];
            from_fn(|i| acc[r][i].wrapping_add(dots[i] * i32::from(scales[i / 4])))
        })
    }

    #[inline(always)]
    fn load_b(self, x: &[u8; 64]) -> [u8; 64] {
        *x
    }

    #[inline(always)]
    fn store_b(self, y: &mut [u8; 64], x: [u8; 64]) {
        *y = x;
    }

    #[inline(always)]
    fn load_s(self, x: &[i8; 64]) -> [u8; 64] {
        x.map(|x| x as u8)
    }

    #[inline(always)]
    fn splat_b(self, x: &[i8; 4]) -> [u8; 64] {
        from_fn(|i| x[i % 4] as u8)
    }

    #[inline(always)]
    fn dot_us(self, acc: [i32; 16], u: [u8; 64], s: [u8; 64]) -> [i32; 16] {
        let products = zip(u, s, |u, s| i32::from(u) * i32::from(s as i8));
        from_fn(|i| acc[i].wrapping_add(products[4 * i..4 * i + 4].iter().sum()))
    }

    #[inline(always)]
    fn dot_ss(self, acc: [i32; 16], w: [u8; 64], x: [u8; 64]) -> [i32; 16] {
        let products = zip(w, x, |w, x| i32::from(w as i8) * i32::from(x as i8));
        from_fn(|i| acc[i].wrapping_add(products[4 * i..4 * i + 4].iter().sum()))
    }

    #[inline(always)]
    fn join(self, low: [u8; 32], high: [u8; 32]) -> [u8; 64] {
        from_fn(|i| if i < 32 { low[i] } else { high[i - 32] })
    }

    #[inline(always)]
    fn load_h(self, x: &[u8; 32]) -> [u8; 32] {
        *x
    }

    #[inline(always)]
    fn splat_h(self, x: u8) -> [u8; 32] {
        [x; 32]
    }

    #[inline(always)]
    fn eights_h(self, x: [u64; 4]) -> [u8; 32] {
        bytemuck::cast(x.map(u64::to_le_bytes))
    }

    #[inline(always)]
    fn fours_h(self, low: [u32; 4], high: [u32; 4]) -> [u8; 32] {
        bytemuck::cast([low, high].map(|four| four.map(u32::to_le_bytes)))
    }

    #[inline(always)]
    fn signed(self, a: [u8; 32], signs: u32) -> [u8; 32] {
        from_fn(|i| if signs >> i & 1 == 1 { a[i].wrapping_neg() } else { a[i] })
    }

    #[inline(always)]
    fn ninth_bits(self, low: &[u8; 16], high: u16) -> [u16; 16] {
        from_fn(|i| u16::from(low[i]) | (high >> i & 1) << 8)
    }

    #[inline(always)]
    fn and(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn or(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, |a, b| a | b)
    }

    #[inline(always)]
    fn shr(self, a: [u8; 32], bits: u32) -> [u8; 32] {
        bytes(words(&a).map(|a| a >> bits))
    }

    #[inline(always)]
    fn shl(self, a: [u8; 32], bits: u32) -> [u8; 32] {
        bytes(words(&a).map(|a| a << bits))
    }

    #[inline(always)]
    fn sixteens(self, a: &[u8; 32], b: &[u8; 32]) -> [u8; 64] {
        from_fn(|i| [a, b][i / 16 % 2][i / 32 * 16 + i % 16])
    }

    #[inline(always)]
    fn sixteens_s(self, x: &[i8; 64]) -> [u8; 64] {
        from_fn(|i| x[i / 16 % 2 * 32 + i / 32 * 16 + i % 16] as u8)
    }

    #[inline(always)]
    fn even_odd_s(self, x: &[i8; 64]) -> [u8; 64] {
        from_fn(|i| x[i / 16 % 2 * 32 + i % 16 * 2 + i / 32] as u8)
    }

    #[inline(always)]
    fn undo_sixteens(self, a: [u8; 64]) -> [u8; 64] {
        let [a, b, c, d]: [[u8; 16]; 4] = bytemuck::cast(a);
        bytemuck::cast([a, c, b, d])
    }

    #[inline(always)]
    fn undo_even_odd(self, a: [u8; 64]) -> [u8; 64] {
        from_fn(|i| a[i % 32 / 2 + i / 32 * 16 + i % 2 * 32])
    }

    #[inline(always)]
    fn nibbles(self, a: &[u8; 16], b: &[u8; 16]) -> [u8; 64] {
        from_fn(|i| [a, b][i / 16 % 2][i % 16] >> (i / 32 * 4) & 0x0f)
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16], a: [u8; 64]) -> [u8; 64] {
        a.map(|a| table[usize::from(a & 15)])
    }

    #[inline(always)]
    fn flip(self, a: [u8; 64]) -> [u8; 64] {
        a.map(|a| a ^ 0x80)
    }

    #[inline(always)]
    fn q_load(self, x: [f32; 4]) -> [f32; 4] {
        x
    }

    #[inline(always)]
    fn q_f16(self, x: [&[u8; 4]; 4]) -> [f32; 4] {
        x.map(|x| f16::from_le_bytes([x[0], x[1]]).to_f32_const())
    }

    #[inline(always)]
    fn q_store(self, x: [f32; 4]) -> [f32; 4] {
        x
    }

    #[inline(always)]
    fn q_scale(self, a: [f32; 4], b: f32) -> [f32; 4] {
        a.map(|a| a * b)
    }

    #[inline(always)]
    fn q_fma(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        from_fn(|i| a[i].mul_add(b[i], c[i]))
    }

    #[inline(always)]
    fn load_i8(self, x: &[u8; 16]) -> [f32; 16] {
        x.map(|x| f32::from(x as i8))
    }

    #[inline(always)]
    fn load_i4<const HIGH: bool>(self, x: &[u8; 16]) -> [f32; 16] {
        x.map(|x| f32::from(if HIGH { x >> 4 } else { x & 15 }) - 8.0)
    }
}
