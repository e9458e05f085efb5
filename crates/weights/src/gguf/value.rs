//! Typed values of a GGUF file, read where they lie.

/// A value. Strings are bytes: a vocabulary may hold parts of characters.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // each variant is the type that it is named after
pub enum GgufValue<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Str(&'a [u8]),
    Array(GgufArray<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// An array, decoded item by item.
#[derive(Clone, Copy, Debug)]
pub struct GgufArray<'a> {
    tag: u32,
    len: usize,
    bytes: &'a [u8],
}

/// The items of an array, in order.
#[derive(Clone, Debug)]
pub struct GgufItems<'a> {
    tag: u32,
    left: usize,
    bytes: &'a [u8],
}

pub(super) const STRING: u32 = 8;
pub(super) const ARRAY: u32 = 9;

/// Bytes of a number of type `tag`.
pub(super) fn width(tag: u32) -> Option<usize> {
    Some(match tag {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

impl<'a> GgufValue<'a> {
    /// The value of type `tag` that `bytes` begin with.
    pub(super) fn read(tag: u32, bytes: &'a [u8]) -> Option<GgufValue<'a>> {
        take(tag, bytes).map(|(value, _)| value)
    }

    /// The number, if it is a whole one of any width.
    pub fn int(self) -> Option<i64> {
        Some(match self {
            GgufValue::U8(n) => n.into(),
            GgufValue::I8(n) => n.into(),
            GgufValue::U16(n) => n.into(),
            GgufValue::I16(n) => n.into(),
            GgufValue::U32(n) => n.into(),
            GgufValue::I32(n) => n.into(),
            GgufValue::U64(n) => n.try_into().ok()?,
            GgufValue::I64(n) => n,
            _ => return None,
        })
    }

    /// The number, whole or not.
    pub fn float(self) -> Option<f64> {
        match self {
            GgufValue::F32(n) => Some(n.into()),
            GgufValue::F64(n) => Some(n),
            other => other.int().map(|n| n as f64),
        }
    }

    /// The truth value.
    pub fn bool(self) -> Option<bool> {
        if let GgufValue::Bool(b) = self { Some(b) } else { None }
    }

    /// The string's bytes.
    pub fn bytes(self) -> Option<&'a [u8]> {
        if let GgufValue::Str(bytes) = self { Some(bytes) } else { None }
    }

    /// The string, if it is UTF-8.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The array.
    pub fn array(self) -> Option<GgufArray<'a>> {
        if let GgufValue::Array(array) = self { Some(array) } else { None }
    }
}

impl<'a> GgufArray<'a> {
    /// How many items.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The items.
    pub fn items(self) -> GgufItems<'a> {
        GgufItems { tag: self.tag, left: self.len, bytes: self.bytes }
    }

    /// The bytes of each string, if it is an array of strings.
    pub fn strings(self) -> Option<impl Iterator<Item = &'a [u8]>> {
        (self.tag == STRING).then(|| self.items().filter_map(GgufValue::bytes))
    }

    /// The items as whole numbers, if that is what they are.
    pub fn ints(self) -> Option<Vec<i64>> {
        self.items().map(GgufValue::int).collect()
    }

    /// The items as real numbers, if that is what they are.
    pub fn floats(self) -> Option<Vec<f32>> {
        self.items().map(|item| item.float().map(|n| n as f32)).collect()
    }
}

impl<'a> Iterator for GgufItems<'a> {
    type Item = GgufValue<'a>;

    fn next(&mut self) -> Option<GgufValue<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (value, rest) = take(self.tag, self.bytes)?;
        self.bytes = rest;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

/// Splits a value of type `tag` off `bytes`.
fn take(tag: u32, bytes: &[u8]) -> Option<(GgufValue<'_>, &[u8])> {
    macro_rules! number {
        ($variant:ident, $type:ty) => {{
            let (first, rest) = bytes.split_first_chunk()?;
            (GgufValue::$variant(<$type>::from_le_bytes(*first)), rest)
        }};
    }
    Some(match tag {
        0 => number!(U8, u8),
        1 => number!(I8, i8),
        2 => number!(U16, u16),
        3 => number!(I16, i16),
        4 => number!(U32, u32),
        5 => number!(I32, i32),
        6 => number!(F32, f32),
        7 => {
            let (first, rest) = bytes.split_first()?;
            (GgufValue::Bool(*first != 0), rest)
        }
        STRING => {
            let (len, rest) = bytes.split_first_chunk()?;
            let (text, rest) = rest.split_at_checked(u64::from_le_bytes(*len) as usize)?;
            (GgufValue::Str(text), rest)
        }
        ARRAY => {
            let (array, rest) = take_array(bytes)?;
            (GgufValue::Array(array), rest)
        }
        10 => number!(U64, u64),
        11 => number!(I64, i64),
        12 => number!(F64, f64),
        _ => return None,
    })
}

fn take_array(bytes: &[u8]) -> Option<(GgufArray<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first_chunk()?;
    let (len, items) = rest.split_first_chunk()?;
    let (tag, len) = (u32::from_le_bytes(*tag), u64::from_le_bytes(*len) as usize);
    let mut rest = items;
    match width(tag) {
        Some(width) => rest = rest.get(len.checked_mul(width)?..)?,
        None => {
            for _ in 0..len {
                rest = take(tag, rest)?.1;
            }
        }
    }
    let used = items.len() - rest.len();
    Some((GgufArray { tag, len, bytes: &items[..used] }, rest))
}
