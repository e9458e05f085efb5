//! Where models may lie and be had from. Whoever makes a [`Places`] has read the environment; this
//! crate does not.

use std::path::PathBuf;

/// The stores of this machine and the servers beyond it.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The Hugging Face cache: `models--USER--REPO` directories.
    pub hf_cache: PathBuf,
    /// The hub's address, without a slash at its end.
    pub hf_endpoint: String,
    /// The token that the hub is shown, where there is one.
    pub hf_token: Option<String>,
    /// Ollama's store: `manifests` and `blobs`.
    pub ollama: PathBuf,
    /// LM Studio's directories: `PUBLISHER/MODEL/FILE`.
    pub lm_studio: Vec<PathBuf>,
    /// Directories that llama.cpp downloads to.
    pub llama_cpp: Vec<PathBuf>,
    /// What Russet itself keeps: names, and what it downloaded.
    pub own: PathBuf,
    /// Opens no socket.
    pub offline: bool,
    /// Bytes of memory, which decide what fits; 0 where the system does not say.
    pub memory_bytes: u64,
}
