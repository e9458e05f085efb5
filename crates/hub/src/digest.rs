//! Sums that say whether a file is the one that was announced.

use std::fs::File;
use std::io::{self, Read};

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The announced sum of a file, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Digest {
    /// SHA-256, of files in large-file storage and of layers of a registry.
    Sha256(String),
    /// Git's SHA-1 of a blob, of small files.
    Git(String),
}

const BUFFER: usize = 1 << 20;

impl Digest {
    /// Reads a sum by its length; it can then serve as a file's name.
    pub fn parse(hex: &str) -> Option<Digest> {
        let plain = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match hex.len() {
            _ if !hex.chars().all(plain) => None,
            64 => Some(Digest::Sha256(hex.to_owned())),
            40 => Some(Digest::Git(hex.to_owned())),
            _ => None,
        }
    }

    /// The sum in hex.
    pub fn hex(&self) -> &str {
        match self {
            Digest::Sha256(hex) | Digest::Git(hex) => hex,
        }
    }

    /// What kind of sum it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Digest::Sha256(_) => "SHA-256",
            Digest::Git(_) => "git SHA-1",
        }
    }

    /// The same sum of the first `bytes` of a file, which is read from its beginning.
    pub fn of_file(&self, file: &File, bytes: u64) -> io::Result<String> {
        let mut reader = file.take(bytes);
        match self {
            Digest::Sha256(_) => sum(Sha256::new(), &mut reader),
            Digest::Git(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {bytes}\0"));
                sum(hasher, &mut reader)
            }
        }
    }
}

fn sum(mut hasher: impl sha2::Digest, reader: &mut impl Read) -> io::Result<String> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
