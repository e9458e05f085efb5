//! Vectors of sixteen: the primitives that every kernel is written on.
//!
//! A kernel is one generic function; a processor is one implementation of [`Simd`]. All of them
//! give the same bits: vectors have sixteen lanes everywhere (in as many registers as it takes),
//! products are fused, and sums over lanes fold in one order: lane i with i + 8, then i + 4,
//! i + 2, i + 1.
//!
//! Long because it is a table: every primitive with its meaning.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod scalar;
#[cfg(target_arch = "x86_64")]
mod turn;

use crate::plain::Plain;

/// A processor's vector units. A value of such a type is proof that the processor has them.
///
/// Kernels generic over it are `#[inline(always)]` and are entered through [`Simd::vectorize`],
/// so that the instructions are compiled in.
pub trait Simd: Copy + Send + Sync + 'static {
    /// As `doctor` prints it.
    const NAME: &'static str;
    /// Whether [`Simd::dot_us`] takes unsigned bytes above 127.
    const FULL_U8: bool;
    /// Bytes of a row that [`Simd::dot_block`] has side by side: 4, or 8 for matrix instructions.
    const SIDE: usize = 4;
    /// Sixteen f32.
    type F: Copy;
    /// Sixteen i32.
    type I: Copy;
    /// Sixty-four bytes.
    type B: Copy;
    /// Thirty-two bytes.
    type H: Copy;
    /// Four f32.
    type Q: Copy;
    /// Sixteen i16, one for each run of sixteen weights, in whatever order suits.
    type K: Copy;
    /// Eight scales of each of four rows.
    type E;

    /// Whether [`Simd::dot_block`] takes all weights as signed bytes, so that panels may hold them
    /// as they count.
    const SIGNED: bool = false;

    /// Runs `f` compiled for this processor.
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R;

    /// The same as a function of its own, which has all registers to itself.
    fn apart<R>(self, f: impl FnOnce() -> R) -> R;

    /// Asks for the cache line of byte `at` to be fetched, which need not exist.
    fn prefetch(self, bytes: &[u8], at: usize);

    /// The same value in every lane.
    fn splat(self, x: f32) -> Self::F;
    /// Sixteen values.
    fn load(self, x: &[f32; 16]) -> Self::F;
    /// Up to sixteen values, then zeros.
    fn load_n(self, x: &[f32]) -> Self::F;
    /// Sixteen little-endian f32 at any address.
    fn load_f32(self, x: &[u8; 64]) -> Self::F;
    /// Sixteen little-endian halves (IEEE binary16) at any address, widened.
    fn load_f16(self, x: &[u8; 32]) -> Self::F;
    /// Sixteen little-endian bfloat16 at any address, widened.
    fn load_bf16(self, x: &[u8; 32]) -> Self::F;
    /// Stores sixteen values.
    fn store(self, y: &mut [f32; 16], x: Self::F);
    /// Stores the first `y.len()` values.
    fn store_n(self, y: &mut [f32], x: Self::F);
    /// Stores sixteen little-endian halves, rounded to nearest even.
    fn store_f16(self, y: &mut [u8; 32], x: Self::F);
    /// Stores sixteen values rounded to nearest even, each within -127..=127.
    fn store_i8(self, y: &mut [i8; 16], x: Self::F);
    /// `a + b`
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger of each pair; `b` where either is no number.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller of each pair; `b` where either is no number.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The magnitude of each lane.
    fn abs(self, a: Self::F) -> Self::F;
    /// Each lane rounded to the nearest whole number, halves to even.
    fn round(self, a: Self::F) -> Self::F;
    /// Two to the power of each lane, which is a whole number within -126..=127.
    fn pow2(self, a: Self::F) -> Self::F;
    /// `a` where `x >= limit`, else zero.
    fn keep_from(self, x: Self::F, limit: Self::F, a: Self::F) -> Self::F;
    /// The sum of the lanes, folded in the one order.
    fn sum(self, a: Self::F) -> f32;
    /// The largest lane.
    fn largest(self, a: Self::F) -> f32;
    /// The sums of four vectors, each folded in the one order.
    fn sum4(self, a: [Self::F; 4]) -> [f32; 4];

    /// Adds the products of four rows of `w` with `T` rows of `x`, all of the same length, to sums
    /// of sixteen lanes: column after column, each rounded once.
    #[inline(always)]
    fn add_products<P: Plain, const T: usize>(
        self,
        sums: &mut [[[f32; 16]; 4]; T],
        w: [&[P::Lanes]; 4],
        x: [&[[f32; 16]]; T],
    ) {
        let mut acc = [[self.splat(0.0); 4]; T];
        for t in 0..T {
            for r in 0..4 {
                acc[t][r] = self.load(&sums[t][r]);
            }
        }
        let n = w[0].len();
        let (w, x) = (w.map(|w| &w[..n]), x.map(|x| &x[..n]));
        for k in 0..n {
            let mut values = [self.splat(0.0); T];
            for t in 0..T {
                values[t] = self.load(&x[t][k]);
            }
            for r in 0..4 {
                let w = P::wide(self, &w[r][k]);
                for t in 0..T {
                    acc[t][r] = self.fma(w, values[t], acc[t][r]);
                }
            }
        }
        for t in 0..T {
            for r in 0..4 {
                self.store(&mut sums[t][r], acc[t][r]);
            }
        }
    }

    /// The same value in every lane.
    fn splat_i(self, x: i32) -> Self::I;
    /// Sixteen values.
    fn load_i(self, x: &[i32; 16]) -> Self::I;
    /// `a + b`
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// `acc + a * b`
    fn mul_add_i(self, acc: Self::I, a: Self::I, b: Self::I) -> Self::I;
    /// Adds to each lane of `acc` two products of the lanes' halves, which are signed.
    fn dot_i16(self, acc: Self::I, a: Self::I, b: Self::I) -> Self::I;
    /// Each lane as f32, rounded to nearest even.
    fn to_f(self, a: Self::I) -> Self::F;
    /// The sums of four vectors, as f32.
    fn sum4_i(self, a: [Self::I; 4]) -> Self::Q;
    /// The products of what [`Simd::sixteens`] or [`Simd::nibbles`] gave of four rows with `x`, of
    /// the first block and of the second, as [`Simd::sum4_blocks`] adds them. Bytes are up to
    /// `MAX`, or, above 63, signed where not [`Simd::FULL_U8`].
    #[inline(always)]
    fn dot4_blocks<const MAX: u8>(
        self,
        w: [Self::B; 4],
        x: Self::B,
        sums: &[i16; 4],
        off: i16,
    ) -> (Self::Q, Self::Q) {
        let ([a, b, c, d], zero) = (w, self.splat_i(0));
        let dots = if MAX > 63 && !Self::FULL_U8 {
            let [a, b] = [self.dot_ss(zero, a, x), self.dot_ss(zero, b, x)];
            [a, b, self.dot_ss(zero, c, x), self.dot_ss(zero, d, x)]
        } else {
            let [a, b] = [self.dot_us(zero, a, x), self.dot_us(zero, b, x)];
            [a, b, self.dot_us(zero, c, x), self.dot_us(zero, d, x)]
        };
        self.sum4_blocks(dots, sums, off)
    }
    /// The sums of products of two blocks of four rows, less `off` times the sums of the blocks'
    /// activations, which are given in sixteens; as f32.
    fn sum4_blocks(self, a: [Self::I; 4], sums: &[i16; 4], off: i16) -> (Self::Q, Self::Q);

    /// Eight scales, each of two neighbouring runs.
    fn scales_u8(self, x: [u8; 8]) -> Self::K;
    /// Of four blocks the eight scales of six bits each that Q4_K and Q5_K have in the last twelve
    /// of sixteen bytes go to `scales`; the products of the eight minima with the sums of each
    /// block's runs are returned, as f32.
    fn eights(self, x: [&[u8; 16]; 4], sums: &[i16; 16], scales: &mut Self::E) -> Self::Q;
    /// Room for what [`Simd::eights`] gives.
    fn room(self) -> Self::E;
    /// Adds the products of each row's `w` (up to 63) and `x`, times the row's scales of runs
    /// `2 * j` and `2 * j + 1`, in whatever lanes suit.
    fn dot_eights(
        self,
        acc: [Self::I; 4],
        w: [Self::B; 4],
        x: Self::B,
        scales: &Self::E,
        j: usize,
    ) -> [Self::I; 4];
    /// Sixteen scales.
    fn scales_i8(self, x: &[i8; 16]) -> Self::K;
    /// What [`Simd::scales_i8`] was given.
    fn numbers(self, scales: Self::K) -> [i16; 16];
    /// Sixteen sums, in the order of scales.
    fn sums(self, x: &[i16; 16]) -> Self::K;
    /// Adds the products of `sums` and `scales`, in whatever lanes suit.
    fn dot_sums(self, acc: Self::I, sums: Self::K, scales: Self::K) -> Self::I;
    /// Adds the products of each row's `w` and `x`, times the row's scales of runs
    /// `4 * j ..= 4 * j + 3`, in whatever lanes suit. `w` is up to 63, or `SIGNED`; `x` is above
    /// -128.
    fn dot_runs<const SIGNED: bool>(
        self,
        acc: [Self::I; 4],
        w: [Self::B; 4],
        x: Self::B,
        scales: [Self::K; 4],
        j: usize,
    ) -> [Self::I; 4];

    /// Sixty-four bytes.
    fn load_b(self, x: &[u8; 64]) -> Self::B;
    /// Sixty-four signed bytes.
    fn load_s(self, x: &[i8; 64]) -> Self::B;
    /// Stores sixty-four bytes.
    fn store_b(self, y: &mut [u8; 64], x: Self::B);
    /// The same four bytes in every lane of four.
    fn splat_b(self, x: &[i8; 4]) -> Self::B;
    /// Adds to each lane of `acc` four products of `u` (unsigned; up to 127 unless
    /// [`Simd::FULL_U8`]) and `s` (signed).
    fn dot_us(self, acc: Self::I, u: Self::B, s: Self::B) -> Self::I;
    /// Adds to each lane of `acc` four products of `w` and `x`, both signed, `x` above -128.
    fn dot_ss(self, acc: Self::I, w: Self::B, x: Self::B) -> Self::I;
    /// A run's scale, as [`Simd::dot_run`] wants it.
    #[inline(always)]
    fn run_scale(scale: i16) -> i32 {
        i32::from(scale)
    }
    /// Adds the products of a run of sixteen weight rows with `T` activation rows to `acc`, times
    /// the run's scales where it has such. Weights are up to `MAX`, or, above 127, signed where not
    /// [`Simd::FULL_U8`].
    #[inline(always)]
    fn dot_run<const T: usize, const OCTETS: usize, const MAX: u8>(
        self,
        acc: &mut [Self::I; T],
        run: &Run<'_, OCTETS>,
        x: [&[[i8; 8]; OCTETS]; T],
    ) {
        dot_run::<_, T, OCTETS, MAX>(self, acc, run, x);
    }
    /// Adds the products of a block's runs of sixteen weight rows with `T` activation rows to
    /// `acc`, each as [`Simd::dot_run`] has it.
    #[inline(always)]
    fn dot_block<const T: usize, const RUNS: usize, const OCTETS: usize, const MAX: u8>(
        self,
        acc: &mut [Self::I; T],
        q: &[[Octet; OCTETS]; RUNS],
        scales: Option<&[[i32; 16]; RUNS]>,
        x: [&[[[i8; 8]; OCTETS]; RUNS]; T],
    ) {
        dot_block::<_, T, RUNS, OCTETS, MAX>(self, acc, q, scales, x);
    }
    /// Adds to the lanes of each of `acc` eight times two products: of the halves of the lanes of
    /// `w`, which are the same if `SAME`, with two numbers of `x`, whose sum is an i16.
    #[inline(always)]
    fn dot_pairs<const T: usize, const SAME: bool>(
        self,
        acc: &mut [Self::I; T],
        w: &[[i32; 16]; 8],
        x: [&[[i16; 2]; 8]; T],
    ) {
        for (i, w) in w.iter().enumerate() {
            let w = self.load_i(w);
            for t in 0..T {
                acc[t] = self.dot_i16(acc[t], w, self.splat_i(lane(x[t][i])));
            }
        }
    }
    /// Puts sixty-four columns of sixteen rows, (row, column), in the order of octets.
    #[inline(always)]
    fn to_octets(self, rows: [&[u8; 64]; 16], octets: &mut [Octet; 8]) {
        let octets = octets.as_flattened_mut().as_flattened_mut();
        for (r, row) in rows.into_iter().enumerate() {
            if Self::SIDE == 8 {
                spread::<8>(row, octets, r);
            } else {
                spread::<4>(row, octets, r);
            }
        }
    }
    /// Two halves as one vector.
    fn join(self, low: Self::H, high: Self::H) -> Self::B;

    /// Thirty-two bytes.
    fn load_h(self, x: &[u8; 32]) -> Self::H;
    /// The same byte everywhere.
    fn splat_h(self, x: u8) -> Self::H;
    /// Four times eight bytes, the lowest first.
    fn eights_h(self, x: [u64; 4]) -> Self::H;
    /// Eight times four bytes, the lowest first.
    fn fours_h(self, low: [u32; 4], high: [u32; 4]) -> Self::H;
    /// Each byte, up to 127, negated where its bit is set.
    fn signed(self, a: Self::H, signs: u32) -> Self::H;
    /// Sixteen numbers of nine bits, of which `high` has the highest.
    fn ninth_bits(self, low: &[u8; 16], high: u16) -> [u16; 16];
    /// Bitwise and.
    fn and(self, a: Self::H, b: Self::H) -> Self::H;
    /// Bitwise or.
    fn or(self, a: Self::H, b: Self::H) -> Self::H;
    /// Each pair of bytes shifted right as one 16-bit number; mask afterwards.
    fn shr(self, a: Self::H, bits: u32) -> Self::H;
    /// Each pair of bytes shifted left as one 16-bit number; mask before.
    fn shl(self, a: Self::H, bits: u32) -> Self::H;
    /// Of two blocks of thirty-two: sixteen of the first, sixteen of the second, then the rest of
    /// the first and of the second.
    fn sixteens(self, a: &[u8; 32], b: &[u8; 32]) -> Self::B;
    /// The same of signed bytes.
    fn sixteens_s(self, x: &[i8; 64]) -> Self::B;
    /// Of two blocks of thirty-two: those with even numbers of the first, of the second, then
    /// those with odd numbers of the first and of the second.
    fn even_odd_s(self, x: &[i8; 64]) -> Self::B;
    /// What [`Simd::sixteens`] gave, block after block.
    fn undo_sixteens(self, a: Self::B) -> Self::B;
    /// What [`Simd::even_odd_s`] gave, block after block.
    fn undo_even_odd(self, a: Self::B) -> Self::B;
    /// The low halves of the bytes of two blocks, then the high halves.
    fn nibbles(self, a: &[u8; 16], b: &[u8; 16]) -> Self::B;
    /// The bytes of `table` that stand where each byte of `a`, up to 15, says.
    fn look_up(self, table: &[u8; 16], a: Self::B) -> Self::B;
    /// The highest bit of each byte flipped.
    fn flip(self, a: Self::B) -> Self::B;

    /// Four values.
    fn q_load(self, x: [f32; 4]) -> Self::Q;
    /// Four halves at the start of four bytes each, widened.
    fn q_f16(self, x: [&[u8; 4]; 4]) -> Self::Q;
    /// The first and the second halves of four pairs, widened.
    #[inline(always)]
    fn q_halves(self, x: [&[u8; 4]; 4]) -> [Self::Q; 2] {
        let second = x.map(|[_, _, a, b]| [*a, *b, 0, 0]);
        [self.q_f16(x), self.q_f16(second.each_ref())]
    }
    /// The four values.
    fn q_store(self, x: Self::Q) -> [f32; 4];
    /// `a * b` for one `b`.
    fn q_scale(self, a: Self::Q, b: f32) -> Self::Q;
    /// `a * b + c`, rounded once.
    fn q_fma(self, a: Self::Q, b: Self::Q, c: Self::Q) -> Self::Q;

    /// Sixteen signed bytes, as f32.
    fn load_i8(self, x: &[u8; 16]) -> Self::F;
    /// The low halves of sixteen bytes, or the high ones, each less 8, as f32.
    fn load_i4<const HIGH: bool>(self, x: &[u8; 16]) -> Self::F;
    /// The same little-endian half (IEEE binary16) in every lane, widened.
    #[inline(always)]
    fn splat_f16(self, x: [u8; 2]) -> Self::F {
        self.load_f16(&bytemuck::cast([x; 16]))
    }
    /// What [`Simd::load_i4`] gives times a half, which is exact.
    #[inline(always)]
    fn scaled_i4<const HIGH: bool>(self, x: &[u8; 16], scale: [u8; 2]) -> Self::F {
        self.mul(self.load_i4::<HIGH>(x), self.splat_f16(scale))
    }
    /// Writes column `i` of `x` as row `i * stride` of `y`.
    #[inline(always)]
    fn turn(self, x: &[[f32; 16]; 16], y: &mut [[f32; 16]], stride: usize) {
        for (i, y) in y.iter_mut().step_by(stride).take(16).enumerate() {
            for (y, x) in y.iter_mut().zip(x) {
                *y = x[i];
            }
        }
    }
}

