//! Downloading a model: first what there is and what of it is missing, then the bytes.

use std::path::{Path, PathBuf};

use crate::cache::Repo;
use crate::client::Listener;
use crate::digest::Digest;
use crate::listing::{self, Listing};
use crate::local::Found;
use crate::name::{HubName, Name, OllamaName};
use crate::ollama::{self, Manifest, Store};
use crate::transfer::{self, Remote};
use crate::variants::{self, Entry};
use crate::{Hub, HubError, catalogue, choose};

/// A model that can be downloaded.
#[derive(Clone, Debug)]
pub struct Pull {
    /// The name it was asked for by.
    pub name: String,
    /// What that is: a repository and a quantization, or a registry's model.
    pub what: String,
    /// Why this variant, where there was a choice.
    pub why: Option<String>,
    /// Whether it fits in this machine's memory.
    pub fits: bool,
    /// Its files.
    pub files: Vec<PullFile>,
    pub(crate) source: Source,
}

/// A file to download.
#[derive(Clone, Debug)]
pub struct PullFile {
    /// Its path in the repository, or what kind of layer it is.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes of it that are here already.
    pub have: u64,
    /// Its sum.
    pub digest: Digest,
    /// Where it comes from.
    pub url: String,
    /// Where its bytes go.
    pub to: PathBuf,
    lock: PathBuf,
}

/// Where a model comes from, and what makes it known when its files are there.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Hub { name: HubName, commit: String },
    Ollama { name: OllamaName, manifest: Manifest },
}

impl Pull {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Bytes that are still to be downloaded.
    pub fn missing(&self) -> u64 {
        self.files.iter().map(|file| file.bytes - file.have.min(file.bytes)).sum()
    }
}

impl Hub {
    /// Asks what there is to download for a name, and what of it is here already.
    ///
    /// # Errors
    /// Where the name means nothing that can be downloaded, or the server does not say.
    pub fn plan(&self, word: &str, listener: Listener<'_>) -> Result<Pull, HubError> {
        let name = Name::parse(word)?;
        let name = match name {
            Name::Short(short) => match self.own().record(&short)? {
                Some(record) => {
                    let from = self.plan(&record.from, listener)?;
                    return Ok(Pull { name: word.to_owned(), ..from });
                }
                None => match catalogue::find(&short) {
                    Some((_, hub)) => Name::Hub(hub),
                    None => return Err(catalogue::unknown(&short)),
                },
            },
            name => name,
        };
        match name {
            Name::Hub(hub) => self.plan_hub(word, hub, listener),
            Name::Ollama(ollama) => self.plan_ollama(word, ollama, listener),
            _ => {
                let why = "it is here already, and nothing is to be downloaded".to_owned();
                Err(HubError::Name { name: word.to_owned(), why })
            }
        }
    }

    fn plan_hub(
        &self,
        word: &str,
        name: HubName,
        listener: Listener<'_>,
    ) -> Result<Pull, HubError> {
        let listing = listing::list(&self.client, &self.places, &name, listener)?;
        let entries: Vec<Entry> =
            listing.files.iter().map(|file| (file.path.clone(), file.bytes)).collect();
        let mut variants = variants::gguf(&entries);
        let has_gguf = !variants.is_empty();
        if !has_gguf {
            variants.extend(variants::safetensors(&entries));
        }
        let (asked, memory) = (name.quant.as_deref(), self.places.memory_bytes);
        let choice = choose::choose(&name.repo, &variants, asked, memory)?;
        let several = variants.iter().filter(|variant| variant.whole).count() > 1;
        let variant = &variants[choice.index];
        let mut paths = variant.files.clone();
        if has_gguf {
            paths.extend(variants::projector(&entries).map(|(path, _)| path.clone()));
        }
        let quant = Some(variant.quant.clone()).filter(|quant| !quant.is_empty());
        let what = HubName { quant, ..name.clone() };
        Ok(Pull {
            name: word.to_owned(),
            what: what.to_string(),
            why: several.then_some(choice.why),
            fits: choose::fits(variant.bytes, memory),
            files: self.hub_files(&name, &listing, &paths),
            source: Source::Hub { name, commit: listing.commit },
        })
    }

