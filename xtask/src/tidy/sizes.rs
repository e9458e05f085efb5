//! How long files, functions and lines may be, and what a file begins with.

use crate::rust::Source;
use crate::tidy::Complaint;
use crate::tree::{File, Tree};

const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
/// From here on a file says why it is long.
const FILE_LINES_EXPLAINED: usize = 500;
const FILE_LINES_MAX: usize = 800;
/// How such an explanation begins.
const REASON: &str = "//! Long because";
const RATCHET: &str = "xtask/ratchet.toml";

pub fn check(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut long = Vec::new();
    for (file, source) in tree.rust() {
        head(file, &mut found);
        columns(file, &mut found);
        length(file, source, &mut found);
        long.extend(functions(file, source));
    }
    let limit = tree.get(RATCHET).and_then(|file| ratchet(&file.text)).unwrap_or(0);
    if long.len() > limit {
        found.append(&mut long);
    } else if long.len() < limit {
        let what = format!("long_functions can be lowered from {limit} to {}", long.len());
        found.push(Complaint::new(RATCHET, 1, what));
    }
    found
}

fn head(file: &File, found: &mut Vec<Complaint>) {
    if !file.text.starts_with("//!") {
        let what = "the first line must be `//!` and say what this file is; readers start there";
        found.push(Complaint::new(&file.path, 1, what));
    }
}

fn columns(file: &File, found: &mut Vec<Complaint>) {
    for (line, number) in file.text.lines().zip(1..) {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX && !is_whole(line) {
            let what = format!("{columns} columns; {COLUMNS_MAX} fit beside another file");
            found.push(Complaint::new(&file.path, number, what));
        }
    }
}

/// Addresses and patterns cannot be broken.
fn is_whole(line: &str) -> bool {
    ["https://", "r\"", "r#\"", "r##\"", "\\u{"].iter().any(|mark| line.contains(mark))
}

fn length(file: &File, source: &Source, found: &mut Vec<Complaint>) {
    let lines = source.tests_from;
    if file.is_test() || lines <= FILE_LINES_EXPLAINED {
        return;
    }
    let explained = file.text.lines().take_while(|line| line.starts_with("//!"));
    let explained = explained.into_iter().any(|line| line.starts_with(REASON));
    if lines > FILE_LINES_MAX {
        let what = format!("{lines} lines; above {FILE_LINES_MAX} a file is two");
        found.push(Complaint::new(&file.path, 1, what));
    } else if !explained {
        let what = format!("{lines} lines; above {FILE_LINES_EXPLAINED} the head has `{REASON}`");
        found.push(Complaint::new(&file.path, 1, what));
    }
}

fn functions(file: &File, source: &Source) -> Vec<Complaint> {
    let long = source.functions().into_iter().filter(|f| f.lines > FUNCTION_LINES_MAX);
    long.map(|f| {
        let what =
            format!("fn {} has {} lines; {FUNCTION_LINES_MAX} fit a screen", f.name, f.lines);
        Complaint::new(&file.path, f.line, what)
    })
    .collect()
}

fn ratchet(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("long_functions"))?;
    line.trim_start().strip_prefix('=')?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
