//! A file that is arriving: its bytes in place, and how far each of its segments has come.
//!
//! The file has its final length from the start, with holes; behind the data stands a table with
//! the bytes that each segment holds. A count is written after the bytes that it counts, so a
//! process that is killed at any moment leaves a table that is true. After a failure of power it
//! may not be: the file's sum says so in the end. The name differs from those that other programs
//! go on with, since they take a file's length for its progress.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::OFlags;

use crate::limits::SEGMENT_BYTES_MIN;

/// What the names of such files end in.
pub const SUFFIX: &str = ".russet.incomplete";
const MAGIC: &[u8; 8] = b"RUSSET01";
const HEAD: u64 = 24;
const SEGMENT_MAX: u64 = 256 << 20;
/// Segments that a file is cut into, as far as their bounds allow.
const SEGMENTS: u64 = 64;

/// A file that is arriving.
pub struct Partial {
    file: File,
    path: PathBuf,
    bytes: u64,
    segment: u64,
    /// Bytes that each segment holds from its beginning.
    done: Mutex<Vec<u64>>,
}

impl Partial {
    /// Opens what an earlier attempt left at `path`, or begins anew.
    pub fn open(path: &Path, bytes: u64) -> io::Result<Partial> {
        let mut partial = Partial::of(options().write(true).create(true).open(path)?, path, bytes);
        if !partial.take_up()? {
            partial.begin()?;
        }
        Ok(partial)
    }

    /// Bytes that an earlier attempt left at `path`. Nothing is changed: whoever asks holds no
    /// lock.
    pub fn held(path: &Path, bytes: u64) -> io::Result<u64> {
        let mut partial = Partial::of(options().open(path)?, path, bytes);
        Ok(if partial.take_up()? { partial.have() } else { 0 })
    }

    fn of(file: File, path: &Path, bytes: u64) -> Partial {
        let segment =
            (bytes / SEGMENTS).next_multiple_of(1 << 20).clamp(SEGMENT_BYTES_MIN, SEGMENT_MAX);
        let done = Mutex::new(vec![0; bytes.div_ceil(segment) as usize]);
        Partial { file, path: path.to_owned(), bytes, segment, done }
    }

    /// How much each segment has and may have: (beginning, bytes held, bytes in all).
    pub fn segments(&self) -> Vec<(u64, u64, u64)> {
        let done = self.done.lock().expect("no thread panics with the table");
        let segment = |(i, &done): (usize, &u64)| {
            let start = i as u64 * self.segment;
            (start, done, self.segment.min(self.bytes - start))
        };
        done.iter().enumerate().map(segment).collect()
    }

    /// Bytes that have arrived.
    pub fn have(&self) -> u64 {
        self.done.lock().expect("no thread panics with the table").iter().sum()
    }

    /// Adds bytes to a segment, behind those that it has.
    pub fn append(&self, index: usize, bytes: &[u8]) -> io::Result<()> {
        let start = index as u64 * self.segment;
        let have = self.done.lock().expect("no thread panics with the table")[index];
        let room = self.segment.min(self.bytes - start) - have;
        if bytes.len() as u64 > room {
            return Err(io::Error::other("more bytes than the segment holds"));
        }
        self.file.write_all_at(bytes, start + have)?;
        let now = have + bytes.len() as u64;
        self.file.write_all_at(&now.to_le_bytes(), self.place(index))?;
        self.done.lock().expect("no thread panics with the table")[index] = now;
        Ok(())
    }

    /// The file, to be summed.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the whole file its final name.
    pub fn finish(self, to: &Path) -> io::Result<()> {
        self.file.set_len(self.bytes)?;
        self.file.sync_all()?;
        fs::rename(&self.path, to)?;
        // The name is durable when its directory is; a system that cannot do that has done its
        // best.
        let _ = to.parent().map(|dir| File::open(dir).and_then(|dir| dir.sync_all()));
        Ok(())
    }

    /// Forgets everything that has arrived.
    pub fn begin(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        let mut table = MAGIC.to_vec();
        table.extend(self.bytes.to_le_bytes());
        table.extend(self.segment.to_le_bytes());
        let done = self.done.get_mut().expect("no thread panics with the table");
        done.fill(0);
        table.extend(done.iter().flat_map(|done| done.to_le_bytes()));
        // Written behind a hole: a file of the final length alone is one that is finished.
        self.file.write_all_at(&table, self.bytes)
    }

    /// Reads the table; whether there was one that belongs to this file.
    fn take_up(&mut self) -> io::Result<bool> {
        let done = self.done.get_mut().expect("no thread panics with the table");
        let length = self.file.metadata()?.len();
        if length == self.bytes && length > 0 {
            // Killed after the table was cut off and before the file was renamed.
            let whole = (0..done.len() as u64).map(|i| i * self.segment);
            let whole = whole.map(|start| self.segment.min(self.bytes - start));
            *done = whole.collect();
            return Ok(true);
        }
        if length != self.bytes + HEAD + 8 * done.len() as u64 {
            return Ok(false);
        }
        let mut table = vec![0; (length - self.bytes) as usize];
        self.file.read_exact_at(&mut table, self.bytes)?;
        let (words, _) = table[8..].as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        if &table[..8] != MAGIC || words[0] != self.bytes || words[1] != self.segment {
            return Ok(false);
        }
        for (i, (done, &said)) in done.iter_mut().zip(&words[2..]).enumerate() {
            // A count that cannot be is a segment that has to come again.
            let most = self.segment.min(self.bytes - i as u64 * self.segment);
            *done = if said <= most { said } else { 0 };
        }
        Ok(true)
    }

    fn place(&self, index: usize) -> u64 {
        self.bytes + HEAD + 8 * index as u64
    }
}

/// A file that arrives is never behind a link.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).truncate(false).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}
