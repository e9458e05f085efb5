//! Finished sequences whose pages a later request with the same beginning can go on from.

use crate::pages::Pool;
use ops::{Long, PAGE, Program};

/// For each cache group the pages of a sequence.
pub(crate) type Tables = Vec<Vec<u32>>;

/// What must agree, besides the ids, for keys and values to be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub salt: u64,
    /// What each rotation that changes with a sequence's length makes of this one's.
    pub lengths: Vec<u32>,
}

impl Terms {
    pub fn new(program: &Program, salt: u64, length: usize) -> Terms {
        let length = length as u32;
        let effect = |long: &Long| match *long {
            Long::Switch { above, .. } => u32::from(length > above),
            Long::Grow { above, .. } => length * u32::from(length > above),
        };
        let lengths = program.rotations.iter().filter_map(|r| r.long.as_ref().map(effect));
        Terms { salt, lengths: lengths.collect() }
    }
}

/// A finished sequence: its ids, each with keys and values.
#[derive(Debug)]
pub(crate) struct Kept {
    pub ids: Vec<u32>,
    pub tables: Tables,
    pub terms: Terms,
}

impl Kept {
    /// Gives up everything after the first `len` ids.
    pub fn truncate(&mut self, len: usize, pools: &mut [Pool]) {
        self.ids.truncate(len);
        truncate(&mut self.tables, len.div_ceil(PAGE), pools);
    }
}

/// Shortens tables to so many pages.
pub(crate) fn truncate(tables: &mut [Vec<u32>], pages: usize, pools: &mut [Pool]) {
    for (table, pool) in tables.iter_mut().zip(pools) {
        table.drain(pages.min(table.len())..).for_each(|page| pool.release(page));
    }
}

/// The kept sequences, least recently used first.
#[derive(Debug)]
pub(crate) struct Prefixes {
    kept: Vec<Kept>,
    max: usize,
}

impl Prefixes {
    pub fn new(max: usize) -> Prefixes {
        Prefixes { kept: Vec::with_capacity(max + 1), max }
    }

    /// Keeps a sequence, in the place of those that it goes on from.
    pub fn keep(&mut self, new: Kept, pools: &mut [Pool]) {
        let covered = |old: &Kept| old.terms == new.terms && new.ids.starts_with(&old.ids);
        while let Some(at) = self.kept.iter().position(covered) {
            self.kept.remove(at).truncate(0, pools);
        }
        self.kept.push(new);
        while self.kept.len() > self.max {
            self.drop_oldest(pools);
        }
    }

    /// Takes out the sequence that begins most like `ids`, with the number of equal ids.
    pub fn take_best(&mut self, ids: &[u32], terms: &Terms) -> Option<(Kept, usize)> {
        let common = |kept: &Kept| {
            if kept.terms != *terms {
                return 0;
            }
            kept.ids.iter().zip(ids).take_while(|(a, b)| a == b).count()
        };
        let (at, common) =
            self.kept.iter().map(common).enumerate().max_by_key(|&(_, common)| common)?;
        (common > 0).then(|| (self.kept.remove(at), common))
    }

    /// Puts back what [`Prefixes::take_best`] took; it counts as used.
    pub fn put_back(&mut self, kept: Kept) {
        self.kept.push(kept);
    }

    /// Gives up the least recently used; false if there is none.
    pub fn drop_oldest(&mut self, pools: &mut [Pool]) -> bool {
        if self.kept.is_empty() {
            return false;
        }
        self.kept.remove(0).truncate(0, pools);
        true
    }

    pub fn clear(&mut self, pools: &mut [Pool]) {
        while self.drop_oldest(pools) {}
    }
}
