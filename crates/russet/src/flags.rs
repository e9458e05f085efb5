//! The command line: every flag declared once, in groups that commands share.
//!
//! Help, completions and manual pages come from here. What flags mean for a model is `load`'s.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use hub::{Adapter, Found};

use crate::commands;

/// Runs large language models on the machine in front of you, and says how near to its limit.
#[derive(Debug, Parser)]
#[command(name = "russet", version, propagate_version = true, args_override_self = true)]
#[command(after_help = AFTER, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
A MODEL is a path (a GGUF file, or a directory with config.json and *.safetensors), a name:tag of
`russet list --catalogue` or of your own, user/repository[:QUANT] of the Hugging Face hub, or
ollama://name[:tag]; or russet-guide, the model that comes with the program. What is not on this
machine is downloaded after saying what and how much; other programs' stores are read in place.

Exit codes:
  0    done
  1    it failed; stderr says why (verify: the numbers differ)
  2    the command line is wrong
  130  interrupted with Ctrl-C

Environment:
  RUSSET_CPU       vector instructions to use: avx512, avx2, neon-i8mm, neon or scalar
  XDG_CACHE_HOME   where measurements of this machine are kept
  XDG_DATA_HOME    where names of your own and the history of chats are kept
  HF_HOME          where models are downloaded to; HF_HUB_CACHE and HF_TOKEN_PATH work too
  HF_TOKEN         shown to the hub for models that are not open to all
  HF_ENDPOINT      another hub's address
  HF_HUB_OFFLINE   1 opens no socket, as --offline
  OLLAMA_MODELS    Ollama's store; ~/.ollama/models unless set
  LLAMA_CACHE      llama.cpp's downloads
  HTTPS_PROXY      what connections go through; NO_PROXY excepts hosts
  NO_COLOR         no colours";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(Box<commands::run::Args>),
    Pull(commands::pull::Args),
    #[command(visible_alias = "ls")]
    List(commands::list::Args),
    Rm(commands::rm::Args),
    Cp(commands::cp::Args),
    Create(commands::create::Args),
    Gc(commands::gc::Args),
    Show(commands::show::Args),
    Explain(commands::explain::Args),
    Bench(commands::bench::Args),
    Perplexity(commands::perplexity::Args),
    Verify(commands::verify::Args),
    Tokenize(commands::tokenize::Args),
    Render(commands::render::Args),
    Doctor(commands::doctor::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}

/// Where models may come from.
#[derive(Args, Clone, Debug, Default)]
pub struct HubArgs {
    /// Open no socket: use what is on this machine
    #[arg(long)]
    pub offline: bool,
}

/// What is printed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct TableArgs {
    /// As text or as JSON
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

/// Which model.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// A path, name:tag, user/repository[:QUANT], ollama://name, or russet-guide
    #[arg(value_name = "MODEL", required_unless_present = "model_flag")]
    positional: Option<String>,
    /// The same as a flag
    #[arg(
        id = "model_flag",
        short = 'm',
        long = "model",
        value_name = "MODEL",
        conflicts_with = "positional"
    )]
    flag: Option<String>,
    #[command(flatten)]
    pub hub: HubArgs,
    #[command(flatten)]
    pub lora: LoraArgs,
}

/// What is laid over the model's weights.
#[derive(Args, Clone, Debug, Default)]
pub struct LoraArgs {
    /// A LoRA adapter over the model: a GGUF file or a directory of PEFT's; may be repeated
    #[arg(long, value_name = "PATH")]
    lora: Vec<PathBuf>,
    /// The same with a factor on it, as in adapter.gguf:0.5; may be repeated
    #[arg(long, value_name = "PATH:SCALE")]
    lora_scaled: Vec<String>,
}

/// What computes.
#[derive(Args, Clone, Debug, Default)]
pub struct ResourceArgs {
    /// Threads; one for each core that is not an efficiency core unless given
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What computes: cpu, or the scalar code that says what is right
    #[arg(long, value_enum, default_value_t)]
    pub backend: Backend,
}

/// How exactly numbers are kept.
#[derive(Args, Clone, Debug, Default)]
pub struct PrecisionArgs {
    /// Products with quantized weights: fast rounds activations to int8, exact keeps them
    #[arg(long, value_enum, default_value_t)]
    pub numerics: Numerics,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    pub kv_type: KvType,
    /// The same for keys alone; must agree with the values (also -ctk)
    #[arg(long, value_enum, value_name = "TYPE", conflicts_with = "kv_type")]
    pub cache_type_k: Option<KvType>,
    /// The same for values alone; must agree with the keys (also -ctv)
    #[arg(long, value_enum, value_name = "TYPE", conflicts_with = "kv_type")]
    pub cache_type_v: Option<KvType>,
}

/// How much is computed together.
#[derive(Args, Clone, Debug)]
pub struct BatchArgs {
    /// Tokens of a prompt computed together; results do not depend on it (also -ub)
    #[arg(
        long = "ubatch-size",
        visible_alias = "prefill-step-size",
        value_name = "N",
        default_value_t = engine::limits::ROWS_MAX as u16,
        value_parser = clap::value_parser!(u16).range(1..=engine::limits::ROWS_MAX as i64)
    )]
    pub ubatch: u16,
}

