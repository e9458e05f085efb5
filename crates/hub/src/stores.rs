//! Every model on this machine, read in place.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::cache::{Repo, files_below, names_in, read_small};
use crate::name::{LATEST, OLLAMA_HOST};
use crate::ollama::Store;
use crate::variants::{self, Entry, Variant};
use crate::{At, Hub, HubError, choose};

/// Whose store a model lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreKind {
    /// A name of Russet's own; its weights lie in another store.
    Own,
    /// The Hugging Face cache.
    HuggingFace,
    /// Ollama's.
    Ollama,
    /// LM Studio's.
    LmStudio,
    /// llama.cpp's.
    LlamaCpp,
}

/// A model on this machine.
#[derive(Clone, Debug)]
pub struct Model {
    /// A name that every command takes.
    pub name: String,
    /// Whose store it lies in.
    pub store: StoreKind,
    /// Its files: the first one, or their directory.
    pub path: PathBuf,
    /// Bytes of its weights and what belongs to them.
    pub bytes: u64,
    /// What its files are: GGUF with a quantization, safetensors, MLX.
    pub format: String,
    /// Whether it fits in this machine's memory.
    pub fits: bool,
    /// Whether Russet downloaded it or made its name, and so may remove it.
    pub ours: bool,
    /// When it came here.
    pub modified: Option<SystemTime>,
    /// What it builds on, for names of Russet's own.
    pub from: Option<String>,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            StoreKind::Own => "Russet",
            StoreKind::HuggingFace => "Hugging Face",
            StoreKind::Ollama => "Ollama",
            StoreKind::LmStudio => "LM Studio",
            StoreKind::LlamaCpp => "llama.cpp",
        })
    }
}

impl Hub {
    /// Every model on this machine, by store and name.
    ///
    /// # Errors
    /// Where what Russet itself keeps cannot be read.
    pub fn list(&self) -> Result<Vec<Model>, HubError> {
        let downloads = self.own().downloads()?;
        let mut models = self.own_names()?;
        for (name, repo) in Repo::all(&self.places.hf_cache) {
            let Some(snapshot) = repo.snapshot(crate::name::MAIN) else { continue };
            for mut model in self.of_directory(&name, &snapshot.dir, &snapshot.files) {
                model.store = StoreKind::HuggingFace;
                model.ours = is_ours(&model.path, &downloads);
                models.push(model);
            }
        }
        models.extend(self.of_ollama(&downloads));
        for root in &self.places.lm_studio {
            for publisher in names_in(root) {
                for model in names_in(&root.join(&publisher)) {
                    let dir = root.join(&publisher).join(&model);
                    let files = files_below(&dir);
                    models.extend(self.of_directory(&format!("{publisher}/{model}"), &dir, &files));
                }
            }
        }
        self.places.llama_cpp.iter().for_each(|root| models.extend(self.of_llama_cpp(root)));
        models.sort_by(|a, b| (a.store, &a.name).cmp(&(b.store, &b.name)));
        Ok(models)
    }

    fn own_names(&self) -> Result<Vec<Model>, HubError> {
        let mut models = Vec::new();
        for (name, record) in self.own().names()? {
            // A name whose model is gone is still a name, and is listed to be removed.
            let path = match self.find(&name.to_string()).map(|found| found.at) {
                Ok(At::Path(path)) => path,
                _ => PathBuf::new(),
            };
            let bytes = bytes_at(&path);
            let builtin = record.from == crate::BUILTIN;
            let here = builtin || !path.as_os_str().is_empty();
            models.push(Model {
                name: name.to_string(),
                store: StoreKind::Own,
                bytes,
                format: if here { "name".to_owned() } else { "name, model missing".to_owned() },
                fits: choose::fits(bytes, self.places.memory_bytes),
                ours: true,
                modified: None,
                from: Some(record.from),
                path,
            });
        }
        Ok(models)
    }

