//! Which file a model's name means.
//!
//! Names are paths, or the name of the model that comes with the program. Nothing here opens a
//! model.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

/// The name of the model that comes with the program.
pub const BUILTIN: &str = "russet-guide";

/// Where a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// In the program itself.
    Builtin,
    /// A file or a directory.
    Path(PathBuf),
}

/// Why a name means no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// Nothing is there.
    #[error("there is no file or directory {path}; {hint}")]
    Missing {
        /// The path that was given.
        path: String,
        /// What is there instead, and what to do.
        hint: String,
    },
    /// A name of some catalogue.
    #[error(
        "`{0}` looks like a name to download, which this version cannot do; give the path of a \
         GGUF file or of a directory with config.json and *.safetensors, or `{BUILTIN}`, the \
         model that comes with the program"
    )]
    Name(String),
    /// No name at all.
    #[error("the model's name is empty; give a path, or `{BUILTIN}`")]
    Empty,
}

/// Finds the model that `name` means. Something on disk wins over the built-in model's name.
///
/// # Errors
/// Where nothing is there, with what is there instead.
pub fn find(name: &str) -> Result<Found, HubError> {
    let path = Path::new(name);
    if name.is_empty() {
        Err(HubError::Empty)
    } else if path.exists() {
        Ok(Found::Path(path.to_owned()))
    } else if name == BUILTIN {
        Ok(Found::Builtin)
    } else if is_catalogue_name(name) && !path.parent().is_some_and(is_directory) {
        Err(HubError::Name(name.to_owned()))
    } else {
        Err(HubError::Missing { path: name.to_owned(), hint: hint(path) })
    }
}

/// Whether a word is meant as a model and not as a prompt: it is on disk, or has the form of a
/// path, of a model's file or of a catalogue's name.
pub fn is_meant_as_model(word: &str) -> bool {
    let starts = ["/", "./", "../", "~/"].iter().any(|start| word.starts_with(start));
    let ends = [".gguf", ".safetensors"].iter().any(|end| word.ends_with(end));
    let named = word == BUILTIN || (!word.is_empty() && Path::new(word).exists());
    named || ends || (starts && !word.contains(char::is_whitespace)) || is_catalogue_name(word)
}

/// Whether a word has the form `name:tag` or `user/repository`, perhaps with a tag.
fn is_catalogue_name(word: &str) -> bool {
    let is_part = |part: &str| {
        let of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(of_name)
    };
    let (path, tag) = word.split_once(':').map_or((word, None), |(path, tag)| (path, Some(tag)));
    let parts: Vec<&str> = path.split('/').collect();
    parts.iter().all(|part| is_part(part))
        && tag.is_none_or(is_part)
        && parts.len() <= 3
        && (parts.len() > 1 || tag.is_some())
}

/// What is there instead of `path`, and what to do.
fn hint(path: &Path) -> String {
    const SHOWN: usize = 5;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return format!("{} is no directory either; check the path", parent.display());
    }
    let mut models = models_in(parent);
    if models.is_empty() {
        return format!("{} holds no model; check the path", parent.display());
    }
    let more = models.len().saturating_sub(SHOWN);
    models.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} holds {}{more}", parent.display(), models.join(", "))
}

/// The names of what looks like a model in a directory, sorted.
fn models_in(dir: &Path) -> Vec<String> {
    let is_model = |path: &Path| {
        path.extension().is_some_and(|end| end == "gguf") || path.join("config.json").is_file()
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| is_model(path));
    let mut names: Vec<_> =
        paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

fn is_directory(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.is_dir()
}

#[cfg(test)]
mod tests;
