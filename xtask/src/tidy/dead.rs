//! Files of Rust that nothing compiles, and tests that link more often than they need.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::Complaint;
use crate::tree::Tree;

pub fn check(tree: &Tree) -> Vec<Complaint> {
    let mut alive = BTreeSet::new();
    let mut binaries: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, _) in tree.rust() {
        if is_root(&file.path) {
            walk(tree, &file.path, true, &mut alive);
            if let Some((package, _)) = file.path.split_once("/tests/") {
                binaries.entry(package).or_default().push(&file.path);
            }
        }
    }
    let dead = tree.rust().filter(|(file, _)| !alive.contains(&file.path)).map(|(file, _)| {
        Complaint::new(&file.path, 1, "no `mod` leads to this file; what nothing compiles, rots")
    });
    let more = binaries.values().flat_map(|paths| &paths[1..]).map(|path| {
        let what = "a second integration test of its crate; each is linked anew, make it a module";
        Complaint::new(path, 1, what)
    });
    dead.chain(more).collect()
}

/// Whether Cargo compiles it by itself.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let ends = |tail: &[&str]| parts.ends_with(tail);
    let in_folder = |folders: &[&str]| match parts[..] {
        [.., folder, _] if folders.contains(&folder) => true,
        [.., folder, _, "main.rs"] => folders.contains(&folder),
        _ => false,
    };
    ends(&["src", "lib.rs"])
        || ends(&["src", "main.rs"])
        || ends(&["build.rs"])
        || in_folder(&["bin"])
        || in_folder(&["tests", "examples", "benches", "fuzz_targets"]) && !parts.contains(&"src")
}

/// Follows the modules of a file. `is_root` files and `mod.rs` have theirs beside them.
fn walk(tree: &Tree, path: &str, is_root: bool, alive: &mut BTreeSet<String>) {
    let Some(file) = tree.get(path) else { return };
    let Some(source) = &file.rust else { return };
    if !alive.insert(path.to_owned()) {
        return;
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let beside = is_root || path.ends_with("/mod.rs");
    let inside = if beside { folder } else { path.trim_end_matches(".rs") };
    for module in source.modules(&file.text) {
        if let Some(named) = module.path {
            walk(tree, &format!("{folder}/{named}"), false, alive);
            continue;
        }
        for tail in [".rs", "/mod.rs"] {
            walk(tree, &format!("{inside}/{}{tail}", module.name), false, alive);
        }
    }
}

#[cfg(test)]
mod tests;
