//! Reading forward through a file that may end at any byte.

use super::value::{ARRAY, STRING, width};
use crate::WeightError;

/// A position in a file's bytes.
pub struct Cursor<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// Arrays of arrays go no deeper.
const DEPTH_MAX: usize = 4;

impl<'a> Cursor<'a> {
    pub fn new(file: &'a str, bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { file, bytes, at: 0 }
    }

    pub fn file(&self) -> &'a str {
        self.file
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn damaged(&self, what: String) -> WeightError {
        WeightError::damaged(self.file, what)
    }

    pub fn big_endian(&self) -> WeightError {
        let what = "this GGUF file is big-endian; convert it with gguf-convert-endian, or download \
                    the little-endian one";
        WeightError::foreign(self.file, what)
    }

    /// The next `n` bytes, which are `what`.
    pub fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8], WeightError> {
        let bytes = self.bytes[self.at..].get(..n).ok_or_else(|| {
            self.damaged(format!("the file ends at byte {} inside {what}", self.len()))
        })?;
        self.at += n;
        Ok(bytes)
    }

    pub fn u32(&mut self, what: &str) -> Result<u32, WeightError> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    pub fn u64(&mut self, what: &str) -> Result<u64, WeightError> {
        let bytes = self.take(8, what)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    /// A number of things of at least `bytes_min` each, all of which must still fit in the file.
    pub fn count(&mut self, max: u64, bytes_min: usize, what: &str) -> Result<u64, WeightError> {
        let count = self.u64(what)?;
        let room = ((self.len() - self.at) / bytes_min) as u64;
        if count > max.min(room) {
            return Err(self.damaged(format!("the header claims {count} {what}")));
        }
        Ok(count)
    }

    /// A key or a tensor's name: UTF-8 of at most `max` bytes.
    pub fn name(&mut self, max: u64, what: &str) -> Result<&'a str, WeightError> {
        let len = self.count(max, 1, "bytes of a name")?;
        let bytes = self.take(len as usize, what)?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged(format!("{what} is not UTF-8")))
    }

    /// Steps over a value of type `tag`, checking that all of it is there.
    pub fn skip_value(&mut self, tag: u32, key: &str) -> Result<(), WeightError> {
        match tag {
            STRING => self.skip_string(key),
            ARRAY => self.skip_array(key, 1),
            7 => match self.take(1, key)? {
                [0 | 1] => Ok(()),
                _ => Err(self.damaged(format!("`{key}` is neither true nor false"))),
            },
            _ => match width(tag) {
                Some(width) => self.take(width, key).map(|_| ()),
                None => Err(self.damaged(format!("`{key}` has the unknown type {tag}"))),
            },
        }
    }

    fn skip_string(&mut self, key: &str) -> Result<(), WeightError> {
        let len = self.count(u64::MAX, 1, "bytes of a string")?;
        self.take(len as usize, key).map(|_| ())
    }

    fn skip_array(&mut self, key: &str, depth: usize) -> Result<(), WeightError> {
        if depth > DEPTH_MAX {
            return Err(self.damaged(format!("`{key}` nests arrays deeper than {DEPTH_MAX}")));
        }
        let tag = self.u32(key)?;
        match tag {
            STRING => {
                for _ in 0..self.count(u64::MAX, 8, "strings in an array")? {
                    self.skip_string(key)?;
                }
            }
            ARRAY => {
                for _ in 0..self.count(u64::MAX, 12, "arrays in an array")? {
                    self.skip_array(key, depth + 1)?;
                }
            }
            _ => {
                let width = width(tag).ok_or_else(|| {
                    self.damaged(format!("`{key}` is an array of the unknown type {tag}"))
                })?;
                let count = self.count(u64::MAX, width, "numbers in an array")?;
                self.take(count as usize * width, key)?;
            }
        }
        Ok(())
    }
}
