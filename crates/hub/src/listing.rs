//! What a repository of the hub holds at a commit: one answer names every file, its bytes and its
//! sum.

use serde::Deserialize;

use crate::client::{Ask, Client, Listener};
use crate::digest::Digest;
use crate::name::HubName;
use crate::places::Places;
use crate::{HubError, limits};

/// A repository at a commit.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The commit, in hex.
    pub commit: String,
    /// Its files, by path.
    pub files: Vec<RemoteFile>,
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub struct RemoteFile {
    /// Its path in the repository; it cannot leave a directory.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its sum, which is also its name among the cache's blobs.
    pub digest: Digest,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

/// Asks for a repository's files.
pub fn list(
    client: &Client,
    places: &Places,
    name: &HubName,
    listener: Listener<'_>,
) -> Result<Listing, HubError> {
    let endpoint = &places.hf_endpoint;
    let url =
        format!("{endpoint}/api/models/{}/revision/{}?blobs=true", name.repo, name.revision());
    let token = places.hf_token.as_deref();
    let text = client.text(Ask { url: &url, token, ..Ask::default() }, listener)?;
    let hostile = |what: String| HubError::hostile(&url, what);
    let answer: Answer = serde_json::from_slice(&text)
        .map_err(|error| hostile(format!("it is no listing of a repository ({error})")))?;
    if !matches!(Digest::parse(&answer.sha), Some(Digest::Git(_))) {
        return Err(hostile(format!("`{}` is no commit", shorten(&answer.sha))));
    }
    if answer.siblings.len() > limits::FILES_MAX {
        return Err(hostile(format!("it lists {} files", answer.siblings.len())));
    }
    let mut files = Vec::new();
    for sibling in answer.siblings {
        let path = sibling.rfilename;
        if !is_relative(&path) {
            return Err(hostile(format!("the path `{}` leaves its directory", shorten(&path))));
        }
        let (hex, bytes) = match sibling.lfs {
            Some(lfs) => (Some(lfs.sha256), Some(lfs.size)),
            None => (sibling.blob_id, sibling.size),
        };
        let digest = hex.as_deref().and_then(Digest::parse);
        let (Some(digest), Some(bytes)) = (digest, bytes) else {
            let what = format!("`{}` has no size or no sum to verify it by", shorten(&path));
            return Err(hostile(what));
        };
        if bytes > limits::FILE_BYTES_MAX {
            return Err(hostile(format!("`{}` would have {bytes} bytes", shorten(&path))));
        }
        files.push(RemoteFile { path, bytes, digest });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(pair) = files.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(hostile(format!("it lists `{}` twice", shorten(&pair[0].path))));
    }
    Ok(Listing { commit: answer.sha, files })
}

/// The address of a file's bytes.
pub fn url(places: &Places, repo: &str, commit: &str, path: &str) -> String {
    format!("{}/{repo}/resolve/{commit}/{}", places.hf_endpoint, escaped(path))
}

/// Whether a path of forward slashes stays below the directory that it is put into.
pub fn is_relative(path: &str) -> bool {
    let fine = |part: &str| !part.is_empty() && part != "." && part != "..";
    let odd = |c: char| c.is_control() || c == '\\' || c == ':';
    path.len() <= limits::NAME_BYTES_MAX && !path.contains(odd) && path.split('/').all(fine)
}

/// A path within an address.
fn escaped(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    let mut out = String::new();
    for byte in path.as_bytes() {
        match plain(byte) {
            true => out.push(char::from(*byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What a server says, short enough for an error.
pub fn shorten(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    match clean.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean,
    }
}
