//! Any bytes are a safetensors file or an error; tensors lie in the file and fill it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weights::SafeHeader;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = SafeHeader::parse("fuzz", bytes) else { return };
    let mut end = None;
    for tensor in header.tensors() {
        assert!(end.is_none_or(|end| end == tensor.range.start), "{}", tensor.name);
        end = Some(tensor.range.end);
    }
    assert!(end.is_none_or(|end| end == bytes.len()));
});
