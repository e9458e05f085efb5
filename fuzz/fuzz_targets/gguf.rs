//! Any bytes are a GGUF file or an error; what is parsed can be read to its last item.
#![no_main]

use blocks::Bytes;
use libfuzzer_sys::fuzz_target;
use weights::{Gguf, GgufArray, GgufValue};

fuzz_target!(|bytes: &[u8]| {
    let Ok(gguf) = Gguf::parse("fuzz", Bytes::from_vec(bytes.to_vec())) else { return };
    for (key, value) in gguf.iter() {
        assert!(gguf.get(key).is_some());
        if let GgufValue::Array(array) = value {
            read(array);
        }
    }
    for tensor in gguf.tensors() {
        assert!(tensor.range.end <= bytes.len());
    }
});

/// An array has as many items as it says, and so have the arrays in it.
fn read(array: GgufArray<'_>) {
    let mut count = 0;
    for item in array.items() {
        count += 1;
        if let GgufValue::Array(array) = item {
            read(array);
        }
    }
    assert_eq!(count, array.len());
}
