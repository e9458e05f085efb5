//! The program `russet`: what it does is in the command line's description.
#![forbid(unsafe_code)]

mod commands;
mod download;
mod flags;
mod load;
mod terminal;

use std::process::ExitCode;

use russet::{machine, vocab};

fn main() -> ExitCode {
    let result = flags::parse().map(commands::run);
    match result {
        Ok(Ok(code)) | Err(code) => code,
        Ok(Err(error)) => terminal::fail(&error),
    }
}
