//! `russet rm`: away with what Russet brought here.

use std::process::ExitCode;

use hub::Removed;

use crate::flags::HubArgs;
use crate::terminal::bytes;

/// Remove a model or a name
///
/// Only what Russet downloaded or made: another program's models stay, and the answer says whose
/// they are and how to remove them there.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What `russet list` shows as OURS
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<String>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let hub = HubArgs { offline: true }.hub();
    for name in &args.models {
        say(&hub.remove(name)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// What went and what stays.
pub fn say(removed: &Removed) {
    let freed = match removed.bytes {
        0 => String::new(),
        n => format!(", {} free now", bytes(n as f64)),
    };
    match &removed.what[..] {
        [] => eprintln!("nothing is removed"),
        what => eprintln!("removed {}{freed}", what.join(", ")),
    }
    removed.stays.iter().for_each(|what| eprintln!("stays: {what}"));
}
