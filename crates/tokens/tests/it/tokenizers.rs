//! Ids as tiktoken and sentencepiece give them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tokens::Vocab;

use crate::gguf::Meta;
use crate::shared;

fn vectors(folder: &Path) -> Vec<(String, Vec<u32>)> {
    let list: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("vectors.json")).unwrap()).unwrap();
    let case = |case: &Value| {
        let ids = case["ids"].as_array()?.iter().map(|id| id.as_u64().unwrap() as u32).collect();
        Some((case["text"].as_str().unwrap().to_owned(), ids))
    };
    list.as_array().unwrap().iter().filter_map(case).collect()
}

fn check(name: &str, source: &str, vocab: &Vocab, vectors: &[(String, Vec<u32>)]) {
    let mut wrong = 0;
    for (text, ids) in vectors {
        let ours = vocab.encode(text, false, true);
        if &ours != ids {
            wrong += 1;
            if wrong < 4 { eprintln!("{name} {source} {text:?}\n  ours {ours:?}\n  want {ids:?}"); }
        }
    }
    assert_eq!(wrong, 0, "{name} {source}: of {}", vectors.len());
}

#[test]
fn reference_ids_from_gguf_and_from_json() {
    let Some(folder) = shared("reference/tokenizers") else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let vectors = vectors(&folder);
        let start = std::time::Instant::now();
        let meta = Meta::read(&fs::read(folder.join("vocab.gguf")).unwrap());
        eprintln!("read {:?}", start.elapsed());
        let start = std::time::Instant::now();
        let vocab = Vocab::from_gguf(&meta).unwrap();
        eprintln!("{name} load {:?} bos {:?} eos {:?} adds {}", start.elapsed(), vocab.bos(), vocab.eos(), vocab.adds_bos());
        check(&name, "gguf", &vocab, &vectors);
        if let Ok(json) = fs::read_to_string(folder.join("tokenizer.json")) {
            let start = std::time::Instant::now();
            let vocab = Vocab::from_tokenizer_json(&json).unwrap();
            eprintln!("{name} json load {:?} bos {:?} eos {:?} adds {}", start.elapsed(), vocab.bos(), vocab.eos(), vocab.adds_bos());
            check(&name, "json", &vocab, &vectors);
        }
    }
}

#[test]
fn speed() {
    let Some(folder) = shared("reference/tokenizers") else { return };
    for name in ["llama3", "llama2", "gpt2", "tekken"] {
    let vocab = Vocab::from_gguf(&Meta::read(&fs::read(folder.join(name).join("vocab.gguf")).unwrap())).unwrap();
    let vec = vectors(&folder.join(name));
    let mut mixed = String::new();
    while mixed.len() < 1 << 20 { for (t, _) in &vec { mixed.push_str(t); mixed.push_str(" the quick brown fox\n"); } }
    for (what, text) in [("letter", "a".repeat(1<<20)), ("space", " ".repeat(1<<20)), ("digit", "1".repeat(1<<20)), ("newline", "\n".repeat(1<<20)), ("mixed", mixed), ("bang", "!".repeat(1<<20)), ("spaces a", "  a".repeat(1<<18)), ("han", "日本語".repeat(1<<16))] {
        let start = std::time::Instant::now();
        let ids = vocab.encode(&text, true, true);
        eprintln!("{name} {what}: {} ids {:?}", ids.len(), start.elapsed());
        assert!(vocab.decode(&ids, true) == text, "{name} {what}");
    }
    }
}
