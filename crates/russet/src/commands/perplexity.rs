//! `russet perplexity`: how well a model predicts a text, and how far it is from another one.

mod tally;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use russet::{Model, Opened, Options};
use serde_json::json;

use crate::download;
use crate::flags::{BatchArgs, LoraArgs, ModelArgs, PrecisionArgs, ResourceArgs};
use crate::terminal;
use tally::{Distances, Losses, log_softmax};

/// Measure how well a model predicts a text
///
/// As llama-perplexity does: the text is cut into chunks of 512 tokens, each begins with the token
/// that begins a text where the model wants one, and the second half of each is scored. With --kl
/// the base model predicts the same chunks, and the divergence of the two is reported.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The text
    #[arg(
        short,
        long,
        value_name = "TEXT",
        required_unless_present = "ids",
        conflicts_with = "ids"
    )]
    file: Option<PathBuf>,
    /// A JSON list of ids instead of a text; no tokenizer is needed
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// The model to compare with
    #[arg(long, value_name = "BASE")]
    kl: Option<String>,
    /// Tokens of a chunk
    #[arg(
        short, long = "ctx-size", value_name = "N", default_value_t = 512,
        value_parser = clap::value_parser!(u32).range(4..=1 << 20)
    )]
    context: u32,
    /// At most so many chunks
    #[arg(long, value_name = "N")]
    chunks: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
    #[command(flatten)]
    batch: BatchArgs,
}

