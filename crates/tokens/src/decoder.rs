//! Ids to text while they arrive: never half a character.

use std::sync::Arc;

use crate::vocab::Vocab;

/// Turns a stream of ids into text. What it gives out, joined, is [`Vocab::decode`] of all ids.
#[derive(Clone, Debug)]
pub struct Decoder {
    vocab: Arc<Vocab>,
    decoding: Decoding,
}

impl Decoder {
    /// A decoder at the start of a text, where SentencePiece's first space is not shown.
    pub fn new(vocab: Arc<Vocab>, show_special: bool) -> Decoder {
        Decoder { vocab, decoding: Decoding::new(show_special) }
    }

    /// The same for ids that go on a text shown already: their first space is shown.
    pub fn continuing(mut self) -> Decoder {
        self.decoding.at_start = false;
        self
    }

    /// The characters that are complete with this id; often none.
    pub fn push(&mut self, id: u32) -> String {
        self.decoding.push(&self.vocab, id)
    }

    /// What is left at the end: U+FFFD if a character was begun and not finished.
    pub fn finish(&mut self) -> String {
        self.decoding.finish()
    }
}

/// The state of decoding.
#[derive(Clone, Debug)]
pub(crate) struct Decoding {
    /// Bytes of a character that is not complete: at most three.
    pending: Vec<u8>,
    show_special: bool,
    at_start: bool,
}

impl Decoding {
    pub(crate) fn new(show_special: bool) -> Decoding {
        Decoding { pending: Vec::new(), show_special, at_start: true }
    }

    pub(crate) fn push(&mut self, vocab: &Vocab, id: u32) -> String {
        let special = vocab.is_special(id);
        if special && !self.show_special {
            return String::new();
        }
        let mut piece = vocab.piece(id).unwrap_or_default();
        if self.at_start && vocab.strips_first_space && !special {
            piece = piece.strip_prefix(b" ").unwrap_or(piece);
            self.at_start = false;
        }
        self.pending.extend_from_slice(piece);
        let mut text = String::new();
        let keep = complete(&self.pending, &mut text);
        self.pending.drain(..keep);
        text
    }

    pub(crate) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Appends all of `bytes` but a character begun at its end; returns how many bytes that was.
fn complete(bytes: &[u8], text: &mut String) -> usize {
    let mut done = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        done += chunk.valid().len();
        let bad = chunk.invalid();
        let at_end = done + bad.len() == bytes.len();
        // `error_len` is `None` exactly where more bytes could still make a character.
        let unfinished = std::str::from_utf8(bad).is_err_and(|e| e.error_len().is_none());
        if bad.is_empty() || (at_end && unfinished) {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        done += bad.len();
    }
    done
}
