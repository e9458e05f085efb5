//! What Russet itself keeps: names with what is laid over their models, and which files it was
//! that it downloaded. Weights are never here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::HubError;
use crate::cache::{names_in, read_small, write_whole};
use crate::name::Short;
use crate::recipe::{Adapter, Recipe};
use crate::transfer::Lock;

/// The directory that Russet keeps things in.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a>(pub &'a Path);

/// A name of Russet's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The model that it builds on: a name or an absolute path.
    pub from: String,
    /// What is laid over it.
    pub recipe: Recipe,
}

/// A record as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    from: String,
    #[serde(default)]
    parameters: Vec<(String, String)>,
    #[serde(default)]
    system: Option<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    messages: Vec<(String, String)>,
    #[serde(default)]
    licenses: Vec<String>,
    /// Absolute paths and factors.
    #[serde(default)]
    adapters: Vec<(PathBuf, f32)>,
}

impl Own<'_> {
    /// What a name stands for, if it is one of Russet's own.
    pub fn record(&self, name: &Short) -> Result<Option<Record>, HubError> {
        let path = self.path(name);
        let Some(text) = read_small(&path)? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&text).map_err(|error| {
            HubError::damaged(&path, format!("it is no record of a name ({error}); remove it"))
        })?;
        let Kept { from, parameters, system, template, messages, licenses, adapters } = kept;
        let adapters = adapters.into_iter().map(|(path, scale)| Adapter { path, scale }).collect();
        let recipe =
            Recipe { settings: parameters, system, template, messages, licenses, adapters };
        Ok(Some(Record { from, recipe }))
    }

    /// Makes or replaces a name.
    pub fn write(&self, name: &Short, record: &Record) -> Result<(), HubError> {
        let Record { from, recipe } = record.clone();
        let Recipe { settings, system, template, messages, licenses, adapters } = recipe;
        let adapters = adapters.into_iter().map(|adapter| (adapter.path, adapter.scale)).collect();
        let parameters = settings;
        let kept = Kept { from, parameters, system, template, messages, licenses, adapters };
        let path = self.path(name);
        let text = serde_json::to_vec_pretty(&kept)
            .map_err(|error| HubError::damaged(&path, format!("a path is no text ({error})")))?;
        write_whole(&path, &text)
    }

    /// Forgets a name.
    pub fn remove(&self, name: &Short) -> Result<(), HubError> {
        let path = self.path(name);
        fs::remove_file(&path).map_err(HubError::io("cannot remove", &path))?;
        // The family's directory goes with its last tag.
        let _ = path.parent().map(fs::remove_dir);
        Ok(())
    }

    /// Every name and what it stands for.
    pub fn names(&self) -> Result<Vec<(Short, Record)>, HubError> {
        let root = self.0.join("names");
        let mut found = Vec::new();
        for name in names_in(&root) {
            for file in names_in(&root.join(&name)) {
                let Some(tag) = file.strip_suffix(".json") else { continue };
                let Some(short) = Short::parse(&format!("{name}:{tag}")) else { continue };
                found.extend(self.record(&short)?.map(|record| (short, record)));
            }
        }
        Ok(found)
    }

    /// The files that Russet downloaded, as far as it knows.
    pub fn downloads(&self) -> Result<BTreeSet<PathBuf>, HubError> {
        let path = self.downloads_path();
        let Some(text) = read_small(&path)? else { return Ok(BTreeSet::new()) };
        serde_json::from_slice(&text).map_err(|error| {
            HubError::damaged(&path, format!("it is no list of files ({error}); remove it"))
        })
    }

    /// Changes the list of files that Russet downloaded.
    pub fn change_downloads(
        &self,
        change: impl FnOnce(&mut BTreeSet<PathBuf>),
    ) -> Result<(), HubError> {
        let _held = Lock::take(&self.0.join("downloads.lock"), &|_| {})?;
        let before = self.downloads()?;
        let mut after = before.clone();
        change(&mut after);
        if before == after {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&after).map_err(|error| {
            HubError::damaged(&self.downloads_path(), format!("a path is no text ({error})"))
        })?;
        write_whole(&self.downloads_path(), &text)
    }

    fn downloads_path(&self) -> PathBuf {
        self.0.join("downloads.json")
    }

    /// Parts of names never leave their directory.
    fn path(&self, name: &Short) -> PathBuf {
        self.0.join("names").join(&name.name).join(format!("{}.json", name.tag()))
    }
}
