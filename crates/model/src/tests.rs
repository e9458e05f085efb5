//! The descriptions of published models come to their published sizes.

use super::*;

fn qwen3_0_6b() -> Meta {
    let mut meta = Meta::default();
    meta.set("family", "architectures", Value::Text("Qwen3ForCausalLM".into()));
    for (key, value) in [
        ("vocab", 151_936),
        ("dim", 1024),
        ("layers", 28),
        ("heads", 16),
        ("kv_heads", 8),
        ("head_dim", 128),
        ("ffn_dim", 3072),
        ("context", 40_960),
    ] {
        meta.set(key, key, Value::Int(value));
    }
    meta.set("norm_eps", "rms_norm_eps", Value::Float(1e-6));
    meta.set("tied", "tie_word_embeddings", Value::Bool(true));
    meta
}

#[test]
fn qwen3_0_6b_has_its_published_parameter_count() {
    assert_eq!(describe(&qwen3_0_6b()).unwrap().parameters(), 596_049_920);
}

#[test]
fn tables_of_n_grams_have_their_published_rows() {
    let mut meta = qwen3_0_6b();
    for (key, value) in [
        ("memory.order", 4),
        ("memory.size", 16_000_000),
        ("memory.heads", 8),
        ("memory.width", 256),
        ("memory.pad", 2),
        ("memory.ids", 99_092),
    ] {
        meta.set(key, key, Value::Int(value));
    }
    let layers = [1, 14].map(Value::Int);
    meta.set("memory.layers", "engram_layer_ids", Value::List(layers.into()));
    let spec = describe(&meta).unwrap();
    let rows = |layer: usize| spec.layers[layer].memory.as_ref().map(|memory| memory.rows);
    // Those of DeepSeek V4.1 Flash.
    assert_eq!([1, 14].map(rows), [384_006_168, 384_016_682].map(Some));
    assert_eq!(spec.layers.iter().filter(|layer| layer.memory.is_some()).count(), 2);
    let (table, projections) = (24 * 256, 2 * 24 * 256 * 1024 + 2 * 1024);
    assert_eq!(spec.active_parameters(), 596_049_920 + 2 * (table + projections));
}

#[test]
fn an_unknown_family_is_named() {
    let mut meta = qwen3_0_6b();
    meta.set("family", "architectures", Value::Text("NobodysModel".into()));
    assert_eq!(describe(&meta), Err(SpecError::UnknownFamily("NobodysModel".into())));
}

#[test]
fn a_missing_key_is_named() {
    let mut meta = Meta::default();
    meta.set("family", "architectures", Value::Text("llama".into()));
    assert_eq!(describe(&meta), Err(SpecError::Missing("dim".into())));
}

#[test]
fn hostile_sizes_are_errors() {
    for (key, value) in [("heads", 0), ("kv_heads", 3), ("layers", 1 << 40), ("head_dim", 0)] {
        let mut meta = qwen3_0_6b();
        meta.set(key, key, Value::Int(value));
        assert!(describe(&meta).is_err(), "{key} = {value}");
    }
}
