//! The JSON header of a safetensors file.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Dtype, SafeTensor};
use crate::WeightError;

/// The directory of a safetensors file.
#[derive(Clone, Debug)]
pub struct SafeHeader {
    tensors: Vec<SafeTensor>,
}

/// The format's own bound on a header.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// More than any model has; bounds what a hostile header can make us keep per byte of it.
const TENSORS_MAX: usize = 1 << 16;
const NAME_BYTES_MAX: usize = 1 << 10;
const DIMS_MAX: usize = 8;

impl SafeHeader {
    /// Parses the header that a file's bytes begin with; `name` is what errors call the file. Any
    /// bytes may be given.
    ///
    /// # Errors
    /// Where there is no header, or the tensors do not fill the rest of the file in order.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<SafeHeader, WeightError> {
        let damaged = |what: String| WeightError::damaged(name, what);
        let Some((len, rest)) = bytes.split_first_chunk() else {
            return Err(damaged("the file is too short for a safetensors header".to_owned()));
        };
        let len = u64::from_le_bytes(*len);
        if len > HEADER_BYTES_MAX || len > rest.len() as u64 {
            return Err(damaged(format!(
                "the header claims {len} bytes of a file of {}",
                bytes.len()
            )));
        }
        let (json, data) = rest.split_at(len as usize);
        let Entries(mut entries) = serde_json::from_slice(json)
            .map_err(|e| damaged(format!("the safetensors header is not valid: {e}")))?;
        entries.sort_by_key(|(_, entry)| entry.data_offsets);

        let (start, mut end) = (8 + json.len(), 0);
        let mut tensors = Vec::with_capacity(entries.len());
        for (tensor, entry) in entries {
            let place = entry
                .place(end, data.len())
                .map_err(|what| damaged(format!("tensor `{tensor}` {what}")))?;
            end = place.end;
            let (dtype, shape) = (entry.dtype, entry.shape);
            let range = start + place.start..start + place.end;
            tensors.push(SafeTensor { name: tensor, dtype, shape, range });
        }
        if end != data.len() {
            let surplus = data.len() - end;
            return Err(damaged(format!("the file has {surplus} bytes that belong to no tensor")));
        }
        Ok(SafeHeader { tensors })
    }

    /// The tensors, in the order of their bytes.
    pub fn tensors(&self) -> &[SafeTensor] {
        &self.tensors
    }
}

/// What the header says of a tensor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(deserialize_with = "dtype")]
    dtype: Dtype,
    #[serde(deserialize_with = "shape")]
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Entry {
    /// The tensor's bytes among the data, which the tensors fill without gaps.
    fn place(&self, begin: usize, len: usize) -> Result<std::ops::Range<usize>, String> {
        let (from, to) = self.data_offsets;
        if from != begin as u64 || to < from {
            return Err(format!("lies at {from}..{to}, where {begin}.. was expected"));
        }
        if to > len as u64 {
            return Err(format!("ends at {to}, beyond the file's {len} bytes of data"));
        }
        let weights = self.shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim));
        let bits = weights.and_then(|n| n.checked_mul(self.dtype.bits() as u64));
        if bits != (to - from).checked_mul(8) {
            let (shape, dtype) = (&self.shape, self.dtype);
            return Err(format!("has {} bytes for the shape {shape:?} of {dtype}", to - from));
        }
        Ok(begin..to as usize)
    }
}

fn dtype<'de, D: Deserializer<'de>>(input: D) -> Result<Dtype, D::Error> {
    let Name(name) = Name::deserialize(input)?;
    Dtype::from_name(&name).ok_or_else(|| D::Error::custom(format!("unknown dtype `{name}`")))
}

fn shape<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u64>, D::Error> {
    struct Shape;
    impl<'de> Visitor<'de> for Shape {
        type Value = Vec<u64>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a shape of at most {DIMS_MAX} dimensions")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u64>, A::Error> {
            let mut shape = Vec::new();
            while let Some(dim) = seq.next_element()? {
                if shape.len() == DIMS_MAX {
                    return Err(A::Error::invalid_length(DIMS_MAX + 1, &self));
                }
                shape.push(dim);
            }
            Ok(shape)
        }
    }
    input.deserialize_seq(Shape)
}

/// A name of bounded length, copied only if it is.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Name, D::Error> {
        struct Bounded;
        impl Visitor<'_> for Bounded {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a name of at most {NAME_BYTES_MAX} bytes")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                if name.len() > NAME_BYTES_MAX {
                    return Err(E::invalid_length(name.len(), &self));
                }
                Ok(Name(name.to_owned()))
            }
        }
        input.deserialize_str(Bounded)
    }
}

/// The header's entries but for `__metadata__`.
struct Entries(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Entries, D::Error> {
        struct Header;
        impl<'de> Visitor<'de> for Header {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of at most {TENSORS_MAX} tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries: Vec<(String, Entry)> = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    if entries.len() == TENSORS_MAX {
                        return Err(A::Error::invalid_length(TENSORS_MAX + 1, &self));
                    }
                    let entry = map
                        .next_value()
                        .map_err(|e| A::Error::custom(format!("tensor `{name}`: {e}")))?;
                    entries.push((name, entry));
                }
                let mut names: Vec<&str> = entries.iter().map(|(name, _)| &**name).collect();
                names.sort_unstable();
                if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(A::Error::custom(format!("`{}` occurs twice", pair[0])));
                }
                Ok(Entries(entries))
            }
        }
        input.deserialize_map(Header)
    }
}
