//! SentencePiece's unigram model: the most likely way to write a text in tokens (Kudo 2018,
//! "Subword Regularization"), found by Viterbi's algorithm.

use crate::bpe::char_end;
use crate::tokens::{Kind, Tokens};
use crate::trie::Trie;

/// How much less likely an unknown character is than the least likely token.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Tokens with their log-probabilities.
#[derive(Debug)]
pub(crate) struct Unigram {
    trie: Trie,
    scores: Vec<f64>,
    unknown_score: f64,
    unknown: Option<u32>,
    /// Unknown characters are written in byte tokens.
    bytes: Option<Box<[u32; 256]>>,
}

/// The best way to write the text up to some byte.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    start: usize,
    id: Option<u32>,
}

impl Unigram {
    pub(crate) fn new(tokens: &Tokens, unknown: Option<u32>, byte_fallback: bool) -> Unigram {
        let mut trie = Trie::default();
        for (piece, id) in tokens.matchable() {
            trie.insert(piece, id);
        }
        let normal = tokens.iter().filter(|(_, token)| token.kind == Kind::Normal);
        let min = normal.map(|(_, token)| f64::from(token.score)).fold(f64::INFINITY, f64::min);
        let score = |token: &crate::tokens::Token| match token.kind {
            // Zero is the highest log-probability: what the user defined is always preferred.
            Kind::UserDefined => 0.0,
            _ => f64::from(token.score),
        };
        Unigram {
            trie,
            scores: tokens.iter().map(|(_, token)| score(token)).collect(),
            unknown_score: if min.is_finite() { min } else { 0.0 } - UNKNOWN_PENALTY,
            unknown,
            bytes: tokens.byte_tokens().filter(|_| byte_fallback),
        }
    }

    /// Appends the ids of normalized text.
    pub(crate) fn encode(&self, text: &[u8], out: &mut Vec<u32>) {
        let best = self.forward(text);
        let mut path = Vec::new();
        let mut end = text.len();
        while end > 0 {
            path.push((best[end].id, best[end].start..end));
            end = best[end].start;
        }
        let mut after_unknown = false;
        for (id, range) in path.into_iter().rev() {
            match (id, &self.bytes) {
                (Some(id), _) => out.push(id),
                (None, Some(ids)) => out.extend(text[range].iter().map(|&b| ids[b as usize])),
                (None, None) if !after_unknown => out.extend(self.unknown),
                (None, None) => {}
            }
            after_unknown = id.is_none();
        }
    }

    fn forward(&self, text: &[u8]) -> Vec<Best> {
        let unreached = Best { score: f64::NEG_INFINITY, start: 0, id: None };
        let mut best = vec![unreached; text.len() + 1];
        best[0].score = 0.0;
        let mut start = 0;
        while start < text.len() {
            let here = best[start].score;
            let next = char_end(text, start);
            let mut covered = false;
            let mut offer = |end: usize, score: f64, id: Option<u32>| {
                if here + score > best[end].score {
                    best[end] = Best { score: here + score, start, id };
                }
            };
            for (len, id) in self.trie.prefixes(&text[start..]) {
                covered |= start + len == next;
                if Some(id) != self.unknown {
                    offer(start + len, self.scores[id as usize], Some(id));
                }
            }
            if !covered {
                offer(next, self.unknown_score, None);
            }
            start = next;
        }
        best
    }
}
