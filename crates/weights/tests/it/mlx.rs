//! MLX directories: every width and group, settings for single modules, and what is refused.

use blocks::Kind;
use serde_json::{Value, json};
use weights::{Container, Source};

use crate::gguf::{refused, whole};
use crate::writer::{self, Dir, Tensor, directory};

/// Wide enough for groups of 128.
const DIM: u64 = 128;

/// A matrix of `rows` x `cols` packed as MLX describes it, and the weights that it stands for: a
/// row is one string of bits, lowest first, in words of 32.
fn packed(name: &str, rows: u64, cols: u64, bits: u32, group: u64) -> (Vec<Tensor>, Vec<f32>) {
    let (mut words, mut scales, mut biases) = (Vec::new(), Vec::new(), Vec::new());
    let mut weights = Vec::new();
    for row in 0..rows {
        let mut string: Vec<bool> = Vec::new();
        for col in 0..cols {
            let q = (row * 7 + col * 13 + col / 9) % (1 << bits);
            string.extend((0..bits).map(|bit| q >> bit & 1 == 1));
            if col % group == 0 {
                // Powers of two and small integers are exact in every type.
                scales.push(0.25 * (1 + (row + col / group) % 3) as f32);
                biases.push(-((row % 5) as f32));
            }
            let (scale, bias) = (scales.last().unwrap(), biases.last().unwrap());
            weights.push(scale * q as f32 + bias);
        }
        for word in string.chunks(32) {
            words.push(word.iter().rev().fold(0u32, |word, &bit| word << 1 | u32::from(bit)));
        }
    }
    let half = |x: &Vec<f32>| x.iter().flat_map(|x| x.to_le_bytes()[2..].to_vec()).collect();
    let part = |what: &str, width: u64, dtype: &'static str, data: Vec<u8>| Tensor {
        name: format!("{name}.{what}"),
        shape: vec![rows, width],
        kind: (0, dtype),
        data,
    };
    let words = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let parts = vec![
        part("weight", cols * u64::from(bits) / 32, "U32", words),
        part("scales", cols / group, "BF16", half(&scales)),
        part("biases", cols / group, "BF16", half(&biases)),
    ];
    (parts, weights)
}

/// A llama of width 128 whose matrices are packed, but for those that `plain` names.
fn llama(bits: u32, group: u64, plain: &str) -> (Vec<Tensor>, Vec<(String, Vec<f32>)>) {
    let (mut tensors, mut expected) = (Vec::new(), Vec::new());
    for tensor in writer::llama(false) {
        let wide = |n: u64| if n == 16 || n == 40 { DIM } else { n };
        let shape: Vec<u64> = match tensor.shape[..] {
            [cols] => vec![wide(cols)],
            [rows, cols] => vec![if rows == 8 { 64 } else { wide(rows) }, wide(cols)],
            _ => unreachable!(),
        };
        let module = tensor.name.strip_suffix(".weight").unwrap();
        if shape.len() == 1 || (!plain.is_empty() && module.ends_with(plain)) {
            let tensor = Tensor::f32(&tensor.name, &shape);
            let n = shape.iter().product::<u64>() as usize;
            expected.push((tensor.name.clone(), writer::values(&tensor.name, n)));
            tensors.push(tensor);
        } else {
            let (parts, weights) = packed(module, shape[0], shape[1], bits, group);
            tensors.extend(parts);
            expected.push((tensor.name.clone(), weights));
        }
    }
    (tensors, expected)
}

fn config(quantization: Value) -> Value {
    let mut config = writer::config();
    config["hidden_size"] = json!(DIM);
    config["intermediate_size"] = json!(DIM);
    config["quantization"] = quantization.clone();
    config["quantization_config"] = quantization;
    config
}

#[track_caller]
fn holds(source: &Source, expected: &[(String, Vec<f32>)]) {
    let spec = model::describe(source.meta()).unwrap();
    let bound = source.bind(&spec.weights()).unwrap();
    assert_eq!(bound.len(), expected.len());
    for bound in bound {
        let (_, weights) = expected.iter().find(|(name, _)| *name == bound.name).unwrap();
        assert!(source.load(&bound).unwrap().to_f32() == *weights, "{}", bound.name);
    }
}

