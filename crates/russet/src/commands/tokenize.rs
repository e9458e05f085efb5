//! `russet tokenize`: text to ids, by a model's vocabulary or a bare tokenizer file.

use std::io::{BufRead, Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use tokens::Vocab;

use crate::flags::HubArgs;
use crate::{download, vocab};

/// Show the ids of a text
///
/// Prints a JSON array of ids for each text. Special tokens spelled in the text are read as such.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A model's name, a GGUF file with or without weights, a tokenizer.json or a tokenizer.model
    #[arg(value_name = "MODEL|FILE")]
    model: String,
    /// The text; what stdin holds if absent
    text: Option<String>,
    /// Read a JSON string from each line of stdin and print the ids of each on a line
    #[arg(long, conflicts_with = "text")]
    jsonl: bool,
    /// Leave out the tokens that the model puts around every text
    #[arg(long)]
    no_bos: bool,
    #[command(flatten)]
    hub: HubArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (found, _headers) = download::headers(&args.hub.hub(), &args.model)?;
    let vocab = vocab::open(&download::path(&found))?;
    let mut out = std::io::stdout().lock();
    let mut print = |text: &str| -> anyhow::Result<()> {
        let ids = ids_json(&vocab, text, !args.no_bos);
        Ok(writeln!(out, "{ids}")?)
    };
    match args.text {
        Some(text) => print(&text)?,
        None if args.jsonl => each_line(std::io::stdin().lock(), &mut print)?,
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("stdin is not UTF-8 text")?;
            print(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn each_line(
    input: impl BufRead,
    print: &mut impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (number, line) in input.lines().enumerate() {
        let line = line.context("stdin is not UTF-8 text")?;
        if line.trim().is_empty() {
            continue;
        }
        let text: String = serde_json::from_str(&line)
            .with_context(|| format!("line {} of stdin is no JSON string", number + 1))?;
        print(&text)?;
    }
    Ok(())
}

/// The ids as a JSON array.
fn ids_json(vocab: &Vocab, text: &str, with_special: bool) -> String {
    let ids = vocab.encode(text, with_special, true);
    serde_json::Value::from(ids).to_string()
}
