//! The GGUF container, versions 2 and 3: typed key-values, then a directory of tensors, then data.
//!
//! Source: ggml's description of the format. Nothing is copied at parsing: values and long arrays
//! stay where they lie and are decoded when asked for. A count from the file is compared with the
//! bytes that remain before anything is made of it, so memory is bounded by the file's size.

mod cursor;
mod value;

use std::ops::Range;

use blocks::{Bytes, Kind};

use crate::WeightError;
use cursor::Cursor;
pub use value::{GgufArray, GgufItems, GgufValue};

/// A parsed GGUF file.
#[derive(Clone, Debug)]
pub struct Gguf {
    bytes: Bytes,
    version: u32,
    entries: Vec<Entry>,
    tensors: Vec<GgufTensor>,
}

/// A key and where its value lies.
#[derive(Clone, Debug)]
struct Entry {
    key: Range<usize>,
    tag: u32,
    value: Range<usize>,
}

/// A tensor of the directory.
#[derive(Clone, Debug)]
pub struct GgufTensor {
    /// Its name.
    pub name: String,
    /// How it is stored; `None` for integers and doubles, which are no weights.
    pub kind: Option<Kind>,
    /// How it is stored, as ggml calls it.
    pub dtype: String,
    /// Its shape, outermost first.
    pub shape: Vec<u64>,
    /// Where its data lies in the file.
    pub range: Range<usize>,
}

/// More than any model has; bounds what a hostile header can make us keep per byte of it.
const KEYS_MAX: u64 = 1 << 16;
const TENSORS_MAX: u64 = 1 << 16;
const NAME_BYTES_MAX: u64 = 128;
/// As ggml allows.
const DIMS_MAX: u32 = 4;
const MAGIC: &[u8] = b"GGUF";

impl Gguf {
    /// Parses a file's bytes; `name` is what errors call it. Any bytes may be given.
    ///
    /// # Errors
    /// Where the bytes are no GGUF file of version 2 or 3, or contradict each other.
    pub fn parse(name: &str, bytes: Bytes) -> Result<Gguf, WeightError> {
        let mut at = Cursor::new(name, bytes.as_slice());
        let (mut gguf, alignment) = Gguf::header(&mut at, &bytes)?;
        place(&mut gguf.tensors, &at, alignment)?;
        Ok(gguf)
    }

    /// Reads up to where the data begins; the tensors' ranges still are offsets in it.
    fn header(at: &mut Cursor<'_>, bytes: &Bytes) -> Result<(Gguf, usize), WeightError> {
        let version = version(at)?;
        let tensor_count = at.count(TENSORS_MAX, GgufTensor::BYTES_MIN, "tensors")?;
        let key_count = at.count(KEYS_MAX, Entry::BYTES_MIN, "keys")?;

        let mut gguf = Gguf { bytes: bytes.clone(), version, entries: vec![], tensors: vec![] };
        for _ in 0..key_count {
            gguf.entries.push(Entry::parse(at)?);
        }
        if let Some(key) = repeated(gguf.entries.iter().map(|entry| gguf.key(entry))) {
            return Err(at.damaged(format!("key `{key}` occurs twice")));
        }
        let alignment = gguf.alignment(at)?;
        for _ in 0..tensor_count {
            gguf.tensors.push(GgufTensor::parse(at)?);
        }
        if let Some(name) = repeated(gguf.tensors.iter().map(|tensor| tensor.name.as_str())) {
            return Err(at.damaged(format!("tensor `{name}` occurs twice")));
        }
        Ok((gguf, alignment))
    }

    /// The container's version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<GgufValue<'_>> {
        let entry = self.entries.iter().find(|entry| self.key(entry) == key)?;
        Some(self.value(entry))
    }

    /// All keys and values, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, GgufValue<'_>)> {
        self.entries.iter().map(|entry| (self.key(entry), self.value(entry)))
    }

    /// The text of `key`, where it has one in UTF-8.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// The whole number of `key`, of whatever width.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.get(key)?.int()
    }

    /// The directory of tensors, in the file's order.
    pub fn tensors(&self) -> &[GgufTensor] {
        &self.tensors
    }

    fn key(&self, entry: &Entry) -> &str {
        let bytes = &self.bytes.as_slice()[entry.key.clone()];
        std::str::from_utf8(bytes).expect("keys are checked at parsing")
    }

    fn value(&self, entry: &Entry) -> GgufValue<'_> {
        let bytes = &self.bytes.as_slice()[entry.value.clone()];
        GgufValue::read(entry.tag, bytes).expect("values are checked at parsing")
    }

    fn alignment(&self, at: &Cursor<'_>) -> Result<usize, WeightError> {
        let Some(value) = self.get("general.alignment") else { return Ok(32) };
        match value {
            GgufValue::U32(n) if n.is_power_of_two() && n <= 1 << 20 => Ok(n as usize),
            _ => Err(at.damaged("`general.alignment` is no power of two up to 1 MiB".to_owned())),
        }
    }
}

fn version(at: &mut Cursor<'_>) -> Result<u32, WeightError> {
    let magic = at.take(4, "the magic number")?;
    if magic == b"FUGG" {
        return Err(at.big_endian());
    }
    if magic != MAGIC {
        let what = "this is no GGUF file: it does not begin with `GGUF`; check what was downloaded";
        return Err(WeightError::foreign(at.file(), what));
    }
    match at.u32("the version")? {
        version @ (2 | 3) => Ok(version),
        1 => Err(WeightError::foreign(
            at.file(),
            "GGUF version 1 is not read; convert the model again with a current converter",
        )),
        version if (1..=0xffff).contains(&version.swap_bytes()) => Err(at.big_endian()),
        version => Err(WeightError::foreign(
            at.file(),
            format!("GGUF version {version} is not known; a newer Russet may read it"),
        )),
    }
}

