//! Conversations on the tiny model, with a vocabulary as small.
#![allow(missing_docs)]

mod conversation;
mod generate;
mod stream;

use std::sync::Arc;
use testkit::tiny;
use tokens::Vocab;

pub const BOS: u32 = 0;
pub const EOS: u32 = 1;

/// Letters, a space, a line break, the three bytes of two accented letters, then pairs of letters:
/// as many ids as the tiny model has.
pub fn vocab(adds_bos: bool) -> Arc<Vocab> {
    let mut pieces: Vec<String> = vec!["<s>".into(), "</s>".into()];
    pieces.extend(('a'..='z').map(String::from));
    // GPT-2's alphabet spells the bytes 0x20, 0x0A, 0xC3, 0xA9 and 0xBC so.
    pieces.extend(["Ġ", "Ċ", "Ã", "©", "¼"].map(String::from));
    let pairs = ('a'..='z').zip(('a'..='z').cycle().skip(1)).map(|(a, b)| format!("{a}{b}"));
    pieces.extend(pairs);
    pieces.extend(["sto", "top"].map(String::from));
    assert_eq!(pieces.len(), tiny::VOCAB);
    let ids = pieces.iter().enumerate().map(|(id, piece)| format!("{piece:?}:{id}"));
    let ids: Vec<String> = ids.collect();
    let special = |id, text: &str| {
        format!(
            r#"{{"id":{id},"content":"{text}","special":true,"single_word":false,"lstrip":false,
            "rstrip":false,"normalized":false}}"#
        )
    };
    let bytes =
        r#"{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}"#;
    let json = format!(
        r#"{{"added_tokens":[{},{}],"pre_tokenizer":{bytes},"decoder":{bytes},
        "model":{{"type":"BPE","vocab":{{{}}},"merges":[]}}}}"#,
        special(BOS, "<s>"),
        special(EOS, "</s>"),
        ids.join(",")
    );
    let config = format!(r#"{{"bos_token":"<s>","eos_token":"</s>","add_bos_token":{adds_bos}}}"#);
    let vocab = Vocab::from_tokenizer_json(&json).expect("the vocabulary is valid");
    Arc::new(vocab.with_config(&config).expect("the configuration is valid"))
}
