//! Any format with an integer form: blocks are unpacked to bytes and multiplied from there.

use super::fetch;
use super::pairs::{self, Pairs};
use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::{IntShape, Ints, Kind, Row};

/// The products of four rows with `x`. Meanwhile the bytes `ahead` are fetched.
#[inline(always)]
pub fn dot4<S: Simd>(
    s: S,
    kind: Kind,
    rows: [Row<'_>; 4],
    x: RoundedRow<'_>,
    ahead: &[u8],
) -> [f32; 4] {
    let Some(shape) = kind.int_shape() else { return [f32::NAN; 4] };
    if shape.n == 256 {
        return long(s, kind, shape, rows, x, ahead);
    }
    let rows = Unpacked { kind, shape, rows, ints: [const { [Ints::ZERO; 2] }; 4] };
    match shape.max {
        0..=31 => pairs::dot4::<S, _, 31>(s, rows, x, ahead),
        32..=63 => pairs::dot4::<S, _, 63>(s, rows, x, ahead),
        _ => pairs::dot4::<S, _, 255>(s, rows, x, ahead),
    }
}

/// Blocks of 256.
#[inline(always)]
fn long<S: Simd>(
    s: S,
    kind: Kind,
    shape: IntShape,
    rows: [Row<'_>; 4],
    x: RoundedRow<'_>,
    ahead: &[u8],
) -> [f32; 4] {
    // Bytes above 127 are made signed by taking off 128.
    let off = shape.off - if shape.max > 127 { 128 } else { 0 };
    let mut ints = [const { Ints::ZERO }; 4];
    let mut sum = s.q_load([0.0; 4]);
    let (zero, count) = (s.splat_i(0), x.scales.len());
    for (b, &dx) in x.scales.iter().enumerate() {
        fetch(s, ahead, b, ahead.len() / count);
        for (row, ints) in rows.iter().zip(&mut ints) {
            kind.ints(*row, b, ints);
        }
        let x = x.block(b);
        let sums = s.sums(x.sums);
        let scales = four!(r => s.sums(&sixteen(&ints[r].scale, shape.sub)));
        let lacking = s.splat_i(-off);
        let mut dots = four!(r => s.mul_add_i(zero, s.dot_sums(zero, sums, scales[r]), lacking));
        for j in 0..4 {
            let w = four!(r => s.load_b(&ints[r].q.as_chunks().0[j]));
            let x = s.load_s(&x.q[j]);
            dots = match shape.max {
                0..=63 => s.dot_runs::<false>(dots, w, x, scales, j),
                64..=127 => s.dot_runs::<true>(dots, w, x, scales, j),
                _ => s.dot_runs::<true>(dots, four!(r => s.flip(w[r])), x, scales, j),
            };
        }
        let d = s.q_load(four!(r => ints[r].d));
        sum = s.q_fma(s.q_scale(d, dx), s.sum4_i(dots), sum);
        if shape.mins {
            let minima = four!(r => s.sums(&sixteen(&ints[r].min, shape.sub)));
            let minima = four!(r => s.dot_sums(zero, sums, minima[r]));
            let dmin = s.q_load(four!(r => ints[r].dmin));
            sum = s.q_fma(s.q_scale(dmin, -dx), s.sum4_i(minima), sum);
        }
    }
    s.q_store(sum)
}

/// A number for each sixteen weights, from one for each `sub`.
#[inline(always)]
fn sixteen(numbers: &[i16; 16], sub: usize) -> [i16; 16] {
    match sub {
        16 => *numbers,
        32 => bytemuck::cast([0, 1, 2, 3, 4, 5, 6, 7].map(|i| [numbers[i]; 2])),
        _ => [numbers[0]; 16],
    }
}

/// Blocks of 32, unpacked two at a time.
struct Unpacked<'a> {
    kind: Kind,
    shape: IntShape,
    rows: [Row<'a>; 4],
    ints: [[Ints; 2]; 4],
}

impl Pairs for Unpacked<'_> {
    /// Unknown here; some of these are read whole.
    const BYTES: usize = 32;

    #[inline(always)]
    fn come_to(&mut self, a: usize, b: usize) {
        for (row, [first, second]) in self.rows.iter().zip(&mut self.ints) {
            self.kind.ints(*row, a, first);
            self.kind.ints(*row, b, second);
        }
    }

    #[inline(always)]
    fn off<S: Simd>(&self) -> i16 {
        let signed = self.shape.max > 63 && !S::FULL_U8;
        self.shape.off as i16 - if signed { 128 } else { 0 }
    }

    #[inline(always)]
    fn weights<S: Simd>(&self, s: S, r: usize, _a: usize, _b: usize) -> S::B {
        let [first, second] = &self.ints[r];
        let bytes = s.sixteens(
            first.q.first_chunk().expect("32 weights"),
            second.q.first_chunk().expect("32 weights"),
        );
        if self.shape.max > 63 && !S::FULL_U8 { s.flip(bytes) } else { bytes }
    }

    #[inline(always)]
    fn scales<S: Simd>(&self, s: S, _a: usize, _b: usize) -> [S::Q; 2] {
        let scales = |block: usize| four!(r => self.ints[r][block].d);
        [s.q_load(scales(0)), s.q_load(scales(1))]
    }

    #[inline(always)]
    fn biases<S: Simd>(&self, s: S, _a: usize, _b: usize) -> Option<[S::Q; 2]> {
        let biases = |block: usize| four!(r => -self.ints[r][block].dmin);
        self.shape.mins.then_some(())?;
        Some([s.q_load(biases(0)), s.q_load(biases(1))])
    }
}
