//! BERT's WordPiece: each word is the longest token that fits, then the longest that continues it.

use std::collections::HashMap;

use crate::tokens::{Kind, SPACE, Spelling, Tokens};

/// A longer word is unknown as a whole, which also bounds the time a word takes.
const WORD_CHARS_MAX: usize = 100;

/// Tokens that begin a word and tokens that continue one.
#[derive(Debug)]
pub(crate) struct WordPiece {
    begin: HashMap<Box<[u8]>, u32>,
    go_on: HashMap<Box<[u8]>, u32>,
    unknown: Option<u32>,
}

impl WordPiece {
    /// GGUF marks tokens that begin a word with U+2581, Hugging Face those that go on with `##`.
    pub(crate) fn new(tokens: &Tokens, unknown: Option<u32>) -> WordPiece {
        let mut this = WordPiece { begin: HashMap::new(), go_on: HashMap::new(), unknown };
        let marked_start = tokens.spelling == Spelling::Spaces;
        for (id, token) in tokens.iter().filter(|(_, token)| token.kind == Kind::Normal) {
            let mark: &[u8] = if marked_start { SPACE.as_bytes() } else { b"##" };
            let marked = token.text.strip_prefix(mark);
            let part =
                if marked.is_some() == marked_start { &mut this.begin } else { &mut this.go_on };
            part.insert(marked.unwrap_or(&token.text).into(), id);
        }
        this
    }

    /// Appends the ids of one word.
    pub(crate) fn encode(&self, word: &[u8], out: &mut Vec<u32>) {
        let first = out.len();
        let text = String::from_utf8_lossy(word);
        let mut rest = &*text;
        let long = text.chars().count() > WORD_CHARS_MAX;
        while !rest.is_empty() {
            let part = if out.len() == first { &self.begin } else { &self.go_on };
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
            let ends: Vec<usize> = if long { vec![] } else { ends.collect() };
            let found =
                ends.iter().rev().find_map(|&end| Some((end, *part.get(&rest.as_bytes()[..end])?)));
            let Some((end, id)) = found else {
                out.truncate(first);
                return out.extend(self.unknown);
            };
            out.push(id);
            rest = &rest[end..];
        }
    }
}
