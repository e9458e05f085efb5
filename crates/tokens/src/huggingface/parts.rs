//! The parts of `tokenizer.json` that rewrite and cut text, by their `type`.

use regex_automata::meta::Regex;
use serde_json::Value;

use crate::charsmap::Charsmap;
use crate::error::TokenError;
use crate::gguf::bert_splits;
use crate::normalize::Normalizer;
use crate::split::{Behavior, Split};
use crate::tokens::{SPACE, Tokens};

/// GPT-2's expression, which the part `ByteLevel` stands for.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const PUNCTUATION: &str = r"[\p{P}!-/:-@\[-`{-~]";

/// Everything that happens to a text before the model sees it, and what decoding must undo.
#[derive(Default)]
pub(super) struct Steps {
    pub normalizers: Vec<Normalizer>,
    pub splits: Vec<Split>,
    /// Tokens are spelled in GPT-2's alphabet.
    pub byte_level: bool,
    /// Tokens are spelled with U+2581 for a space.
    pub spaces: bool,
    pub strips_first_space: bool,
    /// The text is cut at whitespace.
    words_alone: bool,
}

impl Steps {
    pub(super) fn read(norm: &Value, pre: &Value, decoder: &Value) -> Result<Steps, TokenError> {
        let mut steps = Steps::default();
        steps.normalizer(norm)?;
        steps.pre_tokenizer(pre)?;
        steps.decoder(decoder);
        Ok(steps)
    }

    fn normalizer(&mut self, part: &Value) -> Result<(), TokenError> {
        let text = |key: &str| part[key].as_str().unwrap_or_default().to_owned();
        let flag = |key: &str, default: bool| part[key].as_bool().unwrap_or(default);
        let new = match kind(part) {
            "" => return Ok(()),
            "Sequence" => return each(&part["normalizers"], |part| self.normalizer(part)),
            "Prepend" => Normalizer::Prepend(text("prepend")),
            "Replace" => replace(part)?,
            "Strip" => Normalizer::Strip {
                left: flag("strip_left", true),
                right: flag("strip_right", true),
            },
            "NFC" => Normalizer::Nfc,
            "NFD" => Normalizer::Nfd,
            "NFKC" => Normalizer::Nfkc,
            "NFKD" => Normalizer::Nfkd,
            "Lowercase" => Normalizer::Lowercase,
            "StripAccents" => Normalizer::StripAccents,
            "ByteLevel" => {
                self.byte_level = true;
                return Ok(());
            }
            "Precompiled" => {
                let map = base64(&text("precompiled_charsmap")).ok_or_else(|| {
                    TokenError::invalid("precompiled_charsmap", "it is not base64")
                })?;
                Normalizer::Charsmap(Box::new(Charsmap::new(&map)?))
            }
            "BertNormalizer" => {
                let lowercase = flag("lowercase", true);
                self.normalizers.extend(flag("clean_text", true).then_some(Normalizer::Clean));
                let chinese = flag("handle_chinese_chars", true);
                self.normalizers.extend(chinese.then_some(Normalizer::SpaceChinese));
                if flag("strip_accents", lowercase) {
                    self.normalizers.extend([Normalizer::Nfd, Normalizer::StripAccents]);
                }
                self.normalizers.extend(lowercase.then_some(Normalizer::Lowercase));
                return Ok(());
            }
            other => return Err(TokenError::Unsupported(format!("normalizer {other}"))),
        };
        self.spaces |= matches!(&new, Normalizer::Replace { to, .. } if to == SPACE);
        self.normalizers.push(new);
        Ok(())
    }

    fn pre_tokenizer(&mut self, part: &Value) -> Result<(), TokenError> {
        let flag = |key: &str, default: bool| part[key].as_bool().unwrap_or(default);
        let split = match kind(part) {
            "" => return Ok(()),
            "Sequence" => return each(&part["pretokenizers"], |part| self.pre_tokenizer(part)),
            "Split" => {
                let pattern = pattern(&part["pattern"])
                    .ok_or_else(|| TokenError::invalid("pre_tokenizer.pattern", "no pattern"))?;
                Split::new(&pattern, behavior(part)?, flag("invert", false))?
            }
            "ByteLevel" => {
                self.byte_level = true;
                if flag("add_prefix_space", true) {
                    if !self.splits.is_empty() {
                        let part = "ByteLevel.add_prefix_space after another pre-tokenizer";
                        return Err(TokenError::Unsupported(part.to_owned()));
                    }
                    let (with, only_at_start) = (" ".to_owned(), false);
                    self.normalizers.push(Normalizer::PrependOnce { with, only_at_start });
                }
                if !flag("use_regex", true) {
                    return Ok(());
                }
                Split::isolate(GPT2)?
            }
            "Metaspace" => return self.metaspace(part),
            "Digits" if flag("individual_digits", false) => Split::isolate(r"\p{N}")?,
            "Digits" => Split::isolate(r"\p{N}+")?,
            "Punctuation" => Split::new(PUNCTUATION, behavior(part)?, false)?,
            "Whitespace" => Split::new(r"\w+|[^\w\s]+", Behavior::Removed, true)?,
            "WhitespaceSplit" => {
                self.words_alone = true;
                Split::new(r"\s", Behavior::Removed, false)?
            }
            "CharDelimiterSplit" => {
                let delimiter = part["delimiter"].as_str().unwrap_or(" ");
                Split::new(&escape(delimiter), Behavior::Removed, false)?
            }
            "BertPreTokenizer" => {
                self.splits.extend(bert_splits()?);
                return Ok(());
            }
            other => return Err(TokenError::Unsupported(format!("pre-tokenizer {other}"))),
        };
        self.splits.push(split);
        Ok(())
    }

