//! Where models are kept, as the environment says: each program's own variables and defaults.

use std::fs;
use std::path::PathBuf;

use hub::Places;

use crate::machine::Machine;

const ENDPOINT: &str = "https://huggingface.co";

/// The places of this user. `offline` is the flag; the environment may say so too.
pub fn places(offline: bool) -> Places {
    let home = dir("HOME").unwrap_or_default();
    let cache = dir("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"));
    let hf_home = dir("HF_HOME").unwrap_or_else(|| cache.join("huggingface"));
    let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
    let own = crate::machine::data_dir().unwrap_or_else(|| home.join(".russet"));
    let caches = home.join("Library/Caches");
    let caches = if cfg!(target_os = "macos") { caches } else { cache.clone() };
    let lm_studio = [home.join(".lmstudio/models"), cache.join("lm-studio/models")];
    Places {
        hf_cache: dir("HF_HUB_CACHE").unwrap_or_else(|| hf_home.join("hub")),
        hf_endpoint: endpoint.trim_end_matches('/').to_owned(),
        hf_token: token(dir("HF_TOKEN_PATH").unwrap_or_else(|| hf_home.join("token"))),
        ollama: dir("OLLAMA_MODELS").unwrap_or_else(|| home.join(".ollama/models")),
        lm_studio: lm_studio.to_vec(),
        llama_cpp: vec![dir("LLAMA_CACHE").unwrap_or_else(|| caches.join("llama.cpp"))],
        own: own.join("models"),
        offline: offline || is_set("HF_HUB_OFFLINE"),
        memory_bytes: Machine::find().memory_bytes,
    }
}

/// The token of the environment, else the one that `hf auth login` keeps.
fn token(file: PathBuf) -> Option<String> {
    if is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return None;
    }
    let kept = || fs::read_to_string(file).ok();
    let token = text("HF_TOKEN").or_else(kept)?.trim().to_owned();
    Some(token).filter(|token| !token.is_empty())
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A directory; `~` at its beginning is the user's.
fn dir(name: &str) -> Option<PathBuf> {
    let value = text(name)?;
    Some(match value.strip_prefix("~/") {
        Some(rest) => PathBuf::from(text("HOME")?).join(rest),
        None => value.into(),
    })
}

/// As `huggingface_hub` reads its switches.
fn is_set(name: &str) -> bool {
    let value = text(name).unwrap_or_default().to_ascii_uppercase();
    ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
}
