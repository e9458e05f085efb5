//! Formats whose blocks of 256 have a scale for each run of 16 weights, or of 32.
//!
//! Versions tried with AVX2 on two cores of Milan:
//! - unpacked to bytes, sums taken lane by lane: a token of Qwen3-0.6B took 302 ms in IQ4_XS, 210
//!   in Q2_K, 131 in Q3_K_M;
//! - four rows' runs side by side, weights straight from the file: from the nearest caches 1024
//!   weights took 37 ns in Q6_K, 34 in Q2_K, but 73 in IQ4_XS and 99 in Q3_K, whose scales were
//!   unpacked one by one;
//! - those scales unpacked eight to a word: 49 in IQ4_XS, 57 in Q3_K; tokens 25, 22 and 25 ms;
//! - no loop over the pairs of runs: 60 to 47 in Q3_K, 39 to 45 in Q2_K, 123 to 139 in IQ3_S, 43
//!   in Q6_K either way.
//!
//! Formats of grids there: unpacked one by one 460 ns in IQ3_S, 350 in IQ2_XS, 370 in IQ2_XXS, 210
//! in IQ1_S; points put together in registers, signs by bits 142, 135, 109 and 97; with IQ3_S's
//! places taken out of whole numbers 122. Eight activation rows that share the unpacking take 43
//! each in IQ3_S, 31 in Q6_K.

use super::{Ahead, Order, blocks, fetch_quarter, half, halves};
use crate::rounded::{Rounded, RoundedRow};
use crate::simd::Simd;
use blocks::View;
use std::array::from_fn;
use std::ops::Range;

/// Such a format, of blocks of so many bytes.
pub trait Runs<const BYTES: usize> {
    /// What is to be taken off each weight: up to 16, or even.
    const OFF: i16 = 0;
    /// The order of [`Runs::weights`].
    const ORDER: Order = Order::Row;
    /// Whether weights are signed; else they are up to 63.
    const SIGNED: bool = false;
    /// Where a block's scale of scales lies.
    const D: usize = 0;
    /// What it is multiplied with, a power of two.
    const FACTOR: f32 = 1.0;
    /// Where its scale of minima lies.
    const DMIN: Option<usize> = None;
    /// Whether [`Runs::weights`] differs so much with `j` that a loop would hold it up.
    const UNROLLED: bool = false;

    /// The half that is a block's scale of scales.
    #[inline(always)]
    fn d(block: &[u8; BYTES]) -> [u8; 4] {
        half(block, Self::D)
    }
    /// The scales of a block, one for each sixteen weights in the order of [`Runs::weights`].
    fn scales<S: Simd>(s: S, block: &[u8; BYTES]) -> S::K;
    /// The minima of a block, one for each sixteen.
    #[inline(always)]
    fn minima<S: Simd>(s: S, _block: &[u8; BYTES]) -> S::K {
        s.scales_i8(&[0; 16])
    }
    /// Weights `64 * j ..` of a block.
    fn weights<S: Simd>(s: S, block: &[u8; BYTES], j: usize) -> S::B;
}

/// Activation rows that share a block's unpacking.
const SHARED: usize = 8;

/// [`super::multiply`] for such a format.
#[inline(always)]
pub fn multiply<S: Simd, R: Runs<BYTES>, const BYTES: usize>(
    s: S,
    view: View<'_>,
    chunk: Range<usize>,
    x: &Rounded<'_>,
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let (count, bytes_ahead) = (x.cols / x.n, Ahead::new(view, &chunk));
    for first in chunk.clone().step_by(4) {
        let number = 4.min(chunk.end - first);
        // Rows beyond the last repeat it; their products are not used.
        let rows = blocks(view, four!(r => first + r.min(number - 1)), count);
        let mut ahead = bytes_ahead.from(first);
        if x.rows() == 1 {
            let [four] = dot4::<S, R, BYTES, 1>(s, rows, &[x.row(0)], ahead);
            put(0, first, &four[..number]);
            continue;
        }
        for m in (0..x.rows()).step_by(SHARED) {
            let tile: [_; SHARED] = from_fn(|t| x.row((m + t).min(x.rows() - 1)));
            let tile = &tile[..SHARED.min(x.rows() - m)];
            let products = dot4::<S, R, BYTES, SHARED>(s, rows, tile, ahead);
            ahead = &[];
            for (t, four) in products[..tile.len()].iter().enumerate() {
                put(m + t, first, &four[..number]);
            }
        }
    }
}

