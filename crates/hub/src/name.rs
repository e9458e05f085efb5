//! The forms that a model's name may have.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{BUILTIN, HubError};

/// What a word asks for. Nothing has been looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// The model that comes with the program.
    Builtin,
    /// A file or a directory.
    Path(PathBuf),
    /// `name[:tag]`: one of Russet's own, of the catalogue, or of Ollama's store.
    Short(Short),
    /// `user/repository[:QUANTIZATION]`, with or without `hf.co/` before it.
    Hub(HubName),
    /// `ollama://[host/][namespace/]model[:tag]`.
    Ollama(OllamaName),
}

/// `name[:tag]`, perhaps with a quantization after it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Short {
    /// The family.
    pub name: String,
    /// The size or variant.
    pub tag: Option<String>,
    /// The quantization, as in `qwen3:0.6b:Q6_K`.
    pub quant: Option<String>,
}

/// A repository of the hub and what of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HubName {
    /// `user/repository`.
    pub repo: String,
    /// A quantization, or the name of a GGUF file.
    pub quant: Option<String>,
    /// A branch, tag or commit, after an `@`.
    pub revision: Option<String>,
}

/// A model of a registry as Ollama uses them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OllamaName {
    /// The registry, perhaps with a port.
    pub host: String,
    /// The namespace.
    pub namespace: String,
    /// The model.
    pub model: String,
    /// The tag.
    pub tag: String,
}

/// Ollama's registry.
pub const OLLAMA_HOST: &str = "registry.ollama.ai";
const OLLAMA_NAMESPACE: &str = "library";
/// The tag of a name without one.
pub const LATEST: &str = "latest";
/// The branch of a repository unless another is named.
pub const MAIN: &str = "main";
const PART_BYTES_MAX: usize = 128;
const HUB_PREFIXES: [&str; 5] =
    ["hf.co/", "huggingface.co/", "https://hf.co/", "https://huggingface.co/", "hf://"];
const FORMS: &str = "write name:tag, user/repository:QUANT, ollama://name:tag, or a path";

impl Name {
    /// Reads a name. What is on disk is a path, whatever else it may look like.
    ///
    /// # Errors
    /// Where the word has none of the forms.
    pub fn parse(word: &str) -> Result<Name, HubError> {
        let wrong = |why: &str| HubError::Name { name: word.to_owned(), why: why.to_owned() };
        if word.is_empty() {
            return Err(wrong(&format!("it is empty; {FORMS}, or `{BUILTIN}`")));
        }
        if Path::new(word).exists() {
            return Ok(Name::Path(word.into()));
        }
        if word == BUILTIN {
            return Ok(Name::Builtin);
        }
        if let Some(rest) = word.strip_prefix("ollama://") {
            return OllamaName::parse(rest).map(Name::Ollama).ok_or_else(|| wrong(FORMS));
        }
        let prefix = HUB_PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix));
        if let Some(rest) = prefix {
            return HubName::parse(rest).map(Name::Hub).ok_or_else(|| wrong(FORMS));
        }
        if is_path(word) {
            return Ok(Name::Path(word.into()));
        }
        let named = match word.contains('/') {
            true => HubName::parse(word).map(Name::Hub),
            false => Short::parse(word).map(Name::Short),
        };
        named.ok_or_else(|| wrong(FORMS))
    }
}

impl Short {
    /// Reads `name[:tag[:quantization]]`.
    pub fn parse(word: &str) -> Option<Short> {
        let mut parts = word.split(':');
        let name = parts.next()?.to_owned();
        let tag = parts.next().map(str::to_owned);
        let quant = parts.next().map(str::to_owned);
        let short = Short { name, tag, quant };
        let all = [Some(&short.name), short.tag.as_ref(), short.quant.as_ref()];
        let fine = all.into_iter().flatten().all(|part| is_part(part));
        (fine && parts.next().is_none()).then_some(short)
    }

    /// The tag, or the one that stands for it.
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or(LATEST)
    }
}

