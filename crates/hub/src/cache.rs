//! The Hugging Face cache as `huggingface_hub` lays it out: `models--USER--REPO` with `blobs` named
//! by their sums, `snapshots/COMMIT` of links to them, and `refs` that name commits.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::listing::is_relative;
use crate::name::HubName;
use crate::variants::Entry;
use crate::{HubError, limits};

/// One repository's part of the cache.
#[derive(Clone, Debug)]
pub struct Repo {
    /// The cache.
    cache: PathBuf,
    /// `models--USER--REPO`.
    folder: String,
}

/// A snapshot that is on this machine.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its directory.
    pub dir: PathBuf,
    /// Its files whose bytes are there.
    pub files: Vec<Entry>,
}

const PREFIX: &str = "models--";

impl Repo {
    /// The repository's part of a cache.
    pub fn new(cache: &Path, repo: &str) -> Repo {
        let folder = format!("{PREFIX}{}", repo.replace('/', "--"));
        Repo { cache: cache.to_owned(), folder }
    }

    /// The repositories of a cache and their names.
    pub fn all(cache: &Path) -> Vec<(String, Repo)> {
        let named = |folder: String| {
            let (user, repo) = folder.strip_prefix(PREFIX)?.split_once("--")?;
            let name = format!("{user}/{repo}");
            HubName::parse(&name)?;
            Some((name, Repo { cache: cache.to_owned(), folder }))
        };
        let mut all: Vec<_> = names_in(cache).into_iter().filter_map(named).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The repository's directory.
    pub fn dir(&self) -> PathBuf {
        self.cache.join(&self.folder)
    }

    /// Where a blob lies.
    pub fn blob(&self, hex: &str) -> PathBuf {
        self.dir().join("blobs").join(hex)
    }

    /// The lock of a blob, the same as `huggingface_hub`'s.
    pub fn lock(&self, hex: &str) -> PathBuf {
        self.cache.join(".locks").join(&self.folder).join(format!("{hex}.lock"))
    }

    /// Where a snapshot's files lie.
    pub fn snapshot_dir(&self, commit: &str) -> PathBuf {
        self.dir().join("snapshots").join(commit)
    }

    /// The snapshot of a branch, tag or commit; of a branch that no ref names, the newest.
    pub fn snapshot(&self, revision: &str) -> Option<Snapshot> {
        let named = fs::read_to_string(self.dir().join("refs").join(revision)).ok();
        let commit = named.map(|commit| commit.trim().to_owned());
        let commit = commit.filter(|commit| is_relative(commit) && !commit.contains('/'));
        let commit = match commit {
            Some(commit) => commit,
            None if self.snapshot_dir(revision).is_dir() => revision.to_owned(),
            None if revision == crate::name::MAIN => self.newest()?,
            None => return None,
        };
        let dir = self.snapshot_dir(&commit);
        let files = files_below(&dir);
        (!files.is_empty()).then_some(Snapshot { dir, files })
    }

    /// The commits that have snapshots.
    pub fn commits(&self) -> Vec<String> {
        names_in(&self.dir().join("snapshots"))
    }

    fn newest(&self) -> Option<String> {
        let changed =
            |commit: &String| fs::metadata(self.snapshot_dir(commit)).ok()?.modified().ok();
        self.commits().into_iter().max_by_key(changed)
    }

    /// Puts a blob into a snapshot under its path.
    pub fn link(&self, commit: &str, path: &str, hex: &str) -> Result<PathBuf, HubError> {
        let snapshot = self.snapshot_dir(commit);
        let at = snapshot.join(path);
        let parent = at.parent().unwrap_or(&snapshot);
        // A directory that is a link could lead anywhere; what is above it is there already.
        let real = |dir: &Path| {
            fs::canonicalize(dir).map_err(HubError::io("cannot read the directory", dir))
        };
        let there = parent.ancestors().find(|dir| fs::symlink_metadata(dir).is_ok());
        if !real(there.unwrap_or(parent))?.starts_with(real(&self.dir())?) {
            let what = "this leads out of the cache through a link; remove it and pull again";
            return Err(HubError::damaged(parent, what));
        }
        fs::create_dir_all(parent).map_err(HubError::io("cannot make the directory", parent))?;
        let depth = 2 + path.split('/').count();
        let target = PathBuf::from("../".repeat(depth - 1)).join("blobs").join(hex);
        if fs::read_link(&at).is_ok_and(|there| there == target) && at.exists() {
            return Ok(at);
        }
        let fresh = fresh(&at);
        let _ = fs::remove_file(&fresh);
        let made = symlink(&target, &fresh).and_then(|()| fs::rename(&fresh, &at));
        made.map_err(HubError::io("cannot link", &at))?;
        Ok(at)
    }

    /// Says which commit a branch or tag is.
    pub fn set_ref(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit {
            return Ok(());
        }
        let at = self.dir().join("refs").join(revision);
        write_whole(&at, commit.as_bytes())
    }

    /// The blobs that snapshots link to: their sums and the paths of the links.
    pub fn links(&self) -> Vec<(String, PathBuf)> {
        let mut links = Vec::new();
        for commit in self.commits() {
            let dir = self.snapshot_dir(&commit);
            walk(&dir, &mut |path, _| {
                let target = fs::read_link(path).ok();
                let hex = target.and_then(|to| Some(to.file_name()?.to_str()?.to_owned()));
                links.extend(hex.map(|hex| (hex, path.to_owned())));
            });
        }
        links
    }

    /// The blobs that are there, whole or not: their names and bytes.
    pub fn blobs(&self) -> Vec<(String, u64)> {
        let dir = self.dir().join("blobs");
        let sized = |name: String| {
            let found = fs::metadata(dir.join(&name)).ok()?;
            Some((name, occupied(&found)))
        };
        names_in(&dir).into_iter().filter_map(sized).collect()
    }
}

/// Bytes that a file takes of its disk; one that is arriving has holes.
pub fn occupied(file: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.len().min(file.blocks() * 512)
}

/// The regular files below a directory, by path; links count as what they lead to.
pub fn files_below(dir: &Path) -> Vec<Entry> {
    let mut files = Vec::new();
    walk(dir, &mut |path, bytes| {
        let relative = path.strip_prefix(dir).ok().and_then(Path::to_str);
        files.extend(relative.map(|path| (path.to_owned(), bytes)));
    });
    files.sort();
    files
}

/// Calls `visit` with each file below a directory and its bytes; broken links are left out.
pub fn walk(dir: &Path, visit: &mut dyn FnMut(&Path, u64)) {
    let mut open = vec![(dir.to_owned(), 0)];
    let mut seen = 0;
    while let Some((dir, depth)) = open.pop() {
        for name in names_in(&dir) {
            let path = dir.join(name);
            seen += 1;
            let Ok(found) = fs::metadata(&path) else { continue };
            let is_link = fs::symlink_metadata(&path).is_ok_and(|it| it.is_symlink());
            if found.is_dir() && !is_link && depth < limits::DEPTH_MAX {
                open.push((path, depth + 1));
            } else if found.is_file() {
                visit(&path, found.len());
            }
            if seen > limits::ENTRIES_MAX {
                return;
            }
        }
    }
}

/// The names in a directory, sorted; none where it cannot be read.
pub fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Writes a small file so that nobody ever reads half of it.
pub fn write_whole(at: &Path, bytes: &[u8]) -> Result<(), HubError> {
    let dir = at.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(HubError::io("cannot make the directory", dir))?;
    let part = fresh(at);
    let write = || -> io::Result<()> {
        fs::write(&part, bytes)?;
        fs::rename(&part, at)
    };
    write().map_err(HubError::io("cannot write", at))
}

/// A name beside `at` that no other process or thread takes.
fn fresh(at: &Path) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = at.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.part", std::process::id()));
    at.with_file_name(name)
}

/// A small file's bytes; `None` where there is none.
pub fn read_small(path: &Path) -> Result<Option<Vec<u8>>, HubError> {
    match fs::metadata(path) {
        Ok(found) if found.len() > limits::TEXT_BYTES_MAX => {
            let what = format!("{} bytes are more than such a file has", found.len());
            Err(HubError::damaged(path, what))
        }
        Ok(_) => fs::read(path).map(Some).map_err(HubError::io("cannot read", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HubError::io("cannot read", path)(error)),
    }
}