/// Positions whose logits are computed together: logits take much memory.
const POSITIONS: usize = 32;

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.resources.start()?;
    let mut model = args.load(args.model.name(), &args.model.lora)?;
    // What is laid over the model is compared with a base without it.
    let base = args.kl.as_ref().map(|name| args.load(name, &LoraArgs::default()));
    let mut base = base.transpose()?;
    if let Some(base) = &mut base {
        let (ours, theirs) = (model.engine().vocab(), base.engine().vocab());
        ensure!(
            ours == theirs,
            "the base model has {theirs} ids and the model {ours}; they differ"
        );
    }
    let text = Text::read(&args, &model)?;
    let chunks = text.chunks(args.context as usize, args.chunks)?;
    let bar = terminal::bar("chunks", chunks.len());
    let mut result = Tally::default();
    for chunk in &chunks {
        result.add(&mut model, base.as_mut(), chunk)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let tokens = text.ids.len();
    let count = chunks.len();
    let text = match args.json {
        true => format!("{:#}\n", result.json(tokens, count)),
        false => {
            format!("{tokens} tokens in {count} chunks of {}\n{}", args.context, result.text())
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn load(&self, name: &str, lora: &LoraArgs) -> anyhow::Result<Model> {
        let (form, kv) = (self.precision.form(), self.precision.kv()?);
        let chunk = usize::from(self.batch.ubatch);
        let outputs = POSITIONS.min(chunk);
        let options = Options { form, kv, context: Some(self.context as usize), chunk, outputs };
        let mut found = download::found(&self.model.hub.hub(), name)?;
        lora.lay(&mut found)?;
        Ok(Model::load(Opened::of(found, form, kv)?, &options)?)
    }
}

/// The ids to predict.
struct Text {
    ids: Vec<u32>,
    /// The id that begins each chunk, where the model wants one.
    bos: Option<u32>,
}

/// A piece of the text.
struct Chunk {
    /// What the model reads.
    input: Vec<u32>,
    /// What comes after each position from the middle on.
    targets: Vec<u32>,
}

impl Chunk {
    /// The first position that is scored.
    fn first(&self) -> usize {
        self.input.len() / 2
    }
}

impl Text {
    fn read(args: &Args, model: &Model) -> anyhow::Result<Text> {
        if let Some(path) = &args.ids {
            let of = || format!("{} is no JSON list of ids", path.display());
            let ids = serde_json::from_slice(&read(path)?).with_context(of)?;
            let vocab = model.vocab().ok();
            let bos = vocab.and_then(|vocab| vocab.bos().filter(|_| vocab.adds_bos()));
            return Ok(Text { ids, bos });
        }
        let path = args.file.clone().unwrap_or_default();
        let of = || format!("{} is not UTF-8 text", path.display());
        let text = String::from_utf8(read(&path)?).with_context(of)?;
        let vocab = model.vocab()?;
        let bos = vocab.bos().filter(|_| vocab.adds_bos());
        let mut ids: Vec<u32> = bos.into_iter().collect();
        ids.extend(vocab.encode(&text, false, false));
        Ok(Text { ids, bos })
    }

    fn chunks(&self, context: usize, most: Option<usize>) -> anyhow::Result<Vec<Chunk>> {
        let found = self.ids.len();
        ensure!(found >= context, "the text has {found} tokens; {context} are needed at least");
        let chunk = |ids: &[u32]| {
            let mut input = ids.to_vec();
            let targets = ids[context / 2 + 1..].to_vec();
            input[0] = self.bos.unwrap_or(input[0]);
            Chunk { input, targets }
        };
        let chunks = self.ids.chunks_exact(context).map(chunk);
        Ok(chunks.take(most.unwrap_or(usize::MAX)).collect())
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}; check the name", path.display()))
}

/// What all chunks gave so far.
#[derive(Default)]
struct Tally {
    model: Losses,
    base: Losses,
    distances: Option<Distances>,
}

impl Tally {
    fn add(
        &mut self,
        model: &mut Model,
        base: Option<&mut Model>,
        chunk: &Chunk,
    ) -> anyhow::Result<()> {
        // The base model's logarithms of probabilities, (targets, vocab).
        let mut expected: Vec<Vec<f32>> = Vec::new();
        if let Some(base) = base {
            scored(base, chunk, |target, logits| {
                let probabilities = log_softmax(logits);
                self.base.add(probabilities[target as usize]);
                expected.push(probabilities);
            })?;
            self.distances.get_or_insert_default();
        }
        let mut expected = expected.iter();
        scored(model, chunk, |target, logits| {
            let probabilities = log_softmax(logits);
            self.model.add(probabilities[target as usize]);
            if let (Some(distances), Some(expected)) = (&mut self.distances, expected.next()) {
                distances.add(expected, &probabilities);
            }
        })
    }

    fn text(&self) -> String {
        let (ppl, deviation) = self.model.perplexity();
        let mut text = format!("perplexity       {ppl:.4} +/- {deviation:.5}\n");
        let Some(distances) = &self.distances else { return text };
        let (base, deviation) = self.base.perplexity();
        text += &format!("base perplexity  {base:.4} +/- {deviation:.5}\n");
        for (name, value) in distances.values() {
            text += &format!("{name:<16} {value:.6}\n");
        }
        text + &format!("same top         {:.3} %\n", 100.0 * distances.same_top())
    }

    fn json(&self, tokens: usize, chunks: usize) -> serde_json::Value {
        let (ppl, deviation) = self.model.perplexity();
        let mut json = json!({
            "tokens": tokens, "chunks": chunks, "perplexity": ppl, "perplexity_stddev": deviation,
        });
        if let Some(distances) = &self.distances {
            json["base_perplexity"] = self.base.perplexity().0.into();
            for (name, value) in distances.values() {
                json[name] = value.into();
            }
            json["same top"] = distances.same_top().into();
        }
        json
    }
}

/// Hands over the targets of a chunk with the logits that should foretell them.
fn scored(
    model: &mut Model,
    chunk: &Chunk,
    mut each: impl FnMut(u32, &[f32]),
) -> anyhow::Result<()> {
    let vocab = model.engine().vocab();
    let foreign = chunk.targets.iter().find(|&&id| id as usize >= vocab);
    ensure!(foreign.is_none(), "the text has the id {foreign:?}, the model has {vocab} ids");
    let first = chunk.first();
    model.engine().score(&chunk.input, POSITIONS, &mut |position, logits| {
        let target = position.checked_sub(first).and_then(|at| chunk.targets.get(at));
        if let Some(&target) = target {
            each(target, logits);
        }
    })?;
    Ok(())
}
