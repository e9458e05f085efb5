//! The floors: which crate may depend on which. A boundary is a crate so that this table holds.

/// Crates of ours and those of ours that they may use.
const EDGES: &[(&str, &[&str])] = &[
    ("blocks", &[]),
    ("model", &[]),
    ("tokens", &[]),
    ("weights", &["blocks", "model"]),
    ("ops", &["blocks"]),
    ("plan", &["weights", "model", "ops", "blocks"]),
    ("cpu", &["ops", "blocks"]),
    ("engine", &["plan", "model", "ops", "blocks"]),
    ("chat", &["engine", "tokens"]),
    ("hub", &["weights"]),
    ("testkit", &["weights", "model", "ops", "blocks"]),
    (
        "russet",
        &["blocks", "model", "tokens", "weights", "ops", "plan", "cpu", "engine", "chat", "hub"],
    ),
];

/// Used by tests only.
const TESTKIT: &str = "testkit";

/// What is wrong with a crate's Cargo.toml: lines, from 1, and sentences.
pub fn check(name: &str, manifest: &str) -> Vec<(usize, String)> {
    if may_use(name).is_none() {
        return vec![(1, format!("crate `{name}` is not in the table of xtask/src/edges.rs"))];
    }
    let mut wrong = Vec::new();
    let mut section = "";
    for (number, line) in (1..).zip(manifest.lines()) {
        if let Some(named) = line.strip_prefix('[') {
            section = named.trim_end().trim_end_matches(']');
            continue;
        }
        let used = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if !section.ends_with("dependencies") || may_use(used).is_none() {
            continue;
        }
        let allowed = match section {
            "dev-dependencies" => used == TESTKIT || reaches(name, used),
            _ => may_use(name).is_some_and(|uses| uses.contains(&used)),
        };
        if !allowed {
            wrong.push((number, format!("{name} must not depend on {used} ({section})")));
        }
    }
    wrong
}

fn may_use(name: &str) -> Option<&'static [&'static str]> {
    EDGES.iter().find(|(from, _)| *from == name).map(|(_, uses)| *uses)
}

/// Tests may use what the crate uses by way of others.
fn reaches(name: &str, used: &str) -> bool {
    may_use(name).unwrap_or_default().iter().any(|&next| next == used || reaches(next, used))
}

#[cfg(test)]
mod tests;
