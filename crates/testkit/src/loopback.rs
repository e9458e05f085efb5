//! A server on this machine that speaks as the Hugging Face hub and Ollama's registry do, with
//! faults on demand and a record of what was asked.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A server; it serves as long as the process lives.
#[derive(Clone)]
pub struct Server {
    /// Its address, as HF_ENDPOINT takes it.
    pub url: String,
    /// Its host and port, as a registry's name has them.
    pub host: String,
    state: Arc<Mutex<State>>,
}

/// A file of a repository.
#[derive(Clone)]
pub struct File {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub bytes: Arc<Vec<u8>>,
    /// Whether it lies in large-file storage, behind a redirect.
    pub lfs: bool,
    /// Its SHA-256 and git's sum.
    sums: (String, String),
}

/// A repository at its only commit.
#[derive(Clone, Default)]
pub struct Repo {
    /// Its files.
    pub files: Vec<File>,
    /// The token without which nothing is shown.
    pub gated: Option<String>,
}

/// How the server misbehaves.
#[derive(Clone, Default)]
pub struct Faults {
    /// Bytes of a body after which a connection is cut, one for each request to come.
    pub cut_after: VecDeque<usize>,
    /// Statuses and headers that the next requests get instead of an answer; 0 is no fault.
    pub statuses: VecDeque<(u16, String)>,
    /// Every body of the storage has its first byte changed.
    pub wrong: bool,
    /// Bytes that bodies have beyond those announced in the listing; told in no length.
    pub surplus: usize,
    /// Ranges are ignored.
    pub whole_only: bool,
    /// A pause after each chunk of so many bytes.
    pub slow: Option<(usize, Duration)>,
    /// What stands in the listing instead of a file's path.
    pub path: Option<String>,
    /// What stands there instead of its bytes.
    pub size: Option<u64>,
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and path.
    pub line: String,
    /// First and last byte.
    pub range: Option<(usize, usize)>,
    /// Whether a token was shown.
    pub token: bool,
    /// Whether it was the storage's address.
    pub storage: bool,
}

#[derive(Default)]
struct State {
    storage: String,
    repos: BTreeMap<String, Repo>,
    manifests: BTreeMap<String, String>,
    blobs: BTreeMap<String, Arc<Vec<u8>>>,
    faults: Faults,
    asked: Vec<Asked>,
    sent: usize,
}

/// The commit of every repository.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

