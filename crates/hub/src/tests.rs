//! What is meant as a model, and what an error says.

use super::*;

#[test]
fn a_prompt_is_no_model() {
    for prompt in ["What is Russet?", "Hello", "", "yes/no questions", "Note: be brief", "a / b"] {
        assert!(!is_meant_as_model(prompt), "{prompt}");
    }
}

#[test]
fn paths_and_names_are_models() {
    let names = ["qwen3:0.6b", "user/repo", "hf.co/user/repo:Q4_K_M", "a.gguf", "./a", "/a/b", "."];
    for name in names.into_iter().chain([BUILTIN]) {
        assert!(is_meant_as_model(name), "{name}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let error = |name: &str| find(name).expect_err(name).to_string();
    assert!(error("qwen3:0.6b").contains(BUILTIN));
    assert!(error("user/repo").contains("download"));
    assert!(error("src/no.gguf").contains("src holds no model"));
    assert!(error("none/no.gguf").contains("none"));
    assert!(error("").contains("empty"));
    assert_eq!(find(BUILTIN), Ok(Found::Builtin));
    assert_eq!(find("src"), Ok(Found::Path("src".into())));
}
