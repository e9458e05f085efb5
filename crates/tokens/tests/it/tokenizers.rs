//! Ids as tiktoken, sentencepiece and Hugging Face's tokenizers give them.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use tokens::{Decoder, TokenError, Vocab};

use crate::gguf::{self, Meta};
use crate::{fixture, shared};

fn load(path: &Path) -> Vocab {
    let bytes = fs::read(path).unwrap();
    match path.extension().and_then(|name| name.to_str()) {
        Some("json") => Vocab::from_tokenizer_json(std::str::from_utf8(&bytes).unwrap()),
        Some("gguf") => Vocab::from_gguf(&Meta::read(&bytes)),
        _ => Vocab::from_sentencepiece(&bytes),
    }
    .unwrap()
}

fn ids(value: &Value) -> Option<Vec<u32>> {
    Some(value.as_array()?.iter().map(|id| id.as_u64().unwrap() as u32).collect())
}

#[test]
fn small_vocabularies_of_every_kind_agree_with_their_libraries() {
    let file = read(&fixture("expected.json"));
    for (name, cases) in file.as_object().unwrap().iter().filter(|(_, cases)| cases.is_array()) {
        let vocab = load(&fixture(name));
        let json = name.ends_with(".json");
        for case in cases.as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ours = vocab.encode(text, json, json);
            assert_eq!(Some(&ours), ids(&case["ids"]).as_ref(), "{name} {text:?}");
            if let Some(decoded) = case["decoded"].as_str() {
                assert_eq!(vocab.decode(&ours, false), decoded, "{name} {text:?}");
            }
        }
    }
}

