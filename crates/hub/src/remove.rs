//! Making, copying and removing names and models. Removed is only what Russet brought here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{Repo, files_below};
use crate::digest::Digest;
use crate::name::{Name, OllamaName, Short};
use crate::ollama::Store;
use crate::own::Record;
use crate::recipe::Recipe;
use crate::stores::is_ours;
use crate::{At, BUILTIN, Hub, HubError};

/// What a removal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Bytes of disk that are free now.
    pub bytes: u64,
    /// What went, for people.
    pub what: Vec<String>,
    /// What stays, and why.
    pub stays: Vec<String>,
}

impl Hub {
    /// Makes `to` a name for the model that `from` means.
    ///
    /// # Errors
    /// Where `from` is not here, or `to` is no name that can be given.
    pub fn copy(&self, from: &str, to: &str) -> Result<(), HubError> {
        self.create(to, from, Recipe::default())
    }

    /// Makes `to` a name for the model that `from` means with something laid over it. A name of
    /// Russet's own is replaced.
    ///
    /// # Errors
    /// Where `from` is not here, or `to` is no name that can be given.
    pub fn create(&self, to: &str, from: &str, recipe: Recipe) -> Result<(), HubError> {
        let wrong = |why: &str| HubError::Name { name: to.to_owned(), why: why.to_owned() };
        let short = match Name::parse(to)? {
            Name::Short(short) if short.quant.is_none() => short,
            Name::Short(_) => return Err(wrong("a name of one's own is name or name:tag")),
            _ => return Err(wrong("a name of one's own is name or name:tag, and is no file here")),
        };
        if to == BUILTIN {
            return Err(wrong("the built-in model has this name"));
        }
        // A copy of a name is a name for what that one builds on, so that either may go.
        let base = match Name::parse(from)? {
            Name::Short(short) => self.own().record(&short)?,
            _ => None,
        };
        let found = self.find(from)?;
        let record = match base {
            Some(base) => Record { from: base.from, recipe: recipe.over(base.recipe) },
            None => Record { from: lasting(from, &found.at)?, recipe },
        };
        self.own().write(&short, &record)
    }

    /// Removes a name of Russet's own, or a model that Russet downloaded.
    ///
    /// # Errors
    /// Where the model is another program's, or names build on it.
    pub fn remove(&self, word: &str) -> Result<Removed, HubError> {
        let stays = |why: &str| HubError::NotOurs { name: word.to_owned(), why: why.to_owned() };
        let name = Name::parse(word)?;
        if let Name::Short(short) = &name
            && self.own().record(short)?.is_some()
        {
            self.unused(word, &self.find(word).map(|found| found.at).ok(), Some(short))?;
            self.own().remove(short)?;
            return Ok(Removed { what: vec![format!("the name {word}")], ..Removed::default() });
        }
        let found = self.find(word)?;
        let At::Path(path) = &found.at else {
            return Err(stays("it is part of the program"));
        };
        self.unused(word, &Some(found.at.clone()), None)?;
        let downloads = self.own().downloads()?;
        if path.starts_with(&self.places.ollama) {
            let ollama = match name {
                Name::Short(short) => OllamaName::from(&short),
                Name::Ollama(ollama) => ollama,
                _ => return Err(stays("it is Ollama's; remove it with `ollama rm`")),
            };
            return self.remove_ollama(word, &ollama, &downloads);
        }
        if path.starts_with(&self.places.hf_cache) && !matches!(name, Name::Path(_)) {
            if !is_ours(path, &downloads) {
                let why = "another program downloaded it into the Hugging Face cache, and may \
                           need it; remove it with `hf cache rm`";
                return Err(stays(why));
            }
            return self.remove_hub(path, &downloads);
        }
        let theirs = |roots: &[PathBuf]| roots.iter().any(|root| path.starts_with(root));
        Err(stays(&match (theirs(&self.places.lm_studio), theirs(&self.places.llama_cpp)) {
            (true, _) => "it is LM Studio's; remove it there".to_owned(),
            (_, true) => format!("it is llama.cpp's; delete {}", path.display()),
            _ => format!("it is a file of yours; delete {} yourself", path.display()),
        }))
    }

    /// Refuses to take a model from under names that build on it.
    fn unused(&self, word: &str, at: &Option<At>, itself: Option<&Short>) -> Result<(), HubError> {
        // One file has many paths; where it lies is what counts.
        let real = |at: At| match at {
            At::Path(path) => At::Path(fs::canonicalize(&path).unwrap_or(path)),
            At::Builtin => At::Builtin,
        };
        let at = at.clone().map(real);
        let mut users = Vec::new();
        for (name, record) in self.own().names()? {
            let is_itself = itself.is_some_and(|itself| {
                (itself.name.as_str(), itself.tag()) == (name.name.as_str(), name.tag())
            });
            let built_on = record.from == word;
            let same = itself.is_none()
                && at.is_some()
                && self.find(&record.from).map(|found| real(found.at)).ok() == at;
            if !is_itself && (built_on || same) {
                users.push(name.to_string());
            }
        }
        if users.is_empty() {
            return Ok(());
        }
        let users = users.join(", ");
        let why = format!("{users} builds on it; remove that first");
        Err(HubError::NotOurs { name: word.to_owned(), why })
    }

