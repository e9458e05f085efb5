//! Every quantized form of safetensors holds the weights that its packing stands for, and settings
//! that are not understood are refused by their key and value.
//!
//! `fixtures/make.py` says how the files were made, with which other programs.

use std::fs;
use std::path::{Path, PathBuf};

use blocks::{Affine, Element, Global, Indexed, Kind, Plain, Scale, Scaled, Tile};
use serde_json::{Value, json};
use weights::{Container, SafeFile, Source, WeightError};

use crate::writer::{Dir, Tensor, directory};

fn fixture(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(form)
}

fn fp8(rows: u32, cols: u32, scale: Plain) -> Kind {
    let (element, scale) = (Element::E4M3, Scale::Plain(scale));
    Kind::Scaled(Scaled { element, scale, tile: Tile { rows, cols }, global: None })
}

fn nvfp4(global: Global) -> Kind {
    Kind::Scaled(Scaled { global: Some(global), ..Scaled::NVFP4 })
}

fn affine(bits: u8, group: u8, scale: Plain) -> Kind {
    Kind::Affine(Affine { bits, group, scale })
}

/// Every form, what its matrices become, and whether they are repacked.
fn forms() -> Vec<(&'static str, Kind, bool)> {
    let by_index = Kind::Indexed(Indexed { bits: 4, group: 32, scale: Plain::F32 });
    vec![
        ("fp8-blocks", fp8(24, 40, Plain::F32), false),
        ("fp8-rows", fp8(1, Tile::ALL, Plain::BF16), false),
        ("fp8-matrix", fp8(Tile::ALL, Tile::ALL, Plain::F32), false),
        ("mxfp4", Kind::Scaled(Scaled::MXFP4), false),
        ("mxfp4-compressed", Kind::Scaled(Scaled::MXFP4), false),
        ("nvfp4-modelopt", nvfp4(Global::Times), false),
        ("nvfp4-compressed", nvfp4(Global::Per), false),
        ("mlx-mxfp4", Kind::Scaled(Scaled::MXFP4), false),
        ("mlx-mxfp8", Kind::Scaled(Scaled::MXFP8), false),
        ("mlx-nvfp4", Kind::Scaled(Scaled::NVFP4), false),
        ("awq", affine(4, 32, Plain::F32), true),
        ("gptq-4bit", affine(4, 32, Plain::F32), true),
        ("gptq-4bit-act-order", by_index, true),
        ("gptq-8bit", affine(8, 64, Plain::F32), true),
        ("gptq-3bit", affine(3, 64, Plain::F32), true),
        ("int4-compressed", affine(4, 32, Plain::BF16), true),
    ]
}

#[test]
fn every_form_holds_what_was_packed() {
    let mut found: Vec<_> = fs::read_dir(fixture(""))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| fixture(name).is_dir())
        .collect();
    let mut tried: Vec<_> = forms().iter().map(|(form, ..)| form.to_string()).collect();
    found.sort();
    tried.sort();
    assert_eq!(found, tried, "every fixture has a line");
    for (form, kind, repacked) in forms() {
        let source = Source::open(&fixture(form)).unwrap_or_else(|e| panic!("{form}: {e}"));
        let mlx = form.starts_with("mlx");
        let container = if mlx { Container::Mlx } else { Container::Safetensors };
        assert_eq!(source.container(), container, "{form}");
        assert!(source.unknown_keys().is_empty(), "{form}: {:?}", source.unknown_keys());
        let spec = model::describe(source.meta()).unwrap();
        let bound = source.bind(&spec.weights()).unwrap_or_else(|e| panic!("{form}: {e}"));
        let reference = SafeFile::open(&fixture(form).join("reference.safetensors")).unwrap();
        let (mut compared, mut owned) = (0, 0);
        for bound in &bound {
            let tensor = source.load(bound).unwrap_or_else(|e| panic!("{form}: {e}"));
            owned += tensor.owned_bytes() as u64;
            if bound.name.contains("_proj") {
                assert_eq!(bound.kind, kind, "{form}: {}", bound.name);
            }
            let Some((_, shape, values)) = reference.tensor(&bound.name) else { continue };
            let values: Vec<f32> = Vec::from(values.as_slice())
                .as_chunks()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect();
            let rows = tensor.rows(0..shape[0] as usize);
            for (i, (ours, theirs)) in rows.to_f32().iter().zip(&values).enumerate() {
                assert!(ours == theirs, "{form}: {} {i} is {ours}, not {theirs}", bound.name);
            }
            compared += 1;
        }
        assert_eq!(compared, 2, "{form}");
        assert_eq!(source.repacked().map_or(0, |(_, bytes)| bytes), owned, "{form}");
        assert_eq!(owned > 0, repacked, "{form}");
    }
}

