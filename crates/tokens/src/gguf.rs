//! The vocabulary of a GGUF file: `tokenizer.ggml.*`.

use std::collections::HashMap;

use crate::added::Added;
use crate::bpe::{Bpe, Fallback, Rule, ranks_by_score};
use crate::charsmap::Charsmap;
use crate::error::TokenError;
use crate::normalize::Normalizer;
use crate::pretokenizers;
use crate::special;
use crate::split::Split;
use crate::tokens::{Kind, SPACE, Spelling, Token, Tokens, alphabet, from_byte_level};
use crate::unigram::Unigram;
use crate::vocab::{Model, Special, Vocab};
use crate::wordpiece::WordPiece;

/// A GGUF file's metadata, however it is stored. A key of another type reads as absent.
pub trait GgufMeta {
    /// A string.
    fn str(&self, key: &str) -> Option<&str>;
    /// An integer of any width that is not negative.
    fn u64(&self, key: &str) -> Option<u64>;
    /// A boolean.
    fn bool(&self, key: &str) -> Option<bool>;
    /// An array of strings, as bytes: token lists need not be UTF-8.
    fn strings(&self, key: &str) -> Option<Vec<Vec<u8>>>;
    /// An array of f32.
    fn f32s(&self, key: &str) -> Option<Vec<f32>>;
    /// An array of i32 (or of another integer type whose values fit).
    fn i32s(&self, key: &str) -> Option<Vec<i32>>;
    /// An array of u8 or i8, as bytes.
    fn bytes(&self, key: &str) -> Option<Vec<u8>>;
}

/// Ids and switches that stand when the file is silent.
#[derive(Clone, Copy, Default)]
struct Defaults {
    bos: Option<u32>,
    eos: Option<u32>,
    unknown: Option<u32>,
    sep: Option<u32>,
    adds_bos: bool,
    adds_eos: bool,
    adds_sep: bool,
}

/// What is settled before the special tokens are.
struct Parts {
    tokens: Tokens,
    defaults: Defaults,
    normalizers: Vec<Normalizer>,
    splits: Vec<Split>,
    strips_first_space: bool,
}

pub(crate) fn read(meta: &dyn GgufMeta) -> Result<Vocab, TokenError> {
    let kind =
        meta.str("tokenizer.ggml.model").ok_or(TokenError::Missing("tokenizer.ggml.model"))?;
    let list = token_list(meta)?;
    match kind {
        "gpt2" | "gemma4" => byte_pair(meta, list, kind == "gemma4"),
        "llama" => sentencepiece(meta, list),
        "t5" => unigram(meta, list),
        "bert" => bert(meta, list),
        other => Err(TokenError::Unsupported(format!("tokenizer.ggml.model = {other}"))),
    }
}

fn token_list(meta: &dyn GgufMeta) -> Result<Vec<Token>, TokenError> {
    const TOKENS: &str = "tokenizer.ggml.tokens";
    const SCORES: &str = "tokenizer.ggml.scores";
    const KINDS: &str = "tokenizer.ggml.token_type";
    let texts = meta.strings(TOKENS).ok_or(TokenError::Missing(TOKENS))?;
    let whole = meta.i32s(SCORES).map(|scores| scores.into_iter().map(|s| s as f32).collect());
    let scores: Option<Vec<f32>> = meta.f32s(SCORES).or(whole);
    let kinds = meta.i32s(KINDS);
    let check = |field: &str, len: Option<usize>| match len {
        Some(len) if len < texts.len() => {
            Err(TokenError::invalid(field, format!("{len} values for {} tokens", texts.len())))
        }
        _ => Ok(()),
    };
    check(SCORES, scores.as_ref().map(Vec::len))?;
    check(KINDS, kinds.as_ref().map(Vec::len))?;
    let token = |(id, text): (usize, Vec<u8>)| Token {
        score: scores.as_ref().map_or(0.0, |scores| scores[id]),
        ..Token::new(text, kinds.as_ref().map_or(Kind::Normal, |k| Kind::from_number(k[id].into())))
    };
    Ok(texts.into_iter().enumerate().map(token).collect())
}

