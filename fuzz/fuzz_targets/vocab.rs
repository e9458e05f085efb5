//! Any bytes are a tokenizer.json, a tokenizer.model or an error; what is read encodes and decodes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokens::{TokenError, Vocab};

fuzz_target!(|bytes: &[u8]| {
    check(Vocab::from_sentencepiece(bytes));
    if let Ok(json) = std::str::from_utf8(bytes) {
        check(Vocab::from_tokenizer_json(json));
    }
});

fn check(vocab: Result<Vocab, TokenError>) {
    let Ok(vocab) = vocab else { return };
    let ids = vocab.encode(" a<s>ab\u{e9}\u{1f600}\n", true, true);
    assert!(ids.iter().all(|&id| (id as usize) < vocab.len()));
    let _ = vocab.decode(&ids, true);
}