/// What products of two blocks lack whose weights are `off` too large.
#[inline(always)]
fn lacking(sums: &[i16; 4], off: i16) -> [i32; 2] {
    let [a, b, c, d] = sums.map(i32::from);
    [-i32::from(off) * (a + b), -i32::from(off) * (c + d)]
}

/// The two halves of thirty-two bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn split(x: &[u8; 32]) -> [&[u8; 16]; 2] {
    let [a, b] = bytemuck::cast_ref::<[u8; 32], [[u8; 16]; 2]>(x);
    [a, b]
}

/// [`Simd::eights`] by rows.
#[inline(always)]
fn eights<S: Simd>(s: S, x: [&[u8; 16]; 4], sums: &[i16; 16], scales: &mut [S::K; 4]) -> S::Q {
    let (sums, mut minima) = (s.sums(sums), [s.splat_i(0); 4]);
    for ((x, scales), minima) in x.into_iter().zip(scales).zip(&mut minima) {
        let (eight, least) = six_bits(x);
        *scales = s.scales_u8(eight);
        *minima = s.dot_sums(*minima, sums, s.scales_u8(least));
    }
    s.sum4_i(minima)
}

/// Four of each lie in the low six bits of eight bytes; of the other four the low halves lie in
/// four bytes and the high bits in the top of the first eight.
#[inline(always)]
pub fn six_bits(x: &[u8; 16]) -> ([u8; 8], [u8; 8]) {
    let [_, words @ ..] = bytemuck::cast::<[u8; 16], [[u8; 4]; 4]>(*x);
    let [scales, minima] = six_bit_words(words.map(u32::from_le_bytes));
    (eight(scales[0], scales[1]), eight(minima[0], minima[1]))
}

