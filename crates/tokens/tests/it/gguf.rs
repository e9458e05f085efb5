//! GGUF metadata, just enough of it for a vocabulary.

use std::collections::HashMap;

use tokens::GgufMeta;

pub enum Value {
    Number(u64),
    Bool(bool),
    Text(Vec<u8>),
    List(Vec<Value>),
    Float(f32),
}

/// The key-value pairs of a file.
pub struct Meta(HashMap<String, Value>);

impl Meta {
    pub fn read(bytes: &[u8]) -> Meta {
        let mut at = &bytes[8..];
        let _tensors = number(&mut at, 8);
        let count = number(&mut at, 8);
        let pair = |_| {
            let key = String::from_utf8(text(&mut at)).unwrap();
            let kind = number(&mut at, 4) as u32;
            (key, value(&mut at, kind))
        };
        Meta((0..count).map(pair).collect())
    }

    pub fn of<const N: usize>(pairs: [(&str, Value); N]) -> Meta {
        Meta(
            pairs
                .into_iter()
                .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
                .collect(),
        )
    }

    fn list<T>(&self, key: &str, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
        let Value::List(items) = self.0.get(key)? else { return None };
        items.iter().map(item).collect()
    }
}

fn number(at: &mut &[u8], len: usize) -> u64 {
    let (head, rest) = at.split_at(len);
    *at = rest;
    head.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

fn text(at: &mut &[u8]) -> Vec<u8> {
    let len = number(at, 8) as usize;
    let (head, rest) = at.split_at(len);
    *at = rest;
    head.to_vec()
}

fn value(at: &mut &[u8], kind: u32) -> Value {
    match kind {
        0 | 1 => Value::Number(number(at, 1)),
        2 | 3 => Value::Number(number(at, 2)),
        4 | 5 => Value::Number(number(at, 4)),
        6 => Value::Float(f32::from_bits(number(at, 4) as u32)),
        7 => Value::Bool(number(at, 1) != 0),
        8 => Value::Text(text(at)),
        9 => {
            let kind = number(at, 4) as u32;
            let len = number(at, 8);
            Value::List((0..len).map(|_| value(at, kind)).collect())
        }
        _ => Value::Number(number(at, 8)),
    }
}

impl GgufMeta for Meta {
    fn str(&self, key: &str) -> Option<&str> {
        let Value::Text(text) = self.0.get(key)? else { return None };
        std::str::from_utf8(text).ok()
    }
    fn u64(&self, key: &str) -> Option<u64> {
        let Value::Number(n) = self.0.get(key)? else { return None };
        Some(*n)
    }
    fn bool(&self, key: &str) -> Option<bool> {
        let Value::Bool(b) = self.0.get(key)? else { return None };
        Some(*b)
    }
    fn strings(&self, key: &str) -> Option<Vec<Vec<u8>>> {
        self.list(key, |v| if let Value::Text(text) = v { Some(text.clone()) } else { None })
    }
    fn f32s(&self, key: &str) -> Option<Vec<f32>> {
        self.list(key, |v| if let Value::Float(f) = v { Some(*f) } else { None })
    }
    fn i32s(&self, key: &str) -> Option<Vec<i32>> {
        self.list(key, |v| if let Value::Number(n) = v { Some(*n as i32) } else { None })
    }
    fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        self.list(key, |v| if let Value::Number(n) = v { Some(*n as u8) } else { None })
    }
}