    fn metaspace(&mut self, part: &Value) -> Result<(), TokenError> {
        let with = part["replacement"].as_str().unwrap_or(SPACE).to_owned();
        self.spaces |= with == SPACE;
        // Files from before `prepend_scheme` say it with a flag.
        let old =
            if part["add_prefix_space"].as_bool() == Some(false) { "never" } else { "always" };
        let scheme = part["prepend_scheme"].as_str().unwrap_or(old);
        // T5 and XLM-R cut at whitespace first: then every word gets its mark, and none is empty.
        match (self.splits.len(), self.words_alone) {
            (0, _) => {}
            (1, true) => {
                self.splits.clear();
                self.normalizers.push(Normalizer::CollapseWhitespace);
            }
            _ => return Err(TokenError::Unsupported("Metaspace after another cut".to_owned())),
        }
        self.normalizers.push(Normalizer::Replace { from: " ".into(), to: with.clone() });
        if scheme != "never" {
            let (with, only_at_start) = (with.clone(), scheme == "first");
            self.normalizers.push(Normalizer::PrependOnce { with, only_at_start });
        }
        if part["split"].as_bool().unwrap_or(true) {
            self.splits.push(Split::new(&escape(&with), Behavior::MergedWithNext, false)?);
        }
        Ok(())
    }

    fn decoder(&mut self, part: &Value) {
        match kind(part) {
            "Sequence" => {
                part["decoders"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|part| self.decoder(part));
            }
            "ByteLevel" => self.byte_level = true,
            "Metaspace" => {
                self.spaces = true;
                let never = part["prepend_scheme"].as_str() == Some("never")
                    || part["add_prefix_space"].as_bool() == Some(false);
                self.strips_first_space |= !never;
            }
            "Strip" => self.strips_first_space |= part["start"].as_u64().unwrap_or(0) > 0,
            _ => {}
        }
    }
}

/// The ids that a post-processor puts before and after a text.
pub(super) fn around(part: &Value, tokens: &Tokens) -> (Vec<u32>, Vec<u32>) {
    let (mut prefix, mut suffix) = (Vec::new(), Vec::new());
    match kind(part) {
        "Sequence" => {
            for part in part["processors"].as_array().into_iter().flatten() {
                let (before, after) = around(part, tokens);
                prefix.splice(0..0, before);
                suffix.extend(after);
            }
        }
        "TemplateProcessing" => {
            let mut out = &mut prefix;
            for item in part["single"].as_array().into_iter().flatten() {
                if item.get("Sequence").is_some() {
                    out = &mut suffix;
                }
                let Some(name) = item["SpecialToken"]["id"].as_str() else { continue };
                let ids = part["special_tokens"][name]["ids"].as_array();
                let ids = ids.into_iter().flatten().filter_map(Value::as_u64);
                out.extend(ids.filter(|&id| id < tokens.len() as u64).map(|id| id as u32));
            }
        }
        "BertProcessing" | "RobertaProcessing" => {
            let id = |key: &str| tokens.id(part[key][0].as_str()?.as_bytes());
            prefix.extend(id("cls"));
            suffix.extend(id("sep"));
        }
        _ => {}
    }
    (prefix, suffix)
}

fn kind(part: &Value) -> &str {
    part["type"].as_str().unwrap_or_default()
}

fn each(
    list: &Value,
    step: impl FnMut(&Value) -> Result<(), TokenError>,
) -> Result<(), TokenError> {
    list.as_array().into_iter().flatten().try_for_each(step)
}

fn replace(part: &Value) -> Result<Normalizer, TokenError> {
    let to = part["content"].as_str().unwrap_or_default().to_owned();
    if let Some(from) = part["pattern"]["String"].as_str() {
        return Ok(Normalizer::Replace { from: from.to_owned(), to });
    }
    let source = part["pattern"]["Regex"].as_str().unwrap_or_default();
    let from = Regex::new(source).map_err(|e| TokenError::invalid("normalizer.pattern", e))?;
    Ok(Normalizer::ReplaceRegex { from: Box::new(from), to })
}

fn pattern(part: &Value) -> Option<String> {
    match (part["Regex"].as_str(), part["String"].as_str()) {
        (Some(regex), _) => Some(regex.to_owned()),
        (None, Some(text)) => Some(escape(text)),
        (None, None) => None,
    }
}

fn behavior(part: &Value) -> Result<Behavior, TokenError> {
    Ok(match part["behavior"].as_str().unwrap_or("Isolated") {
        "Isolated" => Behavior::Isolated,
        "Removed" => Behavior::Removed,
        "MergedWithPrevious" => Behavior::MergedWithPrevious,
        "MergedWithNext" => Behavior::MergedWithNext,
        "Contiguous" => Behavior::Contiguous,
        other => return Err(TokenError::Unsupported(format!("behavior {other}"))),
    })
}

/// A regular expression for exactly this text.
fn escape(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.into() })
        .collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for c in text.bytes().filter(|&c| c != b'=') {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}
