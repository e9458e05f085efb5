//! Words that may stand in few places or in none: leftovers, walls, places of one machine.

use crate::rust::has_word;
use crate::tidy::Complaint;
use crate::tree::{File, Tree};

/// Where a word is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The code of Rust files: not their comments and literals.
    Code,
    /// The same without tests, examples and `xtask`.
    Product,
    /// Any text.
    Text,
}

struct Rule {
    words: &'static [&'static str],
    scope: Scope,
    /// Where they may stand: the beginnings of paths.
    allowed: &'static [&'static str],
    why: &'static str,
}

/// Kernels, the thread team and the file map.
const UNSAFE: &[&str] = &[
    "crates/cpu/src/simd/",
    "crates/cpu/src/linear.rs",
    "crates/cpu/src/measure.rs",
    "crates/cpu/src/run.rs",
    "crates/cpu/src/share.rs",
    "crates/cpu/src/team.rs",
    "crates/cpu/src/work.rs",
    "crates/cpu/tests/it/no_allocation.rs",
    "crates/weights/src/mmap.rs",
];

const RULES: &[Rule] = &[
    Rule {
        words: &["FIXME", "TODO", "XXX"],
        scope: Scope::Text,
        allowed: &[],
        why: "do it, or write an issue",
    },
    Rule {
        words: &["/work/", "/root/", "/home/", "/Users/", "helper-"],
        scope: Scope::Text,
        allowed: &[],
        why: "this means something on one machine only",
    },
    Rule {
        words: &["dbg!", "todo!", "unimplemented!"],
        scope: Scope::Code,
        allowed: &[],
        why: "a leftover",
    },
    Rule {
        words: &["ignore", "should_panic"],
        scope: Scope::Code,
        allowed: &[],
        why: "a test runs, and asserts what is wrong",
    },
    Rule {
        words: &["println!", "eprintln!", "print!", "eprint!"],
        scope: Scope::Product,
        allowed: &["crates/russet/"],
        why: "only the program talks to the user",
    },
    Rule {
        words: &["env::var", "env::var_os", "env::args", "env::args_os"],
        scope: Scope::Product,
        allowed: &["crates/russet/"],
        why: "only the program reads its arguments and environment",
    },
    Rule {
        words: &["unsafe"],
        scope: Scope::Code,
        allowed: UNSAFE,
        why: "the places of unsafe code are listed in xtask/src/tidy/words.rs",
    },
    Rule {
        words: &["Mixer::", "Ffn::"],
        scope: Scope::Product,
        allowed: &["crates/model/", "crates/plan/src/lower"],
        why: "only lowering tells kinds of layer apart",
    },
];

/// The table above has the words that it looks for.
const RULES_THEMSELVES: &str = "xtask/src/tidy/words";

pub fn check(tree: &Tree) -> Vec<Complaint> {
    let files = tree.files.iter().filter(|file| !file.path.starts_with(RULES_THEMSELVES));
    files.flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Complaint> {
    let mut found = Vec::new();
    for rule in RULES {
        if rule.allowed.iter().any(|start| file.path.starts_with(start)) {
            continue;
        }
        let exempt = file.is_test() || file.path.starts_with("xtask/") || is_script(file);
        let (text, end) = match (rule.scope, &file.rust) {
            (Scope::Text, _) => (&file.text, usize::MAX),
            (Scope::Product, Some(source)) if !exempt => (&source.code, source.tests_from),
            (Scope::Code, Some(source)) => (&source.code, usize::MAX),
            _ => continue,
        };
        for (line, number) in text.lines().take(end).zip(1..) {
            let found_here = rule.words.iter().filter(|word| is_found(rule.scope, line, word));
            found.extend(found_here.map(|word| {
                let what = format!("`{word}`: {}", rule.why);
                Complaint::new(&file.path, number, what)
            }));
        }
    }
    found
}

/// `ignore` and `should_panic` are words of attributes.
fn is_found(scope: Scope, line: &str, word: &str) -> bool {
    let is_attribute = matches!(word, "ignore" | "should_panic");
    if is_attribute && !line.trim_start().starts_with("#[") {
        return false;
    }
    match scope {
        // A path begins here: what comes before it is no part of it.
        Scope::Text if word.starts_with('/') => line.match_indices(word).any(|(at, _)| {
            !line[..at].ends_with(|c: char| c.is_alphanumeric() || ".-_/}".contains(c))
        }),
        _ => has_word(line, word),
    }
}

/// What Cargo runs at building is no part of the product.
fn is_script(file: &File) -> bool {
    file.path.ends_with("/build.rs")
}

#[cfg(test)]
mod tests;
