//! Byte strings by prefix: which of them begin here?

use std::collections::HashMap;

/// A set of byte strings, each with a value.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    edges: HashMap<(u32, u8), u32>,
    values: Vec<Option<u32>>,
}

impl Trie {
    pub(crate) fn insert(&mut self, key: &[u8], value: u32) {
        if self.values.is_empty() {
            self.values.push(None);
        }
        let mut node = 0;
        for &byte in key {
            let fresh = self.values.len() as u32;
            node = *self.edges.entry((node, byte)).or_insert(fresh);
            if node == fresh {
                self.values.push(None);
            }
        }
        self.values[node as usize] = Some(value);
    }

    /// (length, value) of every key that `text` begins with, shortest first.
    pub(crate) fn prefixes<'a>(
        &'a self,
        text: &'a [u8],
    ) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut node = Some(0);
        text.iter()
            .enumerate()
            .map_while(move |(at, &byte)| {
                node = self.edges.get(&(node?, byte)).copied();
                node.map(|node| (at + 1, self.values[node as usize]))
            })
            .filter_map(|(len, value)| Some((len, value?)))
    }
}
