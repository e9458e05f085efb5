//! `russet render`: what a chat template makes of its inputs.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;
use tokens::{Template, TemplateError, Vocab, builtin_template};
use weights::SideFiles;

use crate::download;
use crate::flags::HubArgs;
use crate::vocab::Texts;

/// Render a chat template
///
/// Reads the template's inputs (messages, tools, add_generation_prompt, ...) from stdin as one JSON
/// object and prints the text, nothing added. Where the template refuses its inputs, its own
/// message goes to stderr and the exit code is 1. For a MODEL, bos_token and eos_token are filled
/// in unless given.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A template file, or a model that brings one
    #[arg(value_name = "TEMPLATE.jinja|MODEL")]
    template: PathBuf,
    /// The template of that name, of a model that has several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    hub: HubArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut inputs = String::new();
    std::io::stdin().read_to_string(&mut inputs).context("stdin is not UTF-8 text")?;
    let mut inputs: Value =
        serde_json::from_str(&inputs).context("stdin holds no JSON with the template's inputs")?;
    let source = source(&args, &mut inputs)?;
    let template = Template::new(&source).with_context(|| args.template.display().to_string())?;
    match template.render(&inputs) {
        Ok(text) => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
            Ok(ExitCode::SUCCESS)
        }
        Err(TemplateError::Raised(message)) => {
            eprintln!("{message}");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error).with_context(|| args.template.display().to_string()),
    }
}

/// The template's text; a model's special tokens go into `inputs` where these leave them out.
fn source(args: &Args, inputs: &mut Value) -> anyhow::Result<String> {
    let path = &args.template;
    if is_template(path) {
        let Ok(text) = String::from_utf8(SideFiles::read(path)?) else {
            bail!("{} is not UTF-8; give a Jinja template", path.display());
        };
        return Ok(text);
    }
    let name = path.to_str().context("the name is no UTF-8 text")?;
    let (found, _headers) = download::headers(&args.hub.hub(), name)?;
    let texts = Texts::open(&download::path(&found))?;
    if let (Some(vocab), Value::Object(inputs)) = (texts.vocab()?, &mut *inputs) {
        for (name, token) in special_tokens(&vocab) {
            inputs.entry(name).or_insert(token);
        }
    }
    let templates = texts.templates()?;
    let with_tools = inputs.get("tools").is_some_and(|tools| !tools.is_null());
    let chosen = match &args.name {
        Some(name) => Some(templates.named(name).with_context(|| {
            let names: Vec<_> = templates.names().collect();
            format!("the model has no template `{name}`; it has: {}", names.join(", "))
        })?),
        None => russet::laid_over(&found.recipe).or(templates.choose(with_tools)),
    };
    if chosen.is_none() {
        eprintln!("the model brings no chat template; this is Russet's plain one");
    }
    Ok(chosen.unwrap_or(builtin_template()).to_owned())
}

/// Anything but a model's own file or directory is read as a template.
fn is_template(path: &Path) -> bool {
    let is_gguf = || {
        let mut magic = [0; 4];
        let file = std::fs::File::open(path);
        file.and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"GGUF"
    };
    path.is_file() && !is_gguf() || path.extension().is_some_and(|end| end == "jinja")
}

fn special_tokens(vocab: &Vocab) -> [(&'static str, Value); 2] {
    let text = |id: Option<u32>| id.and_then(|id| vocab.token_text(id)).unwrap_or_default();
    let eos = vocab.eos().first().copied();
    [("bos_token", text(vocab.bos()).into()), ("eos_token", text(eos).into())]
}
