//! Any text is a template or an error, and renders or fails; it never runs on.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tokens::Template;

static INPUTS: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "ä & <b>"}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"function": {"name": "f", "arguments": {"x": 1.5, "y": [true]}}}
            ]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "add_generation_prompt": true,
        "bos_token": "<s>",
        "eos_token": "</s>",
    })
});

fuzz_target!(|source: &str| {
    if let Ok(template) = Template::new(source) {
        let _ = template.render(&INPUTS);
    }
});
