//! Hashed n-grams: how the last ids of a sequence choose rows of a table (Cheng et al. 2026,
//! Conditional Memory via Scalable Lookup, section 2.2). Whole numbers only, hence one function for
//! every backend.

/// How a row's id and those before it choose rows of a table, one for each head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// A factor for each id that is hashed, the row's own first.
    pub multipliers: Vec<i64>,
    /// The heads in the order of their rows; none hashes fewer ids than the one before it.
    pub heads: Vec<HashHead>,
    /// The id that stands for those before the sequence's start, and for rows without one.
    pub pad: u32,
}

/// A head of a hashed table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashHead {
    /// How many ids it hashes; at most as many as there are multipliers.
    pub ids: u32,
    /// Its rows of the table, which follow those of the heads before it.
    pub rows: u32,
}

impl Hashing {
    /// How many ids before a row's own are hashed.
    pub fn history(&self) -> usize {
        self.multipliers.len() - 1
    }

    /// The row of the table that each head takes: the exclusive or of the ids times their
    /// multipliers, in 64 bits, modulo the head's rows. `id(n)` is what the id `n` positions back
    /// counts as; it is asked for each of them once, in order.
    pub fn rows(&self, mut id: impl FnMut(usize) -> u32) -> impl Iterator<Item = usize> {
        let (mut mixed, mut seen, mut first) = (0i64, 0, 0);
        self.heads.iter().map(move |head| {
            while seen < head.ids as usize {
                mixed ^= i64::from(id(seen)).wrapping_mul(self.multipliers[seen]);
                seen += 1;
            }
            let row = first + mixed.rem_euclid(i64::from(head.rows)) as usize;
            first += head.rows as usize;
            row
        })
    }
}
