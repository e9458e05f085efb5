//! Text models inside models that see or hear: the reference models with their configuration
//! nested and their tensors renamed, as transformers 4 and 5 write such models.

use std::path::Path;

use serde_json::{Map, Value, json};

/// A reference model, and the class of models that hold such a one.
const MODELS: &[(&str, &str)] = &[
    ("gemma3", "Gemma3ForConditionalGeneration"),
    ("gemma4", "Gemma4ForConditionalGeneration"),
    ("gemma4_moe", "Gemma4ForConditionalGeneration"),
    ("llama4", "Llama4ForConditionalGeneration"),
    ("ministral3", "Mistral3ForConditionalGeneration"),
    ("mistral", "Mistral3ForConditionalGeneration"),
    ("qwen3_5", "Qwen3_5ForConditionalGeneration"),
    ("qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration"),
];

/// What the whole calls a tensor of its text model.
fn renamed(name: &str, version: u32) -> String {
    match (version, name.strip_prefix("model.")) {
        (4, _) => format!("language_model.{name}"),
        (_, Some(rest)) => format!("model.language_model.{rest}"),
        (_, None) => name.to_owned(),
    }
}

/// A safetensors file with its tensors renamed and `more` added, of four bytes each.
fn tensors(file: &[u8], version: u32, more: &[&str]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Map<String, Value> = serde_json::from_slice(header).expect("a header");
    let names = header.into_iter().filter(|(name, _)| name != "__metadata__");
    let mut header: Map<_, _> = names.map(|(k, v)| (renamed(&k, version), v)).collect();
    let mut data = data.to_vec();
    for name in more {
        let offsets = [data.len(), data.len() + 4];
        let entry = json!({"dtype": "BF16", "shape": [1, 1, 2], "data_offsets": offsets});
        header.insert((*name).to_owned(), entry);
        data.extend([0; 4]);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// The configuration of the whole.
fn config(text: &Path, class: &str, version: u32) -> Value {
    let text = std::fs::read(text.join("config.json")).expect("a configuration");
    let mut text: Map<String, Value> = serde_json::from_slice(&text).expect("JSON");
    text.remove("architectures");
    let mut whole = json!({
        "architectures": [class],
        "image_token_index": 7,
        "vision_config": {"hidden_size": 8, "num_hidden_layers": 2},
    });
    if version == 5 {
        whole["tie_word_embeddings"] = text.remove("tie_word_embeddings").expect("a truth value");
    }
    whole["text_config"] = text.into();
    whole
}

#[test]
fn the_text_model_inside_computes_what_it_does_alone() {
    let Some(models) = crate::reference("models") else { return };
    for (text, class) in MODELS {
        for version in [4, 5] {
            let alone = models.join(text);
            let name = format!("inside-{text}-{version}");
            let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
            std::fs::create_dir_all(&dir).expect("a directory");
            let vision = ["vision_tower.patches.weight", "model.vision_tower.patches.weight"];
            let vision = vision[version as usize - 4];
            let mut more = vec![vision, "mtp.fc.weight"];
            // Published files hold projections that layers with the keys of others do not use.
            let unused = renamed("model.layers.5.self_attn.k_proj.weight", version);
            if *text == "gemma4" {
                more.push(&unused);
            }
            let file = std::fs::read(alone.join("model.safetensors")).expect("a model");
            let config = config(&alone, class, version).to_string();
            crate::scratch(&format!("{name}/model.safetensors"), &tensors(&file, version, &more));
            crate::scratch(&format!("{name}/config.json"), config.as_bytes());
            let reference = alone.join("reference.safetensors");
            let [dir, reference] = [&dir, &reference].map(|path| crate::text(path));
            let out = crate::ok(&["verify", dir, "--reference", reference]);
            assert!(out.contains("holds"), "{name}: {out}");
            let shown = crate::ok(&["show", dir]);
            let unread = shown.lines().find(|line| line.starts_with("not needed")).expect("a line");
            assert!(more.iter().all(|name| unread.contains(name)), "{name}: {unread}");
            assert!(!shown.contains("unknown keys"), "{name}: {shown}");
        }
    }
}
