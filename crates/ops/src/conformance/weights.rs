//! Random weights of every kind, the same on every machine.

use blocks::{Bytes, Element, Kind, Plain, Scale, Scaled, Tensor};
use half::{bf16, f16};

/// A small generator (Steele, Lea and Flood 2014, SplitMix64).
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number within -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// A matrix of random weights. Blocks are random bytes, drawn again until their values are
/// finite and of moderate size.
///
/// # Panics
/// When rows of `cols` cannot be stored as `kind`.
pub fn random_tensor(kind: Kind, rows: usize, cols: usize, seed: u64) -> Tensor {
    let mut random = Random::new(seed);
    let mut numbers = |plain: Plain, count: usize, scale: f32| -> Vec<u8> {
        let one = |x: f32| match plain {
            Plain::F32 => x.to_le_bytes().to_vec(),
            Plain::F16 => f16::from_f32(x).to_le_bytes().to_vec(),
            Plain::BF16 => bf16::from_f32(x).to_le_bytes().to_vec(),
        };
        (0..count).flat_map(|_| one(random.unit() * scale)).collect()
    };
    let bytes = kind.row_bytes(cols).expect("whole blocks") * rows;
    let plain = match kind {
        Kind::F32 => Some(Plain::F32),
        Kind::F16 => Some(Plain::F16),
        Kind::BF16 => Some(Plain::BF16),
        _ => None,
    };
    if let Some(plain) = plain {
        let data = Bytes::from_vec(numbers(plain, rows * cols, 1.0));
        return Tensor::new(kind, rows, cols, data).expect("the right length");
    }
    if let Kind::Affine(affine) = kind {
        let groups = rows * (cols / usize::from(affine.group));
        let scales = Bytes::from_vec(numbers(affine.scale, groups, 0.1));
        let biases = Bytes::from_vec(numbers(affine.scale, groups, 1.0));
        let data = Bytes::from_vec(random.bytes(bytes));
        return Tensor::affine(affine, rows, cols, data, scales, biases).expect("the right length");
    }
    if let Kind::Indexed(indexed) = kind {
        let groups = indexed.groups(cols);
        let scales = Bytes::from_vec(numbers(indexed.scale, rows * groups, 0.1));
        let biases = Bytes::from_vec(numbers(indexed.scale, rows * groups, 1.0));
        let data = Bytes::from_vec(random.bytes(bytes));
        let index = (0..cols).flat_map(|col| ((col * 7 % groups) as i32).to_le_bytes());
        let index = Bytes::from_vec(index.collect());
        let parts = [data, scales, biases];
        return Tensor::indexed(indexed, rows, cols, parts, index).expect("the right length");
    }
    if let Kind::Scaled(scaled) = kind {
        return random_scaled(scaled, rows, cols, &mut random);
    }
    let mut data = Vec::with_capacity(bytes);
    let mut values = vec![0.0; kind.block_len()];
    while data.len() < bytes {
        let block = random.bytes(kind.block_bytes());
        let one = Bytes::from_vec(block.clone());
        let tensor = Tensor::new(kind, 1, kind.block_len(), one).expect("one block");
        tensor.decode_row(0, &mut values);
        if values.iter().all(|v| v.abs() < 4.0) {
            data.extend(block);
        }
    }
    Tensor::new(kind, rows, cols, Bytes::from_vec(data)).expect("the right length")
}

/// Small floats of moderate size, of which none is no number.
fn random_scaled(scaled: Scaled, rows: usize, cols: usize, random: &mut Random) -> Tensor {
    let tiles = rows.div_ceil(scaled.tile.rows as usize) * scaled.tiles(cols);
    let mut scales = Vec::new();
    for _ in 0..tiles {
        let scale = random.unit();
        match scaled.scale {
            Scale::Plain(Plain::F32) => scales.extend((0.01 * scale).to_le_bytes()),
            Scale::Plain(Plain::F16) => scales.extend(f16::from_f32(0.01 * scale).to_le_bytes()),
            Scale::Plain(Plain::BF16) => scales.extend(bf16::from_f32(0.01 * scale).to_le_bytes()),
            // From 2^-5 to 2^-2, and from 2^-8 to 2^-1.
            Scale::E4M3 => scales.push((28.0 + 12.0 * scale) as u8),
            Scale::E8M0 => scales.push((123.0 + 4.0 * scale) as u8),
        }
    }
    let count = scaled.element.bits() * rows * cols / 8;
    let mut data = random.bytes(count);
    if scaled.element == Element::E4M3 {
        // Exponents lose their highest bit, so that magnitudes stay below 2.
        data.iter_mut().for_each(|byte| *byte &= 0xbf);
    }
    let (data, scales) = (Bytes::from_vec(data), Bytes::from_vec(scales));
    let tensor = Tensor::scaled(scaled, rows, cols, data, scales, Bytes::empty());
    tensor.expect("the right length")
}
