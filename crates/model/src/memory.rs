//! Conditional memory: tables of n-grams beside the layers, and the weights they demand.

use crate::part::Part;

/// Rows of a table that are looked up by the hashes of the last ids and gated into the stream
/// before a layer's mixer (Cheng et al. 2026, Conditional Memory via Scalable Lookup). Of the table
/// a position reads one row for each head, however large it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The heads, in the order of their rows; none hashes fewer ids than the one before it.
    pub heads: Vec<MemoryHead>,
    /// Width of a row.
    pub width: u32,
    /// Rows of the table; at least those of all heads.
    pub rows: u32,
    /// A factor for each id that is hashed, the position's own first.
    pub multipliers: Vec<i64>,
    /// The id that stands for those before the sequence's start.
    pub pad: u32,
    /// Whether the file says which ids count as the same.
    pub merged: bool,
    /// Positions that the convolution of what is found sees, if there is one; they are as far from
    /// each other as the longest n-gram is long.
    pub kernel: Option<u32>,
    /// Whether the projections have a bias.
    pub bias: bool,
}

/// A head of a hashed table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryHead {
    /// Length of its n-grams.
    pub ids: u32,
    /// Its rows, by which hashes are taken modulo.
    pub rows: u32,
}

impl Memory {
    /// Width of what a position finds, all heads together.
    pub fn found(&self) -> u32 {
        self.heads.len() as u32 * self.width
    }

    /// Positions between the inputs of the convolution.
    pub fn dilation(&self) -> u32 {
        self.multipliers.len() as u32
    }

    /// Lists the parts that it demands.
    pub fn weights(&self, dim: u32, add: &mut impl FnMut(Part, u32, u32)) {
        add(Part::MemoryTable, self.rows, self.width);
        let projections =
            [(Part::MemoryKey, Part::MemoryKeyBias), (Part::MemoryValue, Part::MemoryValueBias)];
        for (part, bias) in projections {
            add(part, dim, self.found());
            if self.bias {
                add(bias, 1, dim);
            }
        }
        add(Part::MemoryKeyNorm, 1, dim);
        add(Part::MemoryQueryNorm, 1, dim);
        if let Some(kernel) = self.kernel {
            add(Part::MemoryConvNorm, 1, dim);
            add(Part::MemoryConv, dim, kernel);
        }
    }
}
