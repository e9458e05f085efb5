//! Filters and tests where Jinja2 differs from minijinja.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::methods::{capitalize, pad, strip};
use super::python::{self, Layout};

pub(super) fn install(env: &mut Environment<'static>) {
    minijinja_contrib::add_to_environment(env);
    env.add_filter("tojson", tojson);
    env.add_filter("string", |value: &Value| {
        python::check_depth(value).map(|()| python::str(value))
    });
    env.add_filter("capitalize", |value: &Value| capitalize(&python::str(value)));
    env.add_filter("trim", |value: &Value, chars: Option<String>| {
        strip(&python::str(value), "strip", chars.as_deref()).to_owned()
    });
    env.add_filter("replace", replace);
    env.add_filter("default", default);
    env.add_filter("d", default);
    env.add_filter("first", |value: &Value| match value.kind() {
        ValueKind::Undefined => Ok(Value::UNDEFINED),
        _ => minijinja::filters::first(value),
    });
    env.add_filter("last", |value: Value| match value.kind() {
        ValueKind::Undefined => Ok(Value::UNDEFINED),
        _ => minijinja::filters::last(value),
    });
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.add_filter("wordcount", |value: &Value| python::str(value).split_whitespace().count());
    env.add_filter("center", |value: &Value, width: Option<usize>| {
        pad(&python::str(value), "center", width.unwrap_or(80), ' ')
    });
    env.add_filter("length", length);
    env.add_filter("count", length);
    env.add_filter("list", list);
    env.add_filter("join", join);
    env.add_filter("items", items);
    env.add_filter("indent", indent);
    env.add_filter(super::source::ITERABLE, |value: Value| match value.kind() {
        ValueKind::None => Err(Error::new(ErrorKind::InvalidOperation, "none is not iterable")),
        _ => Ok(value),
    });
    env.add_test("sequence", |value: &Value| {
        use ValueKind::{Iterable, Map, Seq, String, Undefined};
        matches!(value.kind(), Seq | Map | String | Undefined | Iterable)
    });
    env.add_test("iterable", |value: &Value| {
        use ValueKind::{Iterable, Map, Seq, String, Undefined};
        matches!(value.kind(), Seq | Map | String | Undefined | Iterable)
    });
    env.add_test("number", |v: &Value| matches!(v.kind(), ValueKind::Number | ValueKind::Bool));
    env.add_test("callable", |v: &Value| {
        matches!(v.kind(), ValueKind::Plain | ValueKind::Undefined)
    });
}

/// `json.dumps` as Hugging Face calls it: no escaping for HTML, characters as they are.
fn tojson(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    // The order of the positional ones is that of transformers' filter.
    let arg = |at: usize, name: &str| -> Result<Option<Value>, Error> {
        let given = args.get(at).cloned().or(kwargs.get(name)?);
        Ok(given.filter(|value| !value.is_none() && !value.is_undefined()))
    };
    let flag = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let ascii = flag(arg(0, "ensure_ascii")?);
    let indent = match arg(1, "indent")? {
        Some(text) if text.as_str().is_some() => Some(python::str(&text)),
        Some(width) => Some(" ".repeat(i64::try_from(width)?.clamp(0, 1 << 10) as usize)),
        None => None,
    };
    let separators = arg(2, "separators")?.map(|pair| python::items(&pair));
    let sort_keys = flag(arg(3, "sort_keys")?);
    kwargs.assert_all_used()?;
    let comma = if indent.is_some() { "," } else { ", " };
    let separator = |at: usize, default: &str| {
        let given = separators.as_ref().and_then(|pair| pair.get(at));
        given.map_or_else(|| default.to_owned(), python::str)
    };
    let (item_separator, key_separator) = (separator(0, comma), separator(1, ": "));
    python::json(value, &Layout { ascii, indent, item_separator, key_separator, sort_keys })
}

/// `len`; of an undefined value it is 0.
fn length(value: &Value) -> Result<usize, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(0),
        ValueKind::Iterable => Ok(python::items(value).len()),
        kind => value.len().ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, format!("a value of type {kind} has no length"))
        }),
    }
}

fn list(value: &Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.chars().map(String::from).collect());
    }
    match value.kind() {
        ValueKind::Undefined => Ok(Value::from(Vec::<Value>::new())),
        _ => value.try_iter()?.checked().collect(),
    }
}

