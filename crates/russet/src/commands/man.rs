//! `russet man`: the manual, from the same declarations as the flags.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap_mangen::Man;

/// Write the manual pages
///
/// One page for each command into DIR; without DIR, the page of the program to stdout.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where to; made if it is not there
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut command = crate::flags::command();
    command.build();
    match args.dir {
        Some(dir) => {
            fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
            write(&command, &dir)?;
        }
        None => std::io::stdout().lock().write_all(&page(&command)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command and those of the commands under it.
fn write(command: &clap::Command, dir: &Path) -> anyhow::Result<()> {
    let title = command.get_display_name().unwrap_or(command.get_name());
    let path = dir.join(format!("{title}.1"));
    fs::write(&path, page(command)?).with_context(|| format!("cannot write {}", path.display()))?;
    let shown = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    command.get_subcommands().filter(shown).try_for_each(|command| write(command, dir))
}

fn page(command: &clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    Ok(text)
}