/// How long a text may be.
#[derive(Args, Clone, Debug, Default)]
pub struct ContextArgs {
    /// Tokens of prompt and answer together; as the model and half of the free memory allow, 32768
    /// at most, unless given
    #[arg(
        short,
        long = "ctx-size",
        visible_aliases = ["context-length", "max-model-len", "max-kv-size"],
        value_name = "N"
    )]
    pub context: Option<usize>,
}

/// How the next token is chosen. What is not given is as the model's authors want it, if its files
/// say so.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Divides the scores; 0 takes the likeliest token
    #[arg(long = "temp", visible_alias = "temperature", value_name = "T")]
    pub temperature: Option<f32>,
    /// Keeps so many of the likeliest; 0 keeps all
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Keeps the fewest whose probabilities reach P; 1 keeps all
    #[arg(long, value_name = "P")]
    pub top_p: Option<f32>,
    /// Keeps what is at least P times as likely as the likeliest; 0 keeps all
    #[arg(long, value_name = "P")]
    pub min_p: Option<f32>,
    /// Keeps the tokens of typical surprise, up to P; 1 keeps all
    #[arg(long = "typical-p", visible_alias = "typical", value_name = "P")]
    pub typical_p: Option<f32>,
    /// Divides the scores of recent tokens; 1 is off
    #[arg(long, visible_alias = "repetition-penalty", value_name = "X")]
    pub repeat_penalty: Option<f32>,
    /// How many recent tokens the penalties look at; 0 is off, -1 all
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub repeat_last_n: Option<i64>,
    /// Taken off the scores of tokens that occurred
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub presence_penalty: Option<f32>,
    /// Taken off the scores of tokens for each time they occurred
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub frequency_penalty: Option<f32>,
    /// Strength of the penalty on repeated sequences (DRY); 0 is off
    #[arg(long, value_name = "X")]
    pub dry_multiplier: Option<f32>,
    /// How fast that penalty grows
    #[arg(long, value_name = "X")]
    pub dry_base: Option<f32>,
    /// Shorter repetitions are free
    #[arg(long, value_name = "N")]
    pub dry_allowed_length: Option<usize>,
    /// How many recent tokens are searched for repetitions; -1 all
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub dry_penalty_last_n: Option<i64>,
    /// Strings that no repetition extends across; `none` for none [default: newline : " *]
    #[arg(long, value_name = "TEXT")]
    pub dry_sequence_breaker: Vec<String>,
    /// How often the likeliest tokens are left out (XTC); 0 is off
    #[arg(long, value_name = "P")]
    pub xtc_probability: Option<f32>,
    /// The least probability of tokens that are left out
    #[arg(long, value_name = "P")]
    pub xtc_threshold: Option<f32>,
    /// Keeps the surprise near a target: 0 is off, 2 is mirostat 2
    #[arg(long, value_name = "0|2", value_parser = clap::value_parser!(u8))]
    pub mirostat: Option<u8>,
    /// Mirostat's target, in bits
    #[arg(long, visible_alias = "mirostat-tau", value_name = "X")]
    pub mirostat_ent: Option<f32>,
    /// How fast mirostat follows
    #[arg(long, visible_alias = "mirostat-eta", value_name = "X")]
    pub mirostat_lr: Option<f32>,
    /// Added to the score of a token, as in 15043+1 or 15043-inf; may be repeated
    #[arg(short = 'l', long, value_name = "ID(+/-)BIAS")]
    pub logit_bias: Vec<String>,
    /// Equal seeds give equal answers; -1 takes another one each time
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// Most tokens of an answer; -1 for what the context leaves room for
    #[arg(
        short = 'n',
        long = "max-tokens",
        visible_aliases = ["n-predict", "predict"],
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub max_tokens: Option<i64>,
    /// A string that ends the answer; may be repeated
    #[arg(short = 'r', long = "stop", visible_alias = "reverse-prompt", value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Goes on after the model's end of text
    #[arg(long)]
    pub ignore_eos: bool,
}

/// How messages become a prompt.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Chat")]
pub struct ChatArgs {
    /// What the model is told before the conversation
    #[arg(long = "system", visible_alias = "system-prompt", value_name = "TEXT")]
    pub system: Option<String>,
    /// A Jinja template, or the name of one of the model's, instead of the model's default
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "chat_template_file")]
    pub chat_template: Option<String>,
    /// A file with a Jinja template
    #[arg(long, value_name = "FILE")]
    pub chat_template_file: Option<PathBuf>,
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// What computes.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Backend {
    /// Vector units and threads
    #[default]
    Cpu,
    /// Scalar code that says what is right: slow
    Reference,
}

/// How products with quantized weights are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Numerics {
    /// Activations rounded to int8
    #[default]
    Fast,
    /// Activations as f32
    Exact,
}

