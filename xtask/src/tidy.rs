//! What the tree is held to. A complaint names a file, a line, what is wrong and why it matters.

mod clones;
mod dead;
mod sizes;
mod words;

use std::fmt;
use std::process::ExitCode;

use crate::edges;
use crate::tree::Tree;

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    path: String,
    /// From 1.
    line: usize,
    what: String,
}

impl Complaint {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Complaint {
        Complaint { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Checks the tree and says what was found.
pub fn run(tree: &Tree) -> anyhow::Result<ExitCode> {
    let mut found = crate_edges(tree);
    found.extend(sizes::check(tree));
    found.extend(dead::check(tree));
    found.extend(words::check(tree));
    let clones = clones::find(tree);
    found.extend(clones.complaints());
    found.sort();
    found.iter().for_each(|complaint| eprintln!("{complaint}"));
    let lines: usize = tree.rust().map(|(file, _)| file.text.lines().count()).sum();
    let (files, share) = (tree.rust().count(), clones.share() * 100.0);
    println!("{files} files of Rust, {lines} lines, {share:.1}% of them cloned");
    if found.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} complaints", found.len());
    Ok(ExitCode::FAILURE)
}

fn crate_edges(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in &tree.files {
        let name = file.path.strip_prefix("crates/").and_then(|p| p.strip_suffix("/Cargo.toml"));
        let Some(name) = name else { continue };
        for (line, what) in edges::check(name, &file.text) {
            let why = "edges point one way (xtask/src/edges.rs)";
            found.push(Complaint::new(&file.path, line, format!("{what}; {why}")));
        }
    }
    found
}
