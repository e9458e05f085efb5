//! Code that stands in two files: runs of six lines that are alike but for spaces and comments.

use std::collections::HashMap;

use crate::rust::Source;
use crate::tidy::Complaint;
use crate::tree::{File, Tree};

/// Lines that count as alike only together.
const WINDOW: usize = 6;
const SHARE_MAX: f64 = 0.04;
/// Pairs of files that are named where there are too many clones.
const PAIRS_SHOWN: usize = 12;

/// What was found.
pub struct Clones {
    windows: usize,
    cloned: usize,
    /// Two files, where the first clone stands in the first of them, and how many there are.
    pairs: Vec<(String, String, usize, usize)>,
}

/// Compares the crates' files with each other.
pub fn find(tree: &Tree) -> Clones {
    let files: Vec<(&File, Vec<(usize, String)>)> = tree
        .rust()
        .filter(|(file, _)| file.path.starts_with("crates/"))
        .map(|(file, source)| (file, lines(file, source)))
        .collect();
    let mut places: HashMap<Vec<&str>, Vec<(usize, usize)>> = HashMap::new();
    for (number, (_, lines)) in files.iter().enumerate() {
        for window in lines.windows(WINDOW) {
            let text = window.iter().map(|(_, line)| line.as_str()).collect();
            places.entry(text).or_default().push((number, window[0].0));
        }
    }
    let mut clones = Clones { windows: 0, cloned: 0, pairs: Vec::new() };
    let mut pairs: HashMap<(usize, usize), (usize, usize)> = HashMap::new();
    for places in places.values() {
        clones.windows += places.len();
        let (first, line) = places[0];
        let Some((other, _)) = places.iter().find(|(file, _)| *file != first) else { continue };
        clones.cloned += places.len();
        let pair = pairs.entry((first, *other)).or_insert((line, 0));
        *pair = (pair.0.min(line), pair.1 + 1);
    }
    let path = |number: usize| files[number].0.path.clone();
    let pairs = pairs.into_iter().map(|((a, b), (line, count))| (path(a), path(b), line, count));
    clones.pairs = pairs.collect();
    clones.pairs.sort_by(|a, b| b.3.cmp(&a.3).then_with(|| a.cmp(b)));
    clones
}

impl Clones {
    /// The share of all windows that stand in two files.
    pub fn share(&self) -> f64 {
        self.cloned as f64 / self.windows.max(1) as f64
    }

    pub fn complaints(&self) -> Vec<Complaint> {
        let shown = if self.share() < SHARE_MAX { 0 } else { PAIRS_SHOWN };
        let pairs = self.pairs.iter().take(shown);
        pairs
            .map(|(path, other, line, count)| {
                let share = SHARE_MAX * 100.0;
                let what = format!(
                    "{count} runs of {WINDOW} lines as in {other}; where two files are alike, one \
                     of them is forgotten (the limit is {share}% of all)"
                );
                Complaint::new(path, *line, what)
            })
            .collect()
    }
}

/// Lines with something to compare: no comments, imports, attributes or lone brackets; literals as
/// they are.
fn lines(file: &File, source: &Source) -> Vec<(usize, String)> {
    let lines = file.text.lines().zip(source.code.lines()).zip(1..);
    lines
        .filter_map(|((text, code), number)| {
            let code = code.trim();
            let compared = code.contains(char::is_alphanumeric)
                && !code.starts_with("use ")
                && !code.starts_with("#[");
            let text = text.split("//").next().unwrap_or_default();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            compared.then_some((number, text))
        })
        .collect()
}

#[cfg(test)]
mod tests;