impl HubName {
    /// Reads `user/repository[@revision][:quantization]`.
    pub fn parse(word: &str) -> Option<HubName> {
        let word = word.trim_end_matches('/');
        let (rest, quant) = match word.split_once(':') {
            Some((rest, quant)) => (rest, Some(quant.to_owned())),
            None => (word, None),
        };
        let (repo, revision) = match rest.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision.to_owned())),
            None => (rest, None),
        };
        let (user, model) = repo.split_once('/')?;
        let parts = [Some(user), Some(model), quant.as_deref(), revision.as_deref()];
        let fine = parts.into_iter().flatten().all(is_part);
        // The hub's own rules; they keep the cache's `--` unambiguous too.
        let plain = |part: &str| !part.contains("--") && !part.contains("..");
        (fine && plain(user) && plain(model)).then(|| HubName {
            repo: repo.to_owned(),
            quant,
            revision,
        })
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(MAIN)
    }
}

impl OllamaName {
    /// Reads `[host/][namespace/]model[:tag]`.
    pub fn parse(word: &str) -> Option<OllamaName> {
        let parts: Vec<&str> = word.split('/').collect();
        let (host, namespace, last) = match parts[..] {
            [last] => (OLLAMA_HOST, OLLAMA_NAMESPACE, last),
            [namespace, last] => (OLLAMA_HOST, namespace, last),
            [host, namespace, last] => (host, namespace, last),
            _ => return None,
        };
        let (model, tag) = last.split_once(':').unwrap_or((last, LATEST));
        let (name, port) = host.split_once(':').unwrap_or((host, "0"));
        let fine = [name, namespace, model, tag].into_iter().all(is_part);
        (fine && port.parse::<u16>().is_ok()).then(|| OllamaName {
            host: host.to_owned(),
            namespace: namespace.to_owned(),
            model: model.to_owned(),
            tag: tag.to_owned(),
        })
    }

    /// Ollama's own short form, `name:tag` for its library.
    pub fn short(&self) -> String {
        let OllamaName { host, namespace, model, tag } = self;
        match (host.as_str(), namespace.as_str()) {
            (OLLAMA_HOST, OLLAMA_NAMESPACE) => format!("{model}:{tag}"),
            (OLLAMA_HOST, _) => format!("{namespace}/{model}:{tag}"),
            _ => format!("{host}/{namespace}/{model}:{tag}"),
        }
    }
}

impl From<&Short> for OllamaName {
    fn from(short: &Short) -> OllamaName {
        OllamaName {
            host: OLLAMA_HOST.to_owned(),
            namespace: OLLAMA_NAMESPACE.to_owned(),
            model: short.name.clone(),
            tag: short.tag().to_owned(),
        }
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        [&self.tag, &self.quant].into_iter().flatten().try_for_each(|part| write!(f, ":{part}"))
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))?;
        self.quant.iter().try_for_each(|quant| write!(f, ":{quant}"))
    }
}

impl fmt::Display for OllamaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ollama://{}", self.short())
    }
}

/// One part of a name: it begins with a letter or digit and can never leave a directory.
pub fn is_part(part: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = part.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && part.len() <= PART_BYTES_MAX && part.chars().all(of_name)
}

/// Whether a word can only be a path.
fn is_path(word: &str) -> bool {
    let path = Path::new(word);
    let starts = ["/", "./", "../", "~/"].iter().any(|start| word.starts_with(start));
    let ends = [".gguf", ".safetensors", ".json", ".model"].iter().any(|end| word.ends_with(end));
    let in_directory = path.parent().is_some_and(|dir| !dir.as_os_str().is_empty() && dir.is_dir());
    starts || ends || in_directory || word.contains('\\')
}

/// Whether a word is meant as a model and not as a prompt: it is on disk, or has the form of a
/// path, of a model's file, or of a name with a tag or a repository.
pub fn is_meant_as_model(word: &str) -> bool {
    if word.is_empty() || word.contains(char::is_whitespace) && !Path::new(word).exists() {
        return false;
    }
    match Name::parse(word) {
        Ok(Name::Short(short)) => short.tag.is_some() || crate::catalogue::knows(&short.name),
        Ok(_) => true,
        Err(_) => false,
    }
}
