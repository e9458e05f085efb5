//! The text of a Go template as pieces: text between actions, trimmed as `{{-` and `-}}` ask, and
//! the words of actions.

use minijinja::Value;

/// Text or an action.
#[derive(Clone, Debug)]
pub enum Piece {
    Text(String),
    /// Its words and the line that it begins on.
    Action(Vec<Token>, usize),
}

/// A word of an action, and whether it stands right after the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub word: Word,
    pub glued: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// A keyword, the name of a function, or a constant's.
    Name(String),
    /// `.Name`.
    Field(String),
    /// `$` or `$name`, with its sign.
    Variable(String),
    Constant(Value),
    /// One of `. | , ( ) = :=`.
    Sign(&'static str),
}

/// Cuts a template into pieces.
pub fn pieces(source: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = source;
    let mut trim = false;
    while let Some(at) = rest.find("{{") {
        let (mut text, mut action) = (&rest[..at], &rest[at + 2..]);
        if trim {
            text = text.trim_start_matches(BLANK);
        }
        if let Some(after) = action.strip_prefix('-').filter(|after| after.starts_with(BLANK)) {
            (text, action) = (text.trim_end_matches(BLANK), after);
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let line = 1 + source[..source.len() - action.len()].matches('\n').count();
        let wrong = |what: String| format!("line {line}: {what}");
        if action.trim_start_matches(BLANK).starts_with("/*") {
            let (_, after) =
                action.split_once("*/").ok_or_else(|| wrong("a comment has no end".into()))?;
            let after = after.trim_start_matches(BLANK);
            trim = after.starts_with('-');
            rest = after.strip_prefix('-').unwrap_or(after);
            rest = rest.strip_prefix("}}").ok_or_else(|| wrong("a comment stands alone".into()))?;
            continue;
        }
        let tokens;
        (tokens, trim, rest) = words(action).map_err(wrong)?;
        pieces.push(Piece::Action(tokens, line));
    }
    let text = if trim { rest.trim_start_matches(BLANK) } else { rest };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(pieces)
}

/// What Go trims.
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// The words up to the end of an action, whether the text after it is trimmed, and that text.
fn words(action: &str) -> Result<(Vec<Token>, bool, &str), String> {
    let mut tokens = Vec::new();
    let mut rest = action;
    loop {
        let after = rest.trim_start_matches(BLANK);
        let glued = after.len() == rest.len();
        rest = after;
        if let Some(after) = rest.strip_prefix("}}") {
            return Ok((tokens, false, after));
        }
        if let Some(after) = rest.strip_prefix("-}}").filter(|_| !glued) {
            return Ok((tokens, true, after));
        }
        let (word, after) = word(rest)?;
        tokens.push(Token { word, glued });
        rest = after;
    }
}

/// The first word of a text that begins with one.
fn word(text: &str) -> Result<(Word, &str), String> {
    let first = text.chars().next().ok_or("an action has no end; close it with }}")?;
    let name = |text: &str| {
        let is_part = |c: char| c == '_' || c.is_alphanumeric();
        text.find(|c| !is_part(c)).unwrap_or(text.len())
    };
    let begins = |c: Option<char>| c.is_some_and(|c| c == '_' || c.is_alphabetic());
    for sign in [":=", "=", "|", ",", "(", ")"] {
        if let Some(after) = text.strip_prefix(sign) {
            return Ok((Word::Sign(sign), after));
        }
    }
    match first {
        '.' if begins(text[1..].chars().next()) => {
            let (field, after) = text[1..].split_at(name(&text[1..]));
            Ok((Word::Field(field.to_owned()), after))
        }
        '.' if !text[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            Ok((Word::Sign("."), &text[1..]))
        }
        '$' => {
            let (variable, after) = text.split_at(1 + name(&text[1..]));
            Ok((Word::Variable(variable.to_owned()), after))
        }
        '`' => {
            let (raw, after) = text[1..].split_once('`').ok_or("a text in ` has no end")?;
            Ok((Word::Constant(Value::from(raw)), after))
        }
        '"' => quoted(&text[1..]).map(|(value, after)| (Word::Constant(Value::from(value)), after)),
        '0'..='9' | '-' | '+' | '.' => number(text),
        _ if begins(Some(first)) => {
            let (word, after) = text.split_at(name(text));
            Ok((Word::Name(word.to_owned()), after))
        }
        _ => Err(format!("`{first}` means nothing here")),
    }
}

fn number(text: &str) -> Result<(Word, &str), String> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
    let (number, after) = text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()));
    let whole = number.parse::<i64>().map(Value::from).ok();
    let value = whole.or_else(|| number.parse::<f64>().ok().map(Value::from));
    value.map(|value| (Word::Constant(value), after)).ok_or(format!("`{number}` is no number"))
}

/// A text up to its closing `"`, with what `\` stands for.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\n' => break,
            '\\' => {
                let (_, escaped) = chars.next().ok_or("a text in \" has no end")?;
                let digits = match escaped {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                value.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '\\' | '"' => escaped,
                    'x' | 'u' | 'U' => {
                        let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&code, 16).ok();
                        let ascii = |code: &u32| digits > 2 || *code < 128;
                        let char = code.filter(ascii).and_then(char::from_u32);
                        char.ok_or("a text has a character that is none")?
                    }
                    _ => return Err(format!("`\\{escaped}` means nothing in a text")),
                });
            }
            c => value.push(c),
        }
    }
    Err("a text in \" has no end".to_owned())
}
