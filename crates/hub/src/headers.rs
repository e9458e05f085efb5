//! A model as its headers alone: files of full length whose weights are holes.
//!
//! The headers are had by ranged requests and written where a download would put them, into a
//! directory of their own. Whatever reads headers reads these like any other model; nothing of the
//! weights is there, and a disk that knows holes needs no room for them. The small tables that a
//! header's numbers depend on are there too.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use weights::{Gguf, SafeFile, WeightError, gguf_header_bytes};

use crate::client::{Ask, Listener, Patience};
use crate::ollama::Store;
use crate::pull::{Pull, PullFile, Source};
use crate::{At, Found, Hub, HubError, Recipe, limits, variants};

/// A directory with headers; it goes when this does.
pub struct Headers {
    dir: PathBuf,
    /// The model.
    pub found: Found,
    /// Bytes that were asked for.
    pub bytes: u64,
}

/// The first bytes of a GGUF file that are asked for; most headers have that length.
const FIRST: u64 = 8 << 20;
/// How long a table that belongs to a header may be.
const TABLE_BYTES_MAX: usize = 256 << 10;

impl Drop for Headers {
    fn drop(&mut self) {
        // What is left over lies among what can be made again.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Hub {
    /// Reads a model's headers into a new directory `dir`.
    ///
    /// # Errors
    /// Where the server does not answer, or its files are no models.
    pub fn headers(
        &self,
        pull: &Pull,
        dir: &Path,
        listener: Listener<'_>,
    ) -> Result<Headers, HubError> {
        fs::create_dir_all(dir).map_err(HubError::io("cannot make the directory", dir))?;
        let found = Found {
            name: pull.name.clone(),
            at: At::Path(dir.to_owned()),
            recipe: Recipe::default(),
            notes: Vec::new(),
        };
        let mut headers = Headers { dir: dir.to_owned(), found, bytes: 0 };
        let mut first = None;
        let store = Store(dir);
        for file in &pull.files {
            let (path, is_gguf) = match &pull.source {
                Source::Ollama { manifest, .. } => {
                    let layer = manifest.layers.iter().find(|layer| layer.kind == file.name);
                    let Some(layer) = layer.filter(|it| it.is_gguf() || it.is_text()) else {
                        continue;
                    };
                    (store.blob(&file.digest), layer.is_gguf())
                }
                Source::Hub { .. } if variants::is_projector(&file.name) => continue,
                Source::Hub { .. } => (dir.join(&file.name), file.name.ends_with(".gguf")),
            };
            headers.bytes += self.header(pull, file, (&path, is_gguf), listener)?;
            if is_gguf {
                first.get_or_insert(path);
            }
        }
        headers.found.at = At::Path(first.unwrap_or_else(|| dir.to_owned()));
        if let Source::Ollama { name, manifest } = &pull.source {
            headers.found.at = At::Path(store.blob(&manifest.model(name)?.digest));
            (headers.found.recipe, headers.found.notes) = store.recipe(manifest)?;
        }
        Ok(headers)
    }

    /// Reads one file's header, or the whole of a file without weights. Bytes that were asked for.
    fn header(
        &self,
        pull: &Pull,
        remote: &PullFile,
        (path, gguf): (&Path, bool),
        listener: Listener<'_>,
    ) -> Result<u64, HubError> {
        let parent = path.parent().unwrap_or(path);
        fs::create_dir_all(parent).map_err(HubError::io("cannot make the directory", parent))?;
        let file = File::create(path).map_err(HubError::io("cannot write", path))?;
        let name = remote.name.as_str();
        let weights = name.ends_with(".safetensors");
        if !weights && !gguf && remote.bytes > limits::HEADER_BYTES_MAX {
            let what = format!("`{name}` has {} bytes beside the weights", remote.bytes);
            return Err(HubError::hostile(&remote.url, what));
        }
        let mut part = Part { hub: self, pull, remote, listener, bytes: Vec::new() };
        if gguf {
            part.gguf()?;
        } else if weights {
            part.until(8)?;
            let length = part.bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            part.until(length.saturating_add(8))?;
        } else {
            part.until(remote.bytes)?;
        }
        let asked = part.bytes.len() as u64;
        let write = || {
            file.set_len(remote.bytes)?;
            file.write_all_at(&part.bytes, 0)
        };
        write().map_err(HubError::io("cannot write", path))?;
        // What is wrong with a header is said when the model is opened.
        let tables = match (gguf, weights) {
            (true, _) => gguf_tables(name, path).unwrap_or_default(),
            (_, true) => safe_tables(path).unwrap_or_default(),
            _ => Vec::new(),
        };
        Ok(asked + part.tables(&tables, &file, path)?)
    }
}

/// The beginning of a file that a server has.
struct Part<'a> {
    hub: &'a Hub,
    pull: &'a Pull,
    remote: &'a PullFile,
    listener: Listener<'a>,
    bytes: Vec<u8>,
}

