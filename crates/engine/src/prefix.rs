//! Finished sequences whose pages a later request with the same beginning can go on from.

use crate::pages::{Pool, Stock};
use crate::states::{Snapshot, Snapshots};
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
    /// Recurrent states to go on from; `None` where any position will do.
    pub snapshots: Option<Snapshots>,
}

impl Kept {
    /// Gives up everything after the first `len` ids.
    pub fn truncate(&mut self, len: usize, stock: &mut Stock) {
        self.ids.truncate(len);
        truncate(&mut self.tables, len.div_ceil(PAGE), &mut stock.pools);
        for snapshot in self.snapshots.iter_mut().flatten() {
            let gone = snapshot.take_if(|s| s.after > len || len == 0);
            stock.states.drop_snapshots([gone, None]);
        }
    }

    /// How many of the first `common` ids a sequence that begins with them need not compute.
    fn usable(&self, common: usize) -> usize {
        match &self.snapshots {
            None => common,
            Some(snapshots) => {
                let within = snapshots.iter().flatten().map(|s| s.after);
                within.filter(|&after| after <= common).max().unwrap_or(0)
            }
        }
    }

    /// The recurrent state after so many ids.
    pub fn snapshot(&self, after: usize) -> Option<Snapshot> {
        self.snapshots.iter().flatten().flatten().find(|s| s.after == after).copied()
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
    pub fn keep(&mut self, new: Kept, stock: &mut Stock) {
        let covered = |old: &Kept| old.terms == new.terms && new.ids.starts_with(&old.ids);
        while let Some(at) = self.kept.iter().position(covered) {
            self.kept.remove(at).truncate(0, stock);
        }
        self.kept.push(new);
        while self.kept.len() > self.max {
            self.drop_oldest(stock);
        }
    }

    /// Takes out the sequence of which most can be used for one that begins with `ids`, with the
    /// number of ids that need not be computed.
    pub fn take_best(&mut self, ids: &[u32], terms: &Terms) -> Option<(Kept, usize)> {
        let common = |kept: &Kept| {
            if kept.terms != *terms {
                return 0;
            }
            kept.usable(kept.ids.iter().zip(ids).take_while(|(a, b)| a == b).count())
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
    pub fn drop_oldest(&mut self, stock: &mut Stock) -> bool {
        if self.kept.is_empty() {
            return false;
        }
        self.kept.remove(0).truncate(0, stock);
        true
    }

    pub fn clear(&mut self, stock: &mut Stock) {
        while self.drop_oldest(stock) {}
    }
}