    /// The models among a directory's files; as LM Studio's until it is said otherwise.
    fn of_directory(&self, name: &str, dir: &Path, files: &[Entry]) -> Vec<Model> {
        let variants = variants::gguf(files);
        let is_gguf = !variants.is_empty();
        let variants =
            if is_gguf { variants } else { variants::safetensors(files).into_iter().collect() };
        let model = |variant: Variant| {
            let path = if is_gguf { dir.join(&variant.files[0]) } else { dir.to_owned() };
            let quant = &variant.quant;
            let mut format = match is_gguf {
                true => format!("GGUF {quant}").trim_end().to_owned(),
                false if is_mlx(dir) => "MLX".to_owned(),
                false => "safetensors".to_owned(),
            };
            if !variant.whole {
                format.push_str(", incomplete");
            }
            let named = if quant.is_empty() { name.to_owned() } else { format!("{name}:{quant}") };
            Model {
                name: named,
                store: StoreKind::LmStudio,
                bytes: variant.bytes,
                format,
                fits: choose::fits(variant.bytes, self.places.memory_bytes),
                ours: false,
                modified: modified(&path),
                from: None,
                path,
            }
        };
        variants.into_iter().map(model).collect()
    }

    fn of_ollama(&self, downloads: &BTreeSet<PathBuf>) -> Vec<Model> {
        let store = Store(&self.places.ollama);
        let model = |name: crate::OllamaName| {
            let manifest = store.manifest(&name).ok()??;
            let layer = manifest.model(&name).ok()?;
            let path = store.blob(&layer.digest);
            let library = name.host == OLLAMA_HOST && !name.short().contains('/');
            let latest = format!(":{LATEST}");
            let short = name.short();
            let short = if library { short } else { name.to_string() };
            // A name of the library that means something else here is spelled out.
            let plain = crate::Short::parse(&short).is_some_and(|short| {
                let taken = self.own().record(&short).is_ok_and(|record| record.is_some());
                !taken && crate::catalogue::find(&short).is_none()
            });
            let bytes = manifest.layers.iter().map(|layer| layer.bytes).sum();
            Some(Model {
                name: if plain { short } else { name.to_string() }
                    .trim_end_matches(&latest)
                    .to_owned(),
                store: StoreKind::Ollama,
                bytes,
                format: if store.has(layer) { "GGUF" } else { "GGUF, incomplete" }.to_owned(),
                fits: choose::fits(layer.bytes, self.places.memory_bytes),
                ours: downloads.contains(&store.manifest_path(&name)),
                modified: modified(&path),
                from: None,
                path,
            })
        };
        store.names().into_iter().filter_map(model).collect()
    }

    /// Files whose names hold a repository's cannot be taken apart again, so each is listed by its
    /// path, which is a name too.
    fn of_llama_cpp(&self, root: &Path) -> Vec<Model> {
        let sized = |name: String| {
            let found = fs::metadata(root.join(&name)).ok()?;
            found.is_file().then_some((name, found.len()))
        };
        let files: Vec<Entry> = names_in(root).into_iter().filter_map(sized).collect();
        let mut models = self.of_directory("", root, &files);
        models.retain(|model| model.format.starts_with("GGUF"));
        for model in &mut models {
            model.name = model.path.display().to_string();
            model.store = StoreKind::LlamaCpp;
        }
        models
    }
}

/// Bytes of a model's files, as far as its path says.
fn bytes_at(path: &Path) -> u64 {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => {
            let files = files_below(path);
            variants::safetensors(&files).map_or(0, |variant| variant.bytes)
        }
        Err(_) => 0,
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// Whether a config.json speaks of MLX's quantization.
fn is_mlx(dir: &Path) -> bool {
    let config = read_small(&dir.join("config.json")).ok().flatten().unwrap_or_default();
    let config: Value = serde_json::from_slice(&config).unwrap_or_default();
    config.get("quantization").is_some_and(Value::is_object)
}

/// Whether the blobs that a path leads to are all Russet's downloads.
pub fn is_ours(path: &Path, downloads: &BTreeSet<PathBuf>) -> bool {
    let blob = |path: &Path| {
        let target = fs::read_link(path).ok()?;
        let blob = path.parent()?.join(target);
        fs::canonicalize(blob).ok()
    };
    let ours = |path: &Path| {
        blob(path).is_some_and(|blob| {
            downloads.iter().any(|d| fs::canonicalize(d).ok().as_ref() == Some(&blob))
        })
    };
    if !path.is_dir() {
        return ours(path);
    }
    let files = files_below(path);
    let weights = variants::safetensors(&files).map(|variant| variant.files).unwrap_or_default();
    !weights.is_empty() && weights.iter().all(|file| ours(&path.join(file)))
}
