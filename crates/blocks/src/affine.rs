//! MLX's affine groups: `scale * q + bias`, with `q` of 2 to 8 bits.
//!
//! A row of `q` is one little-endian string of bits, whatever their number, in `u32` words. Scales
//! and biases lie in matrices of their own, one number per group.

use crate::{IntShape, Ints, Plain, Row};

/// The parameters of an affine format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Affine {
    /// Bits per weight: 2, 3, 4, 5, 6 or 8.
    pub bits: u8,
    /// Weights per scale and bias: 32, 64 or 128.
    pub group: u8,
    /// How scales and biases are stored.
    pub scale: Plain,
}

impl Affine {
    /// Whether there is such a format.
    pub fn is_valid(self) -> bool {
        matches!(self.bits, 2 | 3 | 4 | 5 | 6 | 8) && matches!(self.group, 32 | 64 | 128)
    }
}

/// Every width and group is read in blocks of 32 weights, which share their group's scale and bias.
pub(crate) const INTS: IntShape = IntShape { n: 32, sub: 32, off: 0, mins: true, scales: false };

/// Decodes `out.len()` weights from column `from`.
pub(crate) fn decode(affine: Affine, row: Row<'_>, from: usize, out: &mut [f32]) {
    let mut block = Ints::ZERO;
    for (i, out) in out.chunks_exact_mut(INTS.n).enumerate() {
        ints(affine, row, from / INTS.n + i, &mut block);
        block.weights(INTS, out);
    }
}

/// Unpacks the 32 weights of block `block`.
pub(crate) fn ints(affine: Affine, row: Row<'_>, block: usize, out: &mut Ints) {
    // Groups are 32 times a power of two long; a division would cost as much as the rest.
    let group = block >> (affine.group.trailing_zeros() - INTS.n.trailing_zeros());
    out.d = affine.scale.get(row.scales, group);
    out.dmin = -affine.scale.get(row.biases, group);
    out.scale[0] = 1;
    out.min[0] = 1;
    let q = out.q.first_chunk_mut().expect("a block holds 256 weights");
    unpack(affine.bits, row.data, block, q);
}

/// The 32 numbers of `bits` bits of block `block`.
#[inline(always)]
pub(crate) fn unpack(bits: u8, data: &[u8], block: usize, q: &mut [u8; 32]) {
    match bits {
        2 => eights::<2>(data, block, q),
        3 => eights::<3>(data, block, q),
        4 => eights::<4>(data, block, q),
        5 => eights::<5>(data, block, q),
        6 => eights::<6>(data, block, q),
        8 => q.copy_from_slice(&data[block * 32..][..32]),
        bits => unreachable!("no affine format has {bits} bits"),
    }
}

/// Eight weights of `BITS` bits fill `BITS` bytes. They are moved to a byte each by halves.
#[inline(always)]
fn eights<const BITS: usize>(data: &[u8], block: usize, q: &mut [u8; 32]) {
    let eights = data[block * 4 * BITS..][..4 * BITS].as_chunks::<BITS>().0;
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(eights) {
        let mut padded = [0; 8];
        padded[..BITS].copy_from_slice(bytes);
        *word = u64::from_le_bytes(padded);
    }
    for (q, word) in q.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        let fours = halved(word, 4 * BITS, 32);
        let twos = halved(fours, 2 * BITS, 16);
        *q = halved(twos, BITS, 8).to_le_bytes();
    }
}

/// In every `2 * lane` bits of a word: moves the upper of two fields of `field` bits to `lane`.
#[inline(always)]
fn halved(word: u64, field: usize, lane: usize) -> u64 {
    let ones = (1 << field) - 1;
    let fields = match lane {
        32 => ones,
        16 => ones | ones << 32,
        _ => ones | ones << 16 | ones << 32 | ones << 48,
    };
    word & fields | (word >> field & fields) << lane
}
