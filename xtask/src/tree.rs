//! The text files of the repository: those that git tracks and those that it would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::rust::Source;

/// The files, in the order of their paths.
pub struct Tree {
    pub files: Vec<File>,
}

/// A file of text.
pub struct File {
    /// Its path from the repository's root, with slashes.
    pub path: String,
    pub text: String,
    /// What it is as Rust, if it is.
    pub rust: Option<Source>,
}

impl Tree {
    pub fn read() -> anyhow::Result<Tree> {
        let root = root()?;
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let output = Command::new("git").args(list).current_dir(root).output();
        let output = output.context("git lists the files to look at, and cannot be run")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let paths = String::from_utf8(output.stdout).context("a path is not UTF-8")?;
        let mut paths: Vec<&str> = paths.split('\0').filter(|path| !path.is_empty()).collect();
        paths.sort_unstable();
        paths.dedup();
        let file = |path: &str| Some(File::new(path, String::from_utf8(read(root, path)?).ok()?));
        Ok(Tree { files: paths.into_iter().filter_map(file).collect() })
    }

    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter_map(|file| Some((file, file.rust.as_ref()?)))
    }
}

impl File {
    pub fn new(path: &str, text: String) -> File {
        let rust = path.ends_with(".rs").then(|| Source::new(&text));
        File { path: path.to_owned(), text, rust }
    }

    /// Whether it is only compiled for tests, or shows how to use a crate.
    pub fn is_test(&self) -> bool {
        let part = |part: &str| self.path.contains(&format!("/{part}/"));
        self.path.ends_with("/tests.rs") || part("tests") || part("examples") || part("benches")
    }
}

/// The repository's root.
pub fn root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")
}

/// A file that was deleted and not committed is still listed; it has no bytes.
fn read(root: &Path, path: &str) -> Option<Vec<u8>> {
    let path: PathBuf = root.join(path);
    path.is_file().then(|| fs::read(path).ok()).flatten()
}