/// How keys and values are stored.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KvType {
    /// Two bytes a value
    #[default]
    F16,
    /// Four bytes a value
    F32,
    /// 34 bytes for 32 values
    #[value(name = "q8_0")]
    Q8_0,
    /// 18 bytes for 32 values
    #[value(name = "q4_0")]
    Q4_0,
}

impl HubArgs {
    /// The models of this machine and those that can be had.
    pub fn hub(&self) -> hub::Hub {
        hub::Hub::new(russet::places::places(self.offline))
    }
}

impl TableArgs {
    /// Whether JSON is wanted.
    pub fn json(self) -> bool {
        self.json || self.output == Output::Json
    }
}

impl LoraArgs {
    /// Lays the adapters over a model that was found, those with a factor last.
    pub fn lay(&self, found: &mut Found) -> anyhow::Result<()> {
        let plain = |path: &PathBuf| Ok(Adapter { path: path.clone(), scale: 1.0 });
        let scaled = |text: &String| {
            let read = || {
                let (path, scale) = text.rsplit_once(':')?;
                Some(Adapter { path: path.into(), scale: scale.parse().ok()? })
            };
            read().with_context(|| format!("--lora-scaled is `{text}`; write adapter.gguf:0.5"))
        };
        let all = self.lora.iter().map(plain).chain(self.lora_scaled.iter().map(scaled));
        found.recipe.adapters.extend(all.collect::<anyhow::Result<Vec<_>>>()?);
        Ok(())
    }
}

impl ModelArgs {
    /// The model's name.
    pub fn name(&self) -> &str {
        self.positional.as_deref().or(self.flag.as_deref()).unwrap_or_default()
    }
}

/// The command line's description.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line; where it is wrong or asks for help, says so and gives the exit code.
pub fn parse() -> Result<Command, ExitCode> {
    let args = match respelled(std::env::args_os()) {
        Ok(args) => args,
        Err(refusal) => {
            eprintln!("error: {refusal}");
            return Err(ExitCode::from(2));
        }
    };
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(cli.command),
        Err(error) => {
            // A reader that went away is nothing to complain about.
            let _ = error.print();
            Err(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)))
        }
    }
}

/// Flags of several letters after one dash, as llama.cpp spells them.
const SHORT: &[(&str, &str)] = &[
    ("-ctk", "--cache-type-k"),
    ("-ctv", "--cache-type-v"),
    ("-npl", "--n-parallel"),
    ("-ub", "--ubatch-size"),
    ("-pg", "--pg"),
];

/// Flags of other programs that this one cannot honour, and what to do.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["-ngl", "--gpu-layers", "--n-gpu-layers", "--gpu"],
        "this version computes on the processor only; leave it out",
    ),
    (
        &["--no-mmap", "--mlock", "-dio", "--direct-io"],
        "weights are always mapped from their file; leave it out",
    ),
    (&["-fa", "--flash-attn"], "attention has one form, which never stores scores; leave it out"),
    (
        &["-np", "--parallel", "--max-num-seqs", "--decode-concurrency"],
        "this version answers one prompt at a time; leave it out, or give bench -npl",
    ),
    (&["--adapter-path"], "MLX's adapters are not read; give PEFT's or llama.cpp's with --lora"),
    (
        &["-md", "--draft-model", "--num-draft-tokens", "--spec-type"],
        "this version does not speculate; leave it out",
    ),
    (
        &["-hf", "-hfr", "--hf-repo"],
        "this version does not download; give the path of a model that is here",
    ),
    (&["--grammar", "--grammar-file", "-j", "--json-schema"], "this version has no grammars"),
    (&["-b", "--batch-size"], "a batch has one size here; give it with -ub"),
    (&["--kv-bits"], "keys and values are stored as f32, f16, q8_0 or q4_0; use --kv-type"),
];

/// The arguments as clap reads them, up to `--`.
fn respelled(args: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, String> {
    let mut open = true;
    let respell = |arg: OsString| {
        open &= arg != "--";
        let Some(text) = arg.to_str().filter(|_| open) else { return Ok(arg) };
        let (flag, value) = text.split_once('=').map_or((text, None), |(f, v)| (f, Some(v)));
        if let Some((_, why)) = REFUSED.iter().find(|(flags, _)| flags.contains(&flag)) {
            return Err(format!("{flag} cannot be honoured: {why}"));
        }
        let Some((_, long)) = SHORT.iter().find(|(short, _)| *short == flag) else {
            return Ok(arg);
        };
        Ok(value.map_or_else(|| (*long).into(), |value| format!("{long}={value}").into()))
    };
    args.map(respell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn other_spellings_are_read_up_to_two_dashes() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let read = |line: &str| respelled(words(line).into_iter());
        assert_eq!(read("x -ctk f16 -ub=7"), Ok(words("x --cache-type-k f16 --ubatch-size=7")));
        assert_eq!(read("x -- -ngl"), Ok(words("x -- -ngl")));
        assert!(read("x -ngl 99").is_err());
    }
}
