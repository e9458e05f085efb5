//! Templates as Jinja2 renders them.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};
use tokens::{Template, TemplateError, builtin_template};

use crate::{fixture, shared};

/// Noon of 2026-11-20, UTC: the day on which the reference texts were made.
fn that_day() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_dialect_is_jinja2s() {
    let file = read(&fixture("jinja2.json"));
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 200);
    for case in cases {
        let source = case["template"].as_str().unwrap();
        let rendered = Template::new(source).and_then(|template| template.render(&file["inputs"]));
        match (rendered, case["text"].as_str()) {
            (Ok(text), Some(expected)) => assert_eq!(text, expected, "{source}"),
            (Err(TemplateError::Raised(message)), None) => {
                assert_eq!(message, case["error"].as_str().unwrap(), "{source}");
            }
            (Err(_), None) => assert!(case["error"].is_null(), "{source}"),
            (result, expected) => panic!("{source}: {result:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn real_templates_give_the_reference_texts() {
    let Some(folder) = shared("reference/templates") else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let source = fs::read_to_string(folder.join("template.jinja")).unwrap();
        let template = Template::new(&source).unwrap();
        for (name, case) in read(&folder.join("expected.json")).as_object().unwrap() {
            let rendered = template.render_at(&case["inputs"], that_day());
            let place = format!("{} {name}", folder.display());
            match case["text"].as_str() {
                Some(text) => assert_eq!(rendered.expect(&place), text, "{place}"),
                None => assert!(matches!(rendered, Err(TemplateError::Raised(_))), "{place}"),
            }
        }
    }
}

#[test]
fn the_clock_can_be_set() {
    let template = Template::new("{{ strftime_now('%d %b %Y') }}").unwrap();
    assert_eq!(template.render_at(&json!({}), that_day()).unwrap(), "20 Nov 2026");
}

#[test]
fn the_built_in_template_shows_roles_and_ends_with_the_prompt() {
    let messages =
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]);
    let inputs = json!({"messages": messages, "add_generation_prompt": true});
    let text = Template::new(builtin_template()).unwrap().render(&inputs).unwrap();
    assert_eq!(text, "System: Be brief.\n\nUser: Hi\n\nAssistant:");
}

#[test]
fn a_template_cannot_run_forever() {
    let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}\
        {% endfor %}{% endfor %}{% endfor %}";
    assert!(matches!(
        Template::new(loops).unwrap().render(&json!({})),
        Err(TemplateError::Render(_))
    ));
}

#[test]
fn values_nested_too_deep_are_an_error() {
    let nest = "{% set ns = namespace(a=[]) %}\
        {% for i in range(3000) %}{% set ns.a = [ns.a] %}{% endfor %}";
    for print in ["{{ ns.a }}", "{{ ns.a | tojson }}", "{{ ns.a | string }}"] {
        let template = Template::new(&format!("{nest}{print}")).unwrap();
        assert!(matches!(template.render(&json!({})), Err(TemplateError::Render(_))), "{print}");
    }
}

#[test]
fn inputs_must_be_an_object() {
    let result = Template::new("x").unwrap().render(&json!([1]));
    assert!(matches!(result, Err(TemplateError::Inputs)));
}

proptest! {
    /// Whatever the text, compiling and rendering end in a text or an error.
    #[test]
    fn no_template_panics(parts in prop::collection::vec(part(), 0..12)) {
        let source = parts.concat();
        if let Ok(template) = Template::new(&source) {
            let _ = template.render(&json!({"a": [1, "x", null], "b": {"items": 1}}));
        }
    }
}

fn part() -> impl Strategy<Value = String> {
    let code = "{{|}}|{%|%}|{#|#}|-|if|endif|for|endfor|in|a|b|x|'|\"|\\|raw|endraw|generation|set|\
        endgeneration|=|1|(|)|[|]|:|.|items|none|split|é| |\n|~|+|,|tojson|indent|join|macro";
    let words: Vec<String> = code.split('|').map(str::to_owned).chain(["|".to_owned()]).collect();
    prop_oneof![4 => prop::sample::select(words), 1 => "\\PC{0,3}"]
}
