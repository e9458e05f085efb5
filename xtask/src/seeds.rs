//! Small valid inputs for the fuzz targets, to begin with.

use std::fs;
use std::process::ExitCode;

use crate::tree;

/// Writes them into `fuzz/corpus`.
pub fn write() -> anyhow::Result<ExitCode> {
    let corpus = tree::root()?.join("fuzz/corpus");
    let seeds: Vec<(&str, Vec<u8>)> = vec![
        ("gguf/v3", gguf(3)),
        ("gguf/v2", gguf(2)),
        (
            "safetensors/one",
            safetensors(br#"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#, 16),
        ),
        ("safetensors/metadata", safetensors(br#"{"__metadata__":{"format":"pt"}}"#, 0)),
        ("safetensors/empty", safetensors(b"{}", 0)),
        (
            "template/builtin",
            include_bytes!("../../crates/tokens/src/template/builtin.jinja").into(),
        ),
        ("template/tools", TEMPLATE.into()),
        ("vocab/json", TOKENIZER.into()),
    ];
    for (name, bytes) in &seeds {
        let path = corpus.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&corpus))?;
        fs::write(path, bytes)?;
    }
    println!("{} seeds in {}", seeds.len(), corpus.display());
    Ok(ExitCode::SUCCESS)
}

const TEMPLATE: &[u8] = br#"{{- bos_token }}{%- set ns = namespace(n=0) -%}
{%- macro show(m) %}<|{{ m.role }}|>{{ m['content'] | trim }}{% endmacro -%}
{%- for m in messages if m.content is string -%}{{ show(m) }}{%- set ns.n = ns.n + 1 -%}
{%- else -%}{{ raise_exception('nothing to say') }}{%- endfor -%}
{{ tools | tojson(indent=2) }}{{ strftime_now('%d %b %Y') }}{{ 'a b'.split(' ')[-1].upper() }}"#;

const TOKENIZER: &[u8] = br#"{"added_tokens":[{"id":4,"content":"<s>","special":true}],
"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"abab":3},
"merges":["a b",["ab","ab"]]}}"#;

/// A file with a value of every type and one tensor.
fn gguf(version: u32) -> Vec<u8> {
    let values: [(&str, u32, Vec<u8>); 8] = [
        ("general.architecture", 8, string("llama")),
        ("general.alignment", 4, 32u32.to_le_bytes().into()),
        ("a.i8", 1, vec![255]),
        ("a.bool", 7, vec![1]),
        ("a.f32", 6, 1f32.to_le_bytes().into()),
        ("a.u64", 10, 7u64.to_le_bytes().into()),
        ("a.strings", 9, array(8, &[string("x"), string("y")])),
        ("a.nested", 9, array(9, &[array(5, &[1i32.to_le_bytes().into()]), array(0, &[])])),
    ];
    let mut file = Vec::from(b"GGUF");
    file.extend(version.to_le_bytes());
    file.extend(1u64.to_le_bytes());
    file.extend((values.len() as u64).to_le_bytes());
    for (key, tag, value) in values {
        file.extend(string(key));
        file.extend(tag.to_le_bytes());
        file.extend(value);
    }
    file.extend(string("token_embd.weight"));
    file.extend(2u32.to_le_bytes());
    file.extend([32u64, 2].into_iter().flat_map(u64::to_le_bytes));
    // Q8_0, at the beginning of the data: two blocks of 34 bytes.
    file.extend(8u32.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32) + 2 * 34, 0);
    file
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn array(tag: u32, items: &[Vec<u8>]) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &(items.len() as u64).to_le_bytes(), &items.concat()].concat()
}

fn safetensors(header: &[u8], data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, &vec![0; data]].concat()
}