impl Part<'_> {
    /// Reads on until so many bytes are there, or all of them.
    fn until(&mut self, end: u64) -> Result<(), HubError> {
        let end = end.min(self.remote.bytes);
        if end > limits::HEADER_BYTES_MAX {
            let what = format!("its header claims {end} bytes");
            return Err(HubError::hostile(&self.remote.url, what));
        }
        let start = self.bytes.len() as u64;
        if start < end {
            let more = self.range(start, end)?;
            self.bytes.extend(more);
        }
        Ok(())
    }

    /// Reads on until the whole header of a GGUF file is there.
    fn gguf(&mut self) -> Result<(), HubError> {
        let mut end = FIRST;
        loop {
            self.until(end)?;
            if !self.bytes.starts_with(b"GGUF") {
                return Err(HubError::hostile(&self.remote.url, "it is no GGUF file"));
            }
            let whole = self.bytes.len() as u64 == self.remote.bytes;
            if whole || gguf_header_bytes(&self.bytes).is_some() {
                return Ok(());
            }
            end *= 2;
        }
    }

    /// Reads tables to their places, several at a time: a large model has hundreds. Their bytes.
    fn tables(&self, tables: &[Range<usize>], file: &File, path: &Path) -> Result<u64, HubError> {
        let next = AtomicUsize::new(0);
        let one = |table: &Range<usize>| {
            let bytes = self.range(table.start as u64, table.end as u64)?;
            let written = file.write_all_at(&bytes, table.start as u64);
            written.map_err(HubError::io("cannot write", path))
        };
        let work = || {
            while let Some(table) = tables.get(next.fetch_add(1, Ordering::Relaxed)) {
                one(table)?;
            }
            Ok(())
        };
        thread::scope(|scope| -> Result<(), HubError> {
            let count = tables.len().min(limits::CONNECTIONS);
            let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            let mut done = workers.into_iter().map(thread::ScopedJoinHandle::join);
            done.try_for_each(|outcome| outcome.unwrap_or_else(|panic| resume_unwind(panic)))
        })?;
        Ok(tables.iter().map(|table| table.len() as u64).sum())
    }

    fn range(&self, start: u64, end: u64) -> Result<Vec<u8>, HubError> {
        let token = match self.pull.source {
            Source::Hub { .. } => self.hub.places.hf_token.as_deref(),
            Source::Ollama { .. } => None,
        };
        let ask = Ask { url: &self.remote.url, token, ..Ask::default() };
        let mut patience = Patience::default();
        let client = &self.hub.client;
        client.bytes(ask, start..end, self.remote.bytes, &mut patience, self.listener)
    }
}

/// Where the tables lie that the meaning of a GGUF header depends on: factors of rope.
fn gguf_tables(name: &str, path: &Path) -> Result<Vec<Range<usize>>, WeightError> {
    let gguf = Gguf::parse(name, weights::map(path)?)?;
    let tables = gguf.tensors().iter().filter(|tensor| tensor.name.starts_with("rope_"));
    Ok(tables.map(|tensor| tensor.range.clone()).filter(is_small).collect())
}

/// The same of safetensors: the groups of GPTQ's columns, whose order decides how weights are kept.
fn safe_tables(path: &Path) -> Result<Vec<Range<usize>>, WeightError> {
    let file = SafeFile::open(path)?;
    let tables = file.tensors().iter().filter(|tensor| tensor.name.ends_with("g_idx"));
    Ok(tables.map(|tensor| tensor.range.clone()).filter(is_small).collect())
}

fn is_small(table: &Range<usize>) -> bool {
    (1..=TABLE_BYTES_MAX).contains(&table.len())
}
