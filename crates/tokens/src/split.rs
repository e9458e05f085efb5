//! Cutting text into the words that a model encodes one by one.

use regex_automata::meta::Regex;
use unicode_normalization::char::is_combining_mark;

use crate::error::TokenError;
use crate::tokens::SPACE;

/// One cut: every part of the text so far is cut again.
#[derive(Debug)]
pub(crate) struct Split {
    pattern: Pattern,
    behavior: Behavior,
    invert: bool,
}

/// What becomes of the text that a pattern finds; the names are Hugging Face's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behavior {
    Isolated,
    Removed,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

#[derive(Debug)]
enum Pattern {
    /// A regular expression in linear time. With `whitespace`, its second alternative is `\s+`
    /// standing for `\s+(?!\S)`: a run before a word leaves its last character to that word.
    Linear { regex: Regex, whitespace: Option<Lone> },
    /// One that needs look-around.
    Backtracking(Box<fancy_regex::Regex>),
    /// Runs of digits in groups of three counted from the right; with `boundary`, only runs that
    /// end where a word ends.
    DigitsFromRight { runs: Regex, boundary: bool },
    /// The border between anything and U+2581 after it.
    BeforeSpace,
}

/// What a single whitespace character before a word is, where `\s+(?!\S)` does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lone {
    /// A match of the `\s+` that follows.
    Match,
    /// No match.
    Gap,
}

/// The end of nearly every published pattern.
const TRAILING_SPACE: &str = r"|\s+(?!\S)";

/// Ways to write "groups of three from the right", which a regular expression can only do by
/// looking ahead over all digits for each group; with what a digit is, and whether the run must end
/// where a word ends.
const FROM_RIGHT: [(&str, &str, bool); 4] = [
    (r"\p{AFMoE_digits}", r"\p{N}+", false),
    (r"(?=(\d{3})+(?!\d))", r"\d+", false),
    (r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))", r"\p{N}+", false),
    (r"\d{1,3}(?=(?:\d{3})*\b)", r"\d+", true),
];

impl Split {
    /// Cuts at each match, which becomes a word of its own.
    pub(crate) fn isolate(pattern: &str) -> Result<Split, TokenError> {
        Split::new(pattern, Behavior::Isolated, false)
    }

    /// With `invert`, what lies between the matches is treated as the match.
    pub(crate) fn new(
        pattern: &str,
        behavior: Behavior,
        invert: bool,
    ) -> Result<Split, TokenError> {
        Ok(Split { pattern: Pattern::new(pattern)?, behavior, invert })
    }

    /// Cuts before each run of spaces in SentencePiece's spelling.
    pub(crate) fn before_space() -> Split {
        Split { pattern: Pattern::BeforeSpace, behavior: Behavior::Isolated, invert: false }
    }

    /// Appends the parts of `text`.
    pub(crate) fn cut<'a>(&self, text: &'a str, out: &mut Vec<&'a str>) {
        let mut pieces = Pieces { text, out, behavior: self.behavior, held: None };
        let mut end = 0;
        self.pattern.each(text, &mut |from, to| {
            if end < from {
                pieces.push(end, from, self.invert);
            }
            if from < to {
                pieces.push(from, to, !self.invert);
            }
            end = to;
        });
        if end < text.len() {
            pieces.push(end, text.len(), self.invert);
        }
        pieces.finish();
    }
}

/// Parts on their way out; `held` is the last one, which a later part may still join.
struct Pieces<'a, 'o> {
    text: &'a str,
    out: &'o mut Vec<&'a str>,
    behavior: Behavior,
    held: Option<(usize, usize, bool)>,
}

impl Pieces<'_, '_> {
    fn push(&mut self, from: usize, to: usize, matched: bool) {
        let joins = self.held.is_some_and(|(_, _, was)| match self.behavior {
            Behavior::Isolated | Behavior::Removed => false,
            Behavior::MergedWithPrevious => matched && !was,
            Behavior::MergedWithNext => was && !matched,
            Behavior::Contiguous => was == matched,
        });
        if let (true, Some(held)) = (joins, &mut self.held) {
            // What a match has joined takes no further match.
            *held = (held.0, to, matched || self.behavior == Behavior::MergedWithPrevious);
            if self.behavior == Behavior::MergedWithNext {
                held.2 = false;
            }
            return;
        }
        self.finish();
        if !(matched && self.behavior == Behavior::Removed) {
            self.held = Some((from, to, matched));
        }
    }

    fn finish(&mut self) {
        if let Some((from, to, _)) = self.held.take() {
            self.out.push(&self.text[from..to]);
        }
    }
}

