//! `russet gc`: who uses what, and what nobody does.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::commands::rm;
use crate::flags::{HubArgs, TableArgs};
use crate::terminal::bytes;

/// Show who uses what, and remove what nobody does
///
/// Lists the files that Russet downloaded with the models and names that use them, then those that
/// nobody uses: interrupted downloads, files that no model has any more. With --delete the latter
/// go, except what another process is downloading.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Remove what nobody uses
    #[arg(long)]
    delete: bool,
    #[command(flatten)]
    table: TableArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let hub = HubArgs { offline: true }.hub();
    let (kept, garbage) = hub.usage()?;
    let unused: u64 = garbage.iter().map(|file| file.bytes).sum();
    let text = if args.table.json() {
        let kept = kept.iter().map(|f| json!({"path": f.path, "bytes": f.bytes, "users": f.users}));
        let garbage =
            garbage.iter().map(|f| json!({"path": f.path, "bytes": f.bytes, "why": f.why}));
        let all = json!({
            "used": kept.collect::<Vec<_>>(),
            "unused": garbage.collect::<Vec<_>>(),
        });
        format!("{all:#}\n")
    } else {
        let mut text = String::new();
        for file in &kept {
            let _ = writeln!(text, "{:>10}  {}", bytes(file.bytes as f64), file.users.join(", "));
        }
        for file in &garbage {
            let _ = writeln!(text, "{:>10}  unused: {}", bytes(file.bytes as f64), file.why);
        }
        let _ = match (garbage.is_empty(), args.delete) {
            (true, _) => writeln!(text, "nothing is unused"),
            (false, true) => Ok(()),
            (false, false) => writeln!(
                text,
                "{} are unused; `russet gc --delete` removes them",
                bytes(unused as f64)
            ),
        };
        text
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    if args.delete {
        rm::say(&hub.collect(&garbage)?);
    }
    Ok(ExitCode::SUCCESS)
}
