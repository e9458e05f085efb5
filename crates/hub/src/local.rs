//! Finding a model on this machine. No socket is opened here.

use std::path::{Path, PathBuf};

use crate::cache::{Repo, files_below, names_in};
use crate::name::{HubName, Name, OllamaName, Short};
use crate::ollama::Store;
use crate::recipe::Recipe;
use crate::variants::{self, Entry, Variant};
use crate::{BUILTIN, Hub, HubError, catalogue, choose};

/// Where a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// In the program itself.
    Builtin,
    /// A file or a directory.
    Path(PathBuf),
}

/// A model on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The name it was asked for by.
    pub name: String,
    /// Its files.
    pub at: At,
    /// What is laid over it.
    pub recipe: Recipe,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Names of Russet's own that build on each other go no deeper.
const DEPTH_MAX: usize = 8;

impl Hub {
    /// Finds the model that a name means, on this machine.
    ///
    /// # Errors
    /// [`HubError::NotHere`] where it could be downloaded, else what is wrong with the name.
    pub fn find(&self, word: &str) -> Result<Found, HubError> {
        self.find_within(word, 0)
    }

    /// Whether a word is a name of Russet's own, or one of Ollama's on this machine.
    pub fn has_name(&self, word: &str) -> bool {
        let Some(short) = Short::parse(word) else { return false };
        let ours = self.own().record(&short).is_ok_and(|record| record.is_some());
        ours || Store(&self.places.ollama).manifest_path(&OllamaName::from(&short)).is_file()
    }

    fn find_within(&self, word: &str, depth: usize) -> Result<Found, HubError> {
        let plain = |at| Found { name: word.into(), at, recipe: Recipe::default(), notes: vec![] };
        let found = match Name::parse(word)? {
            Name::Builtin => Some(plain(At::Builtin)),
            Name::Path(path) if path.exists() => Some(plain(At::Path(path))),
            Name::Path(path) => {
                return Err(HubError::Missing { path: word.to_owned(), hint: hint(&path) });
            }
            Name::Hub(name) => self.find_hub(&name)?.map(|path| plain(At::Path(path))),
            Name::Ollama(name) => self.find_ollama(word, &name)?,
            Name::Short(name) => return self.find_short(word, &name, depth),
        };
        found.ok_or_else(|| HubError::NotHere(word.to_owned()))
    }

    /// One of Russet's own names, else the catalogue's, else Ollama's.
    fn find_short(&self, word: &str, name: &Short, depth: usize) -> Result<Found, HubError> {
        if let Some(record) = self.own().record(name)? {
            if depth == DEPTH_MAX {
                let why = format!("it builds on {DEPTH_MAX} others, perhaps on itself");
                return Err(HubError::Name { name: word.to_owned(), why });
            }
            let base = self.find_within(&record.from, depth + 1)?;
            let recipe = record.recipe.over(base.recipe);
            return Ok(Found { name: word.to_owned(), recipe, ..base });
        }
        let known = catalogue::find(name);
        if let Some((_, hub)) = &known
            && let Some(path) = self.find_hub(hub)?
        {
            let (recipe, notes) = (Recipe::default(), Vec::new());
            return Ok(Found { name: word.to_owned(), at: At::Path(path), recipe, notes });
        }
        if let Some(found) = self.find_ollama(word, &name.into())? {
            return Ok(found);
        }
        Err(match known {
            Some(_) => HubError::NotHere(word.to_owned()),
            None => catalogue::unknown(name),
        })
    }

    /// A repository's model in the Hugging Face cache, LM Studio's directories or llama.cpp's.
    fn find_hub(&self, name: &HubName) -> Result<Option<PathBuf>, HubError> {
        for (dir, files) in self.directories(name) {
            if let Some(path) = self.best(name, &dir, &files)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Where a repository's files may lie on this machine, and which of them are there.
    fn directories(&self, name: &HubName) -> Vec<(PathBuf, Vec<Entry>)> {
        let snapshot = Repo::new(&self.places.hf_cache, &name.repo).snapshot(name.revision());
        let mut found: Vec<_> = snapshot.map(|s| (s.dir, s.files)).into_iter().collect();
        if name.revision.is_some() {
            return found;
        }
        for root in &self.places.lm_studio {
            let dir = root.join(&name.repo);
            let files = files_below(&dir);
            found.push((dir, files));
        }
        let prefix = format!("{}_", name.repo.replace('/', "_"));
        for root in &self.places.llama_cpp {
            let of_repo = |file: &String| file.starts_with(&prefix) && file.ends_with(".gguf");
            let names = names_in(root).into_iter().filter(of_repo);
            let sized = names.filter_map(|file| {
                let bytes = std::fs::metadata(root.join(&file)).ok()?.len();
                Some((file, bytes))
            });
            found.push((root.clone(), sized.collect()));
        }
        found
    }

    /// The best model among a directory's files that is what the name asks for.
    fn best(
        &self,
        name: &HubName,
        dir: &Path,
        files: &[Entry],
    ) -> Result<Option<PathBuf>, HubError> {
        let variants: Vec<Variant> =
            variants::gguf(files).into_iter().filter(|variant| variant.whole).collect();
        if !variants.is_empty() {
            let (asked, memory) = (name.quant.as_deref(), self.places.memory_bytes);
            return match choose::choose(&name.repo, &variants, asked, memory) {
                Ok(choice) => Ok(Some(dir.join(&variants[choice.index].files[0]))),
                // Another variant may be what is asked for; it is not here.
                Err(HubError::NoModel { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let whole = variants::safetensors(files).filter(|variant| variant.whole);
        Ok(whole.filter(|_| name.quant.is_none()).map(|_| dir.to_owned()))
    }

    fn find_ollama(&self, word: &str, name: &OllamaName) -> Result<Option<Found>, HubError> {
        let store = Store(&self.places.ollama);
        let Some(manifest) = store.manifest(name)? else { return Ok(None) };
        let model = manifest.model(name)?;
        if !manifest.layers.iter().filter(|layer| layer.is_used()).all(|layer| store.has(layer)) {
            return Ok(None);
        }
        let at = At::Path(store.blob(&model.digest));
        let (recipe, notes) = store.recipe(&manifest)?;
        Ok(Some(Found { name: word.to_owned(), at, recipe, notes }))
    }
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
    let is_model =
        |name: &String| name.ends_with(".gguf") || parent.join(name).join("config.json").is_file();
    let mut models: Vec<String> = names_in(parent).into_iter().filter(is_model).collect();
    if models.is_empty() {
        return format!("{} holds no model; check the path, or try `{BUILTIN}`", parent.display());
    }
    let more = models.len().saturating_sub(SHOWN);
    models.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} holds {}{more}", parent.display(), models.join(", "))
}
