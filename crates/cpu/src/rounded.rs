//! Activations rounded to int8, once for all weights that they are multiplied with.

use crate::simd::Simd;
use ops::numerics;

/// Activations of several rows, rounded in blocks of `n`.
#[derive(Clone, Copy)]
pub struct Rounded<'a> {
    /// Values per row.
    pub cols: usize,
    /// Values per scale.
    pub n: usize,
    /// Rounded values, (rows, cols).
    pub q: &'a [i8],
    /// Scales, (rows, cols / n).
    pub scales: &'a [f32],
    /// Sums of the rounded values in sixteens, (rows, cols / 16).
    pub sums: &'a [i16],
}

/// One row of [`Rounded`].
#[derive(Clone, Copy)]
pub struct RoundedRow<'a> {
    /// Rounded values, (cols).
    pub q: &'a [i8],
    /// Scales, (cols / n).
    pub scales: &'a [f32],
    /// Sums in sixteens, (cols / 16).
    pub sums: &'a [i16],
}

impl<'a> Rounded<'a> {
    /// A row.
    #[inline(always)]
    pub fn row(&self, r: usize) -> RoundedRow<'a> {
        let (blocks, sums) = (self.cols / self.n, self.cols / 16);
        RoundedRow {
            q: &self.q[r * self.cols..][..self.cols],
            scales: &self.scales[r * blocks..][..blocks],
            sums: &self.sums[r * sums..][..sums],
        }
    }
}

/// A block of 256 of a [`RoundedRow`].
#[derive(Clone, Copy)]
pub struct RoundedBlock<'a> {
    /// Rounded values.
    pub q: &'a [[i8; 64]; 4],
    /// Sums in sixteens.
    pub sums: &'a [i16; 16],
}

impl<'a> RoundedRow<'a> {
    /// Block `b` of 256.
    #[inline(always)]
    pub fn block(&self, b: usize) -> RoundedBlock<'a> {
        let (q, _) = self.q[256 * b..].as_chunks::<64>();
        let sums = self.sums[16 * b..].first_chunk().expect("sixteen sums");
        RoundedBlock { q: q.first_chunk().expect("256 values"), sums }
    }
}

/// Rounds one row, as [`numerics::quantize_row`] defines it.
#[inline(always)]
pub fn round_row<S: Simd>(
    s: S,
    x: &[f32],
    n: usize,
    q: &mut [i8],
    scales: &mut [f32],
    sums: &mut [i16],
) {
    for (((x, q), sums), scale) in
        x.chunks_exact(n).zip(q.chunks_exact_mut(n)).zip(sums.chunks_exact_mut(n / 16)).zip(scales)
    {
        let (lanes, _) = x.as_chunks::<16>();
        let mut largest = s.splat(0.0);
        let mut all = s.splat(0.0);
        for lane in lanes {
            let v = s.load(lane);
            largest = s.max(s.abs(v), largest);
            // Zero times anything finite is zero; times anything else it is no number.
            all = s.fma(v, s.splat(0.0), all);
        }
        let largest = s.largest(largest);
        if largest == 0.0 || s.sum(all) != 0.0 {
            *scale = numerics::quantize_block(x, q);
        } else {
            let inverse = s.splat(127.0 / largest);
            for (lane, q) in lanes.iter().zip(q.as_chunks_mut::<16>().0) {
                s.store_i8(q, s.mul(s.load(lane), inverse));
            }
            *scale = largest / 127.0;
        }
        for (q, sum) in q.as_chunks::<16>().0.iter().zip(sums) {
            *sum = q.iter().map(|q| i16::from(*q)).sum();
        }
    }
}
