//! Vocabularies and templates against what other programs say about them.

mod gguf;
mod go;
mod templates;
mod tokenizers;

use std::path::{Path, PathBuf};

/// A file of this crate's own test data; each says who made it.
fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

/// The reference data beside the repository, if it is there.
fn shared(what: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(what);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    }
    Some(path)
}