impl Server {
    /// Starts it on two free ports: its own and its storage's.
    pub fn start() -> Server {
        let bind = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (hub, storage) = (bind(), bind());
        let address = |listener: &TcpListener| listener.local_addr().expect("bound").to_string();
        let host = address(&hub);
        let state = State { storage: format!("http://{}", address(&storage)), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        for (listener, storage) in [(hub, false), (storage, true)] {
            let state = state.clone();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let state = state.clone();
                    // A client that goes away in the middle is what these tests are about.
                    thread::spawn(move || drop(serve(stream, &state, storage)));
                }
            });
        }
        Server { url: format!("http://{host}"), host, state }
    }

    /// The storage's address.
    pub fn storage(&self) -> String {
        self.state().storage.clone()
    }

    /// Says another address of the storage, which leads to the same.
    pub fn set_storage(&self, url: &str) {
        url.clone_into(&mut self.state().storage);
    }

    /// Adds a repository of files, the long ones in the storage.
    pub fn add(&self, repo: &str, files: &[(&str, &[u8])]) {
        let mut state = self.state();
        let mut added = Repo::default();
        for (path, bytes) in files {
            let lfs = path.ends_with(".gguf") || path.ends_with(".safetensors");
            let bytes = Arc::new(bytes.to_vec());
            let sums = (sha256(&bytes), git_sha1(&bytes));
            state.blobs.insert(sums.0.clone(), bytes.clone());
            added.files.push(File { path: (*path).to_owned(), bytes, lfs, sums });
        }
        state.repos.insert(repo.to_owned(), added);
    }

    /// Shows a repository only to whoever has the token.
    pub fn gate(&self, repo: &str, token: &str) {
        let mut state = self.state();
        let repo = state.repos.get_mut(repo).expect("a repository");
        repo.gated = Some(token.to_owned());
    }

    /// Adds a model of Ollama's registry: kinds and bytes of its layers.
    pub fn add_ollama(&self, name: &str, tag: &str, layers: &[(&str, &[u8])]) -> String {
        let mut state = self.state();
        let mut layer = |(kind, bytes): &(&str, &[u8])| {
            let hex = sha256(bytes);
            state.blobs.insert(hex.clone(), Arc::new(bytes.to_vec()));
            let media = format!("application/vnd.ollama.image.{kind}");
            json!({"mediaType": media, "digest": format!("sha256:{hex}"), "size": bytes.len()})
        };
        let (configs, layers): (Vec<_>, Vec<_>) =
            layers.iter().copied().partition(|(kind, _)| *kind == "config");
        let layers: Vec<Value> = layers.iter().map(&mut layer).collect();
        let config = layer(configs.first().unwrap_or(&("config", b"{}")));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": config,
            "layers": layers,
        });
        self.add_manifest_to(&mut state, name, tag, manifest.to_string())
    }

    /// Adds a manifest as it is.
    pub fn add_manifest(&self, name: &str, tag: &str, manifest: &str) {
        self.add_manifest_to(&mut self.state(), name, tag, manifest.to_owned());
    }

    fn add_manifest_to(&self, state: &mut State, name: &str, tag: &str, text: String) -> String {
        state.manifests.insert(format!("/v2/library/{name}/manifests/{tag}"), text.clone());
        text
    }

    /// Changes how it misbehaves.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    /// Bytes of the storage's bodies that were sent since the last call.
    pub fn sent(&self) -> usize {
        std::mem::take(&mut self.state().sent)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Git's sum of a blob, in hex.
pub fn git_sha1(bytes: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Numbers that look random, the same for a seed.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// A request as it comes in.
struct Request {
    method: String,
    path: String,
    range: Option<(usize, usize)>,
    token: Option<String>,
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, range: None, token: None };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { return Some(request) };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (first, last) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
                request.range = Some((first.parse().ok()?, last.parse().unwrap_or(usize::MAX - 1)));
            }
            "authorization" => request.token = value.trim().strip_prefix("Bearer ").map(Into::into),
            _ => {}
        }
    }
}

/// An answer: a status, headers, a body.
struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Arc<Vec<u8>>,
}

