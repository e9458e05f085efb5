//! Byte-pair encoding: byte-level (GPT-2), by characters with byte fallback, and SentencePiece's,
//! where a score takes the place of the list of merges.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::tokens::Tokens;

/// Merges of neighbouring symbols, best first.
#[derive(Debug)]
pub(crate) struct Bpe {
    pub rule: Rule,
    pub fallback: Fallback,
    /// A word that is a token stays whole, whatever the merges say.
    pub whole_words: bool,
}

/// Which neighbours merge, and in which order.
#[derive(Debug)]
pub(crate) enum Rule {
    /// (left, right) to (rank, result); the lowest rank goes first.
    Merges(HashMap<(u32, u32), (u32, u32)>),
    /// Neighbours merge if together they spell a token; ranks by id, lowest first.
    Scores(Vec<u32>),
}

/// What becomes of a character that is no token.
#[derive(Debug)]
pub(crate) enum Fallback {
    /// Symbols start as bytes; an id for each byte, where the vocabulary has it.
    Bytes(Box<[Option<u32>; 256]>),
    /// Symbols start as characters; unknown ones become byte tokens.
    ByteTokens(Box<[u32; 256]>),
    /// Symbols start as characters; unknown ones become this id, runs of them only one if `fuse`.
    Unknown { id: Option<u32>, fuse: bool },
}

/// The id of a symbol that is no token (yet).
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    /// Bytes of the word: `start..end`; empty once merged into its left neighbour.
    start: u32,
    end: u32,
    prev: u32,
    next: u32,
}

impl Bpe {
    /// Appends the ids of one word.
    pub(crate) fn encode(&self, word: &[u8], tokens: &Tokens, out: &mut Vec<u32>) {
        if self.whole_words
            && let Some(id) = tokens.matching(word)
        {
            return out.push(id);
        }
        let mut symbols = self.symbols(word, tokens);
        self.merge(&mut symbols, word, tokens);
        let first = out.len();
        for symbol in symbols.iter().filter(|s| s.start < s.end) {
            if symbol.id != NONE {
                out.push(symbol.id);
                continue;
            }
            match &self.fallback {
                // A byte without a token has no other name: it is dropped, as llama.cpp does.
                Fallback::Bytes(_) | Fallback::Unknown { id: None, .. } => {}
                Fallback::ByteTokens(ids) => {
                    let bytes = &word[symbol.start as usize..symbol.end as usize];
                    out.extend(bytes.iter().map(|&b| ids[b as usize]));
                }
                &Fallback::Unknown { id: Some(id), fuse } => {
                    if !(fuse && out[first..].last() == Some(&id)) {
                        out.push(id);
                    }
                }
            }
        }
    }

    fn symbols(&self, word: &[u8], tokens: &Tokens) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(word.len());
        let mut push = |id: Option<u32>, start: usize, end: usize| {
            let at = symbols.len() as u32;
            let (start, end) = (start as u32, end as u32);
            let (prev, next) = (at.wrapping_sub(1), at + 1);
            symbols.push(Symbol { id: id.unwrap_or(NONE), start, end, prev, next });
        };
        if let Fallback::Bytes(ids) = &self.fallback {
            for (at, &byte) in word.iter().enumerate() {
                push(ids[byte as usize], at, at + 1);
            }
        } else {
            let mut start = 0;
            while start < word.len() {
                let end = char_end(word, start);
                push(tokens.matching(&word[start..end]), start, end);
                start = end;
            }
        }
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
        symbols
    }

    /// Merges in O(n log n): candidates wait in a heap, and those overtaken by another merge are
    /// recognized when they come up because their neighbours are no longer the same.
    fn merge(&self, symbols: &mut [Symbol], word: &[u8], tokens: &Tokens) {
        let mut heap = BinaryHeap::with_capacity(symbols.len());
        for left in 0..symbols.len().saturating_sub(1) as u32 {
            heap.extend(self.candidate(symbols, left, word, tokens));
        }
        while let Some(Reverse(best)) = heap.pop() {
            let left = symbols[best.left as usize];
            if left.start == left.end || left.end != best.middle || left.next == NONE {
                continue;
            }
            let right = symbols[left.next as usize];
            if left.start != best.start || right.end != best.end {
                continue;
            }
            symbols[left.next as usize].end = right.start;
            symbols[best.left as usize] =
                Symbol { id: best.id, end: right.end, next: right.next, ..left };
            if right.next != NONE {
                symbols[right.next as usize].prev = best.left;
                heap.extend(self.candidate(symbols, best.left, word, tokens));
            }
            if left.prev != NONE {
                heap.extend(self.candidate(symbols, left.prev, word, tokens));
            }
        }
    }

    fn candidate(
        &self,
        symbols: &[Symbol],
        left: u32,
        word: &[u8],
        tokens: &Tokens,
    ) -> Option<Reverse<Candidate>> {
        let a = symbols[left as usize];
        let b = symbols[a.next as usize];
        let (rank, id) = match &self.rule {
            Rule::Merges(merges) => *merges.get(&(a.id, b.id))?,
            Rule::Scores(ranks) => {
                let id = tokens.matching(&word[a.start as usize..b.end as usize])?;
                (ranks[id as usize], id)
            }
        };
        let (start, middle, end) = (a.start, a.end, b.end);
        Some(Reverse(Candidate { rank, left, start, middle, end, id }))
    }
}

/// Ordered by rank, then from left to right.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    left: u32,
    start: u32,
    middle: u32,
    end: u32,
    id: u32,
}

/// Ranks of [`Rule::Scores`]: tokens of equal score share one, so that the leftmost merges first.
pub(crate) fn ranks_by_score(tokens: &Tokens) -> Vec<u32> {
    let mut order: Vec<(u32, f32)> = tokens.iter().map(|(id, token)| (id, token.score)).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut ranks = vec![0; order.len()];
    let mut rank = 0;
    for (at, &(id, score)) in order.iter().enumerate() {
        if at > 0 && order[at - 1].1 != score {
            rank = at as u32;
        }
        ranks[id as usize] = rank;
    }
    ranks
}

/// Where the UTF-8 character at `start` ends; a stray byte counts as a character.
pub(crate) fn char_end(text: &[u8], start: usize) -> usize {
    let len = match text[start] {
        0xF0..=0xF7 => 4,
        0xE0..=0xEF => 3,
        0xC0..=0xDF => 2,
        _ => 1,
    };
    (start + len).min(text.len())
}
