//! Which files and templates are taken where there are several.

use super::*;

const TOKENIZER: &str = r#"{"added_tokens": [{"id": 2, "content": "<s>", "special": true}],
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}"#;

/// A directory with these files, and what is read from it.
fn texts(test: &str, files: &[(&str, &str)]) -> Texts {
    let dir = std::env::temp_dir().join(format!("russet-vocab-{}-{test}", std::process::id()));
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Texts::open(&dir).unwrap()
}

#[test]
fn a_template_file_wins_over_the_configuration() {
    let config = ("tokenizer_config.json", r#"{"chat_template": "config"}"#);
    let tokenizer = ("tokenizer.json", TOKENIZER);
    let templates = texts("config", &[tokenizer, config]).templates().unwrap();
    assert_eq!(templates.choose(false), Some("config"));
    let more =
        [("chat_template.jinja", "file"), ("additional_chat_templates/tool_use.jinja", "tools")];
    let templates = texts("file", &[&[tokenizer, config][..], &more].concat()).templates().unwrap();
    assert_eq!(templates.names().collect::<Vec<_>>(), ["default", "tool_use"]);
    assert_eq!((templates.choose(false), templates.choose(true)), (Some("file"), Some("tools")));
}

#[test]
fn named_templates_are_chosen_by_what_they_are_for() {
    let config = r#"{"chat_template": [{"name": "tool_use", "template": "t"},
        {"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]}"#;
    let files = [("tokenizer.json", TOKENIZER), ("tokenizer_config.json", config)];
    let templates = texts("named", &files).templates().unwrap();
    assert_eq!((templates.choose(false), templates.choose(true)), (Some("d"), Some("t")));
    assert_eq!((templates.named("rag"), templates.named("none")), (Some("r"), None));
    assert_eq!(Templates::default().choose(true), None);
}

#[test]
fn ends_of_an_answer_are_a_number_or_a_list() {
    let ids = |test: &str, generation: &str| {
        let files = [
            ("tokenizer.json", TOKENIZER),
            ("config.json", r#"{"eos_token_id": 7}"#),
            ("generation_config.json", generation),
        ];
        texts(test, &files).end_ids().unwrap()
    };
    assert_eq!(ids("list", r#"{"eos_token_id": [1, 2]}"#), [1, 2]);
    assert_eq!(ids("number", r#"{"eos_token_id": 3}"#), [3]);
    assert_eq!(ids("silent", "{}"), [7]);
    let nested = r#"{"eos_token_id": null, "text_config": {"eos_token_id": [5, 6]}}"#;
    let files = [("tokenizer.json", TOKENIZER), ("config.json", nested)];
    assert_eq!(texts("nested", &files).end_ids().unwrap(), [5, 6]);
}

#[test]
fn special_tokens_come_from_the_configuration() {
    let config = r#"{"bos_token": "<s>", "add_bos_token": true}"#;
    let files = [("tokenizer.json", TOKENIZER), ("tokenizer_config.json", config)];
    let vocab = texts("special", &files).vocab().unwrap().unwrap();
    assert_eq!(vocab.encode("ab<s>", true, true), [2, 0, 1, 2]);
    assert_eq!(vocab.encode("ab", false, true), [0, 1]);
}
