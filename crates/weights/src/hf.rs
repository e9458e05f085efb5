//! Hugging Face's config.json and the shards beside it, as transformers 4 and 5 write them.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use model::Meta;
use serde_json::Value;

use crate::WeightError;
use crate::side::read_bounded;

mod config;
mod keys;

/// A config.json.
pub struct Config {
    file: String,
    json: serde_json::Map<String, Value>,
}

/// Who quantized a model, and the settings.
pub enum Quantization<'a> {
    /// Nobody.
    None,
    /// MLX.
    Mlx(&'a Value),
    /// One of the methods that transformers knows, as the value of this key.
    Method(&'static str, &'a str, &'a Value),
}

/// Where the settings may stand. MLX writes its own under both names, older programs only under the
/// first; some write those of a text model inside another in its configuration.
const QUANTIZATION: [&str; 4] = [
    "quantization",
    "quantization_config",
    "text_config.quantization",
    "text_config.quantization_config",
];

const CONFIG_BYTES_MAX: u64 = 1 << 20;
const INDEX_BYTES_MAX: u64 = 16 << 20;

impl Config {
    /// Reads a config.json.
    pub fn read(path: &Path) -> Result<Config, WeightError> {
        let file = path.display().to_string();
        let bytes = read_bounded(path, CONFIG_BYTES_MAX)?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(json)) => Ok(Config { file, json }),
            Ok(_) => Err(WeightError::damaged(&file, "this is no JSON object")),
            Err(e) => Err(WeightError::damaged(&file, format!("this is no JSON: {e}"))),
        }
    }

    /// The metadata, and the keys that mean nothing to this version.
    pub fn meta(&self) -> Result<(Meta, Vec<String>), WeightError> {
        config::meta(self)
    }

    /// The configuration of the text model inside one that sees or hears as well, if it is that.
    pub fn text(&self) -> Result<Option<Config>, WeightError> {
        const NAME: &str = "text_config";
        let whole = self.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
        let Some(whole) = whole.filter(|whole| model::has_text(whole)) else { return Ok(None) };
        let found = self.get(NAME).unwrap_or(&Value::Null);
        let Value::Object(text) = found else {
            return Err(self.invalid(NAME, found, "the text model's keys"));
        };
        let model_type = text.get("model_type").and_then(Value::as_str);
        let Some(class) = model::text_class(whole, model_type) else {
            let instead = "use a model whose text part is one of its class's";
            return Err(self.unsupported("text_config.model_type", &text["model_type"], instead));
        };
        let mut json = text.clone();
        json.insert("architectures".to_owned(), Value::from(vec![class]));
        // The whole decides whether its head is the embedding.
        if let Some(tied) = self.get("tie_word_embeddings") {
            json.insert("tie_word_embeddings".to_owned(), tied.clone());
        }
        Ok(Some(Config { file: format!("{}, {NAME}", self.file), json }))
    }

    /// The keys beside `text_config` that mean nothing to this version.
    ///
    /// # Errors
    /// Names a key that is known to matter.
    pub fn unknown_beside_text(&self) -> Result<Vec<String>, WeightError> {
        let mut unknown = keys::check(self)?;
        unknown.retain(|key| !keys::is_beside_text(key));
        Ok(unknown)
    }

    /// How the model is quantized, if it is.
    pub fn quantization(&self) -> Result<Quantization<'_>, WeightError> {
        let value = |key: &str| match key.split_once('.') {
            Some((outer, key)) => self.get(outer)?.get(key).filter(|value| !value.is_null()),
            None => self.get(key),
        };
        let found = QUANTIZATION.into_iter().find_map(|key| Some((key, value(key)?)));
        let Some((key, settings)) = found else { return Ok(Quantization::None) };
        if !settings.is_object() {
            return Err(self.invalid(key, settings, "an object"));
        }
        match settings.get("quant_method").filter(|_| key.ends_with("_config")) {
            None => Ok(Quantization::Mlx(settings)),
            Some(Value::String(method)) => Ok(Quantization::Method(key, method, settings)),
            Some(method) => {
                Err(self.invalid(&format!("{key}.quant_method"), method, "a method's name"))
            }
        }
    }

    /// The value of a key; one that is null counts as absent.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    /// Every key and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.json.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub fn invalid(&self, key: &str, found: &Value, expected: &'static str) -> WeightError {
        let (file, key, found) = (self.file.clone(), key.to_owned(), show(found));
        WeightError::Config { file, key, found, expected }
    }

    pub fn unsupported(&self, key: &str, value: &Value, instead: &'static str) -> WeightError {
        let (file, key, value) = (self.file.clone(), key.to_owned(), show(value));
        WeightError::Unsupported { file, key, value, instead }
    }
}

/// The safetensors files of a directory, in order.
pub fn shards(dir: &Path) -> Result<Vec<PathBuf>, WeightError> {
    let index = dir.join("model.safetensors.index.json");
    let names: Vec<String> = if index.is_file() {
        indexed(&index)?
    } else {
        let mut names = names_in(dir)?;
        names.retain(|name| name.starts_with("model") && name.ends_with(".safetensors"));
        names.sort();
        names
    };
    if names.is_empty() {
        let found = "a directory without model*.safetensors";
        return Err(WeightError::NotAModel { path: dir.to_owned(), found });
    }
    for name in &names {
        let file = dir.join(name);
        if !file.is_file() {
            return Err(WeightError::MissingFile { file, named_by: index.display().to_string() });
        }
    }
    Ok(names.iter().map(|name| dir.join(name)).collect())
}

/// The files that an index names.
fn indexed(index: &Path) -> Result<Vec<String>, WeightError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: HashMap<String, String>,
    }
    let file = index.display().to_string();
    let bytes = read_bounded(index, INDEX_BYTES_MAX)?;
    let Index { weight_map } = serde_json::from_slice(&bytes)
        .map_err(|e| WeightError::damaged(&file, format!("this is no index of shards: {e}")))?;
    let names: BTreeSet<String> = weight_map.into_values().collect();
    match names.iter().find(|name| !is_plain(name)) {
        Some(name) => Err(WeightError::damaged(&file, format!("`{name}` is no plain file name"))),
        None => Ok(names.into_iter().collect()),
    }
}

/// Whether a name stays in its directory and is a shard's.
fn is_plain(name: &str) -> bool {
    name.ends_with(".safetensors") && !name.contains(['/', '\\', '\0', ':']) && !name.contains("..")
}

/// The one GGUF model of a directory, if there is one and no other.
pub fn only_gguf(dir: &Path) -> Result<Option<PathBuf>, WeightError> {
    let mut names = names_in(dir)?;
    let later_part =
        |name: &str| name.rsplit_once("-of-").is_some_and(|(head, _)| !head.ends_with("-00001"));
    // A projector belongs to a model that sees; it is none itself.
    let is_model = |name: &str| name.ends_with(".gguf") && !name.starts_with("mmproj");
    names.retain(|name| is_model(name) && !later_part(name));
    Ok(match names.as_slice() {
        [name] => Some(dir.join(name)),
        _ => None,
    })
}

fn names_in(dir: &Path) -> Result<Vec<String>, WeightError> {
    let io = |source| WeightError::Io { path: dir.to_owned(), source };
    let entries = dir.read_dir().map_err(io)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// A short form of a value for an error message.
fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