fn byte_pair(meta: &dyn GgufMeta, list: Vec<Token>, gemma: bool) -> Result<Vocab, TokenError> {
    let name = if gemma { "gemma4" } else { meta.str("tokenizer.ggml.pre").unwrap_or_default() };
    let pre = pretokenizers::lookup(name)?;
    let spelling = match name {
        "whitespace" => Spelling::Plain,
        _ if pre.spaces => Spelling::Spaces,
        _ => Spelling::ByteLevel,
    };
    let tokens = Tokens::new(list, spelling);
    let merges = match meta.strings("tokenizer.ggml.merges") {
        Some(lines) => merges(&tokens, lines.iter().filter_map(|line| pair(line))),
        // Kimi K2 was published as a list of ranks: a merge is as early as the token it makes.
        None if name == "kimi-k2" => {
            let rule = Rule::Scores((0..tokens.len() as u32).collect());
            return byte_pair_with(meta, pre, tokens, rule);
        }
        None => return Err(TokenError::Missing("tokenizer.ggml.merges")),
    };
    byte_pair_with(meta, pre, tokens, Rule::Merges(merges))
}

fn byte_pair_with(
    meta: &dyn GgufMeta,
    pre: pretokenizers::Pre,
    tokens: Tokens,
    rule: Rule,
) -> Result<Vocab, TokenError> {
    let fallback = match (tokens.spelling, tokens.byte_tokens()) {
        (Spelling::ByteLevel, _) => Fallback::Bytes(byte_ids(&tokens)),
        (_, Some(ids)) => Fallback::ByteTokens(ids),
        (_, None) => Fallback::Unknown { id: None, fuse: false },
    };
    let mut splits = pre.splits()?;
    let mut normalizers = Vec::new();
    if tokens.spelling == Spelling::Spaces {
        normalizers.push(Normalizer::Replace { from: " ".into(), to: SPACE.into() });
        splits.extend(tokens.spaces_only_lead().then(Split::before_space));
    }
    let model = Model::Bpe(Bpe { rule, fallback, whole_words: pre.whole_words });
    let defaults =
        Defaults { adds_bos: pre.adds_bos, adds_sep: pre.adds_sep, ..Defaults::default() };
    let parts = Parts { tokens, defaults, normalizers, splits, strips_first_space: false };
    // Gemma 4 was published with files that deny the BOS it cannot do without.
    let forced = pre.spaces && pre.adds_bos;
    finish(meta, parts, |_| Ok(model), forced)
}

fn sentencepiece(meta: &dyn GgufMeta, list: Vec<Token>) -> Result<Vocab, TokenError> {
    let tokens = Tokens::new(list, Spelling::Spaces);
    let prefix = meta.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let mut normalizers = Vec::new();
    if prefix {
        normalizers.push(Normalizer::Prepend(SPACE.into()));
    }
    normalizers.push(Normalizer::Replace { from: " ".into(), to: SPACE.into() });
    let splits = tokens.spaces_only_lead().then(Split::before_space).into_iter().collect();
    let (bos, eos, unknown) = (Some(1), Some(2), Some(0));
    let defaults = Defaults { bos, eos, unknown, adds_bos: true, ..Defaults::default() };
    let parts = Parts { tokens, defaults, normalizers, splits, strips_first_space: prefix };
    finish(
        meta,
        parts,
        |parts| Ok(Model::Bpe(scored(&parts.tokens, parts.defaults.unknown))),
        false,
    )
}

