//! Ollama's store and registry: a manifest names layers, blobs hold them under their sums.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cache::{files_below, read_small, write_whole};
use crate::client::{Ask, Client, Listener};
use crate::digest::Digest;
use crate::listing::shorten;
use crate::name::OllamaName;
use crate::recipe::{Adapter, Recipe};
use crate::{HubError, limits};

/// A model's manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its layers, and its configuration last; two of them may have the same bytes.
    pub layers: Vec<Layer>,
    /// Its own bytes.
    pub bytes: Vec<u8>,
}

/// A part of a model.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it is: the last word of its media type.
    pub kind: String,
    /// Its sum.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    config: Option<WireLayer>,
    #[serde(default)]
    layers: Vec<WireLayer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLayer {
    media_type: String,
    digest: String,
    size: u64,
}

/// What a model's configuration says of how it is chatted with.
#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    renderer: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The layer that holds the weights.
pub const MODEL: &str = "model";
/// A layer that holds an adapter over them.
const ADAPTER: &str = "adapter";
/// The layer that says what the model is.
const CONFIG: &str = "config";
/// Layers of text that are laid over the weights.
const TEXTS: [&str; 6] = ["template", "system", "license", "params", "messages", CONFIG];

impl Layer {
    /// Whether it is a GGUF file.
    pub fn is_gguf(&self) -> bool {
        [MODEL, ADAPTER].contains(&self.kind.as_str())
    }

    /// Whether the model is not whole without it.
    pub fn is_used(&self) -> bool {
        self.is_gguf() || self.is_text() && !["license", CONFIG].contains(&self.kind.as_str())
    }

    /// Whether it is a text that says how the model is used.
    pub fn is_text(&self) -> bool {
        TEXTS.contains(&self.kind.as_str())
    }
}

impl Manifest {
    /// Reads a manifest; what is wrong with it, if it is none.
    pub fn parse(bytes: Vec<u8>) -> Result<Manifest, String> {
        let wire: Wire = serde_json::from_slice(&bytes)
            .map_err(|error| format!("it is no manifest ({error})"))?;
        if wire.layers.len() > limits::FILES_MAX {
            return Err(format!("it has {} layers", wire.layers.len()));
        }
        let mut layers: Vec<Layer> = Vec::new();
        let config = wire.config.map(|config| WireLayer { media_type: CONFIG.into(), ..config });
        for layer in wire.layers.into_iter().chain(config) {
            let hex = layer.digest.strip_prefix("sha256:").and_then(Digest::parse);
            let Some(digest @ Digest::Sha256(_)) = hex else {
                return Err(format!("`{}` is no SHA-256 sum", shorten(&layer.digest)));
            };
            if layer.size > limits::FILE_BYTES_MAX {
                return Err(format!("a layer would have {} bytes", layer.size));
            }
            let kind = layer.media_type.rsplit('.').next().unwrap_or_default().to_owned();
            layers.push(Layer { kind, digest, bytes: layer.size });
        }
        Ok(Manifest { layers, bytes })
    }

    /// The layer with the weights, if Russet can use it as it is.
    pub fn model(&self, name: &OllamaName) -> Result<&Layer, HubError> {
        let none = |hint: &str| HubError::NoModel { repo: name.to_string(), hint: hint.to_owned() };
        let model = self.layers.iter().find(|layer| layer.kind == MODEL);
        model.ok_or_else(|| none("its weights are in no GGUF layer; pull it from hf.co instead"))
    }
}

/// Ollama's store.
#[derive(Clone, Debug)]
pub struct Store<'a>(pub &'a Path);