#[test]
fn every_width_and_group_holds_what_was_packed() {
    for bits in [2, 3, 4, 5, 6, 8] {
        for group in [32, 64, 128] {
            let dir = Dir::new("mlx");
            let (tensors, expected) = llama(bits, group, "");
            let settings = json!({"group_size": group, "bits": bits, "mode": "affine"});
            directory(&dir, &config(settings), &tensors);
            let source = whole(Source::open(dir.path())).unwrap();
            assert_eq!(source.container(), Container::Mlx);
            holds(&source, &expected);
            let embed = source.tensors().find(|t| t.name.contains("embed")).unwrap();
            assert_eq!(embed.shape, [24, DIM]);
            let Some(Kind::Affine(affine)) = embed.kind else { panic!("{:?}", embed.kind) };
            assert_eq!((u32::from(affine.bits), u64::from(affine.group)), (bits, group));
            let total: usize = tensors.iter().map(|t| t.data.len()).sum();
            assert_eq!(source.tensors().map(|t| t.bytes).sum::<u64>(), total as u64);
        }
    }
}

#[test]
fn modules_have_settings_of_their_own() {
    let dir = Dir::new("modules");
    let (mut tensors, mut expected) = llama(4, 64, "lm_head");
    let module = "model.layers.1.mlp.down_proj";
    let (parts, weights) = packed(module, DIM, DIM, 8, 32);
    tensors.retain(|t| !t.name.starts_with(module));
    tensors.extend(parts);
    expected.iter_mut().find(|(name, _)| name.starts_with(module)).unwrap().1 = weights;
    let settings =
        |own: Value| config(json!({"group_size": 64, "bits": 4, "lm_head": false, (module): own}));
    directory(&dir, &settings(json!({"group_size": 32, "bits": 8})), &tensors);
    holds(&Source::open(dir.path()).unwrap(), &expected);
    directory(&dir, &settings(json!({"group_size": 64, "bits": 8})), &tensors);
    refused(Source::open(dir.path()), &[module, "[128, 4]", "[128, 2]"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let dir = Dir::new("misfit");
    let (tensors, _) = llama(4, 64, "");
    let good = json!({"group_size": 64, "bits": 4});
    let with = |settings: &Value, tensors: &[Tensor]| {
        directory(&dir, &config(settings.clone()), tensors);
        Source::open(dir.path())
    };
    let without = |what: &str| -> Vec<Tensor> {
        tensors.iter().filter(|t| t.name != format!("lm_head.{what}")).cloned().collect()
    };
    refused(with(&good, &without("scales")), &["lm_head.scales", "missing"]);
    refused(with(&good, &without("biases")), &["lm_head.biases", "missing"]);
    refused(with(&json!({"group_size": 64, "bits": 7}), &tensors), &["quantization.bits", "7"]);
    refused(with(&json!({"group_size": 16, "bits": 4}), &tensors), &["group_size", "16"]);
    refused(with(&json!({"bits": 4}), &tensors), &["group_size", "null"]);
    let mxfp6 = json!({"group_size": 32, "bits": 6, "mode": "mxfp6"});
    refused(with(&mxfp6, &tensors), &["quantization.mode", "mxfp6"]);
    let mxfp4 = json!({"group_size": 64, "bits": 4, "mode": "mxfp4"});
    refused(with(&mxfp4, &tensors), &["quantization.group_size", "64"]);
    refused(with(&json!(4), &tensors), &["quantization", "4"]);
    let mut wrong = tensors.clone();
    wrong.iter_mut().find(|t| t.name == "lm_head.scales").unwrap().kind.1 = "I16";
    refused(with(&good, &wrong), &["lm_head.scales", "I16"]);
    let mut wrong = tensors.clone();
    wrong.iter_mut().find(|t| t.name == "lm_head.weight").unwrap().kind.1 = "I32";
    refused(with(&good, &wrong), &["lm_head.weight", "I32"]);
    refused(
        with(&json!({"group_size": 64, "bits": 8}), &tensors),
        &["embed_tokens.scales", "[24, 2]"],
    );
}