fn unigram(meta: &dyn GgufMeta, list: Vec<Token>) -> Result<Vocab, TokenError> {
    let tokens = Tokens::new(list, Spelling::Spaces);
    let prefix = meta.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let collapse = meta.bool("tokenizer.ggml.remove_extra_whitespaces").unwrap_or(false);
    let map = meta.bytes("tokenizer.ggml.precompiled_charsmap").filter(|map| !map.is_empty());
    let normalizers = sentencepiece_normalizers(map.as_deref(), collapse, prefix)?;
    let splits = tokens.spaces_only_lead().then(Split::before_space).into_iter().collect();
    let (eos, unknown) = (Some(1), Some(2));
    let defaults = Defaults { eos, unknown, adds_eos: true, ..Defaults::default() };
    let parts = Parts { tokens, defaults, normalizers, splits, strips_first_space: prefix };
    let model = |parts: &Parts| {
        Ok(Model::Unigram(Unigram::new(&parts.tokens, parts.defaults.unknown, false)))
    };
    finish(meta, parts, model, false)
}

fn bert(meta: &dyn GgufMeta, list: Vec<Token>) -> Result<Vocab, TokenError> {
    let tokens = Tokens::new(list, Spelling::Spaces);
    let lowercase = meta.bool("tokenizer.ggml.normalizer.lowercase").unwrap_or(true);
    let strip = meta.bool("tokenizer.ggml.normalizer.strip_accents").unwrap_or(lowercase);
    let mut normalizers = vec![Normalizer::Clean, Normalizer::SpaceChinese];
    if strip {
        normalizers.extend([Normalizer::Nfd, Normalizer::StripAccents]);
    }
    if lowercase {
        normalizers.push(Normalizer::Lowercase);
    }
    let splits = bert_splits()?;
    let (bos, unknown, sep) = (Some(101), Some(100), Some(102));
    let defaults =
        Defaults { bos, unknown, sep, adds_bos: true, adds_sep: true, ..Defaults::default() };
    let parts = Parts { tokens, defaults, normalizers, splits, strips_first_space: true };
    let model =
        |parts: &Parts| Ok(Model::WordPiece(WordPiece::new(&parts.tokens, parts.defaults.unknown)));
    finish(meta, parts, model, false)
}

/// Settles the special tokens, then builds what depends on them.
fn finish(
    meta: &dyn GgufMeta,
    mut parts: Parts,
    model: impl FnOnce(&Parts) -> Result<Model, TokenError>,
    forced_bos: bool,
) -> Result<Vocab, TokenError> {
    let len = parts.tokens.len() as u64;
    let id = |name: &str, default: Option<u32>| {
        let given = meta.u64(&format!("tokenizer.ggml.{name}")).filter(|&id| id < len);
        given.map(|id| id as u32).or(default.filter(|&id| u64::from(id) < len))
    };
    let flag =
        |name: &str, default| meta.bool(&format!("tokenizer.ggml.{name}")).unwrap_or(default);
    let d = parts.defaults;
    let bos = id("bos_token_id", d.bos);
    let eos = id("eos_token_id", d.eos);
    // Older files spell it `seperator`.
    let sep = id("separator_token_id", id("seperator_token_id", d.sep));
    parts.defaults.unknown = id("unknown_token_id", d.unknown);
    let named = [eos, id("eot_token_id", None), id("eom_token_id", None)];
    let ends = special::ends(&mut parts.tokens, &named);
    strip_around(meta, &mut parts.tokens);
    let mut special = Special { bos, eos, ends, ..Special::default() };
    if forced_bos || flag("add_bos_token", d.adds_bos) {
        special.prefix.extend(bos);
    }
    if flag("add_eos_token", d.adds_eos) {
        special.suffix.extend(eos);
    }
    if flag("add_sep_token", d.adds_sep) && special.suffix.is_empty() {
        special.suffix.extend(sep);
    }
    Ok(Vocab {
        model: model(&parts)?,
        added: Added::new(&parts.tokens)?,
        tokens: parts.tokens,
        normalizers: parts.normalizers,
        splits: parts.splits,
        special,
        strips_first_space: parts.strips_first_space,
    })
}

