//! Values written as Python writes them: `str`, `repr` and `json.dumps`.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// Python's `str`.
pub(super) fn str(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        _ => repr(value),
    }
}

/// Values nested deeper are refused: only a template that means harm builds them.
const DEPTH_MAX: usize = 256;

/// Refuses a value that would be printed with more recursion than the stack is sure to have.
pub(super) fn check_depth(value: &Value) -> Result<(), Error> {
    fn deeper_than(value: &Value, left: usize) -> bool {
        let nested = matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map);
        nested && (left == 0 || entries_of(value).iter().any(|item| deeper_than(item, left - 1)))
    }
    match deeper_than(value, DEPTH_MAX) {
        true => Err(Error::new(ErrorKind::InvalidOperation, "a value is nested too deep")),
        false => Ok(()),
    }
}

fn entries_of(value: &Value) -> Vec<Value> {
    match value.kind() {
        ValueKind::Map => entries(value).into_iter().map(|(_, value)| value).collect(),
        _ => items(value),
    }
}

/// Python's `repr`, as far down as [`check_depth`] lets pass.
pub(super) fn repr(value: &Value) -> String {
    repr_within(value, DEPTH_MAX)
}

fn repr_within(value: &Value, depth: usize) -> String {
    let Some(below) = depth.checked_sub(1) else { return "...".to_owned() };
    let repr = |value: &Value| repr_within(value, below);
    match value.kind() {
        ValueKind::Undefined => "Undefined".to_owned(),
        ValueKind::String => quote(value.as_str().unwrap_or_default()),
        ValueKind::Number if !value.is_integer() => float(value),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<String> = items(value).iter().map(repr).collect();
            match (value.is_tuple(), items.len()) {
                (true, 1) => format!("({},)", items[0]),
                (true, _) => format!("({})", items.join(", ")),
                (false, _) => format!("[{}]", items.join(", ")),
            }
        }
        ValueKind::Map => {
            let entries = entries(value);
            let entries =
                entries.iter().map(|(key, value)| format!("{}: {}", repr(key), repr(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}

pub(super) fn items(value: &Value) -> Vec<Value> {
    value.try_iter().map(Iterator::collect).unwrap_or_default()
}

pub(super) fn entries(value: &Value) -> Vec<(Value, Value)> {
    let entry = |key: Value| {
        let value = value.get_item(&key).unwrap_or_default();
        (key, value)
    };
    items(value).into_iter().map(entry).collect()
}

/// `repr` of a float: the shortest digits that read back, with an exponent outside 1e-4 to 1e16.
fn float(value: &Value) -> String {
    let Ok(number) = f64::try_from(value.clone()) else { return value.to_string() };
    if !number.is_finite() {
        return if number.is_nan() { "nan".into() } else { format!("{number}") };
    }
    if number != 0.0 && !(1e-4..1e16).contains(&number.abs()) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = number.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

fn quote(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => write!(out, "\\x{:02x}", c as u32).unwrap_or_default(),
            c if (c as u32) < 0x10000 => write!(out, "\\u{:04x}", c as u32).unwrap_or_default(),
            c => write!(out, "\\U{:08x}", c as u32).unwrap_or_default(),
        }
    }
    out.push(quote);
    out
}

/// Python's `str.isprintable` for one character, short of unassigned code points.
fn is_printable(c: char) -> bool {
    let hidden = matches!(c,
        '\u{AD}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{180E}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{E000}'..='\u{F8FF}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{10FFFF}');
    c == ' ' || !(hidden || c.is_control() || c.is_whitespace())
}

/// How `json.dumps` lays its text out.
pub(super) struct Layout {
    pub ascii: bool,
    /// What one level is indented with; `None` keeps everything on one line.
    pub indent: Option<String>,
    pub item_separator: String,
    pub key_separator: String,
    pub sort_keys: bool,
}

/// Python's `json.dumps`.
///
/// # Errors
/// A value has no JSON, as an undefined one.
pub(super) fn json(value: &Value, layout: &Layout) -> Result<String, Error> {
    check_depth(value)?;
    let mut out = String::new();
    write_json(value, layout, 0, &mut out)?;
    Ok(out)
}

fn write_json(value: &Value, layout: &Layout, depth: usize, out: &mut String) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
        ValueKind::Number => out.push_str(match float(value).as_str() {
            "nan" => "NaN",
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            text => text,
        }),
        ValueKind::String => json_string(value.as_str().unwrap_or_default(), layout.ascii, out),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = items(value);
            nest(out, layout, depth, ['[', ']'], items.len(), |at, out| {
                write_json(&items[at], layout, depth + 1, out)
            })?;
        }
        ValueKind::Map => {
            let mut entries = entries(value);
            if layout.sort_keys {
                entries.sort_by_key(|(key, _)| str(key));
            }
            nest(out, layout, depth, ['{', '}'], entries.len(), |at, out| {
                let (key, value) = &entries[at];
                json_string(&json_key(key), layout.ascii, out);
                out.push_str(&layout.key_separator);
                write_json(value, layout, depth + 1, out)
            })?;
        }
        kind => {
            let message = format!("a value of type {kind} is not JSON serializable");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
    }
    Ok(())
}

/// A list of `len` items between brackets.
fn nest(
    out: &mut String,
    layout: &Layout,
    depth: usize,
    brackets: [char; 2],
    len: usize,
    mut item: impl FnMut(usize, &mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    let line = |depth: usize, out: &mut String| {
        if let Some(indent) = &layout.indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    };
    out.push(brackets[0]);
    for at in 0..len {
        if at > 0 {
            out.push_str(&layout.item_separator);
        }
        line(depth + 1, out);
        item(at, out)?;
    }
    if len > 0 {
        line(depth, out);
    }
    out.push(brackets[1]);
    Ok(())
}

fn json_key(key: &Value) -> String {
    match key.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_owned(),
        _ => str(key),
    }
}

fn json_string(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || (ascii && c > '~') => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}").unwrap_or_default();
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
