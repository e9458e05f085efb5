//! What can go wrong between a name and a model's files.

use std::io;
use std::path::{Path, PathBuf};

/// Why a name means no model, or its files cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Nothing is there.
    #[error("there is no file or directory {path}; {hint}")]
    Missing {
        /// The path that was given.
        path: String,
        /// What is there instead, and what to do.
        hint: String,
    },
    /// A word that is no name.
    #[error("`{name}` is no model's name: {why}")]
    Name {
        /// The word.
        name: String,
        /// What is wrong with it, and how names look.
        why: String,
    },
    /// A name that no catalogue and no store knows.
    #[error("no model is called `{name}`; {hint}")]
    Unknown {
        /// The name.
        name: String,
        /// Names that are near, and what to do.
        hint: String,
    },
    /// The model is not on this machine.
    #[error("{0} is not on this machine; `russet pull {0}` downloads it")]
    NotHere(String),
    /// The network may not be used.
    #[error("{what} is needed, and this run is offline; run `russet pull` without --offline first")]
    Offline {
        /// What would have been asked for.
        what: String,
    },
    /// The server is not reached or breaks off.
    #[error("{url} cannot be read: {why}; what has arrived is kept, so try again to go on")]
    Network {
        /// The address, without its query.
        url: String,
        /// The transport's words.
        why: String,
    },
    /// The server refuses.
    #[error("{url} answers {status}: {hint}")]
    Refused {
        /// The address, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What that means and what to do.
        hint: String,
    },
    /// The server's answer is none that a hub gives, or asks for what it must not.
    #[error("{url} gives an answer that is not acceptable: {what}; nothing was kept of it")]
    Hostile {
        /// The address, without its query.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// The bytes are not those that were announced.
    #[error(
        "{file} arrived with the {kind} {found}, announced was {expected}; it is removed, download \
         it again"
    )]
    Wrong {
        /// The file's name.
        file: String,
        /// The kind of sum.
        kind: &'static str,
        /// The sum of what arrived.
        found: String,
        /// The sum that was announced.
        expected: String,
    },
    /// The disk is too small.
    #[error(
        "{what} needs {needed} bytes on the disk of {}, which has {free} free; make room, or set \
         HF_HOME (for ollama:// names OLLAMA_MODELS) to a larger disk",
        dir.display()
    )]
    Disk {
        /// What is to be written.
        what: String,
        /// Bytes to write.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// Where.
        dir: PathBuf,
    },
    /// The system refuses a file.
    #[error("{act} {}: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A repository without anything that can be run.
    #[error("{repo} holds no model that can be run: {hint}")]
    NoModel {
        /// The repository.
        repo: String,
        /// What it holds, and what to do.
        hint: String,
    },
    /// Something that is not Russet's to change.
    #[error("{name} stays: {why}")]
    NotOurs {
        /// The model.
        name: String,
        /// Whose it is, and what to do.
        why: String,
    },
    /// A Modelfile that cannot be honoured.
    #[error("{file}, line {line}: {what}")]
    Modelfile {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A file of a store that is not as it should be.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
}

impl HubError {
    /// Says that the system refused `act` on `path`.
    pub(crate) fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HubError {
        let path = path.to_owned();
        move |source| HubError::Io { act, path, source }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> HubError {
        HubError::Damaged { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn hostile(url: &str, what: impl Into<String>) -> HubError {
        HubError::Hostile { url: bare(url).to_owned(), what: what.into() }
    }
}

/// An address without its query, which may hold a signature.
pub fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}
