//! Matrices that files store transposed, repacked into rows: exactly the same weights.
//!
//! `scale * (q - zero)` becomes `scale * q + bias`. With scales of 16 bits and zero points of 8 the
//! bias is an `f32` without rounding, and so are both sides.

use std::ops::Range;

use blocks::{Affine, Bytes, Indexed, Kind, Misshapen, Tensor};

/// How a file packs integers. Groups are so many columns.
#[derive(Clone, Copy, Debug)]
pub enum Packing {
    /// Words of neighbouring columns, (words of a row, rows); zero points are stored less `less`.
    Gptq {
        /// What is to be added to a zero point.
        less: u8,
        /// Columns of a group.
        group: usize,
    },
    /// Words of eight neighbouring rows, (columns, words of a column), in an order of their own.
    Awq {
        /// Columns of a group.
        group: usize,
    },
    /// Words of neighbouring columns in rows as they are wanted; the zero point is the middle.
    Symmetric {
        /// Columns of a group.
        group: usize,
    },
}

/// A matrix as it lies in a file.
pub struct Packed {
    /// What it is to become.
    pub kind: Kind,
    /// All of its rows.
    pub rows: usize,
    /// Weights per row.
    pub cols: usize,
    /// The integers.
    pub data: Bytes,
    /// The scales of the groups as a matrix of plain floats.
    pub scales: Tensor,
    /// The zero points; empty where there are none.
    pub zeros: Bytes,
    /// The group of each column where they are not in order.
    pub index: Bytes,
}

/// Where AWQ's words hold each of eight rows.
const AWQ_PLACES: [u32; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

impl Packing {
    /// Why a file's own bytes do not do.
    pub fn reason(self) -> &'static str {
        match self {
            Packing::Gptq { .. } => "GPTQ's integers lie transposed in the file",
            Packing::Awq { .. } => "AWQ's integers lie transposed in the file",
            Packing::Symmetric { .. } => "the file holds no zero points",
        }
    }

    /// Bytes of memory that a matrix takes.
    pub fn bytes(self, kind: Kind, rows: u64, cols: u64) -> u64 {
        let weights = (rows * cols) as f64;
        match self {
            // Integers and scales stay in the file; one more number for each scale.
            Packing::Symmetric { .. } => {
                let apart = kind.bits_per_weight() - f64::from(bits(kind));
                (weights * apart / 16.0) as u64
            }
            _ => (weights * kind.bits_per_weight() / 8.0) as u64,
        }
    }

    /// Rows of the file's scales for a matrix of `rows` x `cols`.
    pub fn scale_rows(self, kind: Kind, rows: usize, cols: usize) -> usize {
        match self {
            Packing::Symmetric { .. } => rows,
            _ => cols.div_ceil(self.group()).min(groups(kind, cols)),
        }
    }

    /// Some rows as a matrix that products read.
    pub fn rows(self, packed: &Packed, rows: Range<usize>) -> Result<Tensor, Misshapen> {
        let (data, [scales, biases]) = match self {
            Packing::Gptq { .. } => (transposed(packed, rows.clone()), self.groups(packed, &rows)),
            Packing::Awq { .. } => (awq(packed, rows.clone()), self.groups(packed, &rows)),
            Packing::Symmetric { group } => return symmetric(packed, rows, group),
        };
        let count = rows.len();
        matrix(packed, count, [Bytes::from_vec(data), scales, biases])
    }

    /// Scales and biases of some rows as `f32`, (rows, groups of the kind).
    fn groups(self, packed: &Packed, rows: &Range<usize>) -> [Bytes; 2] {
        let all = packed.scales.to_f32();
        let bits = u32::from(bits(packed.kind));
        let zeros = packed.zeros.as_slice();
        let (group, count) = (self.group(), groups(packed.kind, packed.cols));
        let mut parts = [(); 2].map(|()| Vec::with_capacity(4 * rows.len() * count));
        for row in rows.clone() {
            for part in 0..count {
                let g = part * group_of(packed.kind) / group;
                let zero = match self {
                    Packing::Awq { .. } => {
                        let word = word(zeros, g * packed.rows / 8 + row / 8);
                        word >> (4 * AWQ_PLACES[row % 8]) & 15
                    }
                    _ => {
                        let line = packed.rows * bits as usize / 8;
                        let zero = field(&zeros[g * line..][..line], row * bits as usize, bits);
                        // What was stored less one may have been 0.
                        (zero + self.less()) & ((1 << bits) - 1)
                    }
                };
                let scale = all[g * packed.rows + row];
                parts[0].extend(scale.to_le_bytes());
                parts[1].extend((-scale * zero as f32).to_le_bytes());
            }
        }
        parts.map(Bytes::from_vec)
    }

    fn less(self) -> u32 {
        match self {
            Packing::Gptq { less, .. } => less.into(),
            _ => 0,
        }
    }

    fn group(self) -> usize {
        match self {
            Packing::Gptq { group, .. } | Packing::Awq { group } => group,
            Packing::Symmetric { group } => group,
        }
    }
}

