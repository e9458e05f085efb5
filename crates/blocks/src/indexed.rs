//! Affine groups whose columns are not neighbours: every column names its group.
//!
//! GPTQ quantizes the columns in the order of their importance and numbers the groups in that order
//! (`desc_act`, `g_idx`). Weights lie in their own order, so that activations do too.

use crate::affine::unpack;
use crate::{Misshapen, Plain, Row};

/// The parameters of such a format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Indexed {
    /// Bits per weight: 2, 3, 4, 5, 6 or 8.
    pub bits: u8,
    /// Weights that share a scale and a bias, the last group's aside.
    pub group: u32,
    /// How scales and biases are stored.
    pub scale: Plain,
}

/// Weights that are unpacked together.
pub(crate) const BLOCK: usize = 32;

impl Indexed {
    /// Whether there is such a format.
    pub fn is_valid(self) -> bool {
        matches!(self.bits, 2 | 3 | 4 | 5 | 6 | 8) && self.group > 0
    }

    /// Groups of a row of `cols` weights.
    pub fn groups(self, cols: usize) -> usize {
        cols.div_ceil(self.group as usize)
    }
}

/// Refuses an index that names a group which is not there.
pub(crate) fn check(indexed: Indexed, cols: usize, index: &[u8]) -> Result<(), Misshapen> {
    let groups = indexed.groups(cols);
    let numbers = index.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
    match numbers.enumerate().find(|(_, g)| usize::try_from(*g).map_or(true, |g| g >= groups)) {
        Some((col, group)) => Err(Misshapen::Index { col, group, groups }),
        None => Ok(()),
    }
}

/// Decodes `out.len()` weights from column `from`.
pub(crate) fn decode(indexed: Indexed, row: Row<'_>, from: usize, out: &mut [f32]) {
    let index = &row.index.as_chunks::<4>().0[from..];
    let mut q = [0; BLOCK];
    for (i, (out, index)) in out.chunks_exact_mut(BLOCK).zip(index.chunks_exact(BLOCK)).enumerate()
    {
        unpack(indexed.bits, row.data, from / BLOCK + i, &mut q);
        for ((w, q), group) in out.iter_mut().zip(q).zip(index) {
            let group = u32::from_le_bytes(*group) as usize;
            let scale = indexed.scale.get(row.scales, group);
            *w = scale * f32::from(q) + indexed.scale.get(row.biases, group);
        }
    }
}
