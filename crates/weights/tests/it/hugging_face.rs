//! Hugging Face directories: shards, both forms of config.json, and what is refused.

use model::{Part, Reach, Scaling, Spec};
use serde_json::{Value, json};
use weights::{Container, SafeFile, SafeHeader, SideFiles, Source};

use crate::gguf::{refused, whole};
use crate::writer::{self, Dir, Tensor, directory, safetensors, values, with_header};

fn spec(source: &Source) -> Spec {
    model::describe(source.meta()).unwrap()
}

/// The config with some keys set; null removes one.
fn config(changes: Value) -> Value {
    let mut config = writer::config();
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(config.as_object_mut().unwrap().remove(key)),
            value => config[key] = value.clone(),
        }
    }
    config
}

fn described(test: &str, changes: Value) -> Spec {
    let dir = Dir::new(test);
    directory(&dir, &config(changes), &writer::llama(false));
    spec(&Source::open(dir.path()).unwrap())
}

#[track_caller]
fn holds_its_values(source: &Source) {
    for bound in source.bind(&spec(source).weights()).unwrap() {
        let tensor = source.load(&bound).unwrap();
        let n = tensor.rows * tensor.cols;
        assert_eq!(tensor.to_f32(), values(&bound.name, n), "{}", bound.name);
    }
}

#[test]
fn one_file_and_many_hold_what_was_written() {
    let dir = Dir::new("shards");
    let tensors = writer::llama(false);
    directory(&dir, &writer::config(), &tensors);
    let source = Source::open(dir.path()).unwrap();
    assert_eq!(source.container(), Container::Safetensors);
    holds_its_values(&source);

    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    let (a, b) = tensors.split_at(7);
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    dir.write(names[0], safetensors(a));
    let second = dir.write(names[1], safetensors(b));
    holds_its_values(&Source::open(dir.path()).unwrap());

    let index = |second: &str| {
        let file = |list: &[Tensor], file: &str| -> Vec<(String, Value)> {
            list.iter().map(|t| (t.name.clone(), json!(file))).collect()
        };
        let map: serde_json::Map<_, _> =
            file(a, names[0]).into_iter().chain(file(b, second)).collect();
        let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
        dir.write("model.safetensors.index.json", index.to_string());
        Source::open(dir.path())
    };
    holds_its_values(&index(names[1]).unwrap());
    for name in ["../model.safetensors", "/etc/x.safetensors", "a/b.safetensors", "passwd"] {
        refused(index(name), &["index.json", name]);
    }
    std::fs::remove_file(&second).unwrap();
    refused(index(names[1]), &["model-00002-of-00002.safetensors is missing", "index.json"]);
    dir.write(names[1], safetensors(&tensors[6..]));
    refused(index(names[1]), &["00002-of-00002", tensors[6].name.as_str(), "another file"]);
}

