//! Templates as Jinja2 renders them.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokens::{Template, TemplateError};

use crate::shared;

/// Noon of 2026-11-20, UTC: the day on which the reference texts were made.
fn that_day() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

#[test]
fn reference_texts() {
    let Some(folder) = shared("reference/templates") else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let template = Template::new(&fs::read_to_string(folder.join("template.jinja")).unwrap()).unwrap();
        let cases = fs::read_to_string(folder.join("expected.json")).unwrap();
        let cases: Value = serde_json::from_str(&cases).unwrap();
        for (name, case) in cases.as_object().unwrap() {
            let rendered = template.render_at(&case["inputs"], that_day());
            let place = format!("{} {name}", folder.display());
            match case["text"].as_str() {
                Some(text) => assert_eq!(rendered.unwrap_or_else(|e| panic!("{place} {e}")), text, "{place}"),
                None => assert!(matches!(rendered, Err(TemplateError::Raised(_))), "{place}"),
            }
        }
    }
}
