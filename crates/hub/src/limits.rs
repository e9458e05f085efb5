//! Every bound on what a server, a store or a file may make this crate do.

use std::time::Duration;

/// Bytes of an answer that describes files: listings, manifests.
pub const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// Files of a repository, layers of a manifest.
pub const FILES_MAX: usize = 10_000;
/// Bytes of one file; larger than any that is published.
pub const FILE_BYTES_MAX: u64 = 4 << 40;
/// Bytes of a file's name within its repository.
pub const NAME_BYTES_MAX: usize = 512;
/// Bytes of a small file that this crate reads whole: records, Modelfiles, layers of text.
pub const TEXT_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a header that is read without its weights.
pub const HEADER_BYTES_MAX: u64 = 256 << 20;
/// Redirects that one request may follow.
pub const REDIRECTS_MAX: usize = 8;
/// Connections of one download.
pub const CONNECTIONS: usize = 8;
/// Bytes of the parts that a file is cut into; shorter files arrive in one.
pub const SEGMENT_BYTES_MIN: u64 = 8 << 20;
/// Attempts in a row that bring no byte.
pub const ATTEMPTS_MAX: u32 = 6;
/// The first pause between attempts; each further one is twice as long.
pub const PAUSE: Duration = Duration::from_millis(300);
/// The longest pause that a server may ask for and is granted.
pub const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How long a connection may take to come about.
pub const CONNECT_MAX: Duration = Duration::from_secs(15);
/// How long a server may be silent.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Bytes that stay free on a disk when a download is done.
pub const DISK_RESERVE: u64 = 16 << 20;
/// How deep directories of models are searched.
pub const DEPTH_MAX: usize = 5;
/// Entries of directories that a search looks at.
pub const ENTRIES_MAX: usize = 200_000;