    fn hub_files(&self, name: &HubName, listing: &Listing, paths: &[String]) -> Vec<PullFile> {
        let repo = Repo::new(&self.places.hf_cache, &name.repo);
        let of_path = |path: &String| listing.files.iter().find(|file| file.path == *path);
        let files = paths.iter().filter_map(of_path);
        let planned = files.map(|file| {
            let to = repo.blob(file.digest.hex());
            PullFile {
                name: file.path.clone(),
                bytes: file.bytes,
                have: here(&to, file.bytes),
                digest: file.digest.clone(),
                url: listing::url(&self.places, &name.repo, &listing.commit, &file.path),
                lock: repo.lock(file.digest.hex()),
                to,
            }
        });
        planned.collect()
    }

    fn plan_ollama(
        &self,
        word: &str,
        name: OllamaName,
        listener: Listener<'_>,
    ) -> Result<Pull, HubError> {
        let manifest = ollama::fetch(&self.client, &name, listener)?;
        let model = manifest.model(&name)?;
        let fits = choose::fits(model.bytes, self.places.memory_bytes);
        let store = Store(&self.places.ollama);
        let first = |layer: &&ollama::Layer| {
            let same = manifest.layers.iter().find(|other| other.digest == layer.digest);
            same.is_some_and(|same| std::ptr::eq(same, *layer))
        };
        let planned = manifest.layers.iter().filter(first).map(|layer| {
            let to = store.blob(&layer.digest);
            PullFile {
                name: layer.kind.clone(),
                bytes: layer.bytes,
                have: here(&to, layer.bytes),
                digest: layer.digest.clone(),
                url: ollama::url(&name, &layer.digest),
                lock: store.lock(&layer.digest),
                to,
            }
        });
        Ok(Pull {
            name: word.to_owned(),
            what: name.to_string(),
            why: None,
            fits,
            files: planned.collect(),
            source: Source::Ollama { name, manifest: manifest.clone() },
        })
    }

    /// Downloads what is missing, verifies it and makes the model known: all of it, or nothing that
    /// could be taken for it.
    ///
    /// # Errors
    /// Where the disk is too small, the network fails for good, or the bytes are not those that
    /// were announced. What has arrived is kept for the next attempt, unless it was wrong.
    pub fn pull(&self, pull: &Pull, listener: Listener<'_>) -> Result<Found, HubError> {
        if let Some(file) = pull.files.first() {
            transfer::room(&pull.what, pull.missing(), file.to.parent().unwrap_or(&file.to))?;
        }
        // Said before it is so: a process that is killed in between still owns what it brought.
        let fresh: Vec<&Path> = pull
            .files
            .iter()
            .filter(|file| !transfer::is_whole(&file.to, file.bytes))
            .map(|file| file.to.as_path())
            .collect();
        self.own().change_downloads(|ours| ours.extend(fresh.iter().map(|to| to.to_path_buf())))?;
        for file in &pull.files {
            self.fetch(pull, file, listener)?;
        }
        match &pull.source {
            Source::Hub { name, commit } => {
                let repo = Repo::new(&self.places.hf_cache, &name.repo);
                for file in &pull.files {
                    repo.link(commit, &file.name, file.digest.hex())?;
                }
                repo.set_ref(name.revision(), commit)?;
            }
            Source::Ollama { name, manifest } => {
                let store = Store(&self.places.ollama);
                store.write(name, manifest)?;
                let path = store.manifest_path(name);
                self.own().change_downloads(|ours| ours.extend([path]))?;
            }
        }
        // By what was chosen: memory may speak for another variant among those that are here now.
        let found = self.find(&pull.what);
        match (self.find(&pull.name), found) {
            (Ok(named), Ok(exact)) => Ok(Found { at: exact.at, ..named }),
            (_, found) => found,
        }
    }

    fn fetch(
        &self,
        pull: &Pull,
        file: &PullFile,
        listener: Listener<'_>,
    ) -> Result<bool, HubError> {
        let token = match pull.source {
            Source::Hub { .. } => self.places.hf_token.as_deref(),
            Source::Ollama { .. } => None,
        };
        let remote = Remote {
            name: &file.name,
            url: file.url.clone(),
            token,
            bytes: file.bytes,
            digest: &file.digest,
        };
        transfer::fetch(&self.client, &remote, &file.to, &file.lock, listener)
    }
}

/// Bytes of a file that are here, whole or from an earlier attempt.
fn here(to: &Path, bytes: u64) -> u64 {
    if transfer::is_whole(to, bytes) { bytes } else { transfer::have(to, bytes) }
}
