//! Formats whose blocks of 256 hold eight runs of 32, each with a scale and a minimum: Q4_K and
//! Q5_K, of which the first sixteen bytes are alike.
//!
//! Versions tried on Q4_K, decoding with Qwen3-0.6B's shapes on two cores of Sapphire Rapids, of
//! which memory delivers 31.4 GB/s: four rows side by side 9.9 GB/s (32%); with vectors added at
//! 512 bits and the next rows fetched ahead 17 GB/s (54%).
//!
//! And by instructions of AVX2 for four rows' blocks (llvm-mca's cycles of Zen 3): row after row,
//! scales unpacked as integers 410 (79); scales unpacked as vectors 313 (81: sums wait for the
//! activations, which do not fit the registers); run after run of four rows 261 (58). None of it
//! changed the time from the nearest caches, 33 ns for 1024 weights: shuffles have two of the four
//! units. With scales broadcast from memory, which needs none, 29 ns.
//!
//! On one core of Milan, which starts fewer instructions in some minutes than in others: some 500
//! instructions for four rows' blocks, as halves were read byte by byte and a loop over the pairs
//! of runs looked for scales, 36 ns for 1024 weights of Q4_K and 58; 345 without either, 36 and
//! 51, and Q5_K 50 and 75 to 43 and 65. The next block's scales unpacked beforehand: Q4_K 7% less
//! in the fast minutes, but Q5_K 6% more, as registers do not suffice.
//!
//! For panels, sixteen rows of Q4_K on one core of Milan, 1024 weights with eight activation rows
//! from the nearest caches: row by row, then turned 180 ns; turned, then split 145 ns.

use super::fetch_quarter;
use super::unpack::Turned;
use crate::rounded::RoundedRow;
use crate::simd::{Octet, Simd, six_bit_words};

/// Such a format, of blocks of so many bytes.
pub trait Eights<const BYTES: usize> {
    /// Weights of runs `2 * j` and `2 * j + 1` from 32 bytes of their low halves and the 32 bytes
    /// of high bits before them all, in whatever order those are.
    fn split<S: Simd>(s: S, low: &[u8; 32], high: &[u8; 32], j: usize) -> S::B;
}

/// Runs `2 * j` and `2 * j + 1` of a block.
#[inline(always)]
fn weights<S: Simd, E: Eights<BYTES>, const BYTES: usize>(
    s: S,
    block: &[u8; BYTES],
    j: usize,
) -> S::B {
    let at = |i: usize| block[i..].first_chunk().expect("32 bytes");
    E::split(s, at(BYTES - 128 + 32 * j), at(16), j)
}

/// The products of four rows with `x`. Meanwhile the bytes `ahead` are fetched.
#[inline(always)]
pub fn dot4<S: Simd, E: Eights<BYTES>, const BYTES: usize>(
    s: S,
    rows: [&[[u8; BYTES]]; 4],
    x: RoundedRow<'_>,
    ahead: &[u8],
) -> [f32; 4] {
    let (mut sum, mut scales) = (s.q_load([0.0; 4]), s.room());
    let rows = four!(r => &rows[r][..x.scales.len()]);
    for (b, &dx) in x.scales.iter().enumerate() {
        let x = x.block(b);
        let blocks = four!(r => &rows[r][b]);
        let heads = four!(r => blocks[r].first_chunk().expect("sixteen bytes"));
        let minima = s.eights(heads, x.sums, &mut scales);
        let mut dots = [s.splat_i(0); 4];
        // Without a loop where each scale is found is known beforehand.
        four!(j => {
            fetch_quarter(s, ahead, b, 4 * BYTES, j);
            let w = four!(r => weights::<S, E, BYTES>(s, blocks[r], j));
            dots = s.dot_eights(dots, w, s.load_s(&x.q[j]), &scales, j);
        });
        let [d, dmin] = s.q_halves(four!(r => blocks[r].first_chunk().expect("two halves")));
        sum = s.q_fma(s.q_scale(d, dx), s.sum4_i(dots), sum);
        sum = s.q_fma(s.q_scale(dmin, -dx), minima, sum);
    }
    s.q_store(sum)
}

/// Unpacks a block of sixteen rows: their bytes are turned first and split afterwards, so that
/// what eight or sixteen lanes hold is of as many rows.
#[inline(always)]
pub fn turned<S: Simd, E: Eights<BYTES>, const BYTES: usize>(
    s: S,
    rows: [&[u8; BYTES]; 16],
    to: &mut Turned<'_>,
) {
    let mut first = [[[0; 64]; 2]; 8];
    s.to_octets(rows.map(|row| row.first_chunk().expect("64 bytes")), &mut first);
    numbers::<S>(&first, to);
    // Bytes 16 to 47 of the rows.
    let high = first[2..6].as_flattened().as_flattened().as_chunks::<32>().0;
    for half in 0..2 {
        let at = BYTES - 128 + 64 * half;
        let mut packed = [[[0; 64]; 2]; 8];
        s.to_octets(rows.map(|row| row[at..].first_chunk().expect("64 bytes")), &mut packed);
        let packed = packed.as_flattened().as_flattened().as_chunks::<32>().0;
        for (i, packed) in packed.as_chunks::<16>().0.iter().enumerate() {
            let j = 2 * half + i;
            let runs = to.q[8 * j..][..8].as_flattened_mut().as_flattened_mut();
            let (even, odd) = runs.split_at_mut(512);
            for (part, packed) in packed.iter().enumerate() {
                let mut both = [0; 64];
                s.store_b(&mut both, E::split(s, packed, &high[part], j));
                even[32 * part..][..32].copy_from_slice(&both[..32]);
                odd[32 * part..][..32].copy_from_slice(&both[32..]);
            }
        }
    }
}

/// The scales and minima of sixteen rows from their turned bytes.
#[inline(always)]
fn numbers<S: Simd>(turned: &[Octet; 8], to: &mut Turned<'_>) {
    let bytes = turned.as_flattened().as_flattened();
    let word = |c: usize, row: usize| {
        let at = (c / S::SIDE * 16 + row) * S::SIDE + c % S::SIDE;
        u32::from_le_bytes(*bytes[at..].first_chunk().expect("four bytes"))
    };
    for row in 0..16 {
        let [scales, minima] = six_bit_words([word(4, row), word(8, row), word(12, row)]);
        for run in 0..8 {
            let byte = |words: [u32; 2]| words[run / 4] >> (run % 4 * 8) & 0xff;
            to.scale[run][row] = S::run_scale(byte(scales) as i16);
            // Of both sixteens of the run.
            to.sums[1][run][row] = (byte(minima) * 0x1_0001) as i32;
        }
    }
}