impl Entry {
    /// An empty key, a tag and one byte.
    const BYTES_MIN: usize = 8 + 4 + 1;

    fn parse(at: &mut Cursor<'_>) -> Result<Entry, WeightError> {
        let name = at.name(u64::MAX, "a key")?;
        let key = at.position() - name.len()..at.position();
        let tag = at.u32("the type of a value")?;
        let start = at.position();
        at.skip_value(tag, name)?;
        Ok(Entry { key, tag, value: start..at.position() })
    }
}

impl GgufTensor {
    /// An empty name, the number of dimensions, one of them, the type and the offset.
    const BYTES_MIN: usize = 8 + 4 + 8 + 4 + 8;

    /// Reads a directory entry; `range` begins at the offset into the data, to be placed later.
    fn parse(at: &mut Cursor<'_>) -> Result<GgufTensor, WeightError> {
        let name = at.name(NAME_BYTES_MAX, "a tensor's name")?.to_owned();
        let bad = |at: &Cursor<'_>, what: String| at.damaged(format!("tensor `{name}` {what}"));
        let dims = at.u32("a tensor's dimensions")?;
        if !(1..=DIMS_MAX).contains(&dims) {
            return Err(bad(at, format!("claims {dims} dimensions")));
        }
        let mut shape = Vec::with_capacity(dims as usize);
        for _ in 0..dims {
            shape.push(at.u64("a tensor's shape")?);
        }
        shape.reverse();
        let tag = at.u32("a tensor's type")?;
        let offset = at.u64("a tensor's offset")?;
        let too_large = || format!("claims the shape {shape:?}");
        let weights = shape
            .iter()
            .try_fold(1usize, |n, &dim| n.checked_mul(usize::try_from(dim).ok()?))
            .filter(|&n| n > 0)
            .ok_or_else(|| bad(at, too_large()))?;
        let cols = *shape.last().expect("there is at least one dimension") as usize;
        let kind = Kind::from_ggml(tag);
        let (dtype, row_bytes) = match kind {
            Some(kind) => (kind.to_string(), kind.row_bytes(cols)),
            None => match other_type(tag) {
                Some((dtype, bytes)) => (dtype.to_owned(), cols.checked_mul(bytes)),
                None => {
                    let what = format!(
                        "tensor `{name}` has the ggml type {tag}, which this version does not \
                         know; use a file in another format"
                    );
                    return Err(WeightError::foreign(at.file(), what));
                }
            },
        };
        let row_bytes = row_bytes
            .ok_or_else(|| bad(at, format!("has rows of {cols}, not whole blocks of {dtype}")))?;
        let bytes = row_bytes.checked_mul(weights / cols).ok_or_else(|| bad(at, too_large()))?;
        let start = usize::try_from(offset).ok();
        let range = start
            .and_then(|start| Some(start..start.checked_add(bytes)?))
            .ok_or_else(|| bad(at, format!("lies at the offset {offset}")))?;
        Ok(GgufTensor { name, kind, dtype, shape, range })
    }
}

/// Bytes of the header that `beginning` begins with, if the whole of it is there. Any bytes may be
/// given; a header that is damaged never ends.
pub fn header_bytes(beginning: &[u8]) -> Option<usize> {
    let mut at = Cursor::new("a header", beginning);
    // Values stay where they lie, so what is parsed needs its bytes only while it is asked.
    let (gguf, alignment) = Gguf::header(&mut at, &Bytes::from_vec(beginning.to_vec())).ok()?;
    let end = at.position();
    if gguf.tensors.is_empty() { Some(end) } else { end.checked_next_multiple_of(alignment) }
}

/// A name that occurs more than once.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Types of ggml that are no weights: their name and bytes per number.
fn other_type(tag: u32) -> Option<(&'static str, usize)> {
    [("I8", 1), ("I16", 2), ("I32", 4), ("I64", 8), ("F64", 8)]
        .get(tag.checked_sub(24)? as usize)
        .copied()
}

/// Moves the tensors' ranges from offsets in the data to places in the file, and checks them.
fn place(tensors: &mut [GgufTensor], at: &Cursor<'_>, alignment: usize) -> Result<(), WeightError> {
    if tensors.is_empty() {
        return Ok(());
    }
    let start = at.position().checked_next_multiple_of(alignment);
    let start = start.ok_or_else(|| at.damaged("the header is too long".to_owned()))?;
    for tensor in tensors.iter_mut() {
        let name = &tensor.name;
        if tensor.range.start % alignment != 0 {
            return Err(at.damaged(format!("tensor `{name}` is not aligned to {alignment}")));
        }
        let end = start.checked_add(tensor.range.end).filter(|&end| end <= at.len());
        let end = end.ok_or_else(|| {
            at.damaged(format!("tensor `{name}` ends beyond the file's {} bytes", at.len()))
        })?;
        tensor.range = start + tensor.range.start..end;
    }
    let mut order: Vec<&GgufTensor> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.range.start);
    for pair in order.windows(2) {
        if pair[0].range.end > pair[1].range.start {
            let (a, b) = (&pair[0].name, &pair[1].name);
            return Err(at.damaged(format!("tensors `{a}` and `{b}` overlap")));
        }
    }
    Ok(())
}