impl Pattern {
    fn new(source: &str) -> Result<Pattern, TokenError> {
        if let Some(&(_, runs, boundary)) = FROM_RIGHT.iter().find(|(known, ..)| *known == source) {
            let runs = Regex::new(runs).map_err(|e| TokenError::invalid("pattern", e))?;
            return Ok(Pattern::DigitsFromRight { runs, boundary });
        }
        // Where the next class excludes what is repeated, possessive and greedy are the same.
        let source = source
            .replace(r"[^\r\n\p{L}\p{N}]?+\p{L}", r"[^\r\n\p{L}\p{N}]?\p{L}")
            .replace(r"\p{L}++|", r"\p{L}+|")
            .replace(r"[^\s\p{L}\p{N}]++[\r\n]", r"[^\s\p{L}\p{N}]+[\r\n]");
        let full = |base: &str, lone| {
            let parts = [base, r"\s+"];
            let regex = Regex::builder().build_many(&parts).ok()?;
            Some(Pattern::Linear { regex, whitespace: Some(lone) })
        };
        let whole = format!(r"{TRAILING_SPACE}|\s+");
        let linear = if let Some(base) = source.strip_suffix(whole.as_str()) {
            full(base, Lone::Match)
        } else if let Some(base) = source.strip_suffix(TRAILING_SPACE) {
            full(base, Lone::Gap)
        } else {
            Regex::new(&source).ok().map(|regex| Pattern::Linear { regex, whitespace: None })
        };
        if let Some(linear) = linear {
            return Ok(linear);
        }
        fancy_regex::Regex::new(&source)
            .map(|regex| Pattern::Backtracking(Box::new(regex)))
            .map_err(|e| TokenError::invalid(format!("pattern {source}"), e))
    }

    /// Calls `found` for each match, from left to right.
    fn each(&self, text: &str, found: &mut dyn FnMut(usize, usize)) {
        match self {
            Pattern::Linear { regex, whitespace: None } => {
                regex.find_iter(text).for_each(|m| found(m.start(), m.end()));
            }
            Pattern::Linear { regex, whitespace: Some(lone) } => {
                each_with_space(regex, *lone, text, found);
            }
            // Giving up (a run longer than its stack) leaves the rest as one part: still correct
            // text, only cut more coarsely.
            Pattern::Backtracking(regex) => {
                let matches = regex.find_iter(text).map_while(Result::ok);
                matches.for_each(|m| found(m.start(), m.end()));
            }
            Pattern::DigitsFromRight { runs, boundary } => {
                digits_from_right(runs, *boundary, text, found);
            }
            Pattern::BeforeSpace => before_space(text, found),
        }
    }
}

fn each_with_space(regex: &Regex, lone: Lone, text: &str, found: &mut dyn FnMut(usize, usize)) {
    let mut input = regex_automata::Input::new(text);
    while let Some(m) = regex.search(&input) {
        let mut end = m.end();
        let run = &text[m.range()];
        if m.pattern().as_usize() == 1 && end < text.len() {
            let last = run.chars().next_back().map_or(0, char::len_utf8);
            match (last < run.len(), lone) {
                (true, _) => end -= last,
                (false, Lone::Match) => {}
                (false, Lone::Gap) => {
                    input.set_start(end);
                    continue;
                }
            }
        }
        found(m.start(), end);
        // None of these patterns matches nothing; if one does, one character is passed over.
        let step = text[end..].chars().next().map_or(1, char::len_utf8);
        let next = if end > m.start() { end } else { end + step };
        if next > text.len() {
            break;
        }
        input.set_start(next);
    }
}

fn digits_from_right(
    runs: &Regex,
    boundary: bool,
    text: &str,
    found: &mut dyn FnMut(usize, usize),
) {
    let in_word = |c: char| c == '_' || c.is_alphanumeric() || is_combining_mark(c);
    for run in runs.find_iter(text) {
        if boundary && text[run.end()..].starts_with(in_word) {
            continue;
        }
        let mut left = text[run.range()].chars().count();
        let mut start = run.start();
        for (at, c) in text[run.range()].char_indices() {
            left -= 1;
            let end = run.start() + at + c.len_utf8();
            if left.is_multiple_of(3) {
                found(start, end);
                start = end;
            }
        }
    }
}

fn before_space(text: &str, found: &mut dyn FnMut(usize, usize)) {
    let mut from = 0;
    let mut in_word = false;
    for (at, c) in text.char_indices() {
        let space = SPACE.starts_with(c);
        if space && in_word {
            found(from, at);
            from = at;
        }
        in_word = !space;
    }
    found(from, text.len());
}
