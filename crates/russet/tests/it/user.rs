//! A user with a home of their own, and a hub on this machine that they ask.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::loopback::Server;

/// A user with a home and a hub.
pub struct User {
    /// Where everything of theirs lies.
    pub home: PathBuf,
    /// The hub that they ask.
    pub server: Server,
}

impl User {
    pub fn new(name: &str) -> User {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("user-{name}"));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).expect("a directory");
        User { home, server: Server::start() }
    }

    /// The environment that a program sees.
    fn environment(&self) -> BTreeMap<&str, PathBuf> {
        let below = |name: &str| self.home.join(name);
        let hf = PathBuf::from(&self.server.url);
        [
            ("HOME", below("")),
            ("XDG_CACHE_HOME", below("cache")),
            ("XDG_DATA_HOME", below("data")),
            ("HF_HOME", below("hf")),
            ("HF_ENDPOINT", hf),
            ("OLLAMA_MODELS", below("ollama")),
        ]
        .into()
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for name in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN_PATH", "LLAMA_CACHE"] {
            command.env_remove(name);
        }
        command.envs(self.environment()).env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
        command.current_dir(&self.home);
        command
    }

    /// Output, errors and exit code of a run.
    pub fn run(&self, args: &[&str]) -> (String, String, i32) {
        let output = self.command(env!("CARGO_BIN_EXE_russet")).args(args).output();
        let Output { status, stdout, stderr } = output.expect("the program ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (text(stdout), text(stderr), status.code().unwrap_or(-1))
    }

    pub fn ok(&self, args: &[&str]) -> (String, String) {
        let (out, err, code) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {err}");
        (out, err)
    }

    pub fn fails(&self, args: &[&str]) -> String {
        let (out, err, code) = self.run(args);
        assert_eq!(code, 1, "{args:?}: {out}{err}");
        err
    }

    /// A pull that goes on.
    pub fn pulling(&self, name: &str) -> Child {
        let mut pull = self.command(env!("CARGO_BIN_EXE_russet"));
        let pull = pull.args(["pull", name]).stdout(Stdio::null()).stderr(Stdio::null());
        pull.spawn().expect("the program starts")
    }

    /// What lies among a repository's blobs.
    pub fn blobs(&self, repo: &str) -> Vec<PathBuf> {
        let dir = format!("hf/hub/models--{}/blobs", repo.replace('/', "--"));
        let entries = fs::read_dir(self.home.join(dir)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.home.join(name), text).expect("a file");
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Waits for what another process or thread does.
pub fn wait_until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it takes too long");
        sleep(Duration::from_millis(2));
    }
}
