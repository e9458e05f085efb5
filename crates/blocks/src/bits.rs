//! Small numbers out of packed bytes, and halves to floats.

/// The IEEE half in two little-endian bytes as an `f32`, without branches.
///
/// `half` asks at run time for the processor's own instruction, which a single number does not pay.
#[inline(always)]
pub(crate) fn f16(bytes: [u8; 2]) -> f32 {
    /// What separates the exponents' biases (127 and 15), at an `f32`'s exponent.
    const REBIAS: u32 = (127 - 15) << 23;
    /// The smallest normal half.
    const MIN_NORMAL: u32 = REBIAS + (1 << 23);
    let half = u32::from(u16::from_le_bytes(bytes));
    let magnitude = (half & 0x7fff) << 13;
    let normal = magnitude + REBIAS;
    let infinite = normal + REBIAS;
    let subnormal = f32::from_bits(magnitude + MIN_NORMAL) - f32::from_bits(MIN_NORMAL);
    let bits = if magnitude < 1 << 23 { subnormal.to_bits() } else { normal };
    let bits = if magnitude >= 31 << 23 { infinite } else { bits };
    f32::from_bits(bits | (half & 0x8000) << 16)
}

/// The nearest IEEE half in two little-endian bytes.
#[inline(always)]
pub(crate) fn half(x: f32) -> [u8; 2] {
    half::f16::from_f32_const(x).to_le_bytes()
}

/// The largest magnitude; what is no number does not count.
#[inline(always)]
pub(crate) fn largest(x: &[f32; 32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    // Eight at a time, as registers have them.
    let mut eight = [0.0; 8];
    for x in x.as_chunks::<8>().0 {
        for (largest, x) in eight.iter_mut().zip(x) {
            *largest = larger(*largest, x.abs());
        }
    }
    eight.into_iter().fold(0.0, larger)
}

/// The low halves of `bytes`, then the high halves.
#[inline(always)]
pub(crate) fn nibbles<const N: usize>(bytes: &[u8; N], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(N);
    for k in 0..N {
        low[k] = bytes[k] & 15;
        high[k] = bytes[k] >> 4;
    }
}

/// Pairs of bits: 32 bytes hold four runs of 32, the first in the lowest bits.
#[inline(always)]
pub(crate) fn crumbs(bytes: &[u8; 64], out: &mut [u8; 256]) {
    for (out, bytes) in out.as_chunks_mut::<128>().0.iter_mut().zip(bytes.as_chunks::<32>().0) {
        for (shift, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for k in 0..32 {
                out[k] = bytes[k] >> (2 * shift) & 3;
            }
        }
    }
}

/// A number in each of a word's eight bytes.
#[inline(always)]
pub(crate) const fn each_byte(number: u8) -> u64 {
    u64::from_le_bytes([number; 8])
}

/// For each byte a word: 0xff in the bytes whose bit is set, from the lowest on, and 0 elsewhere.
///
/// Eight small numbers in one word are added and masked at once, on any processor.
pub static MASKS: [u64; 256] = {
    let mut masks = [0; 256];
    let mut k = 0;
    while k < 256 * 8 {
        masks[k / 8] |= (((k / 8) >> (k % 8) & 1) as u64 * 0xff) << (8 * (k % 8));
        k += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    #[test]
    fn every_half_converts_as_in_the_half_crate() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (super::f16(bits.to_le_bytes()), half::f16::from_bits(bits));
            assert!(
                ours.to_bits() == theirs.to_f32().to_bits() || theirs.is_nan() && ours.is_nan()
            );
        }
    }
}
