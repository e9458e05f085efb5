//! What is code, and what only looks like it.

use super::*;

#[test]
fn comments_and_literals_are_blank_and_lines_stay() {
    let text = "let a = \"// no { comment\"; // fn f() {\n/* { /* nested */ } */ let b = '{';\n\
                let c = r#\"a \" {\"#; let d: &'static str = \"\\\"{\"; let e = '\\'';\n\
                let g = b'\"';\n";
    let code = Source::new(text).code;
    assert!(!code.contains('{') && !code.contains("comment") && !code.contains("nested"));
    assert!(code.contains("let b") && code.contains("&'static str") && code.contains("let g"));
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn functions_are_measured_from_their_name_to_their_brace() {
    let text = "trait T { fn none(&self) -> [u8; 3]; }\n\
                fn one(x: [u8; { 1 + 1 }]) -> u8 { x[0] }\n\
                pub unsafe fn two<F>(f: F)\nwhere\n    F: Fn(),\n{\n    if true { f() }\n}\n\
                const F: fn(u8) -> u8 = id;\n";
    let found = Source::new(text).functions();
    let expected = [("one", 2, 1), ("two", 3, 6)].map(|(name, line, lines)| Function {
        name: name.to_owned(),
        line,
        lines,
    });
    assert_eq!(found, expected);
}

#[test]
fn modules_in_files_are_found_with_their_paths() {
    let text = "mod a;\npub(crate) mod b;\nmod c { }\n// mod d;\n#[path = \"x/y.rs\"]\nmod e;\n";
    let found = Source::new(text).modules(text);
    let names: Vec<_> = found.iter().map(|m| (m.name.as_str(), m.path.as_deref())).collect();
    assert_eq!(names, [("a", None), ("b", None), ("e", Some("x/y.rs"))]);
}

#[test]
fn words_are_whole() {
    assert!(has_word("let x = dbg!(y);", "dbg!"));
    assert!(!has_word("unsafe_code", "unsafe"));
    assert!(has_word("(unsafe { f() })", "unsafe"));
    assert!(!has_word("eprintln!()", "println!"));
    assert!(has_word("a Mixer::Attention", "Mixer::"));
}

#[test]
fn tests_at_the_end_do_not_count() {
    let text = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
    assert_eq!(Source::new(text).tests_from, 2);
    let text = "fn f() {}\n#[cfg(test)]\nmod tests;\n";
    assert_eq!(Source::new(text).tests_from, 3);
}