#[track_caller]
fn refused<T>(result: Result<T, WeightError>, words: &[&str]) {
    let error = result.err().expect("this should be refused").to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

/// A file of `form` whose settings or tensors were changed.
fn changed(
    form: &str,
    change: impl FnOnce(&mut Value),
    tensors: impl FnOnce(&mut Vec<Tensor>),
) -> Result<Source, WeightError> {
    let dir = Dir::new(&format!("quantized-{form}"));
    let text = fs::read_to_string(fixture(form).join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    change(&mut config);
    let file = SafeFile::open(&fixture(form).join("model.safetensors")).unwrap();
    let mut list: Vec<Tensor> = file
        .tensors()
        .iter()
        .map(|t| {
            let (dtype, shape, bytes) = file.tensor(&t.name).unwrap();
            let data = bytes.as_slice().to_vec();
            Tensor { name: t.name.clone(), shape: shape.to_vec(), kind: (0, dtype.name()), data }
        })
        .collect();
    tensors(&mut list);
    directory(&dir, &config, &list);
    Source::open(dir.path())
}

#[test]
fn settings_that_are_not_understood_are_named() {
    let cases = [
        ("fp8-blocks", "fmt", json!("e5m2")),
        ("fp8-blocks", "weight_block_size", json!([128])),
        ("fp8-blocks", "weight_block_size", json!([0, 128])),
        ("fp8-blocks", "modules_to_not_convert", json!("lm_head")),
        ("fp8-blocks", "activation_scheme", json!("block")),
        ("fp8-blocks", "quant_method", json!("bitsandbytes")),
        ("fp8-blocks", "quant_method", json!(8)),
        ("mxfp4", "modules_to_not_convert", json!([1])),
        ("nvfp4-modelopt", "quant_algo", json!("W4A8_AWQ")),
        ("nvfp4-modelopt", "group_size", json!(32)),
        ("nvfp4-compressed", "format", json!("marlin-24")),
        ("nvfp4-compressed", "config_groups", json!({})),
        ("nvfp4-compressed", "transform_config", json!({"config_groups": {"u": 1}})),
        ("nvfp4-compressed", "quantization_status", json!("frozen")),
        ("gptq-4bit", "bits", json!(5)),
        ("gptq-4bit", "bits", json!("four")),
        ("gptq-4bit", "group_size", json!(-2)),
        ("gptq-4bit", "group_size", Value::Null),
        ("gptq-4bit", "checkpoint_format", json!("marlin")),
        ("gptq-4bit", "dynamic", json!({"-:.*": {}})),
        ("awq", "version", json!("gemv")),
        ("awq", "bits", json!(8)),
    ];
    for (form, key, value) in cases {
        let said = value.clone();
        let result = changed(form, |config| config["quantization_config"][key] = value, |_| ());
        refused(result, &["config.json", &format!("quantization_config.{key}"), &said.to_string()]);
    }
    let group = |key: &'static str, value: Value| {
        let set = move |config: &mut Value| {
            config["quantization_config"]["config_groups"]["group_0"]["weights"][key] = value;
        };
        changed("int4-compressed", set, |_| ())
    };
    refused(group("num_bits", json!(3)), &["group_0.weights.num_bits", "3"]);
    refused(group("symmetric", json!(false)), &["group_0.weights.symmetric", "false"]);
    let unknown = |config: &mut Value| config["quantization_config"]["novel"] = json!(1);
    let source = changed("awq", unknown, |_| ()).unwrap();
    assert_eq!(source.unknown_keys(), ["quantization_config.novel"]);
}

#[test]
fn settings_may_stand_with_the_text_model() {
    let nested = |bits: Value| {
        changed(
            "awq",
            move |config| {
                let settings = config.as_object_mut().unwrap().remove("quantization_config");
                let mut settings = settings.unwrap();
                settings["bits"] = bits;
                config["text_config"] = json!({"quantization_config": settings});
            },
            |_| (),
        )
    };
    nested(json!(4)).unwrap();
    refused(nested(json!(8)), &["text_config.quantization_config.bits", "8"]);
}

#[test]
fn settings_of_modelopt_may_stand_in_a_file_of_their_own() {
    let dir = Dir::new("aside");
    let from = fixture("nvfp4-modelopt");
    let text = fs::read_to_string(from.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config.as_object_mut().unwrap().remove("quantization_config");
    dir.write("config.json", config.to_string());
    dir.write("model.safetensors", fs::read(from.join("model.safetensors")).unwrap());
    let aside = |algorithm: &str| {
        let exclude = ["lm_head"];
        let settings = json!({"quant_algo": algorithm, "exclude_modules": exclude});
        let aside = json!({"producer": {"name": "modelopt"}, "quantization": settings});
        dir.write("hf_quant_config.json", aside.to_string());
        Source::open(dir.path())
    };
    let source = aside("NVFP4").unwrap();
    let spec = model::describe(source.meta()).unwrap();
    for bound in source.bind(&spec.weights()).unwrap() {
        let packed = bound.name.contains("_proj");
        assert_eq!(bound.kind == nvfp4(Global::Times), packed, "{}", bound.name);
    }
    refused(aside("INT4"), &["hf_quant_config.json", "quantization.quant_algo", "INT4"]);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let k = "model.layers.0.self_attn.k_proj";
    let without = |form: &str, name: String| {
        changed(form, |_| (), |list| list.retain(|tensor| tensor.name != name))
    };
    for (form, part) in [
        ("fp8-blocks", "weight_scale"),
        ("mxfp4", "weight_scales"),
        ("mxfp4-compressed", "weight_scale"),
        ("nvfp4-modelopt", "weight_scale_2"),
        ("nvfp4-compressed", "weight_global_scale"),
        ("mlx-nvfp4", "scales"),
        ("awq", "qzeros"),
        ("gptq-8bit", "scales"),
        ("int4-compressed", "weight_scale"),
    ] {
        let name = format!("{k}.{part}");
        let stored = if form == "fp8-blocks" { format!("{name}_inv") } else { name.clone() };
        if form == "mlx-nvfp4" {
            // Words without scales are no weights; that shows where they are wanted.
            let source = without(form, stored).unwrap();
            let spec = model::describe(source.meta()).unwrap();
            refused(source.bind(&spec.weights()), &[k]);
            continue;
        }
        refused(without(form, stored), &[&name, "missing"]);
    }
    for (form, part) in [
        ("fp8-blocks", "weight_scale_inv"),
        ("mxfp4", "weight_scales"),
        ("nvfp4-compressed", "weight_scale"),
        ("mlx-mxfp4", "scales"),
        ("awq", "scales"),
        ("gptq-4bit", "qzeros"),
        ("gptq-4bit-act-order", "g_idx"),
    ] {
        let name = format!("{k}.{part}");
        // Half as many, which no shape of the matrix explains.
        let halve = |list: &mut Vec<Tensor>| {
            let tensor = list.iter_mut().find(|tensor| tensor.name == name).unwrap();
            tensor.shape[0] /= 2;
            tensor.data.truncate(tensor.data.len() / 2);
        };
        refused(changed(form, |_| (), halve), &[&name]);
    }
    let far = |list: &mut Vec<Tensor>| {
        let tensor = list.iter_mut().find(|tensor| tensor.name == format!("{k}.g_idx")).unwrap();
        tensor.data[4..8].copy_from_slice(&7i32.to_le_bytes());
    };
    let source = changed("gptq-4bit-act-order", |_| (), far).unwrap();
    let spec = model::describe(source.meta()).unwrap();
    let bound = source.bind(&spec.weights()).unwrap();
    let wrong = bound.iter().find(|bound| bound.name.starts_with(k)).unwrap();
    refused(source.load(wrong), &[k, "column 1", "group 7"]);
}

#[test]
fn a_config_without_settings_leaves_packed_tensors_unknown() {
    let bare =
        |config: &mut Value| drop(config.as_object_mut().unwrap().remove("quantization_config"));
    let source = changed("fp8-blocks", bare, |_| ()).unwrap();
    let spec = model::describe(source.meta()).unwrap();
    refused(source.bind(&spec.weights()), &["F8_E4M3"]);
}

#[test]
fn tensors_of_any_shape_are_an_error_or_a_model() {
    let module = "model.layers.0.self_attn.k_proj";
    let (mut opened, mut refused) = (0, 0);
    for (form, ..) in forms() {
        let shapes = |shape: &[u64]| -> Vec<Vec<u64>> {
            let n: u64 = shape.iter().product();
            let mut shapes = vec![vec![n], vec![], vec![0, 7], [&[2], shape].concat()];
            for dim in 0..shape.len() {
                for size in [0, shape[dim] / 2, shape[dim] + 1] {
                    let mut other = shape.to_vec();
                    other[dim] = size;
                    shapes.push(other);
                }
            }
            shapes
        };
        let file = SafeFile::open(&fixture(form).join("model.safetensors")).unwrap();
        for tensor in file.tensors().iter().filter(|tensor| tensor.name.starts_with(module)) {
            for shape in shapes(&tensor.shape) {
                let reshape = |list: &mut Vec<Tensor>| {
                    let found = list.iter_mut().find(|found| found.name == tensor.name).unwrap();
                    let count = shape.iter().product::<u64>() as usize;
                    found.shape = shape;
                    found.data.resize(count * tensor.dtype.bits() / 8, 3);
                };
                match changed(form, |_| (), reshape) {
                    Err(error) => refused += usize::from(!error.to_string().is_empty()),
                    Ok(source) => {
                        let spec = model::describe(source.meta()).unwrap();
                        let bound = source.bind(&spec.weights()).unwrap_or_default();
                        opened += bound.iter().filter(|b| source.load(b).is_ok()).count();
                    }
                }
            }
        }
    }
    assert!(opened > 0 && refused > 100, "{opened} and {refused}");
}
