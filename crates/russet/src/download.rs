//! Downloads as the user sees them: what and how much before it begins, then how far it is.

use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::Context;
use hub::{At, Event, Found, Headers, Hub, HubError, Pull};
use indicatif::{ProgressBar, ProgressStyle};
use russet::machine;

use crate::terminal::{self, bytes};

/// The model that a name means; one that is not on this machine is downloaded.
pub fn found(hub: &Hub, name: &str) -> anyhow::Result<Found> {
    let found = match hub.find(name) {
        Err(HubError::NotHere(_)) => pull(hub, &plan(hub, name)?)?,
        found => found?,
    };
    say(&found);
    Ok(found)
}

/// The same for whoever needs no weights: of a model that is not here, its headers.
pub fn headers(hub: &Hub, name: &str) -> anyhow::Result<(Found, Option<Headers>)> {
    match hub.find(name) {
        Err(HubError::NotHere(_)) => {}
        found => return Ok((found?, None)),
    }
    let plan = plan(hub, name)?;
    let dir = machine::cache_dir().context("there is no cache directory: HOME is not set")?;
    let dir = dir.join("headers").join(std::process::id().to_string());
    let bar = terminal::spinner(format!("reading the headers of {}", plan.what));
    let headers = hub.headers(&plan, &dir, &|_| {})?;
    bar.finish_and_clear();
    let (read, all) = (bytes(headers.bytes as f64), bytes(plan.bytes() as f64));
    eprintln!("{} is not on this machine: {read} of {all} read, nothing kept", plan.what);
    say(&headers.found);
    Ok((headers.found.clone(), Some(headers)))
}

/// Where a found model lies; the built-in one by its name.
pub fn path(found: &Found) -> PathBuf {
    match &found.at {
        At::Builtin => hub::BUILTIN.into(),
        At::Path(path) => path.clone(),
    }
}

/// Asks what there is to download.
pub fn plan(hub: &Hub, name: &str) -> anyhow::Result<Pull> {
    let spinner = terminal::spinner(format!("asking for {name}"));
    let plan = hub.plan(name, &|event| {
        if let Event::Waiting { pause, why } = event {
            spinner.set_message(waiting(pause, why));
        }
    });
    spinner.finish_and_clear();
    Ok(plan?)
}

/// Downloads what is missing and says so.
pub fn pull(hub: &Hub, pull: &Pull) -> anyhow::Result<Found> {
    announce(pull);
    let shown = Shown::new(pull);
    let found = hub.pull(pull, &|event| shown.hear(event));
    shown.bar.finish_and_clear();
    Ok(found?)
}

/// What the user should know of a model that is about to be used.
pub fn say(found: &Found) {
    found.notes.iter().for_each(|text| terminal::note(text));
    if let Some(error) = russet::unread_template(&found.recipe) {
        terminal::note(&format!("{error}; the template in the model's own file serves"));
    }
}

/// What will be downloaded, why that, and how much.
fn announce(pull: &Pull) {
    let (all, missing) = (pull.bytes(), pull.missing());
    let files = match pull.files.len() {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    };
    let size = bytes(all as f64);
    let rest = match all - missing {
        0 => String::new(),
        have => format!(", {} of it here already", bytes(have as f64)),
    };
    let what = if pull.what == pull.name { String::new() } else { format!(" ({})", pull.what) };
    eprintln!("pulling {}{what}: {size} in {files}{rest}", pull.name);
    if let Some(why) = &pull.why {
        eprintln!("  this variant because {why}");
    }
    if !pull.fits {
        terminal::note("this does not fit in the machine's memory; it will be slow");
    }
}

fn waiting(pause: std::time::Duration, why: &str) -> String {
    format!("{why}; waiting {} s", pause.as_secs())
}

/// A bar over all files.
struct Shown {
    bar: ProgressBar,
    file: Mutex<String>,
}

impl Shown {
    fn new(pull: &Pull) -> Shown {
        const TEMPLATE: &str =
            "{wide_msg} {bar:24} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(TEMPLATE);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(pull.bytes()).with_style(style);
        bar.set_position(pull.bytes() - pull.missing());
        // What is here already took no time.
        bar.reset_eta();
        Shown { bar, file: Mutex::new(String::new()) }
    }

    fn hear(&self, event: Event<'_>) {
        let named = |suffix: &str| {
            let file = self.file.lock().map(|file| file.clone()).unwrap_or_default();
            self.bar.set_message(format!("{file}{suffix}"));
        };
        match event {
            Event::File { name, .. } => {
                if let Ok(mut file) = self.file.lock() {
                    name.clone_into(&mut file);
                }
                named("");
            }
            Event::Bytes(n) => self.bar.inc(n),
            Event::Again(n) => {
                self.bar.set_position(self.bar.position().saturating_sub(n));
                named(", once more from the beginning");
            }
            Event::Verifying => named(", verifying"),
            Event::Locked => named(", which another process is downloading"),
            Event::Waiting { pause, why } => self.bar.set_message(waiting(pause, why)),
        }
    }
}
