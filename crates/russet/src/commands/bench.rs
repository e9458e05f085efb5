//! Placeholder.
use std::process::ExitCode;
/// Placeholder
#[derive(clap::Args, Debug)]
pub struct Args {}
pub fn run(_: Args) -> anyhow::Result<ExitCode> { Ok(ExitCode::SUCCESS) }
