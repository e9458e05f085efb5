//! Hugging Face's `tokenizer.json` and `tokenizer_config.json`.

mod parts;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::added::Added;
use crate::bpe::{Bpe, Fallback, Rule};
use crate::error::TokenError;
use crate::gguf::{byte_ids, merges};
use crate::special;
use crate::split::Split;
use crate::tokens::{Flags, Kind, Spelling, Token, Tokens};
use crate::unigram::Unigram;
use crate::vocab::{Model, Special, Vocab};
use crate::wordpiece::WordPiece;

/// Ids above this are a mistake in the file, not a vocabulary.
const IDS_MAX: u32 = 1 << 24;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: ModelPart,
}

#[derive(Deserialize)]
struct AddedToken {
    #[serde(default)]
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct ModelPart {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Entries,
    #[serde(default)]
    merges: Vec<Merge>,
    unk_token: Option<String>,
    unk_id: Option<u32>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    ignore_merges: bool,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

/// BPE and WordPiece map text to id; unigram lists text and score in the order of ids.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entries {
    Ids(HashMap<String, u32>),
    Scores(Vec<(String, f32)>),
}

/// `"left right"` in older files, `["left", "right"]` in newer ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Line(String),
    Pair(String, String),
}

impl Merge {
    fn pair(&self) -> Option<(&[u8], &[u8])> {
        let (left, right) = match self {
            Merge::Line(line) => line.split_once(' ')?,
            Merge::Pair(left, right) => (&left[..], &right[..]),
        };
        Some((left.as_bytes(), right.as_bytes()))
    }
}

pub(crate) fn read(json: &str) -> Result<Vocab, TokenError> {
    let file: File = serde_json::from_str(json)?;
    let kind = model_kind(&file.model);
    let steps = parts::Steps::read(&file.normalizer, &file.pre_tokenizer, &file.decoder)?;
    let spelling = match kind {
        "WordPiece" => Spelling::WordPiece,
        _ if steps.byte_level => Spelling::ByteLevel,
        _ if steps.spaces => Spelling::Spaces,
        _ => Spelling::Plain,
    };
    let mut tokens = Tokens::new(token_list(&file)?, spelling);
    let unknown = file.model.unk_token.as_ref().and_then(|text| tokens.id(text.as_bytes()));
    let model = match kind {
        "BPE" => Model::Bpe(byte_pair(&file.model, &tokens, unknown)?),
        "Unigram" => {
            let unknown = file.model.unk_id.or(unknown);
            Model::Unigram(Unigram::new(&tokens, unknown, file.model.byte_fallback))
        }
        "WordPiece" => Model::WordPiece(WordPiece::new(&tokens, unknown)),
        other => return Err(TokenError::Unsupported(format!("model {other}"))),
    };
    let mut splits = steps.splits;
    let safe = matches!(model, Model::Bpe(_) | Model::Unigram(_)) && tokens.spaces_only_lead();
    splits.extend(safe.then(Split::before_space));
    let (prefix, suffix) = parts::around(&file.post_processor, &tokens);
    let ends = special::ends(&mut tokens, &[]);
    let special = Special { bos: prefix.first().copied(), eos: None, ends, prefix, suffix };
    Ok(Vocab {
        added: Added::new(&tokens)?,
        tokens,
        normalizers: steps.normalizers,
        splits,
        model,
        special,
        strips_first_space: steps.strips_first_space || kind == "WordPiece",
    })
}

/// Older files do not say which model theirs is.
fn model_kind(model: &ModelPart) -> &str {
    match &model.kind {
        Some(kind) => kind,
        None if matches!(model.vocab, Entries::Scores(_)) => "Unigram",
        None if model.merges.is_empty() => "WordPiece",
        None => "BPE",
    }
}

