//! Python's methods of strings, lists and dicts.

use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use super::python;

/// Calls a method that the value itself does not have.
pub(super) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let own = match (value.kind(), value.as_str()) {
        (_, Some(text)) => string(text, method, args)?,
        (ValueKind::Map, _) => dict(value, method, args)?,
        (ValueKind::Seq | ValueKind::Iterable, _) => list(value, method, args)?,
        _ => None,
    };
    match own {
        Some(value) => Ok(value),
        None => pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// Methods that minijinja lacks, or that differ from Python's there.
fn string(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let missing = || Error::new(ErrorKind::InvalidOperation, "substring not found");
    Ok(Some(match method {
        "split" | "rsplit" => split(text, args, method == "rsplit")?,
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            lines(text, keep.unwrap_or(false))
        }
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<Value>,) = from_args(args)?;
            strip(text, method, chars.as_ref().and_then(Value::as_str)).into()
        }
        "partition" | "rpartition" => {
            let (sep,): (&str,) = from_args(args)?;
            partition(text, sep, method == "rpartition")
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "index" | "rindex" => {
            let (part,): (&str,) = from_args(args)?;
            let at = if method == "index" { text.find(part) } else { text.rfind(part) };
            text[..at.ok_or_else(missing)?].chars().count().into()
        }
        "count" => {
            let (part,): (&str,) = from_args(args)?;
            text.matches(part).count().into()
        }
        "title" => title(text).into(),
        "capitalize" => capitalize(text).into(),
        "swapcase" => text.chars().map(swap_case).collect::<String>().into(),
        "casefold" => text.to_lowercase().replace('ß', "ss").into(),
        "join" => {
            let (parts,): (&Value,) = from_args(args)?;
            let parts: Vec<String> = python::items(parts).iter().map(python::str).collect();
            parts.join(text).into()
        }
        "center" | "ljust" | "rjust" => {
            let (width, fill): (usize, Option<char>) = from_args(args)?;
            pad(text, method, width, fill.unwrap_or(' ')).into()
        }
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let (sign, digits) = text.split_at(text.starts_with(['+', '-']).into());
            format!("{sign}{}", pad(digits, "rjust", width.saturating_sub(sign.len()), '0')).into()
        }
        "isdecimal" => (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).into(),
        "istitle" => (title(text) == text && text.chars().any(char::is_alphabetic)).into(),
        "isidentifier" => {
            let word = text.chars().all(|c| c == '_' || c.is_alphanumeric());
            (word && !text.is_empty() && !text.starts_with(char::is_numeric)).into()
        }
        "expandtabs" => {
            let (size,): (Option<usize>,) = from_args(args)?;
            expand_tabs(text, size.unwrap_or(8)).into()
        }
        _ => return Ok(None),
    }))
}

fn dict(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "get" => {
            let (key, default): (&Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(key)?;
            if found.is_undefined() { default.unwrap_or_else(|| Value::from(())) } else { found }
        }
        "items" => {
            let pair = |(key, value)| Value::from(Tuple::from([key, value]));
            python::entries(value).into_iter().map(pair).collect()
        }
        "keys" => python::items(value).into_iter().collect(),
        "values" => python::entries(value).into_iter().map(|(_, value)| value).collect(),
        "copy" => Value::from_pairs(python::entries(value)),
        _ => return Ok(None),
    }))
}

fn list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "copy" => python::items(value).into_iter().collect(),
        "index" => {
            let (item,): (&Value,) = from_args(args)?;
            let at = python::items(value).iter().position(|other| other == item);
            at.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "value is not in list"))?
                .into()
        }
        "count" => {
            let (item,): (&Value,) = from_args(args)?;
            python::items(value).iter().filter(|other| *other == item).count().into()
        }
        _ => return Ok(None),
    }))
}

/// `split(sep=None, maxsplit=-1)` and its mirror image.
fn split(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (sep, max, kwargs): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let sep = sep.or(kwargs.get("sep")?);
    let max = max.or(kwargs.get("maxsplit")?).unwrap_or(-1);
    kwargs.assert_all_used()?;
    let limit = usize::try_from(max).map_or(usize::MAX, |max| max.saturating_add(1));
    let Some(sep) = sep.as_ref().and_then(Value::as_str) else {
        return Ok(words(text, limit, from_right).into_iter().collect());
    };
    if sep.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
    }
    if from_right {
        let mut parts: Vec<&str> = text.rsplitn(limit, sep).collect();
        parts.reverse();
        return Ok(parts.into_iter().collect());
    }
    Ok(text.splitn(limit, sep).collect())
}

/// Splits at runs of whitespace into at most `limit` parts, of which the last keeps its own.
fn words(text: &str, limit: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_matches(is_space);
    while !rest.is_empty() {
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(at) = cut.filter(|_| parts.len() + 1 < limit) else {
            // Only the side that is being cut loses its whitespace.
            parts.push(if from_right {
                text[..text.len() - text.trim_start_matches(is_space).len() + rest.len()]
                    .trim_end_matches(is_space)
            } else {
                let start = rest.as_ptr() as usize - text.as_ptr() as usize;
                if parts.len() + 1 == limit { &text[start..] } else { rest }
            });
            break;
        };
        let width = rest[at..].chars().next().map_or(1, char::len_utf8);
        let (left, right) = (&rest[..at], &rest[at + width..]);
        parts.push(if from_right { right } else { left });
        rest = if from_right {
            left.trim_end_matches(is_space)
        } else {
            right.trim_start_matches(is_space)
        };
    }
    if from_right {
        parts.reverse();
    }
    parts
}

/// What Python takes for whitespace: Unicode's, and four separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

pub(super) fn strip<'a>(text: &'a str, method: &str, chars: Option<&str>) -> &'a str {
    let drop = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if method == "rstrip" { text } else { text.trim_start_matches(drop) };
    if method == "lstrip" { text } else { text.trim_end_matches(drop) }
}

fn lines(text: &str, keep: bool) -> Value {
    const ENDS: [char; 10] = [
        '\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}',
        '\u{2029}',
    ];
    let mut out: Vec<Value> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find(ENDS).unwrap_or(rest.len());
        let end = match &rest[at..] {
            tail if tail.starts_with("\r\n") => at + 2,
            tail => at + tail.chars().next().map_or(0, char::len_utf8),
        };
        out.push(if keep { &rest[..end] } else { &rest[..at] }.into());
        rest = &rest[end..];
    }
    out.into()
}

fn partition(text: &str, sep: &str, from_right: bool) -> Value {
    let found = if from_right { text.rsplit_once(sep) } else { text.split_once(sep) };
    let parts = match found {
        Some((left, right)) => [left, sep, right],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    };
    Tuple::from(parts.map(Value::from)).into()
}

/// `str.title`: a letter after anything but a letter is upper case, every other is lower case.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        inside = c.is_alphabetic();
    }
    out
}

pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.as_str().to_lowercase().chars()).collect()
}

fn swap_case(c: char) -> String {
    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
}

pub(super) fn pad(text: &str, method: &str, width: usize, fill: char) -> String {
    // A template can ask for any width; no text of a chat is padded beyond this.
    let width = width.min(1 << 16);
    let free = width.saturating_sub(text.chars().count());
    let left = match method {
        "ljust" => 0,
        "rjust" => free,
        _ => free / 2 + (free & width & 1),
    };
    let run = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    format!("{}{text}{}", run(left), run(free - left))
}

fn expand_tabs(text: &str, size: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let spaces = (size - column % size).min(1 << 16);
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            '\t' => {}
            c => {
                out.push(c);
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    out
}