#[test]
fn both_forms_of_config_describe_one_model() {
    let scaling = json!({"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32, "rope_type": "llama3"});
    let mut parameters = scaling.clone();
    parameters["rope_theta"] = json!(500000.0);
    let four = described("four", json!({"rope_scaling": scaling, "rope_theta": 500000.0}));
    let five = described("five", json!({"rope_parameters": parameters, "rope_theta": null}));
    assert_eq!(four, five);
    let attention = five.layers[0].attention().unwrap();
    assert_eq!(attention.rope.as_ref().unwrap().theta, 500_000.0);
    assert!(matches!(
        attention.rope.as_ref().unwrap().scaling,
        Scaling::Llama3 { original: 32, .. }
    ));
}

/// The configurations and frequencies that transformers made, through our reading of config.json.
#[test]
fn scalings_of_config_json_are_those_of_transformers() {
    let reference: Value =
        serde_json::from_str(include_str!("../../../model/tests/rope.json")).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let dir = Dir::new("rope");
        directory(&dir, &case["config"], &writer::llama(false));
        let spec = spec(&Source::open(dir.path()).unwrap());
        let attention = spec.layers[0].attention().unwrap();
        for table in case["tables"].as_array().unwrap() {
            let ours =
                attention.rope.as_ref().unwrap().table(table["length"].as_u64().unwrap() as u32);
            let theirs = table["inv_freq"].as_array().unwrap();
            assert_eq!(ours.frequencies.len(), theirs.len(), "{}", case["name"]);
            for (a, b) in ours.frequencies.iter().zip(theirs) {
                let ratio = f64::from(*a) / b.as_f64().unwrap();
                assert!((ratio - 1.0).abs() < 1e-6, "{}: {ratio}", case["name"]);
            }
            let ratio = f64::from(ours.magnitude) / table["attention_scaling"].as_f64().unwrap();
            assert!((ratio - 1.0).abs() < 1e-6, "{}: {ratio}", case["name"]);
        }
    }
}

#[test]
fn keys_left_out_have_the_defaults_of_their_class() {
    let mistral = json!({"architectures": ["MistralForCausalLM"], "num_key_value_heads": null,
        "num_attention_heads": 8, "rope_theta": null, "hidden_act": null});
    let spec = described("mistral", mistral);
    let attention = spec.layers[0].attention().unwrap();
    assert_eq!((attention.kv_heads, attention.reach), (8, Reach::Window(4096)));
    assert_eq!(attention.rope.as_ref().unwrap().theta, 10_000.0);
    let mut config = config(json!({"architectures": ["MistralForCausalLM"]}));
    config["sliding_window"] = Value::Null;
    let dir = Dir::new("null");
    directory(&dir, &config, &writer::llama(false));
    let spec = self::spec(&Source::open(dir.path()).unwrap());
    assert_eq!(spec.layers[0].attention().unwrap().reach, Reach::All);

    let qwen = json!({"architectures": null, "model_type": "qwen2", "use_sliding_window": true,
        "sliding_window": 8, "max_window_layers": 1});
    let spec = described("qwen", qwen);
    let window = |layer: &model::Layer| {
        let attention = layer.attention().unwrap();
        (attention.reach, attention.qkv_bias, attention.out_bias)
    };
    let windows: Vec<_> = spec.layers.iter().map(window).collect();
    assert_eq!(windows, [(Reach::All, true, false), (Reach::Window(8), true, false)]);
}

/// Gemma 3 4B as it is published: a text model inside one that sees, most of whose keys are left
/// to its class.
#[test]
fn a_text_model_inside_another_has_the_defaults_of_its_own_class() {
    let whole = |text: Value| {
        json!({"architectures": ["Gemma3ForConditionalGeneration"], "mm_tokens_per_image": 256,
            "model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}})
    };
    let text = json!({"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "model_type": "gemma3_text", "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024});
    let dir = Dir::new("inside");
    directory(&dir, &whole(text.clone()), &writer::llama(false));
    let spec = spec(&Source::open(dir.path()).unwrap());
    assert_eq!((spec.vocab, spec.dim, spec.context), (262_208, 2560, 131_072));
    let [local, all] = [0, 5].map(|layer: usize| spec.layers[layer].attention().unwrap());
    assert_eq!((local.heads, local.kv_heads, local.head_dim), (8, 4, 256));
    assert_eq!((local.reach, all.reach), (Reach::Window(1024), Reach::All));
    let [local, all] = [local, all].map(|attention| attention.rope.as_ref().unwrap());
    assert_eq!((local.theta, &local.scaling), (10_000.0, &Scaling::None));
    assert_eq!((all.theta, &all.scaling), (1_000_000.0, &Scaling::Linear { factor: 8.0 }));

    let refuse = |text: Value, words: &[&str]| {
        let dir = Dir::new("inside-refused");
        directory(&dir, &whole(text), &writer::llama(false));
        refused(Source::open(dir.path()), words);
    };
    refuse(Value::Null, &["`text_config`"]);
    refuse(json!({"model_type": "t5"}), &["text_config.model_type", "t5"]);
    refuse(json!({"use_alibi": true}), &["text_config", "use_alibi"]);
}

#[test]
fn what_is_missing_is_named_as_the_file_names_the_rest() {
    let mut text = writer::config();
    text["model_type"] = json!("mistral");
    let whole = json!({"architectures": ["Mistral3ForConditionalGeneration"], "text_config": text});
    let nested = |name: &str, version: u32| match (version, name.strip_prefix("model.")) {
        (4, _) => format!("language_model.{name}"),
        (_, Some(rest)) => format!("model.language_model.{rest}"),
        (_, None) => name.to_owned(),
    };
    for version in [4, 5] {
        for gone in ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"] {
            let mut tensors = writer::llama(false);
            tensors.retain(|tensor| tensor.name != gone);
            tensors.iter_mut().for_each(|tensor| tensor.name = nested(&tensor.name, version));
            let dir = Dir::new("inside-missing");
            directory(&dir, &whole, &tensors);
            let source = Source::open(dir.path()).unwrap();
            let error = source.bind(&spec(&source).weights()).unwrap_err().to_string();
            assert!(error.contains(&format!("`{}`", nested(gone, version))), "{error}");
        }
    }
}

#[test]
fn what_cannot_be_honoured_is_refused_by_key_and_value() {
    let dir = Dir::new("refused");
    let try_config = |changes: Value| {
        directory(&dir, &config(changes), &writer::llama(false));
        Source::open(dir.path())
    };
    for (changes, words) in [
        (json!({"hidden_act": "relu6"}), ["hidden_act", "relu6"]),
        (json!({"architectures": ["BloomForCausalLM"]}), ["BloomForCausalLM", "not supported"]),
        (
            json!({"quantization_config": {"quant_method": "bitsandbytes", "bits": 4}}),
            ["quant_method", "bitsandbytes"],
        ),
        (json!({"quantization_config": {"quant_method": "quip"}}), ["quant_method", "quip"]),
        (json!({"rope_scaling": {"rope_type": "spiral", "factor": 2}}), ["rope_type", "spiral"]),
        (json!({"rope_scaling": {"type": "linear"}}), ["factor", "lacks"]),
        (json!({"rope_scaling": {"spin": [1, 2]}}), ["rope_scaling.spin", "[1,2]"]),
        (
            json!({"rope_parameters": {"full_attention": {"rope_theta": 1}}}),
            ["full_attention", "1"],
        ),
        (json!({"rope_scaling": 3}), ["rope_scaling", "3"]),
        (json!({"attn_logit_softcapping": 30.0}), ["attn_logit_softcapping", "30"]),
        (json!({"num_local_experts": 8}), ["num_local_experts", "8"]),
        (json!({"hidden_size": "wide"}), ["hidden_size", "wide"]),
        (json!({"hidden_size": null}), ["hidden_size", "lacks"]),
        (json!({"num_attention_heads": 3}), ["num_key_value_heads", "divisor"]),
        (json!({"num_attention_heads": 4294967295u32, "head_dim": 4096}), ["heads", "4294967295"]),
        (json!({"attention_bias": true}), ["q_proj.bias", "missing"]),
        (json!({"mlp_bias": true}), ["gate_proj.bias", "missing"]),
    ] {
        refused(try_config(changes), &words);
    }
    let source = try_config(json!({"my_note": 1, "logits_scaling": 1.0, "qk_layernorm": false}));
    assert_eq!(source.unwrap().unknown_keys(), ["my_note"]);
    dir.write("config.json", "{\"a\":");
    refused(Source::open(dir.path()), &["config.json", "JSON"]);
}

#[test]
fn a_tied_head_is_ignored_where_it_is_the_embedding() {
    let dir = Dir::new("tied");
    let mut tensors = writer::llama(false);
    let tied = config(json!({"tie_word_embeddings": true}));
    // Another matrix than the embedding is a head, whatever the configuration says.
    directory(&dir, &tied, &tensors);
    let source = whole(Source::open(dir.path())).unwrap();
    assert!(!spec(&source).tied && source.ignored().is_empty());

    tensors[2].data = tensors[0].data.clone();
    directory(&dir, &tied, &tensors);
    let source = whole(Source::open(dir.path())).unwrap();
    assert!(spec(&source).tied);
    assert_eq!(source.ignored(), ["lm_head.weight"]);
    directory(&dir, &writer::config(), &tensors);
    assert!(!spec(&Source::open(dir.path()).unwrap()).tied);

    tensors.remove(2);
    tensors.push(Tensor::f32("model.layers.0.self_attn.rotary_emb.inv_freq", &[2]));
    directory(&dir, &tied, &tensors);
    assert_eq!(whole(Source::open(dir.path())).unwrap().ignored().len(), 1);
    directory(&dir, &config(json!({"tie_word_embeddings": null})), &tensors);
    assert!(spec(&Source::open(dir.path()).unwrap()).tied);
    directory(&dir, &writer::config(), &tensors);
    refused(Source::open(dir.path()), &["lm_head.weight", "missing"]);
}

#[test]
fn tensors_must_be_weights_of_the_right_shape() {
    let dir = Dir::new("shape");
    let up = "model.layers.1.mlp.up_proj.weight";
    let change = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut tensors = writer::llama(false);
        change(&mut tensors);
        directory(&dir, &writer::config(), &tensors);
        Source::open(dir.path())
    };
    let find = |list: &mut Vec<Tensor>| list.iter().position(|t| t.name == up).unwrap();
    refused(change(&|list| list.retain(|t| t.name != up)), &[up, "missing"]);
    refused(change(&|list| list.push(Tensor::f32("model.extra", &[1]))), &["model.extra"]);
    refused(
        change(&|list| {
            let i = find(list);
            list[i].shape = vec![16, 40]
        }),
        &[up, "[16, 40]", "[40, 16]", "model.safetensors"],
    );
    refused(
        change(&|list| {
            let i = find(list);
            list[i].kind.1 = "I32"
        }),
        &[up, "I32"],
    );
    refused(change(&|list| list.push(list[0].clone())), &["twice"]);
    // Halves are weights too.
    let halves = change(&|list| {
        let i = find(list);
        list[i].kind.1 = "BF16";
        list[i].data = values(up, 640).iter().flat_map(|w| w.to_le_bytes()[2..].to_vec()).collect();
    });
    let source = whole(halves).unwrap();
    let bound = source.bind(&spec(&source).weights()).unwrap();
    let bound = bound.iter().find(|b| b.name == up && b.spec.part == Part::Up).unwrap();
    let truncated: Vec<f32> =
        values(up, 640).iter().map(|w| f32::from_bits(w.to_bits() & 0xffff_0000)).collect();
    assert_eq!(source.load(bound).unwrap().to_f32(), truncated);
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let header = |json: &str, data: usize| {
        let bytes = with_header(json, &vec![0; data]);
        SafeHeader::parse("x.safetensors", &bytes).map(|h| h.tensors().len())
    };
    let entry = |shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    assert_eq!(header(&entry("[2]", "[0,8]"), 8).unwrap(), 1);
    assert_eq!(header(&format!("{}   ", entry("[]", "[0,4]")), 4).unwrap(), 1);
    assert_eq!(header("{}", 0).unwrap(), 0);
    for (json, data) in [
        (entry("[2]", "[0,8]"), 7),
        (entry("[2]", "[0,8]"), 9),
        (entry("[3]", "[0,8]"), 8),
        (entry("[2]", "[4,12]"), 12),
        (entry("[2]", "[8,0]"), 8),
        (entry("[-1]", "[0,8]"), 8),
        (entry("[4611686018427387904,4]", "[0,0]"), 0),
        (entry("[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8),
        (entry("[2]", "[0,8,9]"), 8),
        (entry("[2]", "[0,8]").replace("F32", "F33"), 8),
        (entry("[2]", "[0,8]").replace("\"shape\"", "\"shap\""), 8),
        (entry("[2]", "[0,8]").replace("}}", "},\"a\":{}}"), 8),
        ("[".repeat(100_000), 0),
        (format!("{{\"__metadata__\":{}", "[".repeat(100_000)), 0),
        ("{".to_owned(), 0),
    ] {
        let error = header(&json, data).unwrap_err().to_string();
        assert!(error.contains("x.safetensors"), "{error}");
    }
    for len in [u64::MAX, 1 << 40, 100] {
        SafeHeader::parse("x", &[&len.to_le_bytes()[..], b"{}"].concat()).unwrap_err();
    }
}

#[test]
fn plain_files_give_types_shapes_and_bytes() {
    let dir = Dir::new("plain");
    let ids = Tensor {
        name: "input_ids".into(),
        shape: vec![3],
        kind: (0, "I64"),
        data: [5i64, -1, 7].iter().flat_map(|i| i.to_le_bytes()).collect(),
    };
    let path = dir.write("reference.safetensors", safetensors(std::slice::from_ref(&ids)));
    let file = SafeFile::open(&path).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["input_ids"]);
    let (dtype, shape, bytes) = file.tensor("input_ids").unwrap();
    assert_eq!((dtype.name(), shape), ("I64", &[3][..]));
    assert_eq!(bytes.as_slice(), ids.data);
    assert!(file.tensor("logits").is_none());
}

#[test]
fn side_files_and_sampling_defaults_are_found() {
    let dir = Dir::new("side");
    directory(&dir, &writer::config(), &writer::llama(false));
    let generation = dir.write(
        "generation_config.json",
        r#"{"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95}"#,
    );
    let template = dir.write("chat_template.jinja", "{{ messages }}");
    std::fs::create_dir(dir.path().join("additional_chat_templates")).unwrap();
    dir.write("additional_chat_templates/tool_use.jinja", "tools");
    let source = Source::open(dir.path()).unwrap();
    let side = source.side_files();
    assert_eq!((&side.chat_template, &side.tokenizer_json), (&Some(template.clone()), &None));
    assert_eq!(side.more_templates[0].0, "tool_use");
    assert_eq!(SideFiles::read(&template).unwrap(), b"{{ messages }}");
    let defaults = source.sampling_defaults();
    assert_eq!((defaults.temperature, defaults.top_k), (Some(0.6), Some(20)));
    assert!(defaults.sources[0].contains("generation_config.json"));
    std::fs::write(&generation, r#"{"do_sample": false, "temperature": 0.6}"#).unwrap();
    let defaults = Source::open(dir.path()).unwrap().sampling_defaults().clone();
    assert_eq!(defaults.temperature, Some(0.0));
}

#[test]
fn paths_that_are_no_models_say_what_to_give() {
    let dir = Dir::new("none");
    refused(Source::open(&dir.path().join("absent.gguf")), &["absent.gguf"]);
    refused(Source::open(dir.path()), &["without config.json"]);
    let bare = dir.write("model.safetensors", safetensors(&writer::llama(false)));
    refused(Source::open(&bare), &["config.json", "directory"]);
    refused(Source::open(&dir.write("x.bin", "x")), &["PyTorch"]);
    refused(Source::open(&dir.write("empty.gguf", "")), &["empty.gguf"]);
    refused(Source::open(&dir.write("notes.txt", "hello world")), &["GGUF"]);
    std::fs::remove_file(&bare).unwrap();
    dir.write("config.json", writer::config().to_string());
    refused(Source::open(dir.path()), &["safetensors"]);
}
