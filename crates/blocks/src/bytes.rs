//! A shared range of bytes: a mapped file's or an owned buffer's.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A range of bytes that keeps its owner alive. Cloning and slicing copy nothing.
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
    len: usize,
    owned: bool,
}

impl Bytes {
    /// The bytes in `range` of `owner`; `None` where the owner has fewer.
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Option<Bytes> {
        (*owner).as_ref().get(range.clone())?;
        Some(Bytes { owner, start: range.start, len: range.len(), owned: false })
    }

    /// All of `bytes`, which lie in memory and in no file.
    pub fn from_vec(bytes: Vec<u8>) -> Bytes {
        Bytes { start: 0, len: bytes.len(), owner: Arc::new(bytes), owned: true }
    }

    /// No bytes.
    pub fn empty() -> Bytes {
        Bytes::from_vec(Vec::new())
    }

    /// The bytes themselves.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.start..self.start + self.len]
    }

    /// The bytes in `range` of these; `None` where there are fewer.
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        let start = self.start + range.start;
        let owner = Arc::clone(&self.owner);
        Some(Bytes { owner, start, len: range.len(), owned: self.owned })
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether they came from [`Bytes::from_vec`]: memory that no file gives back.
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} from {})", self.len, self.start)
    }
}