fn token_list(file: &File) -> Result<Vec<Token>, TokenError> {
    let mut list: Vec<Token> = Vec::new();
    let mut put = |id: u32, token: Token| {
        if id > IDS_MAX {
            return Err(TokenError::invalid("vocab", format!("id {id} is above {IDS_MAX}")));
        }
        // A gap in the numbering is a token that no text has.
        while list.len() <= id as usize {
            list.push(Token::new("", Kind::Unused));
        }
        list[id as usize] = token;
        Ok(())
    };
    match &file.model.vocab {
        Entries::Ids(ids) => {
            for (text, &id) in ids {
                put(id, Token::new(text.as_str(), kind_of(text, file)))?;
            }
        }
        Entries::Scores(scores) => {
            for (id, (text, score)) in scores.iter().enumerate() {
                let kind = kind_of(text, file);
                put(id as u32, Token { score: *score, ..Token::new(text.as_str(), kind) })?;
            }
        }
    }
    for added in &file.added_tokens {
        let kind = if added.special { Kind::Control } else { Kind::UserDefined };
        let AddedToken { lstrip, rstrip, single_word, .. } = *added;
        let flags = Flags { lstrip, rstrip, single_word };
        put(added.id, Token { flags, ..Token::new(added.content.as_str(), kind) })?;
    }
    Ok(list)
}

fn kind_of(text: &str, file: &File) -> Kind {
    let byte = file.model.byte_fallback && crate::tokens::byte_of(text.as_bytes()).is_some();
    if byte { Kind::Byte } else { Kind::Normal }
}

fn byte_pair(model: &ModelPart, tokens: &Tokens, unknown: Option<u32>) -> Result<Bpe, TokenError> {
    for (name, part) in [
        ("continuing_subword_prefix", &model.continuing_subword_prefix),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ] {
        if part.as_ref().is_some_and(|part| !part.is_empty()) {
            return Err(TokenError::Unsupported(format!("model.{name}")));
        }
    }
    let fallback = match tokens.byte_tokens().filter(|_| model.byte_fallback) {
        _ if tokens.spelling == Spelling::ByteLevel => Fallback::Bytes(byte_ids(tokens)),
        Some(ids) => Fallback::ByteTokens(ids),
        None => Fallback::Unknown { id: unknown, fuse: model.fuse_unk },
    };
    let merges = merges(tokens, model.merges.iter().map(|m| m.pair().unwrap_or_default()));
    Ok(Bpe { rule: Rule::Merges(merges), fallback, whole_words: model.ignore_merges })
}

/// Takes over `bos_token`, `eos_token`, `add_bos_token`, `add_eos_token`, `added_tokens_decoder`.
pub(crate) fn configure(mut vocab: Vocab, json: &str) -> Result<Vocab, TokenError> {
    let config: Value = serde_json::from_str(json)?;
    if let Some(Value::Object(added)) = config.get("added_tokens_decoder") {
        for (id, token) in added {
            let (Ok(id), Ok(token)) = (id.parse(), AddedToken::deserialize(token)) else {
                continue;
            };
            // The list may be of a sibling model: only tokens that agree are taken over.
            if vocab.token_text(id) != Some(&token.content) {
                continue;
            }
            let kind = if token.special { Kind::Control } else { Kind::UserDefined };
            vocab.tokens.set_kind(id, kind);
            if let Some(flags) = vocab.tokens.flags_mut(id) {
                let AddedToken { lstrip, rstrip, single_word, .. } = token;
                *flags = Flags { lstrip, rstrip, single_word };
            }
        }
    }
    // A token is written as its text or as an object with its text in `content`.
    let named = |key: &str| {
        let token = config.get(key)?;
        vocab.id(token.as_str().or_else(|| token.get("content")?.as_str())?)
    };
    let (bos, eos) = (named("bos_token"), named("eos_token"));
    let flag = |key: &str| config.get(key).and_then(Value::as_bool);
    vocab.special.bos = bos.or(vocab.special.bos.filter(|_| config.get("bos_token").is_none()));
    vocab.special.eos = eos.or(vocab.special.eos);
    set_edge(&mut vocab.special.prefix, bos, flag("add_bos_token"));
    set_edge(&mut vocab.special.suffix, eos, flag("add_eos_token"));
    vocab.special.ends = special::ends(&mut vocab.tokens, &[vocab.special.eos]);
    vocab.added = Added::new(&vocab.tokens)?;
    Ok(vocab)
}

/// Puts a token at the edge of a text, or takes it away, where the configuration decides it.
fn set_edge(edge: &mut Vec<u32>, token: Option<u32>, wanted: Option<bool>) {
    match (token, wanted) {
        (Some(token), Some(true)) if !edge.contains(&token) => edge.insert(0, token),
        (Some(token), Some(false)) => edge.retain(|&id| id != token),
        _ => {}
    }
}