fn bits(kind: Kind) -> u8 {
    match kind {
        Kind::Affine(Affine { bits, .. }) | Kind::Indexed(Indexed { bits, .. }) => bits,
        _ => unreachable!("integers are repacked into affine groups"),
    }
}

/// Columns that share a scale.
fn group_of(kind: Kind) -> usize {
    match kind {
        Kind::Indexed(indexed) => indexed.group as usize,
        kind => kind.block_len(),
    }
}

fn groups(kind: Kind, cols: usize) -> usize {
    cols.div_ceil(group_of(kind))
}

fn matrix(packed: &Packed, rows: usize, parts: [Bytes; 3]) -> Result<Tensor, Misshapen> {
    match packed.kind {
        Kind::Indexed(indexed) => {
            Tensor::indexed(indexed, rows, packed.cols, parts, packed.index.clone())
        }
        Kind::Affine(affine) => {
            let [data, scales, biases] = parts;
            Tensor::affine(affine, rows, packed.cols, data, scales, biases)
        }
        _ => unreachable!("integers are repacked into affine groups"),
    }
}

/// Integers and scales where they lie, and biases beside them.
fn symmetric(packed: &Packed, rows: Range<usize>, group: usize) -> Result<Tensor, Misshapen> {
    let part = |bytes: &Bytes| {
        let line = bytes.len() / packed.rows.max(1);
        bytes.slice(rows.start * line..rows.end * line).unwrap_or_else(Bytes::empty)
    };
    let scales = packed.scales.rows(rows.clone());
    let middle = f32::from(bits(packed.kind)).exp2() / 2.0;
    // A group that is written as several has its scale several times.
    let times = group / group_of(packed.kind).max(1);
    let number = packed.scales.kind.block_bytes();
    let biases = scales.to_f32().into_iter().map(|scale| -scale * middle);
    let narrow = |number: f32| match packed.scales.kind {
        Kind::F16 => half::f16::from_f32(number).to_le_bytes().to_vec(),
        // A power of two times a bfloat16 is one.
        Kind::BF16 => number.to_le_bytes()[2..].to_vec(),
        _ => number.to_le_bytes().to_vec(),
    };
    let biases = biases.flat_map(|bias| narrow(bias).repeat(times.max(1))).collect();
    let scales = match times {
        0 | 1 => scales.data,
        _ => {
            let numbers = scales.data.as_slice().chunks_exact(number);
            Bytes::from_vec(numbers.flat_map(|number| number.repeat(times)).collect())
        }
    };
    matrix(packed, rows.len(), [part(&packed.data), scales, Bytes::from_vec(biases)])
}

/// Words of columns become words of rows.
fn transposed(packed: &Packed, rows: Range<usize>) -> Vec<u8> {
    /// Words of a cache line.
    const LINE: usize = 16;
    let words = packed.cols * usize::from(bits(packed.kind)) / 32;
    let (from, _) = packed.data.as_slice().as_chunks::<4>();
    let mut to = vec![[0; 4]; rows.len() * words];
    for first in rows.clone().step_by(LINE) {
        let line = first..rows.end.min(first + LINE);
        for word in 0..words {
            for row in line.clone() {
                to[(row - rows.start) * words + word] = from[word * packed.rows + row];
            }
        }
    }
    to.into_flattened()
}

/// Words of eight rows become rows, two columns to a byte.
fn awq(packed: &Packed, rows: Range<usize>) -> Vec<u8> {
    let (words, line) = (packed.rows / 8, packed.cols / 2);
    let mut to = vec![0; rows.len() * line];
    for eight in rows.start / 8..rows.end.div_ceil(8) {
        for col in 0..packed.cols {
            let word = word(packed.data.as_slice(), col * words + eight);
            for (i, place) in AWQ_PLACES.iter().enumerate() {
                if let Some(row) =
                    (8 * eight + i).checked_sub(rows.start).filter(|r| *r < rows.len())
                {
                    let q = (word >> (4 * place) & 15) as u8;
                    to[row * line + col / 2] |= q << (4 * (col % 2));
                }
            }
        }
    }
    to
}

fn word(bytes: &[u8], index: usize) -> u32 {
    u32::from_le_bytes(bytes.as_chunks().0[index])
}

/// `bits` bits from bit `at` on.
fn field(bytes: &[u8], at: usize, bits: u32) -> u32 {
    let byte = |i: usize| u32::from(bytes.get(i).copied().unwrap_or(0));
    (byte(at / 8) | byte(at / 8 + 1) << 8) >> (at % 8) & ((1 << bits) - 1)
}
