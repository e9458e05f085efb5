//! Text to ids and back, and the templates that write a chat as text.
//!
//! A [`Vocab`] is read from GGUF metadata, `tokenizer.json` or `tokenizer.model` into the same
//! parts: special tokens, normalizers, splits, one model. This crate knows no file and no device.
#![forbid(unsafe_code)]

mod added;
mod bpe;
mod charsmap;
mod decoder;
mod error;
mod gguf;
mod huggingface;
mod normalize;
mod pretokenizers;
mod sentencepiece;
mod special;
mod split;
mod template;
mod tokens;
mod trie;
mod unigram;
mod vocab;
mod wordpiece;

pub use decoder::Decoder;
pub use error::TokenError;
pub use gguf::GgufMeta;
pub use template::{Template, TemplateError, builtin_template};
pub use vocab::Vocab;
