//! Which ids interrupt a repetition, for DRY.

use engine::limits;
use std::collections::BTreeSet;
use tokens::Vocab;

/// The usual breakers: those of llama.cpp.
pub const DRY_BREAKERS: [&str; 4] = ["\n", ":", "\"", "*"];

/// Sequences of ids that contain one of `strings`, for [`engine::Dry::breakers`]: tokens with a
/// whole string inside, and tokens that end in its beginning, followed by the rest. Control tokens
/// are no text and interrupt nothing.
pub fn dry_breakers(vocab: &Vocab, strings: &[impl AsRef<str>]) -> Vec<Vec<u32>> {
    let mut found = BTreeSet::new();
    for string in strings.iter().map(AsRef::as_ref).filter(|string| !string.is_empty()) {
        let cuts: Vec<usize> = string.char_indices().skip(1).map(|(at, _)| at).collect();
        let rests: Vec<Vec<u32>> =
            cuts.iter().map(|&at| vocab.encode(&string[at..], false, false)).collect();
        for id in (0..vocab.len() as u32).filter(|&id| !vocab.is_special(id)) {
            let piece = vocab.piece(id).unwrap_or_default();
            if contains(piece, string.as_bytes()) {
                found.insert(vec![id]);
                continue;
            }
            for (&at, rest) in cuts.iter().zip(&rests) {
                if piece.ends_with(&string.as_bytes()[..at]) {
                    let mut ids = vec![id];
                    ids.extend(rest.iter().take(limits::DRY_BREAKER_IDS_MAX - 1));
                    found.insert(ids);
                }
            }
        }
    }
    found.into_iter().take(limits::DRY_BREAKERS_MAX).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
