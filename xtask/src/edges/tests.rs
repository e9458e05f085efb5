//! Edges that are allowed and edges that are not.

use super::*;

#[test]
fn only_edges_of_the_table_pass() {
    let manifest = |section: &str, used: &str| format!("[{section}]\n{used}.workspace = true\n");
    let wrong = |name: &str, section: &str, used: &str| check(name, &manifest(section, used)).len();
    assert_eq!(wrong("weights", "dependencies", "blocks"), 0);
    assert_eq!(wrong("blocks", "dependencies", "weights"), 1);
    assert_eq!(wrong("model", "dependencies", "thiserror"), 0);
    assert_eq!(wrong("engine", "dependencies", "testkit"), 1);
    assert_eq!(wrong("engine", "dev-dependencies", "testkit"), 0);
    assert_eq!(wrong("chat", "dev-dependencies", "ops"), 0);
    assert_eq!(wrong("chat", "dependencies", "ops"), 1);
    assert_eq!(wrong("model", "target.'cfg(unix)'.dependencies", "blocks"), 1);
    assert_eq!(wrong("nobody", "dependencies", "blocks"), 1);
}

#[test]
fn the_table_has_no_cycle() {
    assert!(EDGES.iter().all(|(name, _)| !reaches(name, name)));
}
