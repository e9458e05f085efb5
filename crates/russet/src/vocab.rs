//! Vocabularies and chat templates from whatever holds them: a model or one of its files.
//!
//! A model is opened whole elsewhere; what is read here needs no weights and no known architecture.

use std::path::Path;

use anyhow::{Context, bail};
use blocks::Bytes;
use serde_json::Value;
use tokens::{GgufMeta, Vocab};
use weights::{Gguf, GgufValue, SideFiles, Source, WeightError};

/// Where text conventions are read from: a GGUF file's metadata or the files of a directory.
pub enum Texts {
    /// A GGUF file.
    Gguf(Box<Gguf>),
    /// A Hugging Face directory, or files of one.
    Files(SideFiles),
}

/// Chat templates by name, the default one first.
#[derive(Clone, Debug, Default)]
pub struct Templates(Vec<(String, String)>);

/// Which kind of vocabulary a GGUF file holds; `none` where it holds none.
const TOKENIZER: &str = "tokenizer.ggml.model";

/// The name of the template that serves when nothing calls for another.
const DEFAULT: &str = "default";
/// The name of the template that serves when there are tools.
const TOOL_USE: &str = "tool_use";

impl Texts {
    /// Those of a model that is open.
    pub fn of(source: &Source) -> Texts {
        match source.gguf() {
            Some(gguf) => Texts::Gguf(Box::new(gguf.clone())),
            None => Texts::Files(source.side_files().clone()),
        }
    }

    /// Those at a path: a GGUF file (with weights or without), a directory, a tokenizer.json or a
    /// tokenizer.model, the last two with the tokenizer_config.json beside them; or those of the
    /// built-in model, where its name is no path.
    pub fn open(path: &Path) -> anyhow::Result<Texts> {
        if path == Path::new(hub::BUILTIN) && !path.exists() {
            return Ok(Texts::of(&crate::builtin()?));
        }
        if path.is_dir() {
            let files = SideFiles::find(path);
            if files.tokenizer_json.is_some() || files.tokenizer_model.is_some() {
                return Ok(Texts::Files(files));
            }
            return Ok(Texts::of(&Source::open(path)?));
        }
        let beside = || SideFiles::find(path.parent().unwrap_or(Path::new("")));
        let file = Some(path.to_owned());
        match extension(path) {
            "json" => Ok(Texts::Files(SideFiles {
                tokenizer_json: file,
                tokenizer_config: beside().tokenizer_config,
                ..SideFiles::default()
            })),
            "model" => Ok(Texts::Files(SideFiles {
                tokenizer_model: file,
                tokenizer_config: beside().tokenizer_config,
                ..SideFiles::default()
            })),
            _ => open_gguf(path),
        }
    }

    /// The vocabulary; `None` where there is no tokenizer.
    ///
    /// Of a directory's two tokenizers tokenizer.json is taken: it says more.
    pub fn vocab(&self) -> anyhow::Result<Option<Vocab>> {
        let files = match self {
            Texts::Gguf(gguf) => {
                let silent = gguf.text(TOKENIZER).is_none_or(|kind| kind == "none");
                return Ok(if silent { None } else { Some(Vocab::from_gguf(&Keys(gguf))?) });
            }
            Texts::Files(files) => files,
        };
        let (path, vocab) = match (&files.tokenizer_json, &files.tokenizer_model) {
            (Some(path), _) => (path, Vocab::from_tokenizer_json(&text(path)?)),
            (None, Some(path)) => (path, Vocab::from_sentencepiece(&SideFiles::read(path)?)),
            (None, None) => return Ok(None),
        };
        let vocab = vocab.with_context(|| path.display().to_string())?;
        let Some(config) = &files.tokenizer_config else { return Ok(Some(vocab)) };
        let vocab = vocab.with_config(&text(config)?);
        Ok(Some(vocab.with_context(|| config.display().to_string())?))
    }

    /// The chat templates; none where the model brings none.
    pub fn templates(&self) -> anyhow::Result<Templates> {
        match self {
            Texts::Gguf(gguf) => Ok(Templates::of_gguf(gguf)),
            Texts::Files(files) => Templates::of_files(files),
        }
    }

    /// The ids that end an answer as generation_config.json, else config.json, lists them. A
    /// vocabulary knows its own end of text; chat models often end a turn with another.
    pub fn end_ids(&self) -> anyhow::Result<Vec<u32>> {
        let Texts::Files(files) = self else { return Ok(Vec::new()) };
        for path in [&files.generation_config, &files.config].into_iter().flatten() {
            let json = json(path)?;
            // A model that sees or hears may list them for its text model alone.
            let inside = || json.get("text_config")?.get("eos_token_id");
            let ids = match json.get("eos_token_id").filter(|ids| !ids.is_null()).or_else(inside) {
                Some(Value::Array(ids)) => ids.clone(),
                Some(id @ Value::Number(_)) => vec![id.clone()],
                _ => continue,
            };
            let id = |id: &Value| u32::try_from(id.as_u64()?).ok();
            return Ok(ids.iter().filter_map(id).collect());
        }
        Ok(Vec::new())
    }
}

