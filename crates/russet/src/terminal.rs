//! The terminal: errors, progress, Ctrl-C and how numbers are written.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cpu::{Effort, Isa, Peaks};
use indicatif::{ProgressBar, ProgressStyle};

use crate::machine;

/// The exit code of a program that was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Says what went wrong, each cause once.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    // The reader of a pipe has seen enough.
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
    };
    if error.chain().any(|cause| io(cause) == Some(ErrorKind::BrokenPipe)) {
        return ExitCode::SUCCESS;
    }
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    eprintln!("error: {text}");
    ExitCode::FAILURE
}

/// A note for the user, beside the answer.
pub fn note(text: &str) {
    eprintln!("note: {text}");
}

/// Something that takes a while; nothing is shown where stderr is no terminal.
pub fn spinner(what: impl Into<String>) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.into());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Something that takes a while and whose end is known.
pub fn bar(what: &'static str, total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total as u64).with_style(style).with_message(what)
}

/// The machine's peaks; says so where they have to be measured first.
pub fn peaks(isa: Isa, threads: usize) -> Peaks {
    machine::cached(isa, threads).unwrap_or_else(|| {
        let spinner = spinner("measuring this machine, which is done once");
        let peaks = machine::measure(isa, threads, Effort::Quick);
        spinner.finish_and_clear();
        peaks
    })
}

/// Ctrl-C as a flag that a running answer reads. Pressed while nothing reads it, or a second time,
/// it ends the program.
pub struct Interrupt {
    pressed: AtomicBool,
    listened: AtomicBool,
}

static INTERRUPT: LazyLock<Interrupt> = LazyLock::new(|| {
    // Without a handler Ctrl-C ends the program at once, which is acceptable.
    let _ = ctrlc::set_handler(|| {
        let interrupt = &*INTERRUPT;
        let listened = interrupt.listened.load(Ordering::SeqCst);
        if !listened || interrupt.pressed.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    Interrupt { pressed: AtomicBool::new(false), listened: AtomicBool::new(false) }
});

impl Interrupt {
    /// Runs `work`, which ends soon after its flag is set.
    pub fn listen<T>(work: impl FnOnce(&AtomicBool) -> T) -> T {
        let interrupt = &*INTERRUPT;
        interrupt.pressed.store(false, Ordering::SeqCst);
        interrupt.listened.store(true, Ordering::SeqCst);
        let result = work(&interrupt.pressed);
        interrupt.listened.store(false, Ordering::SeqCst);
        result
    }
}

/// Bytes as people read them, in powers of 1024.
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024.0
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{value:.0} B") } else { format!("{} {unit}", significant(value)) }
}

/// A large number with its magnitude: 596.05 M.
pub fn count(value: f64) -> String {
    const UNITS: [&str; 4] = ["", "k", "M", "G"];
    let mut value = value;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1000.0
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1000.0, next);
    }
    if unit.is_empty() { format!("{value:.0}") } else { format!("{} {unit}", significant(value)) }
}

/// A number in three or more digits: rates, sizes.
pub fn significant(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    if share < 0.1 { format!("{:.1}%", share * 100.0) } else { format!("{:.0}%", share * 100.0) }
}
