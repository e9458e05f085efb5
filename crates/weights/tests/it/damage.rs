//! Files that end too soon or were changed at random: an error or a model, never a panic.

use blocks::Bytes;
use proptest::prelude::*;
use weights::{Gguf, SafeHeader, Source};

use crate::gguf::whole;
use crate::writer::{self, Dir, array, safetensors, string};

/// The llama with a little of everything that a header can hold.
fn rich() -> Vec<u8> {
    let mut gguf = writer::Gguf::llama();
    gguf.key("tokenizer.ggml.tokens", 9, array(8, &[string("a"), string("bc"), string("")]));
    gguf.key("nested", 9, array(9, &[array(4, &[vec![1, 0, 0, 0]]), array(8, &[string("x")])]));
    gguf.key("flag", 7, vec![1]);
    gguf.key("wide", 10, vec![7; 8]);
    gguf.bytes()
}

#[test]
fn a_file_cut_short_at_every_64th_is_an_error() {
    let dir = Dir::new("short");
    let bytes = rich();
    assert!(whole(Source::open(&dir.write("whole.gguf", &bytes))).is_ok());
    let tensors = safetensors(&writer::llama(false));
    dir.write("config.json", writer::config().to_string());
    for i in 0..64 {
        let cut = |bytes: &[u8]| bytes[..bytes.len() * i / 64].to_vec();
        let gguf = whole(Source::open(&dir.write("cut.gguf", cut(&bytes))));
        assert!(gguf.unwrap_err().contains("cut.gguf"), "GGUF cut at {i}/64");
        dir.write("model.safetensors", cut(&tensors));
        let safe = whole(Source::open(dir.path()));
        assert!(safe.unwrap_err().contains("model.safetensors"), "safetensors cut at {i}/64");
    }
}

#[test]
fn a_header_cut_short_anywhere_is_an_error() {
    let bytes = rich();
    for end in 0..bytes.len().min(4096) {
        let cut = Bytes::from_vec(bytes[..end].to_vec());
        assert!(Gguf::parse("cut", cut).is_err(), "{end}");
    }
    let bytes = safetensors(&writer::llama(false));
    for end in 0..bytes.len().min(4096) {
        assert!(SafeHeader::parse("cut", &bytes[..end]).is_err(), "{end}");
    }
}

/// Some bytes of a file replaced, some of them by numbers that break arithmetic.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Vec<u8>)>> {
    let extreme = prop_oneof![
        Just(u64::MAX),
        Just(u64::MAX / 2),
        Just(1 << 63),
        Just(1 << 32),
        Just((1 << 62) + 1),
        Just(0),
        any::<u64>(),
    ];
    let bytes = prop_oneof![
        any::<u8>().prop_map(|b| vec![b]),
        extreme.clone().prop_map(|n| n.to_le_bytes().to_vec()),
        extreme.prop_map(|n| n.to_string().into_bytes()),
        prop::sample::select(vec!["{", "[", "\"", "}", "]", ",", "-", "e9"])
            .prop_map(|s| s.as_bytes().to_vec()),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), bytes), 1..6)
}

fn apply(file: &mut [u8], header: usize, changes: &[(prop::sample::Index, Vec<u8>)]) {
    for (at, bytes) in changes {
        let at = at.index(header);
        let end = (at + bytes.len()).min(file.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn a_changed_gguf_is_an_error_or_a_model(changes in changes()) {
        let mut file = rich();
        apply(&mut file, 3000, &changes);
        if let Ok(gguf) = Gguf::parse("changed", Bytes::from_vec(file.clone())) {
            for (_, value) in gguf.iter() {
                if let Some(array) = value.array() {
                    prop_assert!(array.items().count() == array.len());
                }
            }
            let _ = whole(Source::from_bytes("changed", file.leak()));
        }
    }

    #[test]
    fn changed_metadata_describes_a_model_or_none(changes in changes()) {
        // Only values change, so that most files get as far as the description.
        let mut gguf = writer::Gguf::llama();
        let keys = gguf.keys.len();
        for (at, bytes) in &changes {
            let value = &mut gguf.keys[at.index(keys)].2;
            let n = value.len().min(bytes.len());
            value[..n].copy_from_slice(&bytes[..n]);
        }
        let _ = whole(Source::from_bytes("changed", gguf.bytes().leak()));
    }

    #[test]
    fn a_changed_safetensors_header_is_an_error_or_whole(changes in changes()) {
        let mut file = safetensors(&writer::llama(false));
        apply(&mut file, 2000, &changes);
        if let Ok(header) = SafeHeader::parse("changed", &file) {
            for tensor in header.tensors() {
                prop_assert!(tensor.range.end <= file.len());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Gguf::parse("bytes", Bytes::from_vec([b"GGUF\x03\0\0\0", &bytes[..]].concat()));
        let _ = SafeHeader::parse("bytes", &bytes);
    }
}
