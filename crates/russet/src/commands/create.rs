//! `russet create`: a name for a model with something laid over it, from a Modelfile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use hub::{Adapter, Modelfile};
use russet::{Form, KvKind, Opened};

use crate::download;
use crate::flags::HubArgs;

/// Make a name from a Modelfile
///
/// FROM names the model, or a path from the Modelfile's directory; PARAMETER settings become its
/// defaults, SYSTEM what it is told, MESSAGE how a conversation begins, TEMPLATE (in Jinja, or in
/// Go's language as Ollama's are) its chat template; ADAPTER names a LoRA adapter likewise; LICENSE
/// is kept. What cannot be honoured is refused by its line. No weights are copied.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The new name: name or name:tag
    name: String,
    /// The Modelfile
    #[arg(short, long, value_name = "FILE", default_value = "Modelfile")]
    file: PathBuf,
    #[command(flatten)]
    hub: HubArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let file = args.file.display().to_string();
    let text = fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {file}; give a Modelfile with --file"))?;
    let modelfile = Modelfile::parse(&file, &text)?;
    let hub = args.hub.hub();
    let from = beside(&args.file, &modelfile.from);
    let place = |instruction, nth| modelfile.place(instruction, nth);
    let found = download::found(&hub, &from).with_context(|| place("FROM", 0))?;
    let mut recipe = modelfile.recipe.clone();
    if let Some(template) = &recipe.template {
        tokens::Template::new(template).with_context(|| place("TEMPLATE", usize::MAX))?;
    }
    let mut laid = found;
    for (nth, adapter) in recipe.adapters.iter_mut().enumerate() {
        let path = args.file.parent().unwrap_or(Path::new("")).join(&adapter.path);
        let place = || format!("{} {}", place("ADAPTER", nth), adapter.path.display());
        let absolute = fs::canonicalize(&path)
            .with_context(|| "it cannot be opened; check the path")
            .with_context(place)?;
        laid.recipe.adapters.push(Adapter { path: absolute.clone(), ..*adapter });
        Opened::of(laid.clone(), Form::Fast, KvKind::F16).with_context(place)?;
        adapter.path = absolute;
    }
    hub.create(&args.name, &from, recipe)?;
    eprintln!("{} is made; `russet run {}` uses it", args.name, args.name);
    Ok(ExitCode::SUCCESS)
}

/// A path is meant from the Modelfile's directory.
fn beside(file: &Path, from: &str) -> String {
    let path = file.parent().unwrap_or(Path::new("")).join(from);
    match path.exists() {
        true => path.to_string_lossy().into_owned(),
        false => from.to_owned(),
    }
}
