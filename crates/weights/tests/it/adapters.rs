//! Adapters: whose rows of a fused matrix are whose, and in which order rows lie.

use model::{Part, WeightSpec};
use serde_json::json;
use weights::{Pair, Source, WeightError};

use crate::writer::{self, Dir, Tensor, directory, safetensors, values};

const RANK: u64 = 3;

/// A part of the first layer.
fn part(part: Part, rows: u32) -> WeightSpec {
    WeightSpec { part, layer: Some(0), expert: None, rows, cols: 6 }
}

/// Lays a PEFT adapter over one module of a llama and gives its pairs beside `wanted`.
fn pairs(
    test: &str,
    module: &str,
    rows: u64,
    wanted: &[WeightSpec],
) -> (Source, Result<Vec<Pair>, WeightError>) {
    let (base, adapter) = (Dir::new(test), Dir::new(&format!("{test}-adapter")));
    directory(&base, &writer::config(), &writer::llama(false));
    let config = json!({"peft_type": "LORA", "r": RANK, "lora_alpha": 6});
    adapter.write("adapter_config.json", config.to_string());
    let name = |which| format!("base_model.model.model.layers.0.{module}.lora_{which}.weight");
    let tensors = [Tensor::f32(&name("A"), &[RANK, 6]), Tensor::f32(&name("B"), &[rows, RANK])];
    adapter.write("adapter_model.safetensors", safetensors(&tensors));
    let mut source = Source::open(base.path()).unwrap();
    source.lay_over(adapter.path(), 1.0).unwrap();
    let pairs = source.pairs(wanted);
    (source, pairs)
}

#[test]
fn each_part_of_a_fused_matrix_has_its_rows_of_b() {
    let wanted = [part(Part::Q, 8), part(Part::K, 4), part(Part::V, 4)];
    let (source, pairs) = pairs("adapter-fused", "self_attn.qkv_proj", 16, &wanted);
    let pairs = pairs.unwrap();
    let starts = [0, 8, 12].map(|row| row * RANK as usize);
    assert_eq!(pairs.len(), wanted.len());
    for ((pair, want), start) in pairs.iter().zip(wanted).zip(starts) {
        let (a, b) = (source.load(&pair.a).unwrap(), source.load(&pair.b).unwrap());
        assert_eq!(a.to_f32(), values(&pair.a.name, 6 * RANK as usize));
        let all = values(&pair.b.name, 16 * RANK as usize);
        assert_eq!(b.to_f32(), all[start..start + want.rows as usize * RANK as usize]);
        assert_eq!((pair.scale, b.rows), (2.0, want.rows as usize));
    }
}

#[test]
fn a_matrix_is_told_from_a_fused_one_by_its_height() {
    let wanted = [part(Part::Gate, 8), part(Part::Up, 8)];
    let (_, alone) = pairs("adapter-up", "mlp.up_proj", 8, &wanted);
    assert_eq!(alone.unwrap().iter().map(|pair| pair.of).collect::<Vec<_>>(), [1]);
    let (_, fused) = pairs("adapter-gate-up", "mlp.gate_up_proj", 16, &wanted);
    assert_eq!(fused.unwrap().iter().map(|pair| pair.of).collect::<Vec<_>>(), [0, 1]);
    let (_, wrong) = pairs("adapter-wrong", "mlp.up_proj", 12, &wanted);
    assert!(wrong.unwrap_err().to_string().contains("has the shape [12, 3]"));
}

/// Lays a PEFT adapter over a GGUF file and gives its B beside `wanted`.
fn b_over(
    gguf: &writer::Gguf,
    module: &str,
    wanted: WeightSpec,
    sizes: &[WeightSpec],
) -> Result<Vec<f32>, WeightError> {
    let (base, adapter) = (Dir::new("adapter-order"), Dir::new("adapter-order-adapter"));
    let model = base.write("model.gguf", gguf.bytes());
    let config = json!({"peft_type": "LORA", "r": RANK, "lora_alpha": 6});
    adapter.write("adapter_config.json", config.to_string());
    let name = |which| format!("base_model.model.model.layers.0.{module}.lora_{which}.weight");
    let b = [u64::from(wanted.rows), RANK];
    let tensors = [Tensor::f32(&name("A"), &[RANK, 6]), Tensor::f32(&name("B"), &b)];
    adapter.write("adapter_model.safetensors", safetensors(&tensors));
    let mut source = Source::open(&model).unwrap();
    source.lay_over(adapter.path(), 1.0).unwrap();
    let pairs = source.pairs(&[&[wanted], sizes].concat())?;
    assert_eq!(pairs.len(), 1);
    assert_eq!(values(&name("A"), 18), source.load(&pairs[0].a).unwrap().to_f32());
    Ok(source.load(&pairs[0].b).unwrap().to_f32())
}

#[test]
fn rows_come_in_the_models_order() {
    // Four heads of four rows: those of two halves, beside each other.
    let heads = |count: usize| (0..count).flat_map(|head| [0, 2, 1, 3].map(|row| 4 * head + row));
    let queries = [part(Part::Q, 16)];
    for (module, wanted, sizes, rows) in [
        ("self_attn.q_proj", part(Part::Q, 16), &[][..], heads(4).collect::<Vec<_>>()),
        ("self_attn.k_proj", part(Part::K, 8), &queries, heads(2).collect()),
        ("self_attn.v_proj", part(Part::V, 8), &queries, (0..8).collect()),
    ] {
        let b = b_over(&writer::Gguf::llama(), module, wanted, sizes).unwrap();
        let name = format!("base_model.model.model.layers.0.{module}.lora_B.weight");
        let all = values(&name, wanted.rows as usize * RANK as usize);
        let expected = rows.iter().flat_map(|row| &all[row * RANK as usize..][..RANK as usize]);
        assert_eq!(b, expected.copied().collect::<Vec<_>>(), "{module}");
    }
}

#[test]
fn rows_that_cannot_be_put_into_order_are_refused() {
    let mut tiled = writer::Gguf::llama();
    tiled.keys.clear();
    tiled.text("general.architecture", "qwen35");
    for (gguf, module, wanted, sizes) in [
        (&tiled, "linear_attn.out_proj", part(Part::DeltaOut, 8), &[][..]),
        // Three rows a head have no halves.
        (&writer::Gguf::llama(), "self_attn.q_proj", part(Part::Q, 12), &[]),
        // And keys of no query's width cannot be cut into heads.
        (&writer::Gguf::llama(), "self_attn.k_proj", part(Part::K, 6), &[part(Part::Q, 16)]),
    ] {
        let error = b_over(gguf, module, wanted, sizes).unwrap_err().to_string();
        assert!(error.contains("another order") && error.contains(module), "{error}");
    }
}
