//! Vocabularies and templates against what other programs say about them.

mod gguf;
mod templates;
mod tokenizers;

/// The folder of reference data beside the repository, if it is there.
fn shared(what: &str) -> Option<std::path::PathBuf> {
    let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(what);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    }
    Some(path)
}
