//! Sizes just within their limits and just beyond them.

use super::*;

fn complaints(files: &[(&str, String)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| File::new(path, text.clone())).collect();
    check(&Tree { files }).into_iter().map(|complaint| complaint.to_string()).collect()
}

fn function(lines: usize) -> String {
    format!("//! A function.\nfn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2))
}

#[test]
fn long_functions_are_counted_against_the_ratchet() {
    let ratchet = |n: usize| (RATCHET, format!("# Why.\nlong_functions = {n}\n"));
    assert!(complaints(&[("a.rs", function(70)), ratchet(0)]).is_empty());
    let found = complaints(&[("a.rs", function(71)), ratchet(0)]);
    assert_eq!(found, ["a.rs:2: fn f has 71 lines; 70 fit a screen"]);
    assert!(complaints(&[("a.rs", function(71)), ratchet(1)]).is_empty());
    assert_eq!(complaints(&[("a.rs", function(70)), ratchet(1)]).len(), 1);
}

#[test]
fn long_files_explain_themselves() {
    let file = |head: &str, lines: usize| format!("{head}\n{}", "x();\n".repeat(lines - 1));
    assert!(complaints(&[("a.rs", file("//! A.", 500))]).is_empty());
    assert_eq!(complaints(&[("a.rs", file("//! A.", 501))]).len(), 1);
    assert!(complaints(&[("a.rs", file("//! A.\n//! Long because so.", 501))]).is_empty());
    assert_eq!(complaints(&[("a.rs", file("//! A.\n//! Long because so.", 801))]).len(), 1);
    assert!(complaints(&[("a/tests/it.rs", file("//! A.", 900))]).is_empty());
}

#[test]
fn every_file_has_a_head_and_narrow_lines() {
    assert_eq!(complaints(&[("a.rs", "fn f() {}\n".to_owned())]).len(), 1);
    let line = |n: usize| format!("//! {}\n", "x".repeat(n - 4));
    assert!(complaints(&[("a.rs", line(100))]).is_empty());
    assert_eq!(complaints(&[("a.rs", line(101))]).len(), 1);
}
