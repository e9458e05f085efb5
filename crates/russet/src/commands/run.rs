//! `russet run`: one answer, or a chat.

mod ask;
mod chat;
mod report;

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::flags::{
    BatchArgs, ChatArgs, ContextArgs, HubArgs, LoraArgs, PrecisionArgs, ResourceArgs, SamplingArgs,
};
use crate::load;
use ask::Asker;

/// Answer a prompt, or chat
///
/// With a PROMPT, or one that is piped in, prints one answer; without, starts a chat. A single
/// argument is the MODEL if it names a file or directory or looks like a path or a model's name
/// (model.gguf, ./dir, user/repo, name:tag, qwen3, russet-guide), else it is the PROMPT and the
/// model is russet-guide, which comes with the program. Statistics go to stderr: prompt and
/// generation speed, effective speed (tokens of the answer over all the time), and the share of the
/// speed that memory allows.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A path, name:tag, user/repository[:QUANT], ollama://name, or russet-guide
    #[arg(value_name = "MODEL")]
    first: Option<String>,
    /// What to answer or to go on with; may be empty with --raw
    #[arg(value_name = "PROMPT")]
    second: Option<String>,
    /// The model as a flag; then the only argument is the PROMPT
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// No template: go on with the text and print only what is new
    #[arg(long)]
    raw: bool,
    /// With --raw, print the prompt first
    #[arg(long, requires = "raw")]
    echo: bool,
    /// Print control tokens as text
    #[arg(long)]
    special: bool,
    /// Say how the model is sampled, by whose word, and what it runs on
    #[arg(short, long)]
    verbose: bool,
    /// No statistics
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    #[command(flatten)]
    hub: HubArgs,
    #[command(flatten)]
    lora: LoraArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    chat: ChatArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (name, prompt) = args.model_and_prompt()?;
    let prompt = match prompt {
        Some(prompt) => Some(prompt),
        None => piped()?,
    };
    if prompt.is_none() && args.raw {
        bail!("--raw goes on with a text; give a PROMPT, which may be empty");
    }
    args.resources.start()?;
    let model =
        load::model(&name, (&args.hub, &args.lora), &args.precision, &args.batch, &args.context)?;
    let asker = Asker::new(model, &args)?;
    match prompt {
        Some(prompt) if args.raw => ask::raw(asker, &prompt, args.echo),
        Some(prompt) => ask::once(asker, &prompt),
        None => chat::chat(asker),
    }
}

impl Args {
    /// Whether the only argument is a model's name and no prompt.
    fn is_model(&self, word: &str) -> bool {
        hub::is_meant_as_model(word) || self.hub.hub().has_name(word)
    }

    /// Which model, and the prompt if there is one among the arguments.
    fn model_and_prompt(&self) -> anyhow::Result<(String, Option<String>)> {
        let builtin = || hub::BUILTIN.to_owned();
        Ok(match (self.model.clone(), self.first.clone(), self.second.clone()) {
            (Some(_), Some(first), Some(second)) => {
                bail!("two prompts, `{first}` and `{second}`, beside --model; put them in quotes")
            }
            (Some(model), prompt, None) => (model, prompt),
            (None, Some(model), Some(prompt)) => (model, Some(prompt)),
            (None, Some(word), None) if self.is_model(&word) => (word, None),
            (None, Some(prompt), None) => (builtin(), Some(prompt)),
            (None, None, None) => (builtin(), None),
            (_, None, Some(_)) => unreachable!("the second argument comes after the first"),
        })
    }
}

/// The text that is piped in, without its last line break; `None` at a terminal.
fn piped() -> anyhow::Result<Option<String>> {
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let mut text = String::new();
    stdin.read_to_string(&mut text).context("the prompt on stdin is not UTF-8 text")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if text.is_empty() {
        bail!("there is no prompt: no argument, and nothing on stdin; give one of them");
    }
    Ok(Some(text.to_owned()))
}
