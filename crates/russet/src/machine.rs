//! The machine as Russet uses it: its processor, and what it can do at best.
//!
//! Measuring takes seconds, so results are kept in the user's cache directory, one for each
//! processor, set of vector instructions and number of threads.

mod cores;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cpu::{Effort, Isa, Peaks};
use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

pub use cores::Cores;

/// Names the vector instructions to use instead of the best that there are.
pub const CPU_VARIABLE: &str = "RUSSET_CPU";

/// What the system says about itself.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Its cores.
    pub cores: Cores,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes that programs could have now.
    pub memory_available_bytes: u64,
}

impl Machine {
    /// Asks the system.
    pub fn find() -> Machine {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(what).ok();
        let cpu = system.as_ref().and_then(|system| system.cpus().first());
        let name = cpu.map(|cpu| cpu.brand().trim().to_owned());
        Machine {
            cpu: name.filter(|name| !name.is_empty()).unwrap_or("unknown".to_owned()),
            cores: Cores::find(),
            memory_bytes: system.as_ref().map_or(0, System::total_memory),
            memory_available_bytes: system.as_ref().map_or(0, System::available_memory),
        }
    }
}

/// The vector instructions to use: the best, unless `RUSSET_CPU` names others.
///
/// # Errors
/// The name is none, or of instructions that this processor lacks.
pub fn isa() -> anyhow::Result<Isa> {
    let Ok(name) = std::env::var(CPU_VARIABLE) else { return Ok(Isa::best()) };
    match Isa::from_name(&name) {
        Some(isa) => Ok(isa),
        None => {
            let names: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
            bail!("{CPU_VARIABLE} is `{name}`; this processor has: {}", names.join(", "))
        }
    }
}

/// The threads to use unless told otherwise: one for each core that is not an efficiency core.
pub fn threads() -> usize {
    Cores::find().threads()
}

/// The machine's peaks as measured before.
pub fn cached(isa: Isa, threads: usize) -> Option<Peaks> {
    let kept = Kept::read(&file()?);
    let key = Key::new(isa, threads);
    kept.measured.into_iter().find(|entry| entry.key == key).map(|entry| entry.peaks(threads))
}

/// Measures the machine's peaks and keeps them. Without a place to keep them they are measured
/// again the next time.
pub fn measure(isa: Isa, threads: usize, effort: Effort) -> Peaks {
    let peaks = cpu::measure(isa, threads, effort);
    if let Some(file) = file() {
        let _ = keep(&file, Entry::new(Key::new(isa, threads), peaks));
    }
    peaks
}

/// The machine's peaks: those measured before, else measured quickly.
pub fn peaks(isa: Isa, threads: usize) -> Peaks {
    cached(isa, threads).unwrap_or_else(|| measure(isa, threads, Effort::Quick))
}

/// What a measurement holds for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Key {
    cpu: String,
    isa: String,
    threads: usize,
    /// A newer Russet may measure better.
    version: String,
}

impl Key {
    fn new(isa: Isa, threads: usize) -> Key {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Key { cpu: Machine::find().cpu, isa: isa.name().to_owned(), threads, version }
    }
}

/// A measurement as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    key: Key,
    read_gb_s: f64,
    int8_gop_s: f64,
    f32_gflop_s: f64,
}

impl Entry {
    fn new(key: Key, peaks: Peaks) -> Entry {
        let Peaks { read_gb_s, int8_gop_s, f32_gflop_s, .. } = peaks;
        Entry { key, read_gb_s, int8_gop_s, f32_gflop_s }
    }

    fn peaks(&self, threads: usize) -> Peaks {
        let Entry { read_gb_s, int8_gop_s, f32_gflop_s, .. } = *self;
        Peaks { threads, read_gb_s, int8_gop_s, f32_gflop_s }
    }
}

/// The file's content.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    measured: Vec<Entry>,
}

impl Kept {
    /// A file that is not there, or not ours, holds nothing.
    fn read(file: &Path) -> Kept {
        let text = std::fs::read(file).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

fn keep(file: &Path, entry: Entry) -> anyhow::Result<()> {
    let mut kept = Kept::read(file);
    kept.measured.retain(|other| other.key != entry.key);
    kept.measured.push(entry);
    std::fs::create_dir_all(file.parent().context("a file lies in a directory")?)?;
    // Renamed when whole, so that nobody reads half of it.
    let half = file.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&half, serde_json::to_vec_pretty(&kept)?)?;
    Ok(std::fs::rename(&half, file)?)
}

fn file() -> Option<PathBuf> {
    Some(cache_dir()?.join("machine.json"))
}

/// Where Russet keeps what it can make again; `None` for a user without a home.
pub fn cache_dir() -> Option<PathBuf> {
    let dir = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|d| d.is_absolute());
    let caches = dir("XDG_CACHE_HOME").or_else(|| {
        Some(dir("HOME")?.join(if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" }))
    });
    Some(caches?.join("russet"))
}

/// Where what the user made is kept; `None` for a user without a home.
pub fn data_dir() -> Option<PathBuf> {
    let dir = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|d| d.is_absolute());
    let local =
        if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    let data = dir("XDG_DATA_HOME").or_else(|| Some(dir("HOME")?.join(local)));
    Some(data?.join("russet"))
}

#[cfg(test)]
mod tests;