fn serve(stream: TcpStream, state: &Mutex<State>, storage: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read(&mut reader) {
        let (answer, faults) = {
            let mut state = lock(state);
            state.asked.push(Asked {
                line: format!("{} {}", request.method, request.path),
                range: request.range,
                token: request.token.is_some(),
                storage,
            });
            let answer = match state.faults.statuses.pop_front() {
                Some((status, header)) if status > 0 => {
                    Answer { status, headers: vec![header], body: Arc::default() }
                }
                _ if storage => stored(&state, &request),
                _ => answer(&state, &request),
            };
            let mut faults = state.faults.clone();
            let cut = if storage { state.faults.cut_after.pop_front() } else { None };
            faults.cut_after = cut.into_iter().collect();
            (answer, faults)
        };
        if !send(&stream, &request, answer, &faults, storage, state)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Sends an answer; whether the connection is still good.
fn send(
    mut stream: &TcpStream,
    request: &Request,
    answer: Answer,
    faults: &Faults,
    storage: bool,
    state: &Mutex<State>,
) -> std::io::Result<bool> {
    let Answer { mut status, mut headers, body } = answer;
    // An empty line would end the headers.
    headers.retain(|header| !header.is_empty());
    let all = body.len();
    let mut part = 0..all;
    if let (Some((first, last)), 200, false) = (request.range, status, faults.whole_only) {
        part = first.min(all)..last.saturating_add(1).min(all);
        status = 206;
        headers.push(format!("Content-Range: bytes {first}-{}/{all}", part.end.max(1) - 1));
    }
    let mut bytes = body[part].to_vec();
    if storage && faults.wrong && !bytes.is_empty() {
        bytes[0] ^= 1;
    }
    if storage {
        bytes.extend(vec![0; faults.surplus]);
    }
    headers.push(format!("Content-Length: {}", bytes.len()));
    let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    stream.write_all(format!("HTTP/1.1 {status} Status\r\n{head}\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    let cut = faults.cut_after.front().copied().unwrap_or(usize::MAX);
    let (chunk, pause) = faults.slow.unwrap_or((1 << 20, Duration::ZERO));
    for piece in bytes[..bytes.len().min(cut)].chunks(chunk) {
        stream.write_all(piece)?;
        if storage {
            lock(state).sent += piece.len();
        }
        thread::sleep(pause);
    }
    Ok(cut >= bytes.len())
}

/// What the hub or registry answers.
fn answer(state: &State, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    let none = |code: &str| error(404, code);
    if let Some(text) = state.manifests.get(path) {
        let body = Arc::new(text.clone().into_bytes());
        return Answer { status: 200, headers: Vec::new(), body };
    }
    if let Some((_, hex)) = path.split_once("/blobs/sha256:") {
        let location = format!("Location: {}/{hex}?signed=1", state.storage);
        return Answer { status: 307, headers: vec![location], body: Arc::default() };
    }
    let (is_api, rest) = match path.strip_prefix("/api/models/") {
        Some(rest) => (true, rest),
        None => (false, path.trim_start_matches('/')),
    };
    let mut parts = rest.splitn(5, '/');
    let name = format!("{}/{}", parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let Some(repo) = state.repos.get(&name) else { return error(401, "RepoNotFound") };
    let revision = parts.nth(1).unwrap_or("main");
    if !["main", COMMIT].contains(&revision) {
        return none("RevisionNotFound");
    }
    if is_api {
        let listed = listing(&name, repo, &state.faults).to_string();
        return Answer { status: 200, headers: vec![], body: Arc::new(listed.into_bytes()) };
    }
    if repo.gated.is_some() && repo.gated != request.token {
        return error(if request.token.is_some() { 403 } else { 401 }, "GatedRepo");
    }
    let path = parts.next().unwrap_or_default();
    let Some(file) = repo.files.iter().find(|file| file.path == path) else {
        return none("EntryNotFound");
    };
    let mut headers = vec![format!("X-Repo-Commit: {COMMIT}")];
    if !file.lfs {
        headers.push(format!("ETag: \"{}\"", file.sums.1));
        return Answer { status: 200, headers, body: file.bytes.clone() };
    }
    let hex = &file.sums.0;
    headers.push(format!("X-Linked-Etag: \"{hex}\""));
    headers.push(format!("X-Linked-Size: {}", file.bytes.len()));
    headers.push(format!("Location: {}/{hex}?signed=1", state.storage));
    Answer { status: 302, headers, body: Arc::default() }
}

fn stored(state: &State, request: &Request) -> Answer {
    let hex = request.path.trim_start_matches('/').split('?').next().unwrap_or_default();
    match state.blobs.get(hex) {
        Some(body) => {
            let headers = vec![format!("ETag: \"{hex}\""), "Accept-Ranges: bytes".to_owned()];
            Answer { status: 200, headers, body: body.clone() }
        }
        None => error(404, ""),
    }
}

fn error(status: u16, code: &str) -> Answer {
    Answer { status, headers: vec![format!("X-Error-Code: {code}")], body: Arc::default() }
}

/// What the hub says of a repository with `?blobs=true`.
fn listing(name: &str, repo: &Repo, faults: &Faults) -> Value {
    let sibling = |file: &File| {
        let size = faults.size.unwrap_or(file.bytes.len() as u64);
        let mut entry = json!({
            "rfilename": faults.path.as_ref().unwrap_or(&file.path),
            "size": size,
            "blobId": file.sums.1,
        });
        if file.lfs {
            entry["lfs"] = json!({"sha256": file.sums.0, "size": size, "pointerSize": 134});
        }
        entry
    };
    let siblings: Vec<Value> = repo.files.iter().map(sibling).collect();
    json!({"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings})
}
