//! The project's chores. `cargo xtask tidy` holds the tree to its own rules; `cargo xtask seeds`
//! writes what fuzzing begins with.
#![forbid(unsafe_code)]

mod edges;
mod rust;
mod seeds;
mod tidy;
mod tree;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy::run(&tree::Tree::read()?),
        ["seeds"] => seeds::write(),
        _ => {
            eprintln!("usage: cargo xtask tidy|seeds");
            Ok(ExitCode::from(2))
        }
    }
}
