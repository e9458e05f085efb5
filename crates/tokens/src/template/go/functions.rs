//! The functions of Go's templates and those that Ollama adds, and how values are written.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use jiff::{ToSpan, Zoned};
use minijinja::Value;
use minijinja::value::ValueKind;

/// A function. `and` and `or` are the evaluator's: they may leave values uncomputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    And,
    CurrentDate,
    Eq,
    Ge,
    Gt,
    Index,
    Json,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    YesterdayDate,
}

/// Functions, their names and how many values they take.
const FUNCTIONS: [(Function, &str, RangeInclusive<usize>); 18] = [
    (Function::And, "and", 1..=MANY),
    (Function::CurrentDate, "currentDate", 0..=MANY),
    (Function::Eq, "eq", 2..=MANY),
    (Function::Ge, "ge", 2..=2),
    (Function::Gt, "gt", 2..=2),
    (Function::Index, "index", 1..=MANY),
    (Function::Json, "json", 1..=1),
    (Function::Le, "le", 2..=2),
    (Function::Len, "len", 1..=1),
    (Function::Lt, "lt", 2..=2),
    (Function::Ne, "ne", 2..=2),
    (Function::Not, "not", 1..=1),
    (Function::Or, "or", 1..=MANY),
    (Function::Print, "print", 0..=MANY),
    (Function::Printf, "printf", 1..=MANY),
    (Function::Println, "println", 0..=MANY),
    (Function::Slice, "slice", 1..=3),
    (Function::YesterdayDate, "yesterdayDate", 0..=MANY),
];
const MANY: usize = 64;

/// The function of a name.
pub fn named(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|row| row.1 == name).map(|row| row.0)
}

impl Function {
    fn row(self) -> &'static (Function, &'static str, RangeInclusive<usize>) {
        FUNCTIONS.iter().find(|row| row.0 == self).expect("every function has a row")
    }

    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// How many values it takes.
    pub fn takes(self) -> &'static RangeInclusive<usize> {
        &self.row().2
    }

    /// Calls it with as many values as it takes.
    pub fn call(self, values: &[Value], now: &Zoned) -> Result<Value, String> {
        let date = |day: &Zoned| Value::from(day.strftime("%Y-%m-%d").to_string());
        let ordered = |is: fn(Ordering) -> bool| ordered(&values[0], &values[1]).map(is);
        Ok(match self {
            Function::And | Function::Or => values.last().cloned().unwrap_or_default(),
            Function::CurrentDate => date(now),
            Function::YesterdayDate => date(&(now - 1.day())),
            Function::Eq => {
                let mut is_any = false;
                for other in &values[1..] {
                    is_any |= equal(&values[0], other)?;
                }
                is_any.into()
            }
            Function::Ne => (!equal(&values[0], &values[1])?).into(),
            Function::Lt => ordered(Ordering::is_lt)?.into(),
            Function::Le => ordered(Ordering::is_le)?.into(),
            Function::Gt => ordered(Ordering::is_gt)?.into(),
            Function::Ge => ordered(Ordering::is_ge)?.into(),
            Function::Not => (!values[0].is_true()).into(),
            Function::Len => match values[0].as_str() {
                Some(text) => text.len().into(),
                None => values[0].len().ok_or_else(|| no("len", &values[0]))?.into(),
            },
            Function::Index => {
                let inner = |value: Value, key| index(&value, key);
                values[1..].iter().try_fold(values[0].clone(), inner)?
            }
            Function::Slice => slice(&values[0], &values[1..])?,
            Function::Json => json(&values[0])?.into(),
            Function::Print => print(values)?.into(),
            Function::Println => {
                let texts = values.iter().map(text).collect::<Result<Vec<_>, _>>()?;
                format!("{}\n", texts.join(" ")).into()
            }
            Function::Printf => printf(values)?.into(),
        })
    }
}

fn no(function: &str, value: &Value) -> String {
    format!("`{function}` is given {}", value.kind())
}