fn join(value: &Value, sep: Option<String>, kwargs: Kwargs) -> Result<String, Error> {
    let sep = sep.or(kwargs.get("d")?).unwrap_or_default();
    let attribute: Option<String> = kwargs.get("attribute")?;
    kwargs.assert_all_used()?;
    let part = |item: Value| match &attribute {
        Some(name) => item.get_attr(name).map(|value| python::str(&value)),
        None => Ok(python::str(&item)),
    };
    let items = python::items(&list(value)?);
    Ok(items.into_iter().map(part).collect::<Result<Vec<_>, _>>()?.join(&sep))
}

fn replace(value: &Value, from: String, to: Value, count: Option<usize>) -> String {
    let (text, to) = (python::str(value), python::str(&to));
    text.replacen(&from, &to, count.unwrap_or(usize::MAX))
}

/// `default(value, default_value='', boolean=False)`.
fn default(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let other = args.first().cloned().or(kwargs.get("default_value")?);
    let boolean = args.get(1).cloned().or(kwargs.get("boolean")?).is_some_and(|v| v.is_true());
    kwargs.assert_all_used()?;
    let keep = if boolean { value.is_true() } else { !value.is_undefined() };
    Ok(if keep { value.clone() } else { other.unwrap_or_else(|| "".into()) })
}

/// `int(default=0, base=10)`: what cannot be read is the default.
fn int(value: &Value, default: Option<Value>, base: Option<u32>) -> Value {
    let text = value.as_str().map(|text| text.trim().replace('_', ""));
    let base = base.filter(|base| (2..=36).contains(base)).unwrap_or(10);
    let read = |text: &str| {
        let whole = i64::from_str_radix(text, base).ok();
        whole.or_else(|| text.parse::<f64>().ok().filter(|f| f.is_finite()).map(|f| f as i64))
    };
    let whole = match (text, value.kind()) {
        (Some(text), _) => read(&text),
        (None, ValueKind::Bool) => Some(value.is_true().into()),
        (None, ValueKind::Number) if value.is_integer() => return value.clone(),
        (None, ValueKind::Number) => f64::try_from(value.clone()).ok().map(|f| f as i64),
        _ => None,
    };
    whole.map_or_else(|| default.unwrap_or_else(|| 0.into()), Value::from)
}

fn float(value: &Value, default: Option<Value>) -> Value {
    let number = match (value.as_str(), value.kind()) {
        (Some(text), _) => text.trim().parse().ok(),
        (None, ValueKind::Bool) => Some(f64::from(u8::from(value.is_true()))),
        (None, ValueKind::Number) => f64::try_from(value.clone()).ok(),
        _ => None,
    };
    number.map_or_else(|| default.unwrap_or_else(|| 0.0.into()), Value::from)
}

/// `indent(width=4, first=False, blank=False)`; a line end at the end stays.
fn indent(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let arg = |at: usize, name: &str| -> Result<Option<Value>, Error> {
        Ok(args.get(at).cloned().or(kwargs.get(name)?))
    };
    let width = match arg(0, "width")? {
        Some(text) if text.as_str().is_some() => python::str(&text),
        Some(width) => " ".repeat(i64::try_from(width)?.clamp(0, 1 << 10) as usize),
        None => " ".repeat(4),
    };
    let flag = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let (first, blank) = (flag(arg(1, "first")?), flag(arg(2, "blank")?));
    kwargs.assert_all_used()?;
    let text = python::str(value);
    let lines = text.split('\n').enumerate().map(|(at, line)| match at {
        0 if !first => line.to_owned(),
        0 => format!("{width}{line}"),
        _ if line.is_empty() && !blank => String::new(),
        _ => format!("{width}{line}"),
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// markupsafe's spelling of the five characters.
fn escape(value: &Value) -> Value {
    if value.is_safe() {
        return value.clone();
    }
    let text = python::str(value).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Value::from_safe_string(text.replace('\'', "&#39;").replace('"', "&#34;"))
}

/// Pairs of a dict; none of an undefined value.
fn items(value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(Value::from(Vec::<Value>::new())),
        _ => minijinja::filters::items(value),
    }
}
