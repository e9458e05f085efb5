//! A template's text as minijinja can read it.
//!
//! Four things of Jinja2 are settled before parsing: line ends; `{% generation %}`, which only
//! marks what a training mask covers and becomes a block that is always taken; the escapes of
//! Python's string literals; and that a loop over `None` is an error.

/// The filter that a loop's items go through.
pub(super) const ITERABLE: &str = "__iterable";

/// Rewrites a template.
pub(super) fn prepare(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(at) = rest.find('{') {
        let (text, tag) = rest.split_at(at);
        out.push_str(text);
        let (len, rewritten) = match tag.get(..2) {
            Some("{#") => (tag.find("#}").map_or(tag.len(), |at| at + 2), None),
            Some("{%") if is_raw(tag) => (raw_end(tag), None),
            Some("{%") => code(tag, "%}"),
            Some("{{") => code(tag, "}}"),
            _ => (1, None),
        };
        match rewritten {
            Some(code) => out.push_str(&code),
            None => out.push_str(&tag[..len]),
        }
        rest = &tag[len..];
    }
    out + rest
}

/// What is between the marks of a tag, without the signs that strip whitespace.
fn inner(tag: &str) -> &str {
    let code = &tag[2..];
    code[..code.find("%}").unwrap_or(code.len())].trim_matches(['-', '+']).trim()
}

fn is_raw(tag: &str) -> bool {
    inner(tag) == "raw"
}

fn raw_end(tag: &str) -> usize {
    let ends = tag.match_indices("{%").filter(|(at, _)| inner(&tag[*at..]) == "endraw");
    let after = |at: usize| tag[at..].find("%}").map_or(tag.len(), |len| at + len + 2);
    ends.map(|(at, _)| after(at)).next().unwrap_or(tag.len())
}

/// The length of a tag with code in it, and the tag rewritten.
fn code(tag: &str, close: &str) -> (usize, Option<String>) {
    let renamed = match inner(tag) {
        "generation" => Some(("generation", "if true")),
        "endgeneration" => Some(("endgeneration", "endif")),
        _ => None,
    };
    if let (Some((from, to)), Some(end)) = (renamed.filter(|_| close == "%}"), tag.find(close)) {
        return (end + 2, Some(tag[..end + 2].replacen(from, to, 1)));
    }
    let mut out = tag[..2].to_owned();
    let mut at = 2;
    // Braces of dicts are counted, as `}}` may close two of them.
    let mut depth = 0usize;
    while let Some(c) = tag[at..].chars().next() {
        let here = &tag[at..];
        if depth == 0 && here.starts_with(close) {
            out.push_str(close);
            let checked = inner(tag).starts_with("for").then(|| check_items(&out)).flatten();
            return (at + 2, Some(checked.unwrap_or(out)));
        }
        match c {
            '"' | '\'' => {
                let Some(len) = string_len(here, c) else { break };
                out.push_str(&literal(&unescape(&here[1..len - 1])));
                at += len;
                continue;
            }
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        out.push(c);
        at += c.len_utf8();
    }
    // Not closed: the parser says what is wrong.
    (tag.len(), None)
}

/// A `for` tag whose items go through [`ITERABLE`]; `None` if it is not one after all.
fn check_items(tag: &str) -> Option<String> {
    let end = tag.len() - if tag.ends_with("-%}") || tag.ends_with("+%}") { 3 } else { 2 };
    let (_, start) = word(tag, 2, end, &["in"])?;
    let end = word(tag, start, end, &["if", "recursive"]).map_or(end, |(at, _)| at);
    let (before, items, after) = (&tag[..start], &tag[start..end], &tag[end..]);
    Some(format!("{before} ({items})|{ITERABLE} {after}"))
}

/// Where the first of these words stands outside strings and brackets: its start and its end.
fn word(code: &str, from: usize, to: usize, words: &[&str]) -> Option<(usize, usize)> {
    let part = |c: char| c == '_' || c.is_alphanumeric();
    let mut depth = 0usize;
    let mut at = from;
    while at < to {
        let here = &code[at..to];
        let c = here.chars().next()?;
        let mut len = c.len_utf8();
        match c {
            '"' => len = string_len(here, '"')?,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            c if part(c) => {
                len = here.find(|c| !part(c)).unwrap_or(here.len());
                if depth == 0 && words.contains(&&here[..len]) {
                    return Some((at, at + len));
                }
            }
            _ => {}
        }
        at += len;
    }
    None
}

/// Bytes of the string literal that `text` begins with, quotes included.
fn string_len(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What a Python literal stands for; unknown escapes stand for themselves, backslash included.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let c = tail.chars().next().unwrap_or('\\');
        let digits =
            |len: usize| tail.get(1..1 + len).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let hex = match c {
            'x' => digits(2).map(|code| (code, 3)),
            'u' => digits(4).map(|code| (code, 5)),
            'U' => digits(8).map(|code| (code, 9)),
            '0'..='7' => {
                let len = tail.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                u32::from_str_radix(&tail[..len], 8).ok().map(|code| (code, len))
            }
            _ => None,
        };
        let simple = |c| {
            "\n\\'\"abfnrtv".find(c).map(|at| {
                ["", "\\", "'", "\"", "\x07", "\x08", "\x0c", "\n", "\r", "\t", "\x0b"][at]
            })
        };
        let mut len = c.len_utf8();
        match (hex.and_then(|(code, len)| Some((char::from_u32(code)?, len))), simple(c)) {
            (Some((c, hex_len)), _) => {
                out.push(c);
                len = hex_len;
            }
            (None, Some(text)) => out.push_str(text),
            (None, None) => out.extend(['\\', c]),
        }
        rest = tail.get(len..).unwrap_or_default();
    }
    out + rest
}

/// A literal that minijinja reads back as `text`.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
