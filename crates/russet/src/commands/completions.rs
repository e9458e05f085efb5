//! `russet completions`: what a shell needs to complete Russet's commands.

use std::process::ExitCode;

use clap_complete::Shell;

/// Print completions for a shell
///
/// For example: russet completions bash > ~/.local/share/bash-completion/completions/russet
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut command = crate::flags::command();
    let name = command.get_name().to_owned();
    // Written at once, so that a closed pipe is an error and no panic.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut text);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &text)?;
    Ok(ExitCode::SUCCESS)
}