/// The same from the three words after the halves: four scales to a word, then four minima.
#[inline(always)]
pub fn six_bit_words([first, second, third]: [u32; 3]) -> [[u32; 2]; 2] {
    let scales_high = (third & 0x0f0f_0f0f) | ((first >> 6) & 0x0303_0303) << 4;
    let minima_high = ((third >> 4) & 0x0f0f_0f0f) | ((second >> 6) & 0x0303_0303) << 4;
    [[first & 0x3f3f_3f3f, scales_high], [second & 0x3f3f_3f3f, minima_high]]
}

#[inline(always)]
fn eight(low: u32, high: u32) -> [u8; 8] {
    (u64::from(low) | u64::from(high) << 32).to_le_bytes()
}

/// Eight columns of sixteen rows: (8 / [`Simd::SIDE`], row, [`Simd::SIDE`]).
pub type Octet = [[u8; 64]; 2];

/// Weights of sixteen rows in columns that share a scale.
#[derive(Clone, Copy)]
pub struct Run<'a, const OCTETS: usize> {
    /// The weights: signed bytes, or unsigned ones.
    pub q: &'a [Octet; OCTETS],
    /// Scales, as [`Simd::run_scale`] made them.
    pub scale: Option<&'a [i32; 16]>,
}

/// [`Simd::dot_run`] in products of four.
#[inline(always)]
fn dot_run<S: Simd, const T: usize, const OCTETS: usize, const MAX: u8>(
    s: S,
    acc: &mut [S::I; T],
    run: &Run<'_, OCTETS>,
    x: [&[[i8; 8]; OCTETS]; T],
) {
    let signed = MAX > 127 && !S::FULL_U8;
    let mut dots = if run.scale.is_some() { [s.splat_i(0); T] } else { *acc };
    for (c, octet) in run.q.iter().enumerate() {
        for (side, w) in octet.iter().enumerate() {
            let w = s.load_b(w);
            for t in 0..T {
                let x = s.splat_b(&x[t][c].as_chunks().0[side]);
                dots[t] = if signed { s.dot_ss(dots[t], w, x) } else { s.dot_us(dots[t], w, x) };
            }
        }
    }
    for t in 0..T {
        acc[t] = match run.scale {
            Some(scale) => s.mul_add_i(acc[t], dots[t], s.load_i(scale)),
            None => dots[t],
        };
    }
}