/// A value as an action prints it.
pub fn text(value: &Value) -> Result<String, String> {
    let items = || value.try_iter().map_err(|error| error.to_string());
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => "<no value>".to_owned(),
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        ValueKind::Bool => value.is_true().to_string(),
        ValueKind::Seq if items()?.all(|item| item.kind() == ValueKind::String) => {
            let texts: Vec<_> = items()?.map(|item| item.to_string()).collect();
            format!("[{}]", texts.join(" "))
        }
        // Ollama's own types print as JSON.
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => json(value)?,
        _ => value.to_string(),
    })
}

/// JSON as Go writes it, which spells out what means something in HTML.
fn json(value: &Value) -> Result<String, String> {
    super::super::python::check_depth(value).map_err(|error| error.to_string())?;
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Texts stand beside each other; other values have a space between them.
fn print(values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let is_text = |value: &Value| value.kind() == ValueKind::String;
    for (nth, value) in values.iter().enumerate() {
        if nth > 0 && !is_text(value) && !is_text(&values[nth - 1]) {
            out.push(' ');
        }
        out.push_str(&text(value)?);
    }
    Ok(out)
}

fn printf(values: &[Value]) -> Result<String, String> {
    let format = values[0].as_str().ok_or_else(|| no("printf", &values[0]))?;
    let mut values = values[1..].iter();
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let verb = chars.next().unwrap_or(' ');
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or("`printf` is given too few values")?;
        match (verb, value.kind()) {
            ('s', ValueKind::String) | ('v', _) | ('d', ValueKind::Number) => {
                out.push_str(&text(value)?);
            }
            ('q', ValueKind::String) => {
                out.push_str(&serde_json::to_string(value).map_err(|error| error.to_string())?);
            }
            _ => return Err(format!("`printf` is given {} for %{verb}", value.kind())),
        }
    }
    match values.next() {
        Some(_) => Err("`printf` is given too many values".to_owned()),
        None => Ok(out),
    }
}

/// Whether two values of one kind are equal; what is absent equals itself alone.
fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    let absent = |value: &Value| value.is_none() || value.is_undefined();
    match (absent(a), absent(b)) {
        (false, false) => Ok(ordered(a, b)?.is_eq()),
        (a, b) => Ok(a && b),
    }
}

fn ordered(a: &Value, b: &Value) -> Result<Ordering, String> {
    let whole = |value: &Value| value.is_integer();
    let found = match (a.kind(), b.kind()) {
        (ValueKind::String, ValueKind::String) => a.as_str().partial_cmp(&b.as_str()),
        (ValueKind::Bool, ValueKind::Bool) => a.is_true().partial_cmp(&b.is_true()),
        (ValueKind::Number, ValueKind::Number) if whole(a) == whole(b) => a.partial_cmp(b),
        _ => None,
    };
    found.ok_or_else(|| format!("{} and {} cannot be compared", a.kind(), b.kind()))
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    if value.kind() == ValueKind::Map {
        return Ok(value.get_item(key).unwrap_or_default());
    }
    let at =
        usize::try_from(key.clone()).ok().filter(|at| value.len().is_some_and(|len| *at < len));
    let at = at.filter(|_| value.kind() == ValueKind::Seq);
    let item = at.and_then(|at| value.get_item_by_index(at).ok());
    item.ok_or_else(|| format!("`index` finds no item {key} in {}", value.kind()))
}

/// From one place to another, of a text in bytes.
fn slice(value: &Value, ends: &[Value]) -> Result<Value, String> {
    let len = value.as_str().map(str::len).or_else(|| value.len());
    let len = len.filter(|_| matches!(value.kind(), ValueKind::String | ValueKind::Seq));
    let len = len.ok_or_else(|| no("slice", value))?;
    let end = |nth: usize, or: usize| match ends.get(nth) {
        None => Some(or),
        Some(end) => usize::try_from(end.clone()).ok().filter(|end| *end <= len),
    };
    let range = end(0, 0).zip(end(1, len)).filter(|(start, end)| start <= end);
    let (start, end) = range.ok_or_else(|| format!("`slice` reaches outside of {len}"))?;
    if let Some(text) = value.as_str() {
        let part = text.get(start..end).ok_or("`slice` cuts a character")?;
        return Ok(part.into());
    }
    let items = value.try_iter().map_err(|error| error.to_string())?;
    Ok(items.skip(start).take(end - start).collect())
}