/// The products of four rows with each row of `x`, of which there are up to `T`, or one.
/// Meanwhile the bytes `ahead` are fetched.
#[inline(always)]
fn dot4<S: Simd, R: Runs<BYTES>, const BYTES: usize, const T: usize>(
    s: S,
    rows: [&[[u8; BYTES]]; 4],
    x: &[RoundedRow<'_>],
    ahead: &[u8],
) -> [[f32; 4]; T] {
    let mut sums = [s.q_load([0.0; 4]); T];
    let count = if T == 1 { 1 } else { T.min(x.len()) };
    for b in 0..x[0].scales.len() {
        let blocks = four!(r => &rows[r][b]);
        let mut parts = [x[0].block(b); T];
        for t in 1..count {
            parts[t] = x[t].block(b);
        }
        let scales = four!(r => R::scales(s, blocks[r]));
        let mut dots = [[s.splat_i(0); 4]; T];
        if R::OFF != 0 {
            for t in 0..count {
                dots[t] = lacking::<S, R, BYTES>(s, parts[t].sums, scales);
            }
        }
        macro_rules! two_runs {
            ($j:expr) => {
                fetch_quarter(s, ahead, b, 4 * BYTES, $j);
                let w = four!(r => R::weights(s, blocks[r], $j));
                for t in 0..count {
                    let x = R::ORDER.load(s, &parts[t].q[$j]);
                    dots[t] = if R::SIGNED {
                        s.dot_runs::<true>(dots[t], w, x, scales, $j)
                    } else {
                        s.dot_runs::<false>(dots[t], w, x, scales, $j)
                    };
                }
            };
        }
        if R::UNROLLED {
            four!(j => { two_runs!(j); });
        } else {
            for j in 0..4 {
                two_runs!(j);
            }
        }
        let mut d = s.q_f16(four!(r => R::d(blocks[r])).each_ref());
        if R::FACTOR != 1.0 {
            d = s.q_scale(d, R::FACTOR);
        }
        for t in 0..count {
            sums[t] = s.q_fma(s.q_scale(d, x[t].scales[b]), s.sum4_i(dots[t]), sums[t]);
        }
        if let Some(at) = R::DMIN {
            let (zero, dmin) = (s.splat_i(0), halves(s, &rows, b, at));
            for t in 0..count {
                let runs = s.sums(parts[t].sums);
                let minima = four!(r => s.dot_sums(zero, runs, R::minima(s, blocks[r])));
                sums[t] = s.q_fma(s.q_scale(dmin, -x[t].scales[b]), s.sum4_i(minima), sums[t]);
            }
        }
    }
    let mut products = [[0.0; 4]; T];
    for t in 0..count {
        products[t] = s.q_store(sums[t]);
    }
    products
}

/// What the products of four rows' weights lack of which [`Runs::OFF`] is not taken off.
#[inline(always)]
fn lacking<S: Simd, R: Runs<BYTES>, const BYTES: usize>(
    s: S,
    sums: &[i16; 16],
    scales: [S::K; 4],
) -> [S::I; 4] {
    let zero = s.splat_i(0);
    if R::OFF <= 16 {
        let sums = s.sums(&times(sums, -R::OFF));
        return four!(r => s.dot_sums(zero, sums, scales[r]));
    }
    // Half of it fits sixteen bits: it is added twice.
    let sums = s.sums(&times(sums, -R::OFF / 2));
    four!(r => s.dot_sums(s.dot_sums(zero, sums, scales[r]), sums, scales[r]))
}

/// Unpacks a block: its weights, and their scales and minima, of sixteens or of 32s.
#[inline(always)]
pub fn unpack<S: Simd, R: Runs<BYTES>, const BYTES: usize>(
    s: S,
    block: &[u8; BYTES],
    q: [&mut [u8; 64]; 4],
    sub: usize,
) -> [[i16; 16]; 2] {
    for (j, q) in q.into_iter().enumerate() {
        let w = R::weights(s, block, j);
        R::ORDER.store(s, if R::SIGNED && S::FULL_U8 { s.flip(w) } else { w }, q);
    }
    let scales = s.numbers(R::scales(s, block));
    let minima = if R::DMIN.is_some() { s.numbers(R::minima(s, block)) } else { [0; 16] };
    // Of runs of 32 the first sixteen's, in whatever order those are.
    let at = |i: usize| match R::ORDER {
        _ if sub == 16 => i,
        Order::Sixteens => i % 8 / 2 * 4 + i % 2,
        _ => 2 * (i % 8),
    };
    [from_fn(|i| scales[at(i)]), from_fn(|i| minima[at(i)])]
}

#[inline(always)]
fn times(sums: &[i16; 16], factor: i16) -> [i16; 16] {
    let mut products = *sums;
    for product in &mut products {
        *product *= factor;
    }
    products
}

/// Sixteen numbers of six bits, of which 32 is to be taken off, eight to a word.
#[inline(always)]
pub fn less_32(x: [u64; 2]) -> [i8; 16] {
    const BIT: u64 = u64::from_le_bytes([0x20; 8]);
    // Bit five flipped, and spread to the two above it.
    let [a, b] = [x[0] ^ BIT, x[1] ^ BIT];
    bytemuck::cast([a + (a & BIT) * 6, b + (b & BIT) * 6].map(u64::to_le_bytes))
}

/// Numbers `64 * j ..` of two bits: of each 32 bytes the four pairs belong to four runs of 32.
#[inline(always)]
pub fn pairs_of_bits<S: Simd>(s: S, bytes: &[u8; 64], j: usize) -> S::B {
    let low = s.splat_h(0x03);
    let pairs = s.load_h(bytes[32 * (j / 2)..][..32].try_into().expect("32 bytes"));
    let (first, second) = if j.is_multiple_of(2) {
        (pairs, s.shr(pairs, 2))
    } else {
        (s.shr(pairs, 4), s.shr(pairs, 6))
    };
    s.join(s.and(first, low), s.and(second, low))
}