impl Store<'_> {
    /// Where a model's manifest lies.
    pub fn manifest_path(&self, name: &OllamaName) -> PathBuf {
        let OllamaName { host, namespace, model, tag } = name;
        self.0.join("manifests").join(host).join(namespace).join(model).join(tag)
    }

    /// Where a blob lies.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs").join(format!("sha256-{}", digest.hex()))
    }

    /// The lock of a blob's download.
    pub fn lock(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs").join(format!("sha256-{}.russet.lock", digest.hex()))
    }

    /// A model's manifest, if the store has one.
    pub fn manifest(&self, name: &OllamaName) -> Result<Option<Manifest>, HubError> {
        let path = self.manifest_path(name);
        let Some(bytes) = read_small(&path)? else { return Ok(None) };
        let parsed = Manifest::parse(bytes);
        parsed.map(Some).map_err(|what| {
            HubError::damaged(&path, format!("{what}; pull the model again with Ollama"))
        })
    }

    /// The models of the store.
    pub fn names(&self) -> Vec<OllamaName> {
        let mut names = Vec::new();
        let root = self.0.join("manifests");
        for file in files_below(&root) {
            let [host, namespace, model, tag] = file.0.split('/').collect::<Vec<_>>()[..] else {
                continue;
            };
            // What is no name was put there by nobody that reads names.
            names.extend(OllamaName::parse(&format!("{host}/{namespace}/{model}:{tag}")));
        }
        names
    }

    /// What a manifest's layers lay over its model, and what of it cannot be honoured.
    pub fn recipe(&self, manifest: &Manifest) -> Result<(Recipe, Vec<String>), HubError> {
        let mut recipe = Recipe::default();
        let mut notes = Vec::new();
        let mut config = Config::default();
        for layer in &manifest.layers {
            let path = self.blob(&layer.digest);
            let text = || -> Result<String, HubError> {
                let bytes = read_small(&path)?.unwrap_or_default();
                String::from_utf8(bytes)
                    .map_err(|_| HubError::damaged(&path, "it is no UTF-8 text"))
            };
            match layer.kind.as_str() {
                "template" => recipe.template = Some(text()?),
                "system" => recipe.system = Some(text()?),
                "license" => recipe.licenses.push(text()?),
                "params" => settings(&text()?, &path, &mut recipe, &mut notes)?,
                ADAPTER => recipe.adapters.push(Adapter { path, scale: 1.0 }),
                "messages" => recipe.messages = messages(&text()?, &path)?,
                // What cannot be read of it says nothing of the chat.
                CONFIG => {
                    let parsed = text().ok().and_then(|text| serde_json::from_str(&text).ok());
                    config = parsed.unwrap_or_default();
                }
                _ => {}
            }
        }
        if let Some(renderer) = config.renderer.filter(|renderer| !renderer.is_empty()) {
            recipe.template = None;
            notes.push(format!(
                "Ollama writes this model's chats by a program of its own, `{renderer}`; the \
                 template in the model's file serves"
            ));
        }
        Ok((recipe, notes))
    }

    /// Puts a manifest in its place, which makes the model known.
    pub fn write(&self, name: &OllamaName, manifest: &Manifest) -> Result<(), HubError> {
        write_whole(&self.manifest_path(name), &manifest.bytes)
    }

    /// The sums that the other models of the store need.
    pub fn needed_by_others(&self, name: &OllamaName) -> Vec<Digest> {
        let others = self.names().into_iter().filter(|other| other != name);
        let manifests = others.filter_map(|other| self.manifest(&other).ok().flatten());
        manifests.flat_map(|manifest| manifest.layers).map(|layer| layer.digest).collect()
    }

    /// Whether a blob is there.
    pub fn has(&self, layer: &Layer) -> bool {
        fs::metadata(self.blob(&layer.digest)).is_ok_and(|found| found.len() == layer.bytes)
    }
}

/// Asks a registry for a manifest.
pub fn fetch(
    client: &Client,
    name: &OllamaName,
    listener: Listener<'_>,
) -> Result<Manifest, HubError> {
    let url = format!("{}/manifests/{}", base(name), name.tag);
    let bytes = client.text(Ask { url: &url, accept: Some(ACCEPT), ..Ask::default() }, listener)?;
    Manifest::parse(bytes).map_err(|what| HubError::hostile(&url, what))
}

/// The address of a layer.
pub fn url(name: &OllamaName, digest: &Digest) -> String {
    format!("{}/blobs/sha256:{}", base(name), digest.hex())
}

/// Only a registry on this machine is asked without TLS.
fn base(name: &OllamaName) -> String {
    let OllamaName { host, namespace, model, .. } = name;
    let bare = host.split(':').next().unwrap_or(host);
    let scheme = if matches!(bare, "localhost" | "127.0.0.1") { "http" } else { "https" };
    format!("{scheme}://{host}/v2/{namespace}/{model}")
}

/// The settings of a `params` layer. Those that mean nothing here are told, and left out.
fn settings(
    text: &str,
    path: &Path,
    recipe: &mut Recipe,
    notes: &mut Vec<String>,
) -> Result<(), HubError> {
    let parsed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
        .map_err(|error| HubError::damaged(path, format!("these are no settings ({error})")))?;
    for (name, value) in parsed {
        let values = match value {
            serde_json::Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if recipe.set(&name, &value).is_err() {
                notes.push(format!("Ollama's setting {name} = {value} is left out"));
            }
        }
    }
    Ok(())
}

fn messages(text: &str, path: &Path) -> Result<Vec<(String, String)>, HubError> {
    let parsed: Vec<Message> = serde_json::from_str(text)
        .map_err(|error| HubError::damaged(path, format!("these are no messages ({error})")))?;
    Ok(parsed.into_iter().map(|message| (message.role, message.content)).collect())
}