impl Templates {
    /// The template of that name.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(named, _)| named == name).map(|(_, text)| text.as_str())
    }

    /// The template for a chat with tools or without: `tool_use` or `default` where they are
    /// named so, else the only or first one.
    pub fn choose(&self, with_tools: bool) -> Option<&str> {
        let tool_use = with_tools.then(|| self.named(TOOL_USE)).flatten();
        let first = || self.0.first().map(|(_, text)| text.as_str());
        tool_use.or_else(|| self.named(DEFAULT)).or_else(first)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    fn of_gguf(gguf: &Gguf) -> Templates {
        const KEY: &str = "tokenizer.chat_template";
        let named = |(key, value): (&str, GgufValue<'_>)| {
            let name = key.strip_prefix(KEY)?;
            let name = if name.is_empty() { DEFAULT } else { name.strip_prefix('.')? };
            Some((name.to_owned(), value.text()?.to_owned()))
        };
        Templates::sorted(gguf.iter().filter_map(named).collect())
    }

    /// A template file wins over what tokenizer_config.json holds, as in transformers.
    fn of_files(files: &SideFiles) -> anyhow::Result<Templates> {
        let mut found = Vec::new();
        if let Some(path) = &files.chat_template {
            found.push((DEFAULT.to_owned(), text(path)?));
            for (name, path) in &files.more_templates {
                found.push((name.clone(), text(path)?));
            }
            return Ok(Templates::sorted(found));
        }
        let Some(path) = &files.tokenizer_config else { return Ok(Templates::default()) };
        match json(path)?.get("chat_template") {
            Some(Value::String(text)) => found.push((DEFAULT.to_owned(), text.clone())),
            Some(Value::Array(list)) => {
                for entry in list {
                    let field = |key: &str| entry.get(key)?.as_str().map(str::to_owned);
                    found.extend(field("name").zip(field("template")));
                }
            }
            _ => {}
        }
        Ok(Templates::sorted(found))
    }

    /// The default first, the others as they come.
    fn sorted(mut found: Vec<(String, String)>) -> Templates {
        found.sort_by_key(|(name, _)| name != DEFAULT);
        Templates(found)
    }
}

/// The vocabulary at a path; see [`Texts::open`].
pub fn open(path: &Path) -> anyhow::Result<Vocab> {
    let vocab = Texts::open(path)?.vocab()?;
    vocab.with_context(|| {
        format!("{} has no tokenizer; give a tokenizer.json or a GGUF file", path.display())
    })
}

/// A file without weights may be of an architecture that Russet does not run.
fn open_gguf(path: &Path) -> anyhow::Result<Texts> {
    let error = match Source::open(path) {
        Ok(source) => return Ok(Texts::of(&source)),
        Err(error @ WeightError::Io { .. }) => return Err(error.into()),
        Err(error) => error,
    };
    let parse = |bytes| Gguf::parse(&path.display().to_string(), Bytes::from_vec(bytes)).ok();
    match SideFiles::read(path).ok().and_then(parse) {
        Some(gguf) => Ok(Texts::Gguf(Box::new(gguf))),
        None => Err(error.into()),
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|end| end.to_str()).unwrap_or_default()
}

fn text(path: &Path) -> anyhow::Result<String> {
    match String::from_utf8(SideFiles::read(path)?) {
        Ok(text) => Ok(text),
        Err(_) => bail!("{} is not UTF-8; download it again", path.display()),
    }
}

fn json(path: &Path) -> anyhow::Result<Value> {
    let of = || format!("{} is no JSON; download it again", path.display());
    serde_json::from_str(&text(path)?).with_context(of)
}

/// A GGUF file's metadata as the vocabulary asks for it.
struct Keys<'a>(&'a Gguf);

impl GgufMeta for Keys<'_> {
    fn str(&self, key: &str) -> Option<&str> {
        self.0.text(key)
    }

    fn u64(&self, key: &str) -> Option<u64> {
        self.0.int(key)?.try_into().ok()
    }

    fn bool(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.bool()
    }

    fn strings(&self, key: &str) -> Option<Vec<Vec<u8>>> {
        Some(self.0.get(key)?.array()?.strings()?.map(<[u8]>::to_vec).collect())
    }

    fn f32s(&self, key: &str) -> Option<Vec<f32>> {
        self.0.get(key)?.array()?.floats()
    }

    fn i32s(&self, key: &str) -> Option<Vec<i32>> {
        let ints = self.0.get(key)?.array()?.ints()?;
        ints.into_iter().map(|int| int.try_into().ok()).collect()
    }

    fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        let ints = self.0.get(key)?.array()?.ints()?;
        let byte = |int: i64| match int {
            -128..=-1 => Some(int as i8 as u8),
            int => u8::try_from(int).ok(),
        };
        ints.into_iter().map(byte).collect()
    }
}

#[cfg(test)]
mod tests;
