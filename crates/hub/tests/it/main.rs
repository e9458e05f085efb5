//! Downloads from a server on this machine, and stores as other programs lay them out.

mod download;
mod hostile;
mod own;
mod python;
mod stores;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use hub::{At, Found, Hub, HubError, Places};
use testkit::loopback::Server;

/// A user's places in a directory of their own.
pub struct Home {
    /// The directory.
    pub dir: PathBuf,
    /// What lies in it.
    pub places: Places,
}

impl Home {
    /// A new one.
    pub fn new(server: &Server) -> Home {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hub-{}-{number}", std::process::id());
        Home::within(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), server)
    }

    /// A new one in an empty directory `dir`.
    pub fn within(dir: &Path, server: &Server) -> Home {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir).expect("a directory");
        let places = Places {
            hf_cache: dir.join("hf"),
            hf_endpoint: server.url.clone(),
            ollama: dir.join("ollama"),
            lm_studio: vec![dir.join("lm-studio")],
            llama_cpp: vec![dir.join("llama.cpp")],
            own: dir.join("own"),
            ..Places::default()
        };
        Home { dir: dir.to_owned(), places }
    }

    /// The hub of this user.
    pub fn hub(&self) -> Hub {
        Hub::new(self.places.clone())
    }

    /// Downloads what a name means.
    pub fn pull(&self, name: &str) -> Result<Found, HubError> {
        let hub = self.hub();
        let plan = hub.plan(name, &|_| {})?;
        hub.pull(&plan, &|_| {})
    }

    /// Every file below the home that is no lock and no list of Russet's own.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut open = vec![self.dir.clone()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).expect("a directory").flatten() {
                let path = entry.path();
                if entry.file_type().expect("a type").is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(&self.dir).expect("below").display().to_string();
                    files.push(name);
                }
            }
        }
        files.retain(|name| !name.ends_with(".lock") && !name.starts_with("own/"));
        files.sort();
        files
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Where a model was found.
pub fn path(found: &Found) -> &Path {
    match &found.at {
        At::Path(path) => path,
        At::Builtin => panic!("{} is the built-in model", found.name),
    }
}
