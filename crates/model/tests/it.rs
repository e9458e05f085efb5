//! The frequencies of every scaling are those that transformers computes.

use model::{Meta, Value, describe};
use serde_json::Value as Json;

/// Our key and that of a config.json, for what the cases of `rope.json` hold.
const KEYS: &[(&str, &str)] = &[
    ("vocab", "vocab_size"),
    ("dim", "hidden_size"),
    ("ffn_dim", "intermediate_size"),
    ("layers", "num_hidden_layers"),
    ("heads", "num_attention_heads"),
    ("kv_heads", "num_key_value_heads"),
    ("head_dim", "head_dim"),
    ("context", "max_position_embeddings"),
    ("norm_eps", "rms_norm_eps"),
    ("tied", "tie_word_embeddings"),
    ("rope_theta", "rope_theta"),
    ("rope_scaling.original", "original_max_position_embeddings"),
    ("partial_rotary", "partial_rotary_factor"),
];

const ROPE_KEYS: &[(&str, &str)] = &[
    ("rope_scaling", "type"),
    ("rope_scaling", "rope_type"),
    ("rope_theta", "rope_theta"),
    ("partial_rotary", "partial_rotary_factor"),
    ("rope_scaling.factor", "factor"),
    ("rope_scaling.original", "original_max_position_embeddings"),
    ("rope_scaling.attention", "attention_factor"),
    ("rope_scaling.low", "low_freq_factor"),
    ("rope_scaling.high", "high_freq_factor"),
    ("rope_scaling.beta_fast", "beta_fast"),
    ("rope_scaling.beta_slow", "beta_slow"),
    ("rope_scaling.mscale", "mscale"),
    ("rope_scaling.mscale_all_dim", "mscale_all_dim"),
    ("rope_scaling.truncate", "truncate"),
    ("rope_scaling.short", "short_factor"),
    ("rope_scaling.long", "long_factor"),
];

#[test]
fn frequencies_are_those_of_transformers() {
    let reference: Json = serde_json::from_str(include_str!("rope.json")).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert!(cases.len() >= 12);
    for case in cases {
        let name = &case["name"];
        let spec = describe(&meta(&case["config"])).unwrap_or_else(|e| panic!("{name}: {e}"));
        let attention = spec.layers[0].attention().unwrap();
        for table in case["tables"].as_array().unwrap() {
            let length = table["length"].as_u64().unwrap() as u32;
            let ours = attention.rope.as_ref().unwrap().table(length);
            let theirs: Vec<f64> = floats(&table["inv_freq"]);
            assert_eq!(ours.frequencies.len(), theirs.len(), "{name}");
            for (&a, &b) in ours.frequencies.iter().zip(&theirs) {
                // Theirs are rounded to f32 several times on the way.
                assert!((f64::from(a) / b - 1.0).abs() < 1e-6, "{name} at {length}: {a} {b}");
            }
            let scaling = table["attention_scaling"].as_f64().unwrap();
            let ratio = f64::from(ours.magnitude) / scaling;
            assert!((ratio - 1.0).abs() < 1e-6, "{name} at {length}: {ratio}");
        }
    }
}

fn meta(config: &Json) -> Meta {
    let mut meta = Meta::default();
    let family = config["architectures"][0].as_str().unwrap();
    meta.set("family", "architectures", Value::Text(family.to_owned()));
    let mut read = |from: &Json, keys: &[(&str, &str)]| {
        for (ours, theirs) in keys {
            if let Some(value) = from.get(theirs).and_then(value) {
                meta.set(ours, theirs, value);
            }
        }
    };
    for name in ["rope_parameters", "rope_scaling"] {
        if let Some(rope) = config.get(name) {
            read(rope, ROPE_KEYS);
        }
    }
    read(config, KEYS);
    meta
}

fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) if n.is_i64() => Value::Int(n.as_i64()?),
        Json::Number(n) => Value::Float(n.as_f64()?),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) => Value::List(floats(json).into_iter().map(Value::Float).collect()),
        _ => return None,
    })
}

fn floats(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}
