//! Words where they may stand and where they may not.

use super::*;

fn found(path: &str, text: &str) -> Vec<usize> {
    let complaints = check_file(&File::new(path, text.to_owned()));
    complaints.into_iter().map(|complaint| complaint.line).collect()
}

#[test]
fn leftovers_are_found_in_any_text() {
    assert_eq!(found("README.md", "fine\nTODO: more\n"), [2]);
    assert_eq!(found("a/src/b.rs", "// FIXME later\n"), [1]);
    assert!(found("a/src/b.rs", "let todos = TODOS;\n").is_empty());
}

#[test]
fn paths_of_one_machine_are_found() {
    assert_eq!(found("a.sh", "cd /home/anna/russet\n"), [1]);
    assert_eq!(found("a.rs", "let p = \"/work/main\";\n"), [1]);
    assert!(found("a.md", "see https://host/home/page and src/work/b.rs\n").is_empty());
}

#[test]
fn only_the_program_prints_and_reads_its_environment() {
    assert_eq!(
        found("crates/ops/src/a.rs", "println!();\nlet v = std::env::var(\"X\");\n"),
        [1, 2]
    );
    assert!(found("crates/russet/src/a.rs", "println!();\n").is_empty());
    assert!(found("crates/ops/tests/it.rs", "eprintln!();\n").is_empty());
    assert!(found("crates/ops/src/a.rs", "// println!();\nlet s = \"dbg!\";\n").is_empty());
}

#[test]
fn unsafe_code_stands_in_few_places() {
    assert_eq!(found("crates/ops/src/a.rs", "unsafe { f() }\n"), [1]);
    assert!(found("crates/ops/src/lib.rs", "#![forbid(unsafe_code)]\n").is_empty());
    assert!(found("crates/cpu/src/simd/neon.rs", "unsafe { f() }\n").is_empty());
}

#[test]
fn tests_are_not_switched_off() {
    assert_eq!(found("a/tests/it.rs", "#[test]\n#[ignore]\nfn f() {}\n"), [2]);
    assert_eq!(found("a/tests/it.rs", "#[should_panic(expected = \"x\")]\n"), [1]);
    assert!(found("a/src/a.rs", "let ignore = ignored(ignore);\n").is_empty());
}

#[test]
fn kinds_of_layer_are_told_apart_in_one_place() {
    assert_eq!(found("crates/cpu/src/a.rs", "match m { Mixer::Attention(a) => a }\n"), [1]);
    assert!(found("crates/plan/src/lower.rs", "Mixer::Attention(a)\n").is_empty());
}
