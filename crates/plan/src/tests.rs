//! Programs keep their promises: slots that live together do not overlap.

use super::*;
use blocks::Kind;
use model::{Meta, Value};
use ops::{Form, KvKind};

fn spec() -> Spec {
    spec_with_heads_of(128)
}

fn spec_with_heads_of(dim: i64) -> Spec {
    let mut meta = Meta::default();
    meta.set("family", "architectures", Value::Text("Qwen3ForCausalLM".into()));
    for (key, value) in [
        ("vocab", 151_936),
        ("dim", 1024),
        ("layers", 28),
        ("heads", 16),
        ("kv_heads", 8),
        ("head_dim", dim),
        ("ffn_dim", 3072),
        ("context", 40_960),
    ] {
        meta.set(key, key, Value::Int(value));
    }
    meta.set("norm_eps", "rms_norm_eps", Value::Float(1e-6));
    meta.set("tied", "tie_word_embeddings", Value::Bool(true));
    model::describe(&meta).unwrap()
}

fn program() -> Program {
    program_with(&spec(), KvKind::F16).unwrap()
}

fn program_with(spec: &Spec, kv: KvKind) -> Result<Program, PlanError> {
    let info = |w: model::WeightSpec| WeightInfo {
        name: format!("{:?}", w.part),
        kind: if w.rows == 1 { Kind::F32 } else { Kind::Q8_0 },
        rows: w.rows as usize,
        cols: w.cols as usize,
    };
    let weights = spec.weights().into_iter().map(info).collect();
    lower(spec, weights, &[], &Options { form: Form::Fast, kv })
}

#[test]
fn a_cache_of_blocks_takes_their_bytes_and_whole_blocks_only() {
    let heads = 2 * 28 * 8;
    for (kv, row) in [(KvKind::Q8_0, 4 * 34), (KvKind::Q4_0, 4 * 18)] {
        let program = program_with(&spec(), kv).unwrap();
        assert_eq!(program.caches[0].bytes_per_token(), heads * row);
        let refused = program_with(&spec_with_heads_of(48), kv).unwrap_err().to_string();
        assert!(refused.contains("48") && refused.contains("f16"), "{refused}");
    }
}

#[test]
fn qwen3_0_6b_keeps_114688_bytes_per_token() {
    let program = program();
    let bytes: usize = program.caches.iter().map(|group| group.bytes_per_token()).sum();
    assert_eq!(bytes, 114_688);
    assert_eq!(program.caches.len(), 1);
}

#[test]
fn scratch_does_not_grow_with_layers() {
    // x, normed, q, k, v, mixed or x, normed, gate, up: never more than x + normed + 2 * 3072.
    assert!(program().row_width <= 2 * 1024 + 2 * 3072);
}

#[test]
fn decoding_reads_each_weight_once() {
    let program = program();
    let blocks = 596_049_920.0 / 32.0 * 34.0;
    let bytes = cost::total(&program, cost::Load::decode(1.0)).bytes;
    assert!((bytes / blocks - 1.0).abs() < 0.01, "{bytes} against {blocks}");
}

#[test]
fn layers_fold_in_the_text() {
    let text = explain(&program());
    assert!(text.contains("L0-27   rms_norm"), "{text}");
    // The embedding, thirteen operations of a layer, and four for the output.
    assert_eq!(text.lines().count(), 18, "{text}");
}
