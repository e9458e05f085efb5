//! A model's metadata under one set of keys, whichever container it came from.
//!
//! The loader fills it; a family reads it. Each entry remembers how the file spelled its key, so
//! that an error names what the user can look up.

use std::collections::BTreeMap;

/// What a metadata key holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A real number.
    Float(f64),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Value>),
}

/// Why metadata does not describe a model that Russet can run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// No family of that name.
    #[error(
        "architecture `{0}` is not supported by this version; `russet doctor` lists those that are"
    )]
    UnknownFamily(String),
    /// A key that the family needs is not there.
    #[error("the model's metadata lacks `{0}`; the file is incomplete, download it again")]
    Missing(String),
    /// A key has a value of another type or outside its range.
    #[error("metadata key `{key}` is {found}, expected {expected}")]
    Invalid {
        /// The key as the file spells it.
        key: String,
        /// The value found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A key asks for something that this version cannot compute.
    #[error("metadata key `{key}` asks for `{value}`, which this version does not support")]
    Unsupported {
        /// The key as the file spells it.
        key: String,
        /// Its value.
        value: String,
    },
}

/// A model's metadata: our key, the file's spelling of it, and its value.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    entries: BTreeMap<String, (String, Value)>,
    /// How the file would spell keys that it lacks.
    spellings: BTreeMap<&'static str, String>,
}

impl Meta {
    /// Sets `key`, which the file spells `spelled`.
    pub fn set(&mut self, key: &str, spelled: &str, value: Value) {
        self.entries.insert(key.to_owned(), (spelled.to_owned(), value));
    }

    /// Says how the file would spell `key`, for the error that it lacks it.
    pub fn spell(&mut self, key: &'static str, spelled: &str) {
        self.spellings.insert(key, spelled.to_owned());
    }

    /// Forgets `key`.
    pub fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// The value of `key`, if the file has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// How the file spells `key` or would spell it; our own name for it where that is not known.
    pub fn spelled(&self, key: &str) -> String {
        let found = self.entries.get(key).map(|(spelled, _)| spelled);
        found.or_else(|| self.spellings.get(key)).map_or(key, String::as_str).to_owned()
    }

    /// Our keys, the file's spellings and the values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.entries.iter().map(|(key, (spelled, value))| (key.as_str(), spelled.as_str(), value))
    }

    /// A required whole number.
    pub fn u32(&self, key: &str) -> Result<u32, SpecError> {
        self.opt_u32(key)?.ok_or_else(|| SpecError::Missing(self.spelled(key)))
    }

    /// A whole number, if present.
    pub fn opt_u32(&self, key: &str) -> Result<Option<u32>, SpecError> {
        let whole = |v: &Value| match *v {
            Value::Int(i) => u32::try_from(i).ok(),
            Value::Float(f) if f.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&f) => {
                Some(f as u32)
            }
            _ => None,
        };
        self.read(key, "a whole number", whole)
    }

    /// A required positive whole number below `limit`; sizes come from files that nobody checked.
    pub fn size(&self, key: &str, limit: u32) -> Result<u32, SpecError> {
        let value = self.u32(key)?;
        if (1..=limit).contains(&value) {
            return Ok(value);
        }
        Err(self.invalid(key, "a positive size of sensible magnitude"))
    }

    /// A required real number.
    pub fn f32(&self, key: &str) -> Result<f32, SpecError> {
        self.opt_f32(key)?.ok_or_else(|| SpecError::Missing(self.spelled(key)))
    }

    /// A finite real number, if present.
    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>, SpecError> {
        self.read(key, "a number", number)
    }

    /// A finite real number in double precision, if present.
    pub fn opt_f64(&self, key: &str) -> Result<Option<f64>, SpecError> {
        self.read(key, "a number", |value| match *value {
            Value::Int(i) => Some(i as f64),
            Value::Float(f) => Some(f).filter(|f| f.is_finite()),
            _ => None,
        })
    }

    /// A list of finite real numbers, if present.
    pub fn opt_f32s(&self, key: &str) -> Result<Option<Vec<f32>>, SpecError> {
        self.read(key, "a list of numbers", |v| match v {
            Value::List(items) => items.iter().map(number).collect(),
            _ => None,
        })
    }

    /// A text, if present.
    pub fn opt_text(&self, key: &str) -> Result<Option<&str>, SpecError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(key, "a text")),
        }
    }

    /// A list of texts, if present.
    pub fn opt_texts(&self, key: &str) -> Result<Option<Vec<String>>, SpecError> {
        self.read(key, "a list of texts", |v| match v {
            Value::List(items) => items
                .iter()
                .map(|item| match item {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// A truth value; absent means false.
    pub fn flag(&self, key: &str) -> Result<bool, SpecError> {
        Ok(self.opt_flag(key)?.unwrap_or(false))
    }

    /// A truth value, if present.
    pub fn opt_flag(&self, key: &str) -> Result<Option<bool>, SpecError> {
        self.read(key, "true or false", |v| match v {
            Value::Bool(b) => Some(*b),
            _ => None,
        })
    }

    /// A whole number for each of `count` layers, where the file has one for all or a list.
    pub fn each(&self, key: &str, count: u32) -> Result<Vec<u32>, SpecError> {
        self.opt_each(key, count)?.ok_or_else(|| SpecError::Missing(self.spelled(key)))
    }

    /// A whole number for each of `count` layers, if present.
    pub fn opt_each(&self, key: &str, count: u32) -> Result<Option<Vec<u32>>, SpecError> {
        let Some(Value::List(items)) = self.get(key) else {
            return Ok(self.opt_u32(key)?.map(|number| vec![number; count as usize]));
        };
        let number = |item: &Value| match *item {
            Value::Int(i) => u32::try_from(i).ok(),
            _ => None,
        };
        let list: Option<Vec<u32>> = items.iter().map(number).collect();
        let list = list.filter(|list| list.len() == count as usize);
        list.map(Some).ok_or_else(|| self.invalid(key, "a whole number for each layer"))
    }

    /// The error that `key`'s value is not what was `expected`.
    pub fn invalid(&self, key: &str, expected: &'static str) -> SpecError {
        let found = self.get(key).map_or_else(|| "absent".to_owned(), show);
        SpecError::Invalid { key: self.spelled(key), found, expected }
    }

    /// The error that `key`'s value asks for something not supported.
    pub fn unsupported(&self, key: &str) -> SpecError {
        let value = self.get(key).map_or_else(|| "absent".to_owned(), show);
        SpecError::Unsupported { key: self.spelled(key), value }
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &'static str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, SpecError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        convert(value).map(Some).ok_or_else(|| self.invalid(key, expected))
    }
}

fn number(value: &Value) -> Option<f32> {
    let number = match *value {
        Value::Int(i) => i as f32,
        Value::Float(f) => f as f32,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A short form of a value for an error message.
fn show(value: &Value) -> String {
    let text = match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) => f.to_string(),
        Value::Text(t) => format!("\"{t}\""),
        Value::List(items) => format!("a list of {}", items.len()),
    };
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