/// GGUF has no key for the whitespace that a special token takes; the models known to need it are
/// recognized as llama.cpp does, by name.
fn strip_around(meta: &dyn GgufMeta, tokens: &mut Tokens) {
    let name = meta.str("general.name").unwrap_or_default().to_lowercase();
    let pre = meta.str("tokenizer.ggml.pre").unwrap_or_default();
    if name.contains("phi-3") || name.contains("phi3") {
        let keep: [&[u8]; 3] = [b"<unk>", b"<s>", b"<|endoftext|>"];
        let special =
            |t: &Token| matches!(t.kind, Kind::Control | Kind::UserDefined | Kind::Unknown);
        let taken = tokens.iter().filter(|(_, t)| special(t) && !keep.contains(&&t.text[..]));
        for id in taken.map(|(id, _)| id).collect::<Vec<_>>() {
            tokens.flags_mut(id).into_iter().for_each(|flags| flags.rstrip = true);
        }
    }
    let mask = match pre {
        "jina-v2-de" | "jina-v2-es" | "jina-v2-code" => tokens.id(b"<mask>"),
        _ if name.contains("modern-bert") => tokens.id(b"[MASK]"),
        _ => None,
    };
    if let Some(flags) = mask.and_then(|id| tokens.flags_mut(id)) {
        flags.lstrip = true;
    }
}

/// SentencePiece's BPE: scores order the merges.
pub(crate) fn scored(tokens: &Tokens, unknown: Option<u32>) -> Bpe {
    let fallback = match tokens.byte_tokens() {
        Some(ids) => Fallback::ByteTokens(ids),
        None => Fallback::Unknown { id: unknown, fuse: true },
    };
    Bpe { rule: Rule::Scores(ranks_by_score(tokens)), fallback, whole_words: false }
}

/// What SentencePiece does to a text before it looks for tokens.
pub(crate) fn sentencepiece_normalizers(
    charsmap: Option<&[u8]>,
    collapse: bool,
    prefix: bool,
) -> Result<Vec<Normalizer>, TokenError> {
    let mut normalizers = Vec::new();
    if let Some(map) = charsmap {
        normalizers.push(Normalizer::Charsmap(Box::new(Charsmap::new(map)?)));
    }
    if collapse {
        normalizers.push(Normalizer::CollapseSpaces);
    }
    if prefix {
        normalizers.push(Normalizer::Prepend(SPACE.into()));
    }
    normalizers.push(Normalizer::Replace { from: " ".into(), to: SPACE.into() });
    Ok(normalizers)
}

/// BERT's words: between spaces, with each punctuation mark alone.
pub(crate) fn bert_splits() -> Result<Vec<Split>, TokenError> {
    use crate::split::Behavior;
    let punctuation = Split::isolate(r"[\p{P}!-/:-@\[-`{-~]")?;
    Ok(vec![Split::new(r"\s", Behavior::Removed, false)?, punctuation])
}

/// (left, right) of a merge written as `left right`; either may begin with a space itself.
fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().skip(1).position(|&b| b == b' ')? + 1;
    Some((&line[..at], &line[at + 1..]))
}

/// Merges by ids. One whose parts or result are no tokens can never be made and is left out.
pub(crate) fn merges<'a>(
    tokens: &Tokens,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> HashMap<(u32, u32), (u32, u32)> {
    let alphabet = alphabet();
    let bytes = |text: &[u8]| match tokens.spelling {
        Spelling::ByteLevel => from_byte_level(text, &alphabet),
        _ => Some(text.to_vec()),
    };
    let mut merges = HashMap::new();
    for (rank, (left, right)) in pairs.enumerate() {
        let (Some(left), Some(right)) = (bytes(left), bytes(right)) else { continue };
        let joined = [&left[..], &right[..]].concat();
        let found = (tokens.matching(&left), tokens.matching(&right), tokens.matching(&joined));
        if let (Some(left), Some(right), Some(joined)) = found {
            merges.entry((left, right)).or_insert((rank as u32, joined));
        }
    }
    merges
}

/// The token of each single byte.
pub(crate) fn byte_ids(tokens: &Tokens) -> Box<[Option<u32>; 256]> {
    Box::new(std::array::from_fn(|byte| tokens.matching(&[byte as u8])))
}
