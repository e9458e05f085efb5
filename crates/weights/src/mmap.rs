//! Files as bytes that the operating system reads on demand. The only `unsafe` of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use blocks::Bytes;
use memmap2::Mmap;

use crate::WeightError;

/// Maps a whole file, read-only; nothing is read yet.
///
/// Whoever shortens a file while it is mapped ends the process with a bus error on the next access
/// to what is gone, and whoever overwrites it changes the weights; a download therefore belongs in
/// another file that is renamed when it is whole.
pub fn map(path: &Path) -> Result<Bytes, WeightError> {
    let io = |source| WeightError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(WeightError::NotAModel { path: path.to_owned(), found: "no regular file" });
    }
    if found.len() == 0 {
        return Ok(Bytes::empty());
    }
    // SAFETY: the map is private to this process and read-only, and its bytes are only ever read as
    // numbers, for which every bit pattern is valid. That another program changes the file in the
    // meantime cannot be ruled out by any means; what then happens is said above.
    let map = unsafe { Mmap::map(&file) }.map_err(io)?;
    let len = map.len();
    Ok(Bytes::new(Arc::new(map), 0..len).expect("a map has the length of itself"))
}