/// [`Simd::dot_block`] run by run.
#[inline(always)]
fn dot_block<S: Simd, const T: usize, const RUNS: usize, const OCTETS: usize, const MAX: u8>(
    s: S,
    acc: &mut [S::I; T],
    q: &[[Octet; OCTETS]; RUNS],
    scales: Option<&[[i32; 16]; RUNS]>,
    x: [&[[[i8; 8]; OCTETS]; RUNS]; T],
) {
    for i in 0..RUNS {
        let mut at = [&x[0][i]; T];
        for t in 0..T {
            at[t] = &x[t][i];
        }
        let scale = scales.map(|scales| &scales[i]);
        s.dot_run::<T, OCTETS, MAX>(acc, &Run { q: &q[i], scale }, at);
    }
}

/// Two numbers as one lane of [`Simd::dot_i16`].
#[inline(always)]
fn lane([low, high]: [i16; 2]) -> i32 {
    i32::from(low as u16) | i32::from(high) << 16
}

/// Puts a row's weights among those of sixteen rows, `SIDE` bytes of each side by side.
#[inline(always)]
fn spread<const SIDE: usize>(q: &[u8], to: &mut [u8], r: usize) {
    let (q, to) = (q.as_chunks::<SIDE>().0, to.as_chunks_mut::<SIDE>().0);
    for (q, to) in q.iter().zip(to.as_chunks_mut::<16>().0) {
        to[r] = *q;
    }
}

/// `e` to the power of each lane: within 2 ulp from -86 up to where f32 ends (88.72), then
/// infinite; 0 below -86, as softmax needs it, and for what is no number.
///
/// Range reduction to `2^n * e^r` with `|r| <= ln 2 / 2` (Cody and Waite 1980), then the Taylor
/// polynomial of degree 7. It is doubled, so that half of `2^n`, which is always an f32, remains.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    const COEFFICIENTS: [f32; 7] = [2.0 / 720.0, 2.0 / 120.0, 2.0 / 24.0, 2.0 / 6.0, 1.0, 2.0, 2.0];
    const LEAST: f32 = -86.0;
    // 89 is infinite already.
    let inside = s.min(s.max(x, s.splat(LEAST)), s.splat(89.0));
    let n = s.round(s.mul(inside, s.splat(std::f32::consts::LOG2_E)));
    let r = s.fma(n, s.splat(-0.693_359_4), inside);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let mut y = s.splat(2.0 / 5040.0);
    for c in COEFFICIENTS {
        y = s.fma(y, r, s.splat(c));
    }
    let half = s.pow2(s.sub(n, s.splat(1.0)));
    s.keep_from(x, s.splat(LEAST), s.mul(y, half))
}

#[cfg(test)]
mod tests;
