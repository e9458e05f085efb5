//! The vocabulary: text to ids and back.

use std::collections::HashMap;
use std::ops::Range;

use crate::added::{Added, Fragment};
use crate::bpe::Bpe;
use crate::decoder::Decoding;
use crate::error::TokenError;
use crate::gguf::{self, GgufMeta};
use crate::normalize::Normalizer;
use crate::split::Split;
use crate::tokens::{Kind, Tokens};
use crate::unigram::Unigram;
use crate::wordpiece::WordPiece;
use crate::{huggingface, sentencepiece};

/// Longer words are encoded anew each time: they hardly ever repeat.
const CACHED_WORD_BYTES_MAX: usize = 64;

/// A model's vocabulary. Immutable and shared between threads; put it in an `Arc`.
#[derive(Debug)]
pub struct Vocab {
    pub(crate) tokens: Tokens,
    pub(crate) added: Added,
    pub(crate) normalizers: Vec<Normalizer>,
    pub(crate) splits: Vec<Split>,
    pub(crate) model: Model,
    pub(crate) special: Special,
    /// Decoded text loses the space that encoding put before it.
    pub(crate) strips_first_space: bool,
}

/// How a word becomes ids.
#[derive(Debug)]
pub(crate) enum Model {
    Bpe(Bpe),
    Unigram(Unigram),
    WordPiece(WordPiece),
}

/// Tokens with a role.
#[derive(Debug, Default)]
pub(crate) struct Special {
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    /// Every id that ends a generation, `eos` first.
    pub ends: Vec<u32>,
    /// What `add_special` puts before and after a text.
    pub prefix: Vec<u32>,
    pub suffix: Vec<u32>,
}

impl Vocab {
    /// Reads `tokenizer.ggml.*`.
    ///
    /// # Errors
    /// A key is missing or inconsistent, or the kind of tokenizer is unknown.
    pub fn from_gguf(meta: &dyn GgufMeta) -> Result<Vocab, TokenError> {
        gguf::read(meta)
    }

    /// Reads Hugging Face's `tokenizer.json`.
    ///
    /// # Errors
    /// The text is no such JSON, or names a part that is not supported.
    pub fn from_tokenizer_json(json: &str) -> Result<Vocab, TokenError> {
        huggingface::read(json)
    }

    /// Reads SentencePiece's `tokenizer.model`.
    ///
    /// # Errors
    /// The bytes are no such file, or its model is neither BPE nor unigram.
    pub fn from_sentencepiece(bytes: &[u8]) -> Result<Vocab, TokenError> {
        sentencepiece::read(bytes)
    }

    /// Takes over what `tokenizer_config.json` says about special tokens.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn with_config(self, tokenizer_config_json: &str) -> Result<Vocab, TokenError> {
        huggingface::configure(self, tokenizer_config_json)
    }

    /// The ids of a text. `add_special` adds BOS and EOS where the model wants them;
    /// `parse_special` reads control tokens spelled in the text as such (otherwise they are text).
    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Vec<u32> {
        let mut out = Vec::with_capacity(text.len() / 3 + 2);
        if add_special {
            out.extend_from_slice(&self.special.prefix);
        }
        for (at, fragment) in self.added.fragments(text, parse_special).into_iter().enumerate() {
            match fragment {
                Fragment::Text(text) => self.encode_text(text, at == 0, &mut out),
                Fragment::Token(id) => out.push(id),
            }
        }
        if add_special {
            out.extend_from_slice(&self.special.suffix);
        }
        out
    }

    fn encode_text(&self, text: &str, at_start: bool, out: &mut Vec<u32>) {
        let mut normalized = text.to_owned();
        for normalizer in &self.normalizers {
            normalized = normalizer.apply(normalized, at_start);
        }
        let mut words = vec![normalized.as_str()];
        for split in &self.splits {
            let mut finer = Vec::with_capacity(words.len());
            words.iter().for_each(|part| split.cut(part, &mut finer));
            words = finer;
        }
        let mut seen: HashMap<&str, Range<usize>> = HashMap::new();
        for word in words {
            if let Some(known) = seen.get(word) {
                out.extend_from_within(known.clone());
                continue;
            }
            let start = out.len();
            self.encode_word(word.as_bytes(), out);
            if word.len() <= CACHED_WORD_BYTES_MAX {
                seen.insert(word, start..out.len());
            }
        }
    }

    fn encode_word(&self, word: &[u8], out: &mut Vec<u32>) {
        match &self.model {
            Model::Bpe(bpe) => bpe.encode(word, &self.tokens, out),
            Model::Unigram(unigram) => unigram.encode(word, out),
            Model::WordPiece(wordpiece) => wordpiece.encode(word, out),
        }
    }

    /// Number of ids; each id is below it.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes a token stands for; they need not be whole characters.
    pub fn piece(&self, id: u32) -> Option<&[u8]> {
        self.tokens.piece(id)
    }

    /// A token as the vocabulary spells it, for example `<|im_end|>`; `None` also where the
    /// spelling is not UTF-8.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        std::str::from_utf8(&self.tokens.get(id)?.text).ok()
    }

    /// The token spelled so in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokens.id(token.as_bytes())
    }

    /// Whether a token steers the model and is not part of its text.
    pub fn is_special(&self, id: u32) -> bool {
        self.tokens.get(id).is_some_and(|t| matches!(t.kind, Kind::Control | Kind::Unknown))
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.special.bos
    }

    /// Every token that ends a generation; the model's own EOS comes first.
    pub fn eos(&self) -> &[u32] {
        &self.special.ends
    }

    /// Whether `add_special` begins a text with [`Vocab::bos`].
    pub fn adds_bos(&self) -> bool {
        self.special.bos.is_some() && self.special.prefix.first() == self.special.bos.as_ref()
    }

    /// The text of ids. Bytes that are no UTF-8 become U+FFFD; ids out of range stand for nothing.
    pub fn decode(&self, ids: &[u32], show_special: bool) -> String {
        let mut decoding = Decoding::new(show_special);
        let mut text: String = ids.iter().map(|&id| decoding.push(self, id)).collect();
        text.push_str(&decoding.finish());
        text
    }
}
