//! Rewriting text before it is cut into words.

use regex_automata::meta::Regex;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::charsmap::Charsmap;

/// One rewriting; the names are Hugging Face's.
#[derive(Debug)]
pub(crate) enum Normalizer {
    Prepend(String),
    /// Prepends only where the text does not begin with it already.
    PrependOnce {
        with: String,
        only_at_start: bool,
    },
    Append(String),
    Replace {
        from: String,
        to: String,
    },
    ReplaceRegex {
        from: Box<Regex>,
        to: String,
    },
    Strip {
        left: bool,
        right: bool,
    },
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Lowercase,
    StripAccents,
    Charsmap(Box<Charsmap>),
    /// No spaces at the ends, single ones between words.
    CollapseSpaces,
    /// The same for whitespace of every kind.
    CollapseWhitespace,
    /// Control characters go, all whitespace becomes a space.
    Clean,
    /// Spaces around Chinese characters.
    SpaceChinese,
}

impl Normalizer {
    /// `at_start`: nothing comes before `text`.
    pub(crate) fn apply(&self, text: String, at_start: bool) -> String {
        match self {
            Normalizer::Prepend(prefix) if !text.is_empty() => format!("{prefix}{text}"),
            Normalizer::Prepend(_) => text,
            Normalizer::PrependOnce { with, only_at_start } => {
                let due = !text.starts_with(with.as_str()) && (at_start || !only_at_start);
                if due && !text.is_empty() { format!("{with}{text}") } else { text }
            }
            Normalizer::Append(suffix) => text + suffix,
            Normalizer::Replace { from, to } if from.is_empty() => text + &to[to.len()..],
            Normalizer::Replace { from, to } => text.replace(from.as_str(), to),
            Normalizer::ReplaceRegex { from, to } => replace_regex(&text, from, to),
            Normalizer::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { &text };
                if *right { text.trim_end() } else { text }.to_owned()
            }
            Normalizer::Nfc => text.nfc().collect(),
            Normalizer::Nfd => text.nfd().collect(),
            Normalizer::Nfkc => text.nfkc().collect(),
            Normalizer::Nfkd => text.nfkd().collect(),
            Normalizer::Lowercase => text.to_lowercase(),
            Normalizer::StripAccents => text.chars().filter(|c| !is_combining_mark(*c)).collect(),
            Normalizer::Charsmap(map) => apply_charsmap(&text, map),
            Normalizer::CollapseSpaces => {
                text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            }
            Normalizer::CollapseWhitespace => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Normalizer::Clean => text.chars().filter_map(clean).collect(),
            Normalizer::SpaceChinese => {
                let spaced = |c| if is_chinese(c) { format!(" {c} ") } else { String::from(c) };
                text.chars().map(spaced).collect()
            }
        }
    }
}

fn replace_regex(text: &str, from: &Regex, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for found in from.find_iter(text) {
        out.push_str(&text[end..found.start()]);
        out.push_str(to);
        end = found.end();
    }
    out + &text[end..]
}

fn apply_charsmap(text: &str, map: &Charsmap) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut len = c.len_utf8();
        match map.prefix(rest.as_bytes()) {
            // A map that cuts a character in two is broken; the character then stays.
            Some((found, to)) if rest.is_char_boundary(found) => {
                out.push_str(to);
                len = found;
            }
            _ => out.push(c),
        }
        rest = &rest[len..];
    }
    out
}

fn clean(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\r' => Some(' '),
        '\0' | '\u{FFFD}' => None,
        c if c.is_control() || matches!(c, '\u{200B}'..='\u{200F}' | '\u{FEFF}' | '\u{AD}') => None,
        c if c.is_whitespace() => Some(' '),
        c => Some(c),
    }
}

fn is_chinese(c: char) -> bool {
    matches!(c as u32,
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F
        | 0x2B740..=0x2B81F | 0x2B920..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}
