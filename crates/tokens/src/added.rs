//! Tokens that are found in the text itself, before it is normalized and cut.

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::TokenError;
use crate::tokens::{Flags, Kind, Tokens};

/// Control, unknown and user-defined tokens by their spelling.
#[derive(Debug)]
pub(crate) struct Added {
    /// Found when special tokens are parsed.
    all: Finder,
    /// Found always: the user defined them as words.
    words: Finder,
}

#[derive(Debug)]
struct Finder {
    search: AhoCorasick,
    found: Vec<(u32, Flags)>,
}

/// A stretch of text or a token found in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fragment<'a> {
    Text(&'a str),
    Token(u32),
}

impl Added {
    pub(crate) fn new(tokens: &Tokens) -> Result<Added, TokenError> {
        let special = |kind| matches!(kind, Kind::Control | Kind::Unknown | Kind::UserDefined);
        Ok(Added {
            all: Finder::new(tokens, special)?,
            words: Finder::new(tokens, |kind| kind == Kind::UserDefined)?,
        })
    }

    /// The longest token at the leftmost place is found first.
    pub(crate) fn fragments<'a>(&self, text: &'a str, parse_special: bool) -> Vec<Fragment<'a>> {
        let finder = if parse_special { &self.all } else { &self.words };
        let mut out = Vec::new();
        let mut end = 0;
        for found in finder.search.find_iter(text) {
            let (id, flags) = finder.found[found.pattern().as_usize()];
            // An earlier token may have taken the whitespace that this one begins with.
            if found.start() < end || (flags.single_word && in_word(text, found.range())) {
                continue;
            }
            let before = &text[end..found.start()];
            let before = if flags.lstrip { before.trim_end() } else { before };
            if !before.is_empty() {
                out.push(Fragment::Text(before));
            }
            out.push(Fragment::Token(id));
            let after = &text[found.end()..];
            let taken = if flags.rstrip { after.len() - after.trim_start().len() } else { 0 };
            end = found.end() + taken;
        }
        if end < text.len() {
            out.push(Fragment::Text(&text[end..]));
        }
        out
    }
}

impl Finder {
    fn new(tokens: &Tokens, included: impl Fn(Kind) -> bool) -> Result<Finder, TokenError> {
        let included = tokens
            .iter()
            .filter(|(_, token)| included(token.kind) && !token.text.is_empty())
            .filter(|(_, token)| std::str::from_utf8(&token.text).is_ok());
        let (found, texts): (Vec<_>, Vec<_>) =
            included.map(|(id, token)| ((id, token.flags), &token.text)).unzip();
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts)
            .map_err(|e| TokenError::invalid("added tokens", e))?;
        Ok(Finder { search, found })
    }
}

fn in_word(text: &str, range: std::ops::Range<usize>) -> bool {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    word(text[..range.start].chars().next_back()) || word(text[range.end..].chars().next())
}
