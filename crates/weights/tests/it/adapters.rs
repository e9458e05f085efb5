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

#[test]
fn rows_in_another_order_are_refused() {
    let (base, adapter) = (Dir::new("adapter-order"), Dir::new("adapter-order-adapter"));
    let model = base.write("model.gguf", writer::Gguf::llama().bytes());
    let config = json!({"peft_type": "LORA", "r": RANK, "lora_alpha": 6});
    adapter.write("adapter_config.json", config.to_string());
    for (module, wanted, is_fine) in [
        ("q_proj", part(Part::Q, 8), false),
        ("k_proj", part(Part::K, 8), false),
        ("v_proj", part(Part::V, 8), true),
    ] {
        let name = |which| {
            format!("base_model.model.model.layers.0.self_attn.{module}.lora_{which}.weight")
        };
        let tensors = [Tensor::f32(&name("A"), &[RANK, 6]), Tensor::f32(&name("B"), &[8, RANK])];
        adapter.write("adapter_model.safetensors", safetensors(&tensors));
        let mut source = Source::open(&model).unwrap();
        source.lay_over(adapter.path(), 1.0).unwrap();
        match source.pairs(&[wanted]) {
            Ok(pairs) => assert!(is_fine && pairs.len() == 1, "{module}"),
            Err(error) => assert!(!is_fine && error.to_string().contains("another order")),
        }
    }
}
