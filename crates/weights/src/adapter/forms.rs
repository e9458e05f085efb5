//! How adapters lie in files: llama.cpp's, as its `llama-adapter.cpp` reads them, and PEFT's.

use std::path::Path;

use serde_json::Value;

use super::{Adapter, Rank};
use crate::directory::Directory;
use crate::hf::Config;
use crate::names::Style;
use crate::{Gguf, SafeFile, WeightError, mmap};

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";

/// Keys of adapter_config.json that say nothing about what is computed from the tensors, or that
/// are read here. All others must be off.
const KEYS: &[&str] = &[
    "alora_invocation_tokens",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    // Says how the base's own matrix lies, which the base's file settles.
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "target_modules",
    "exclude_modules",
    "task_type",
    "use_rslora",
];

/// Ways to begin that leave the base as it is.
const BEGINNINGS: [&str; 3] = ["gaussian", "orthogonal", "eva"];

const MERGE: &str = "merge the adapter into its model and use that";

/// Opens an adapter of either form.
pub fn open(path: &Path, scale: f32) -> Result<Adapter, WeightError> {
    let file = path.display().to_string();
    if !scale.is_finite() {
        return Err(WeightError::foreign(&file, format!("its scale is {scale}; give a number")));
    }
    if path.is_dir() {
        return open_peft(path, path, scale);
    }
    match (path.file_name().and_then(|name| name.to_str()), path.parent()) {
        (Some(TENSORS), Some(dir)) => open_peft(path, dir, scale),
        (Some(name), _) if name.ends_with(".safetensors") || name.ends_with(".bin") => {
            let what = format!("give a GGUF adapter, or a directory with {CONFIG} and {TENSORS}");
            Err(WeightError::foreign(&file, what))
        }
        _ => open_gguf(path, scale),
    }
}

fn open_gguf(path: &Path, scale: f32) -> Result<Adapter, WeightError> {
    let name = path.display().to_string();
    let bytes = mmap::map(path)?;
    let gguf = Gguf::parse(&name, bytes.clone())?;
    for (key, expected) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        let found = gguf.text(key).unwrap_or_default();
        if found != expected {
            let what = format!("`{key}` is `{found}` where a LoRA adapter has `{expected}`");
            return Err(WeightError::foreign(&name, what));
        }
    }
    let tokens = "adapter.alora.invocation_tokens";
    if gguf.get(tokens).is_some() {
        let (value, instead) = ("set".to_owned(), "use an adapter that is always active");
        return Err(WeightError::Unsupported { file: name, key: tokens.into(), value, instead });
    }
    let Some(architecture) = gguf.text("general.architecture").map(str::to_owned) else {
        return Err(WeightError::damaged(&name, "`general.architecture` is missing"));
    };
    let alpha = match gguf.get("adapter.lora.alpha") {
        None => 0.0,
        Some(value) => match value.float().filter(|alpha| alpha.is_finite()) {
            Some(alpha) => alpha as f32,
            None => return Err(WeightError::damaged(&name, "`adapter.lora.alpha` is no number")),
        },
    };
    let mut directory = Directory::default();
    directory.add_file(&name, bytes);
    directory.add_gguf(gguf.tensors())?;
    let (path, style, rank) = (path.to_owned(), Style::Gguf, Rank::OfPair);
    let architecture = Some(architecture);
    Ok(Adapter { path, style, architecture, directory, alpha, rank, scale })
}

fn open_peft(path: &Path, dir: &Path, scale: f32) -> Result<Adapter, WeightError> {
    let tensors = dir.join(TENSORS);
    for file in [&dir.join(CONFIG), &tensors] {
        if !file.is_file() {
            let named_by = format!("the adapter {}", path.display());
            return Err(WeightError::MissingFile { file: file.clone(), named_by });
        }
    }
    let config = Config::read(&dir.join(CONFIG))?;
    check(&config)?;
    let no = &Value::Null;
    let found = config.get("r").unwrap_or(no);
    let small = |rank: &u64| (1..=u64::from(u16::MAX)).contains(rank);
    let rank = found.as_u64().filter(small);
    let rank = rank.ok_or_else(|| config.invalid("r", found, "a rank from 1 to 65535"))?;
    let found = config.get("lora_alpha").unwrap_or(no);
    let alpha = found.as_f64().filter(|alpha| alpha.is_finite());
    let alpha = alpha.ok_or_else(|| config.invalid("lora_alpha", found, "a number"))? as f32;
    let rank = match config.get("use_rslora").unwrap_or(no) {
        Value::Bool(true) => Rank::Root(rank),
        Value::Bool(false) | Value::Null => Rank::All(rank),
        other => return Err(config.invalid("use_rslora", other, "true or false")),
    };
    let file = SafeFile::open(&tensors)?;
    let mut directory = Directory::default();
    directory.add_file(&tensors.display().to_string(), file.bytes().clone());
    directory.add_safe(file.tensors())?;
    let (path, style) = (path.to_owned(), Style::HuggingFace);
    Ok(Adapter { path, style, architecture: None, directory, alpha, rank, scale })
}

/// Refuses every key that would change what is computed.
fn check(config: &Config) -> Result<(), WeightError> {
    let text = |key| config.get(key).map(|value| (value, value.as_str()));
    match text("peft_type") {
        Some((_, Some("LORA"))) => {}
        Some((value, _)) => return Err(config.unsupported("peft_type", value, MERGE)),
        None => return Err(config.invalid("peft_type", &Value::Null, "`LORA`")),
    }
    if let Some((value, _)) = text("bias").filter(|(_, bias)| *bias != Some("none")) {
        return Err(config.unsupported("bias", value, MERGE));
    }
    if let Some((value, Some(how))) = text("init_lora_weights")
        && !BEGINNINGS.contains(&how)
    {
        return Err(config.unsupported("init_lora_weights", value, MERGE));
    }
    if let Some(tokens) = config.get("alora_invocation_tokens") {
        return Err(config.unsupported("alora_invocation_tokens", tokens, MERGE));
    }
    let is_off = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match config.iter().find(|(key, value)| !KEYS.contains(key) && !is_off(value)) {
        Some((key, value)) => Err(config.unsupported(key, value, MERGE)),
        None => Ok(()),
    }
}
