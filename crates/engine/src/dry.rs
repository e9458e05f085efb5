//! DRY: a penalty on ids that would prolong a repetition (p-e-w, text-generation-webui 2024).

use crate::sampling::Dry;
use std::collections::HashMap;

/// The largest penalty, so that no sum with it leaves f32.
const PENALTY_MAX: f32 = 1e30;

/// Sequences of ids that no repetition extends across, by their last id.
pub(crate) struct Breakers(HashMap<u32, Vec<Box<[u32]>>>);

impl Breakers {
    pub fn new(sequences: &[Vec<u32>]) -> Breakers {
        let mut by_last: HashMap<u32, Vec<Box<[u32]>>> = HashMap::new();
        for sequence in sequences {
            if let Some(&last) = sequence.last() {
                by_last.entry(last).or_default().push(sequence.clone().into_boxed_slice());
            }
        }
        Breakers(by_last)
    }

    /// How many ids follow the last breaker.
    fn unbroken(&self, ids: &[u32]) -> usize {
        let ends = |end: &usize| {
            let candidates = self.0.get(&ids[*end]);
            candidates
                .is_some_and(|list| list.iter().any(|breaker| ids[..=*end].ends_with(breaker)))
        };
        let last = (0..ids.len()).rev().find(ends);
        last.map_or(ids.len(), |end| ids.len() - 1 - end)
    }
}

/// Storage of the search for repetitions.
pub(crate) struct Repetitions {
    /// Length of the end of the ids that is also found so many ids earlier.
    lengths: Vec<usize>,
    /// Of each id the longest repetition that it would prolong, plus one; zero between calls.
    longest: Vec<usize>, // (vocab)
}

impl Repetitions {
    pub fn new(vocab: usize) -> Repetitions {
        Repetitions { lengths: Vec::new(), longest: vec![0; vocab] }
    }

    /// Penalises each id by the longest repetition that it would prolong.
    pub fn apply(&mut self, logits: &mut [f32], history: &[u32], dry: &Dry, breakers: &Breakers) {
        if dry.multiplier == 0.0 || dry.penalty_last_n == 0 {
            return;
        }
        let ids = &history[history.len().saturating_sub(dry.penalty_last_n)..];
        let limit = breakers.unbroken(ids);
        if limit < dry.allowed_length {
            return;
        }
        find(ids, &mut self.lengths);
        for back in 1..ids.len() {
            let length = self.lengths[back].min(limit);
            if length >= dry.allowed_length {
                let longest = &mut self.longest[ids[ids.len() - back] as usize];
                *longest = (*longest).max(length + 1);
            }
        }
        for &id in ids {
            let longest = std::mem::take(&mut self.longest[id as usize]);
            if longest > 0 {
                let power = dry.base.powf((longest - 1 - dry.allowed_length) as f32);
                logits[id as usize] -= (dry.multiplier * power).min(PENALTY_MAX);
            }
        }
    }
}

/// The Z function (Gusfield 1997) of the reversed ids: `lengths[back]` is how much of their end
/// is also found `back` ids earlier.
fn find(ids: &[u32], lengths: &mut Vec<usize>) {
    let n = ids.len();
    let at = |i: usize| ids[n - 1 - i];
    lengths.clear();
    lengths.resize(n, 0);
    let (mut left, mut right) = (0, 0);
    for back in 1..n {
        let mut length = if back < right { lengths[back - left].min(right - back) } else { 0 };
        while back + length < n && at(length) == at(back + length) {
            length += 1;
        }
        lengths[back] = length;
        if back + length > right {
            (left, right) = (back, back + length);
        }
    }
}

#[cfg(test)]
mod tests;
