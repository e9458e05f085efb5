//! The commands, one file each.

pub mod bench;
pub mod completions;
pub mod cp;
pub mod create;
pub mod doctor;
pub mod explain;
pub mod gc;
pub mod list;
pub mod man;
pub mod perplexity;
pub mod pull;
pub mod render;
pub mod rm;
pub mod run;
pub mod show;
pub mod tokenize;
pub mod verify;

use std::process::ExitCode;

use crate::flags::Command;

/// Does what the command line says.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Pull(args) => pull::run(args),
        Command::List(args) => list::run(args),
        Command::Rm(args) => rm::run(args),
        Command::Cp(args) => cp::run(args),
        Command::Create(args) => create::run(args),
        Command::Gc(args) => gc::run(args),
        Command::Show(args) => show::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Perplexity(args) => perplexity::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Tokenize(args) => tokenize::run(args),
        Command::Render(args) => render::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}
