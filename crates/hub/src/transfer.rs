//! One file from a server to its place: in parallel, resumed, verified, all or nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::client::{Ask, Client, Event, Listener, Patience};
use crate::digest::Digest;
use crate::error::bare;
use crate::partial::{Partial, SUFFIX};
use crate::{HubError, limits};

/// A file that a server has.
#[derive(Clone, Debug)]
pub struct Remote<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// Its address.
    pub url: String,
    /// A token for that address.
    pub token: Option<&'a str>,
    /// Its bytes.
    pub bytes: u64,
    /// Its sum.
    pub digest: &'a Digest,
}

const BUFFER: usize = 128 << 10;

/// Where the bytes of an unfinished file lie.
pub fn partial_path(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(SUFFIX);
    to.with_file_name(name)
}

/// Bytes of a file that an earlier attempt left.
pub fn have(to: &Path, bytes: u64) -> u64 {
    Partial::held(&partial_path(to), bytes).unwrap_or(0)
}

/// Brings a file to `to`, unless it is there. One process at a time does so, the one that holds
/// the lock. Whether anything was downloaded.
pub fn fetch(
    client: &Client,
    remote: &Remote<'_>,
    to: &Path,
    lock: &Path,
    listener: Listener<'_>,
) -> Result<bool, HubError> {
    if is_whole(to, remote.bytes) {
        return Ok(false);
    }
    let dir = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(HubError::io("cannot make the directory", dir))?;
    let held = Lock::take(lock, listener)?;
    if is_whole(to, remote.bytes) {
        return Ok(false);
    }
    // Where there are no locks another process may be at the same file, but never at these bytes.
    let path = match held.excludes {
        true => partial_path(to),
        false => partial_path(&to.with_extension(std::process::id().to_string())),
    };
    let broken = |act| HubError::io(act, &path);
    let mut partial =
        Partial::open(&path, remote.bytes).map_err(broken("cannot write the file"))?;
    let have = partial.have();
    room(remote.name, remote.bytes - have, dir)?;
    listener(Event::File { name: remote.name, bytes: remote.bytes, have });
    fill(client, remote, &partial, &path, listener)?;
    let mut outcome = verify(remote, &partial, &path, listener);
    if let Err(HubError::Wrong { .. }) = outcome
        && have > 0
    {
        // What an earlier attempt left may be what is wrong.
        partial.begin().map_err(broken("cannot write the file"))?;
        listener(Event::Again(remote.bytes));
        fill(client, remote, &partial, &path, listener)?;
        outcome = verify(remote, &partial, &path, listener);
    }
    if let Err(wrong @ HubError::Wrong { .. }) = outcome {
        fs::remove_file(&path).map_err(broken("cannot remove"))?;
        return Err(wrong);
    }
    outcome?;
    partial.finish(to).map_err(broken("cannot finish the file"))?;
    Ok(true)
}

/// Whether a file is there with the length that it should have. Files get their names when they
/// are verified, by Russet as by others, so a length is enough.
pub fn is_whole(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == bytes)
}

