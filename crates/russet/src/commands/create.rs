//! `russet create`: a name for a model with something laid over it, from a Modelfile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use hub::Modelfile;
use russet::{Form, KvKind, Opened};

use crate::download;
use crate::flags::HubArgs;
use crate::terminal;
use crate::vocab::Texts;

/// Make a name from a Modelfile
///
/// FROM names the model, or a path from the Modelfile's directory; PARAMETER settings become its
/// defaults, SYSTEM what it is told, MESSAGE how a conversation begins, TEMPLATE (in Jinja) its
/// chat template; ADAPTER names a LoRA adapter likewise; LICENSE is kept. What cannot be honoured
/// is refused by its line. No weights are copied.
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
    let Modelfile { from, mut recipe } = Modelfile::parse(&file, &text)?;
    let hub = args.hub.hub();
    let from = beside(&args.file, &from);
    let found = download::found(&hub, &from)?;
    if let Some(template) = &recipe.template {
        if hub::is_go_template(template) {
            let own = Texts::open(&download::path(&found))?.templates()?;
            ensure!(
                own.choose(false).is_some(),
                "the TEMPLATE is written in Go's language for Ollama, which Russet does not read, \
                 and the model's file has none of its own; write it in Jinja"
            );
            terminal::note(
                "the TEMPLATE is written in Go's language for Ollama, which Russet does not read; \
                 the template in the model's own file serves",
            );
        } else {
            tokens::Template::new(template).with_context(|| format!("{file}: TEMPLATE"))?;
        }
    }
    for adapter in &mut recipe.adapters {
        let path = args.file.parent().unwrap_or(Path::new("")).join(&adapter.path);
        adapter.path = fs::canonicalize(&path)
            .with_context(|| format!("{file}: ADAPTER {} cannot be opened", path.display()))?;
    }
    if !recipe.adapters.is_empty() {
        let mut found = found;
        found.recipe.adapters.extend(recipe.adapters.clone());
        let opened = Opened::of(found, Form::Fast, KvKind::F16);
        opened.with_context(|| format!("{file}: ADAPTER"))?;
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