/// The same vocabularies in the form that converters to GGUF give them.
#[test]
fn gguf_forms_of_small_vocabularies_agree_too() {
    let expected = read(&fixture("expected.json"));
    for (name, meta) in [("bytelevel", byte_level()), ("wordpiece", bert()), ("unigram", unigram())]
    {
        let vocab = Vocab::from_gguf(&meta).unwrap();
        let cases = expected[format!("{name}.json")].as_array().unwrap();
        // The three differ in BOS, in `<tool>` and in how they normalize; ASCII words they share.
        let plain = |text: &str| {
            text.is_ascii() && !text.contains(['<', '\n', '\t']) && !text.contains("  ")
        };
        let mut compared = 0;
        for case in cases.iter().filter(|case| plain(case["text"].as_str().unwrap())) {
            let text = case["text"].as_str().unwrap();
            let mut theirs = ids(&case["ids"]).unwrap();
            if name != "unigram" {
                theirs = theirs[1..theirs.len() - 1].to_vec();
            }
            // A trailing space is a token in one, dropped in the other.
            if text.trim() == text && !text.is_empty() {
                assert_eq!(vocab.encode(text, false, false), theirs, "{name} {text:?}");
                compared += 1;
            }
        }
        assert!(compared > 3, "{name} {compared}");
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn text(text: &str) -> gguf::Value {
    gguf::Value::Text(text.as_bytes().to_vec())
}

/// Tokens by id, and GGUF's number for the kind of each: control, user-defined or normal.
fn token_list(json: &Value) -> Vec<(String, u64)> {
    let ids = json["model"]["vocab"].as_object().unwrap().iter();
    let mut list: Vec<_> = ids.map(|(text, id)| (id.as_u64().unwrap(), text.clone(), 1)).collect();
    for added in json["added_tokens"].as_array().unwrap() {
        let (id, text) = (added["id"].as_u64().unwrap(), added["content"].as_str().unwrap());
        let kind = if added["special"] == true { 3 } else { 4 };
        list.retain(|(other, ..)| *other != id);
        list.push((id, text.to_owned(), kind));
    }
    list.sort();
    list.into_iter().map(|(_, text, kind)| (text, kind)).collect()
}

fn lists(tokens: &[(String, u64)]) -> (gguf::Value, gguf::Value) {
    let texts = tokens.iter().map(|(token, _)| text(token)).collect();
    let kinds = tokens.iter().map(|(_, kind)| gguf::Value::Number(*kind)).collect();
    (gguf::Value::List(texts), gguf::Value::List(kinds))
}

fn byte_level() -> Meta {
    let json = read(&fixture("bytelevel.json"));
    let (tokens, kinds) = lists(&token_list(&json));
    let merge = |pair: &Value| {
        text(&format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
    };
    let merges = json["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
    Meta::of([
        ("model", text("gpt2")),
        ("pre", text("gpt-2")),
        ("tokens", tokens),
        ("token_type", kinds),
        ("merges", gguf::Value::List(merges)),
    ])
}

/// Tokens that begin a word are marked with U+2581, those that go on lose their `##`.
fn bert() -> Meta {
    let mark = |(token, kind): (String, u64)| match (token.strip_prefix("##"), kind) {
        (_, 3) => (token, kind),
        (Some(rest), _) => (rest.to_owned(), kind),
        (None, _) => (format!("\u{2581}{token}"), kind),
    };
    let list = token_list(&read(&fixture("wordpiece.json")));
    let (tokens, kinds) = lists(&list.into_iter().map(mark).collect::<Vec<_>>());
    Meta::of([
        ("model", text("bert")),
        ("tokens", tokens),
        ("token_type", kinds),
        ("unknown_token_id", gguf::Value::Number(1)),
    ])
}

fn unigram() -> Meta {
    let json = read(&fixture("unigram.json"));
    let entries = json["model"]["vocab"].as_array().unwrap();
    let kind = |at| if at < 3 { 3 } else { 1 };
    let token = |(at, entry): (usize, &Value)| (entry[0].as_str().unwrap().to_owned(), kind(at));
    let (tokens, kinds) = lists(&entries.iter().enumerate().map(token).collect::<Vec<_>>());
    let score = |entry: &Value| gguf::Value::Float(entry[1].as_f64().unwrap() as f32);
    Meta::of([
        ("model", text("t5")),
        ("tokens", tokens),
        ("token_type", kinds),
        ("scores", gguf::Value::List(entries.iter().map(score).collect())),
        ("unknown_token_id", gguf::Value::Number(2)),
    ])
}

#[test]
fn real_vocabularies_give_the_reference_ids() {
    let Some(folder) = shared("reference/tokenizers") else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let vectors = fs::read_to_string(folder.join("vectors.json")).unwrap();
        let vectors: Vec<Value> = serde_json::from_str(&vectors).unwrap();
        for file in ["vocab.gguf", "tokenizer.json"].map(|file| folder.join(file)) {
            // The SentencePiece vocabulary comes as GGUF only.
            if !file.exists() {
                continue;
            }
            let vocab = load(&file);
            for case in &vectors {
                let Some(expected) = ids(&case["ids"]) else { continue };
                let text = case["text"].as_str().unwrap();
                assert_eq!(
                    vocab.encode(text, false, true),
                    expected,
                    "{} {text:?}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn long_runs_of_one_thing_take_no_longer_than_text() {
    let vocab = load(&fixture("bytelevel.json"));
    let scores = load(&fixture("spbpe.model"));
    for unit in ["a", " ", "1", "\n", "!", "  a", "日", "é "] {
        let text = unit.repeat((1 << 18) / unit.len());
        for vocab in [&vocab, &scores] {
            let start = Instant::now();
            let ids = vocab.encode(&text, false, false);
            // Quadratic merging would take minutes; this is loose because tests share a machine.
            assert!(start.elapsed() < Duration::from_secs(20), "{unit:?} {:?}", start.elapsed());
            assert_eq!(vocab.decode(&ids, true), text, "{unit:?}");
        }
    }
}

#[test]
fn special_tokens_are_known_by_role() {
    let vocab = load(&fixture("bytelevel.json"));
    let (bos, eos) = (vocab.id("<s>").unwrap(), vocab.id("</s>").unwrap());
    assert!(vocab.adds_bos() && vocab.bos() == Some(bos) && vocab.eos() == [eos]);
    assert!(vocab.is_special(bos) && !vocab.is_special(vocab.id("<tool>").unwrap()));
    assert_eq!(vocab.token_text(eos), Some("</s>"));
    assert_eq!(vocab.decode(&vocab.encode("hi", true, false), true), "<s>hi</s>");
    let config =
        json!({"bos_token": {"content": "</s>"}, "eos_token": "<unk>", "add_bos_token": true});
    let vocab = vocab.with_config(&config.to_string()).unwrap();
    assert_eq!(vocab.bos(), Some(eos));
    assert_eq!(vocab.eos()[0], vocab.id("<unk>").unwrap());
}

#[test]
fn what_is_not_supported_is_an_error_that_names_it() {
    let normalizer = json!({"type": "Nmt"});
    let json =
        json!({"normalizer": normalizer, "model": {"type": "BPE", "vocab": {}, "merges": []}});
    let error = Vocab::from_tokenizer_json(&json.to_string()).unwrap_err();
    assert!(matches!(&error, TokenError::Unsupported(part) if part.contains("Nmt")), "{error}");
    let file = fs::read(fixture("spbpe.model")).unwrap();
    for len in 1..file.len() {
        // A cut between two pieces leaves a shorter but valid file.
        let _ = Vocab::from_sentencepiece(&file[..len]);
    }
    assert!(Vocab::from_sentencepiece(&[]).is_err());
}

static BYTES: LazyLock<Arc<Vocab>> = LazyLock::new(|| Arc::new(load(&fixture("bytelevel.json"))));
static SCORES: LazyLock<Arc<Vocab>> = LazyLock::new(|| Arc::new(load(&fixture("spbpe.model"))));

proptest! {
    #[test]
    fn decoding_undoes_encoding(text in "\\PC{0,40}|[a-z '\\n\\t0-9é日👍]{0,60}") {
        prop_assert_eq!(&BYTES.decode(&BYTES.encode(&text, false, false), true), &text);
        // SentencePiece cannot tell its mark for a space from the same character in a text.
        prop_assume!(!text.contains('\u{2581}'));
        prop_assert_eq!(&SCORES.decode(&SCORES.encode(&text, false, false), true), &text);
    }

    /// Any ids at all, also bytes that are no UTF-8 and ids that do not exist.
    #[test]
    fn streaming_gives_what_decoding_gives(ids in prop::collection::vec(0u32..450, 0..40)) {
        for vocab in [&*BYTES, &*SCORES] {
            for show_special in [false, true] {
                let mut decoder = Decoder::new(vocab.clone(), show_special);
                let mut text: String = ids.iter().map(|&id| decoder.push(id)).collect();
                text.push_str(&decoder.finish());
                prop_assert_eq!(text, vocab.decode(&ids, show_special));
            }
        }
    }
}