/// Downloads every segment that is not complete.
fn fill(
    client: &Client,
    remote: &Remote<'_>,
    partial: &Partial,
    path: &Path,
    listener: Listener<'_>,
) -> Result<(), HubError> {
    let open = partial.segments().into_iter().enumerate();
    let open: Vec<usize> =
        open.filter(|(_, (_, done, all))| done < all).map(|(index, _)| index).collect();
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure: Mutex<Option<HubError>> = Mutex::new(None);
    let work = || {
        while let Some(&index) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let segment = Segment { client, remote, partial, path, index };
            if let Err(error) = segment.download(&stop, listener) {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        (0..open.len().min(limits::CONNECTIONS)).for_each(|_| drop(scope.spawn(work)));
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Part of a download.
struct Segment<'a> {
    client: &'a Client,
    remote: &'a Remote<'a>,
    partial: &'a Partial,
    path: &'a Path,
    index: usize,
}

impl Segment<'_> {
    /// Goes on until the segment is complete.
    fn download(&self, stop: &AtomicBool, listener: Listener<'_>) -> Result<(), HubError> {
        let mut patience = Patience::default();
        loop {
            let (start, done, all) = self.partial.segments()[self.index];
            if done == all || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let remote = self.remote;
            let ask = Ask { url: &remote.url, token: remote.token, ..Ask::default() };
            let range = start + done..start + all;
            let answer = self.client.range(ask, range, remote.bytes, &mut patience, listener)?;
            let why = match self.take(answer, all - done, &mut patience, stop, listener)? {
                None => continue,
                Some(why) => why,
            };
            if !patience.pause(None, &why, listener) {
                return Err(HubError::Network { url: bare(&remote.url).to_owned(), why });
            }
        }
    }

    /// Writes down what arrives, up to `wanted` bytes; why it broke off, if it did.
    fn take(
        &self,
        mut answer: impl Read,
        wanted: u64,
        patience: &mut Patience,
        stop: &AtomicBool,
        listener: Listener<'_>,
    ) -> Result<Option<String>, HubError> {
        let mut buffer = vec![0; BUFFER];
        let mut left = wanted;
        while !stop.load(Ordering::Relaxed) {
            let n = match answer.read(&mut buffer) {
                Ok(0) if left == 0 => return Ok(None),
                Ok(0) => return Ok(Some("the connection ended early".to_owned())),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Some(error.to_string())),
            };
            if n as u64 > left {
                let what = "it sends more bytes than it announced";
                return Err(HubError::hostile(&self.remote.url, what));
            }
            let written = self.partial.append(self.index, &buffer[..n]);
            written.map_err(HubError::io("cannot write", self.path))?;
            left -= n as u64;
            patience.renew();
            listener(Event::Bytes(n as u64));
        }
        Ok(None)
    }
}

/// Compares the file's sum with the one announced.
fn verify(
    remote: &Remote<'_>,
    partial: &Partial,
    path: &Path,
    listener: Listener<'_>,
) -> Result<(), HubError> {
    listener(Event::Verifying);
    let read = || {
        // A file of its own, so that it is read from the beginning.
        let file = File::open(path)?;
        remote.digest.of_file(&file, remote.bytes)
    };
    partial.file().sync_data().map_err(HubError::io("cannot write", path))?;
    let found = read().map_err(HubError::io("cannot read", path))?;
    if found == remote.digest.hex() {
        return Ok(());
    }
    Err(HubError::Wrong {
        file: remote.name.to_owned(),
        kind: remote.digest.kind(),
        found,
        expected: remote.digest.hex().to_owned(),
    })
}

/// Refuses what the disk has no room for.
pub fn room(what: &str, needed: u64, dir: &Path) -> Result<(), HubError> {
    // The directory may not be there yet; what is above it lies on the same disk.
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    let Ok(disk) = rustix::fs::statvfs(there) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if needed == 0 || needed.saturating_add(limits::DISK_RESERVE.min(needed / 16)) <= free {
        return Ok(());
    }
    Err(HubError::Disk { what: what.to_owned(), needed, free, dir: there.to_owned() })
}

/// A lock that ends with its process: `flock` on a file, as `filelock` in Python does it.
pub struct Lock {
    _file: File,
    /// Whether it keeps others out; some file systems know no locks.
    excludes: bool,
}

impl Lock {
    /// Takes it if no other process has it.
    pub fn take_free(path: &Path) -> Option<Lock> {
        let dir = path.parent()?;
        fs::create_dir_all(dir).ok()?;
        let options = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = options.ok()?;
        file.try_lock().ok().map(|()| Lock { _file: file, excludes: true })
    }

    /// Waits until no other process has it.
    pub fn take(path: &Path, listener: Listener<'_>) -> Result<Lock, HubError> {
        let broken = |act| HubError::io(act, path);
        let dir = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(HubError::io("cannot make the directory", dir))?;
        loop {
            let options = OpenOptions::new().write(true).create(true).truncate(false).open(path);
            let file = options.map_err(broken("cannot open the lock"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => {
                    listener(Event::Locked);
                    file.lock().map_err(broken("cannot lock"))?;
                }
                Err(fs::TryLockError::Error(_)) => {
                    return Ok(Lock { _file: file, excludes: false });
                }
            }
            // Whoever had it may have removed the file; then another one is the lock now.
            let ours = file.metadata().map_err(broken("cannot read"))?;
            let same = |there: fs::Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
            if fs::metadata(path).is_ok_and(same) {
                return Ok(Lock { _file: file, excludes: true });
            }
        }
    }
}
