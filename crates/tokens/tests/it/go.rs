//! Templates in Go's language as Go's own text/template renders them (`fixtures/go/make.go`).

use std::fs;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};
use tokens::{Template, TemplateError};

use crate::fixture;

/// Noon of 2026-11-20, UTC.
fn that_day() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

fn render(source: &str, inputs: &Value) -> Result<String, TemplateError> {
    Template::new(source)?.render_at(inputs, that_day())
}

#[test]
fn chats_are_written_as_go_writes_them() {
    let file: Value = serde_json::from_slice(&fs::read(fixture("go.json")).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let (mut written, mut wrong) = (0, Vec::new());
    for case in cases {
        let source = case["template"].as_str().unwrap();
        let chat = &file["chats"][case["chat"].as_u64().unwrap() as usize];
        let rendered = render(source, chat);
        match (rendered, case["text"].as_str()) {
            (Ok(text), Some(expected)) if text == expected => written += 1,
            (Err(_), None) => {}
            (found, expected) => {
                wrong.push(format!("{source}\nchat {}: {found:?}\n{expected:?}", case["chat"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(written > 250, "{written} of {}", cases.len());
}

#[test]
fn what_is_not_understood_is_refused_by_name_and_line() {
    for (source, said) in [
        ("a\n{{ define \"x\" }}b{{ end }}", "line 2: the function `define` is not known"),
        ("{{ template \"x\" . }}", "`template`"),
        ("{{ if .System }}\n\n{{ .Sytem }}{{ end }}", "line 3: the field `.Sytem` is not known"),
        ("{{ html .Prompt }}", "the function `html` is not known"),
        ("{{ if .Prompt }}", "line 1: a block has no `end`"),
        ("{{ .Prompt }} {{ $x }}", "the variable `$x` is not known"),
    ] {
        let error = render(source, &json!({"messages": []})).unwrap_err().to_string();
        assert!(error.contains(said), "{source}: {error}");
    }
    let parts = json!({"messages": [{"role": "user", "content": [{"type": "image"}]}]});
    let error = render("{{ .Prompt }}", &parts).unwrap_err().to_string();
    assert!(error.contains("no text"), "{error}");
}

#[test]
fn languages_are_told_apart() {
    let is_go = |text: &str| Template::is_go(text);
    assert!(is_go("{{ if .System }}{{ .System }}{{ end }}{{ .Prompt }}"));
    assert!(is_go("{{- range $i, $_ := .Messages }}{{ .Content }}{{- end }}"));
    assert!(is_go("x {{ printf \"%s\" .Prompt }}") && is_go("{{(index .Messages 0).Role}}"));
    assert!(!is_go("{% for m in messages %}{{ m.content }}{% endfor %}"));
    assert!(!is_go("{{ messages[0]['content'] }}{{ messages[0].Role }}{{ a if b }}"));
    assert!(!is_go("plain .Prompt") && !is_go("{{ 'costs .5 or $5' }}{{ x | join(', ') }}"));
}

#[test]
fn what_would_take_too_long_is_stopped() {
    let messages: Vec<_> =
        (0..200).map(|n| json!({"role": format!("r{n}"), "content": "x"})).collect();
    let inputs = json!({"messages": messages});
    let nested = "{{ range $.Messages }}".repeat(8) + "x" + &"{{ end }}".repeat(8);
    assert!(render(&nested, &inputs).unwrap_err().to_string().contains("steps"));
    let doubling = "{{ $x := \"xxxxxxxx\" }}{{ range .Messages }}{{ $x = print $x $x }}{{ end }}";
    assert!(render(doubling, &inputs).unwrap_err().to_string().contains("bytes"));
    let deep = "{{ if .Prompt }}".repeat(100_000);
    assert!(render(&deep, &inputs).unwrap_err().to_string().contains("deep"));
    let deep = format!("{{{{ $x := {}", "(".repeat(100_000));
    assert!(render(&deep, &inputs).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "{{", "}}", "{{- ", " -}}", "if", "else", "end", "range", "with", "break", ".", "$",
                ".Messages", ".Content", ".Prompt", "$x", ":=", "=", "|", "(", ")", ",", "\"", "`",
                "\"a\"", "1", "-", "é", "\\", " ", "\n", "eq", "and", "len", "slice", "index",
                "printf", "%s", "/*", "*/", "{{ range .Messages }}", "{{ end }}", "{{ .Content }}",
            ]),
            0..30,
        )
    ) {
        let chat = json!({"messages": [{"role": "user", "content": "é"}]});
        let _ = render(&format!("{{{{ .System }}}}{}", words.concat()), &chat);
        let _ = render(&format!("{{{{ .System }}}}{}", words.join(" ")), &chat);
    }

    #[test]
    fn text_that_is_no_action_is_kept(text in "[^{}]{0,40}") {
        let chat = json!({"messages": [{"role": "user", "content": "q"}]});
        let kept = render(&format!("{text}{{{{ .Prompt }}}}"), &chat).unwrap();
        prop_assert_eq!(kept, format!("{}q", text.replace("\r\n", "\n")));
    }
}