    /// Removes a model's links and blobs, and with the last model what belonged to all of them.
    fn remove_hub(&self, path: &Path, downloads: &BTreeSet<PathBuf>) -> Result<Removed, HubError> {
        let repo = Repo::all(&self.places.hf_cache)
            .into_iter()
            .map(|(_, repo)| repo)
            .find(|repo| path.starts_with(repo.dir()));
        let missing = || HubError::damaged(path, "it lies in no repository of the cache");
        let repo = repo.ok_or_else(missing)?;
        let links = repo.links();
        let mut hexes = blobs_of(path, &links);
        let others = links.iter().any(|(hex, link)| {
            let name = link.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let weights = name.ends_with(".gguf") || name.ends_with(".safetensors");
            weights && !crate::variants::is_projector(name) && !hexes.contains(hex)
        });
        if !others {
            hexes.extend(links.iter().map(|(hex, _)| hex.clone()));
        }
        let mut removed = Removed::default();
        for hex in hexes {
            let blob = repo.blob(&hex);
            let of_blob = links.iter().filter(|(other, _)| *other == hex).map(|(_, link)| link);
            let names: Vec<_> = of_blob.clone().filter_map(|link| link.file_name()).collect();
            let name = names.first().map_or(hex.clone().into(), |name| name.to_string_lossy());
            if !downloads.contains(&blob) {
                removed.stays.push(format!("{name}, which another program downloaded"));
                continue;
            }
            for link in of_blob {
                fs::remove_file(link).map_err(HubError::io("cannot remove", link))?;
            }
            removed.take(&name, &blob)?;
        }
        let gone = |blob: &PathBuf| !blob.exists();
        self.own().change_downloads(|ours| ours.retain(|blob| !gone(blob)))?;
        if removed.stays.is_empty() && !others {
            // Directories of nothing, and refs to commits of nothing.
            let _ = fs::remove_dir_all(repo.dir().join("refs"));
            prune(&repo.dir());
        }
        Ok(removed)
    }

    fn remove_ollama(
        &self,
        word: &str,
        name: &OllamaName,
        downloads: &BTreeSet<PathBuf>,
    ) -> Result<Removed, HubError> {
        let store = Store(&self.places.ollama);
        let path = store.manifest_path(name);
        if !downloads.contains(&path) {
            let why = format!("it is Ollama's; remove it with `ollama rm {}`", name.short());
            return Err(HubError::NotOurs { name: word.to_owned(), why });
        }
        let manifest = store.manifest(name)?;
        let needed = store.needed_by_others(name);
        fs::remove_file(&path).map_err(HubError::io("cannot remove", &path))?;
        let mut removed = Removed::default();
        for layer in manifest.into_iter().flat_map(|manifest| manifest.layers) {
            let blob = store.blob(&layer.digest);
            if needed.contains(&layer.digest) {
                removed.stays.push(format!("the layer {}, which another model needs", layer.kind));
            } else if !downloads.contains(&blob) {
                removed.stays.push(format!("the layer {}, which Ollama downloaded", layer.kind));
            } else if blob.exists() {
                removed.take(&layer.kind, &blob)?;
                let _ = fs::remove_file(store.lock(&layer.digest));
            }
        }
        self.own().change_downloads(|ours| ours.retain(|file| file.exists()))?;
        Ok(removed)
    }
}

impl Removed {
    /// Removes a file and counts it.
    pub(crate) fn take(&mut self, name: &str, path: &Path) -> Result<(), HubError> {
        let bytes = fs::metadata(path).map_or(0, |found| crate::cache::occupied(&found));
        fs::remove_file(path).map_err(HubError::io("cannot remove", path))?;
        self.bytes += bytes;
        self.what.push(name.to_owned());
        Ok(())
    }
}

/// The sums of a model's files: of a split set all parts, of a directory all that it needs.
fn blobs_of(path: &Path, links: &[(String, PathBuf)]) -> BTreeSet<String> {
    let (dir, wanted) = if path.is_dir() {
        let files = files_below(path);
        let variant = crate::variants::safetensors(&files);
        (path.to_owned(), variant.map(|variant| variant.files).unwrap_or_default())
    } else {
        let dir = path.parent().unwrap_or(path).to_owned();
        let files = files_below(&dir);
        let is_it = |file: &String| dir.join(file) == path;
        let variants = crate::variants::gguf(&files);
        let variant = variants.into_iter().find(|variant| variant.files.iter().any(is_it));
        (dir, variant.map(|variant| variant.files).unwrap_or_default())
    };
    let paths: BTreeSet<PathBuf> = wanted.iter().map(|file| dir.join(file)).collect();
    let of_model = links.iter().filter(|(_, link)| paths.contains(link));
    let fine = |hex: &String| Digest::parse(hex).is_some();
    of_model.map(|(hex, _)| hex.clone()).filter(fine).collect()
}

/// Removes directories that hold nothing, from the leaves up.
fn prune(dir: &Path) {
    for name in crate::cache::names_in(dir) {
        let inner = dir.join(name);
        if fs::symlink_metadata(&inner).is_ok_and(|found| found.is_dir()) {
            prune(&inner);
        }
    }
    // One that holds something stays.
    let _ = fs::remove_dir(dir);
}

/// A name that means the same model later and from elsewhere.
fn lasting(from: &str, at: &At) -> Result<String, HubError> {
    match (Name::parse(from)?, at) {
        (Name::Path(path), _) => {
            let real = fs::canonicalize(&path).map_err(HubError::io("cannot read", &path))?;
            let text = real.to_str().map(str::to_owned);
            text.ok_or_else(|| HubError::damaged(&path, "its name is no UTF-8 text; rename it"))
        }
        _ => Ok(from.to_owned()),
    }
}
