//! Who uses what: the files that Russet downloaded, the names that need them, and what nobody does.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::cache::{Repo, names_in, occupied};
use crate::ollama::Store;
use crate::partial::SUFFIX;
use crate::transfer::Lock;
use crate::{At, Hub, HubError, Removed};

/// A file that somebody uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// Bytes that it takes of its disk.
    pub bytes: u64,
    /// Names that use it.
    pub users: Vec<String>,
}

/// A file that nobody uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// The file.
    pub path: PathBuf,
    /// Bytes that it takes of its disk.
    pub bytes: u64,
    /// What it is.
    pub why: String,
    /// What another process that is at it holds.
    lock: PathBuf,
}

impl Hub {
    /// The files that Russet downloaded: those in use and by whom, and the others.
    ///
    /// # Errors
    /// Where what Russet itself keeps cannot be read.
    pub fn usage(&self) -> Result<(Vec<Kept>, Vec<Garbage>), HubError> {
        let downloads = self.own().downloads()?;
        let mut built_on: Vec<(PathBuf, String)> = Vec::new();
        for (name, record) in self.own().names()? {
            if let Ok(At::Path(path)) = self.find(&record.from).map(|found| found.at) {
                built_on.push((fs::canonicalize(&path).unwrap_or(path), name.to_string()));
            }
        }
        let (mut kept, mut garbage) = (Vec::new(), Vec::new());
        self.hub_usage(&downloads, &mut kept, &mut garbage);
        self.ollama_usage(&downloads, &mut kept, &mut garbage);
        for file in &mut kept {
            let real = fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
            let by = built_on.iter().filter(|(path, _)| *path == real);
            file.users.extend(by.map(|(_, name)| name.clone()));
        }
        kept.sort_by(|a, b| (&a.users, &a.path).cmp(&(&b.users, &b.path)));
        Ok((kept, garbage))
    }

    fn hub_usage(
        &self,
        downloads: &BTreeSet<PathBuf>,
        kept: &mut Vec<Kept>,
        garbage: &mut Vec<Garbage>,
    ) {
        for (name, repo) in Repo::all(&self.places.hf_cache) {
            let links = repo.links();
            for (file, bytes) in repo.blobs() {
                let path = repo.blob(&file);
                if let Some(hex) = file.strip_suffix(SUFFIX) {
                    let why = format!("an interrupted download of {name}");
                    garbage.push(Garbage { path, bytes, why, lock: repo.lock(hex) });
                    continue;
                }
                if !downloads.contains(&path) {
                    continue;
                }
                let dirs = repo.dir().join("snapshots");
                let of_file = links.iter().filter(|(hex, _)| *hex == file);
                let mut users: Vec<String> = of_file
                    .filter_map(|(_, link)| {
                        let below: PathBuf =
                            link.strip_prefix(&dirs).ok()?.iter().skip(1).collect();
                        Some(format!("{name} ({})", below.display()))
                    })
                    .collect();
                users.sort();
                users.dedup();
                if users.is_empty() {
                    let why = format!("a file of {name} that no snapshot has");
                    garbage.push(Garbage { path, bytes, why, lock: repo.lock(&file) });
                } else {
                    kept.push(Kept { path, bytes, users });
                }
            }
        }
    }

    fn ollama_usage(
        &self,
        downloads: &BTreeSet<PathBuf>,
        kept: &mut Vec<Kept>,
        garbage: &mut Vec<Garbage>,
    ) {
        let store = Store(&self.places.ollama);
        let named = |name: crate::OllamaName| Some((store.manifest(&name).ok()??, name));
        let manifests: Vec<_> = store.names().into_iter().filter_map(named).collect();
        let blobs = self.places.ollama.join("blobs");
        for file in names_in(&blobs) {
            let path = blobs.join(&file);
            let bytes = fs::metadata(&path).map_or(0, |found| occupied(&found));
            let lock = blobs.join(format!("{}.russet.lock", file.trim_end_matches(SUFFIX)));
            if file.ends_with(SUFFIX) {
                let why = "an interrupted download into Ollama's store".to_owned();
                garbage.push(Garbage { path, bytes, why, lock });
                continue;
            }
            if !downloads.contains(&path) {
                continue;
            }
            let uses = |manifest: &crate::ollama::Manifest| {
                manifest.layers.iter().any(|layer| store.blob(&layer.digest) == path)
            };
            let users = manifests.iter().filter(|(manifest, _)| uses(manifest));
            let users: Vec<String> = users.map(|(_, name)| name.to_string()).collect();
            if users.is_empty() {
                let why = "a layer that no model of Ollama's store has".to_owned();
                garbage.push(Garbage { path, bytes, why, lock });
            } else {
                kept.push(Kept { path, bytes, users });
            }
        }
    }

    /// Removes what nobody uses, except what another process is at.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn collect(&self, garbage: &[Garbage]) -> Result<Removed, HubError> {
        let mut removed = Removed::default();
        for file in garbage {
            let Some(_held) = Lock::take_free(&file.lock) else {
                removed.stays.push(format!("{}, which is being downloaded", file.why));
                continue;
            };
            removed.take(&file.why, &file.path)?;
        }
        self.own().change_downloads(|ours| ours.retain(|file| file.exists()))?;
        Ok(removed)
    }
}
