//! `russet show`: what a model is, from its files' headers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use blocks::Kind;
use hub::Recipe;
use ops::{Op, Program, Reach, Up};
use russet::{Defaults, Opened, Origin, laid_over};
use weights::{Container, GgufValue, Source};

use crate::flags::{ModelArgs, PrecisionArgs};
use crate::load;
use crate::terminal::{bytes, significant};
use crate::vocab::Texts;

/// Show what a model is
///
/// Architecture, shapes, exact number of parameters, bytes by block format, context, bytes of keys
/// and values for a token, chat template, sampling defaults, metadata. No weight is read: of a
/// model that is not on this machine, only the headers are asked for.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// Print the chat template's text and nothing else
    #[arg(long)]
    template: bool,
}

/// Tensors of no use that are named.
const IGNORED_MAX: usize = 4;

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (opened, _headers) = load::headers(&args.model, &args.precision)?;
    let text = if args.template { template(&opened)? } else { all(&opened)? };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn template(opened: &Opened) -> anyhow::Result<String> {
    let templates = Texts::of(&opened.source).templates()?;
    match laid_over(&opened.recipe).or(templates.choose(false)) {
        Some(text) => Ok(format!("{}\n", text.trim_end_matches('\n'))),
        None => anyhow::bail!("the model brings no chat template; it is chatted with a plain one"),
    }
}

fn all(opened: &Opened) -> anyhow::Result<String> {
    let mut out = Lines::default();
    model(opened, &mut out);
    weights(opened, &mut out);
    adapters(opened, &mut out);
    recipe(&opened.recipe, &mut out);
    texts(opened, &mut out)?;
    sampling(&opened.source, &mut out);
    metadata(&opened.source, &mut out);
    Ok(out.0)
}

/// Lines of a name and a text.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, text: impl AsRef<str>) {
        let _ = writeln!(self.0, "{}", format!("{name:<14}{}", text.as_ref()).trim_end());
    }
}

fn model(opened: &Opened, out: &mut Lines) {
    let (spec, program) = (&opened.plan.spec, &opened.plan.program);
    let container = match opened.source.container() {
        Container::Gguf { version } => format!("GGUF version {version}"),
        Container::Safetensors => "safetensors".to_owned(),
        Container::Mlx => "safetensors quantized by MLX".to_owned(),
    };
    out.add("model", opened.title());
    let size = opened.source.file_bytes();
    out.add("file", format!("{container}, {size} bytes ({})", bytes(size as f64)));
    out.add("architecture", spec.family);
    let (all, active) = (spec.parameters(), spec.active_parameters());
    out.add(
        "parameters",
        match all == active {
            true => all.to_string(),
            false => format!("{all}, of which {active} take part in a token"),
        },
    );
    out.add("layers", spec.layers.len().to_string());
    out.add("width", spec.dim.to_string());
    let memory = distinct(program, memory);
    if !memory.is_empty() {
        out.add("memory", memory);
    }
    out.add("attention", distinct(program, attention));
    out.add("feed-forward", distinct(program, feed_forward));
    let tied = if spec.tied { ", head is the embedding" } else { "" };
    out.add("vocabulary", format!("{}{tied}", spec.vocab));
    out.add("positions", distinct(program, rope));
    out.add("context", spec.context.to_string());
    let kinds: Vec<_> = program.caches.iter().map(|cache| format!("{:?}", cache.kind)).collect();
    let kind = kinds.first().map(|kind| kind.to_lowercase()).unwrap_or_default();
    let each = opened.kv_bytes_per_token();
    let whole = bytes(each as f64 * f64::from(spec.context));
    out.add("KV cache", format!("{each} bytes a token in {kind}, {whole} for the whole context"));
}

/// What `describe` says of the operations, each text once with the number of layers.
fn distinct(program: &Program, describe: fn(&Program, &Op) -> Option<String>) -> String {
    let mut found: Vec<(String, usize)> = Vec::new();
    for text in program.ops().filter_map(|op| describe(program, op)) {
        match found.iter_mut().find(|(known, _)| *known == text) {
            Some((_, times)) => *times += 1,
            None => found.push((text, 1)),
        }
    }
    match &found[..] {
        [(text, _)] => text.clone(),
        _ => {
            let times = found.iter().map(|(text, times)| format!("{text} ({times} layers)"));
            times.collect::<Vec<_>>().join("; ")
        }
    }
}

fn memory(program: &Program, op: &Op) -> Option<String> {
    let Op::Recall(op) = op else { return None };
    let (table, heads) = (program.weight(op.table), op.hashing.heads.len());
    let (rows, width, ids) = (table.rows, table.cols, op.hashing.multipliers.len());
    Some(format!("{heads} of {rows} rows of {width} by hashes of up to {ids} ids"))
}

fn attention(program: &Program, op: &Op) -> Option<String> {
    let Op::Attend(op) = op else { return None };
    let cache = program.cache(op.cache);
    let window = match op.reach {
        Reach::All => String::new(),
        Reach::Window(window) => format!(", window of {window}"),
        Reach::Chunk(chunk) => format!(", chunks of {chunk}"),
    };
    let (heads, kv_heads, dim) = (op.heads, cache.kv_heads, cache.head_dim);
    Some(format!("{heads} heads of {dim} on {kv_heads} of keys and values{window}"))
}

fn feed_forward(program: &Program, op: &Op) -> Option<String> {
    let Op::GatedAct(op) = op else { return None };
    let act = format!("{:?}", op.act).to_lowercase();
    let act = act.split_whitespace().next().unwrap_or_default();
    let how = if op.up == Up::None { "with" } else { "gated by" };
    Some(format!("{} wide, {how} {act}", program.slot(op.y).width))
}

fn rope(program: &Program, op: &Op) -> Option<String> {
    let Op::Rope(op) = op else { return None };
    let rotation = program.rotation(op.rotation);
    let pairs = if rotation.interleaved { "neighbours" } else { "halves" };
    let long = if rotation.long.is_some() { ", others for long texts" } else { "" };
    let dims = 2 * rotation.frequencies.len();
    Some(format!("rotary, {dims} of {} values in {pairs}{long}", op.head_dim))
}

/// Bytes by block format, the largest first.
fn weights(opened: &Opened, out: &mut Lines) {
    let mut by_kind: BTreeMap<String, (usize, u64, f64)> = BTreeMap::new();
    let own = opened.plan.bound.len() - 2 * opened.plan.adapted.len();
    for bound in &opened.plan.bound[..own] {
        let weights = u64::from(bound.spec.rows) * u64::from(bound.spec.cols);
        let entry = by_kind.entry(bound.kind.name()).or_default();
        entry.0 += 1;
        entry.1 += weights;
        entry.2 += weights as f64 * Kind::bits_per_weight(bound.kind) / 8.0;
    }
    let mut rows: Vec<_> = by_kind.into_iter().collect();
    rows.sort_by(|a, b| b.1.2.total_cmp(&a.1.2));
    let total: f64 = rows.iter().map(|(_, (.., bytes))| bytes).sum();
    let bits = 8.0 * total / opened.plan.spec.parameters().max(1) as f64;
    let size = bytes(total);
    out.add("weights", format!("{total:.0} bytes ({size}), {} bits a weight", significant(bits)));
    for (kind, (tensors, weights, bytes)) in rows {
        out.add(
            "",
            format!("{kind:<10} {bytes:>14.0} bytes {weights:>14} weights {tensors:>5} tensors"),
        );
    }
    if let Some((reason, size)) = opened.source.repacked() {
        out.add("repacked", format!("{size} bytes ({}): {reason}", bytes(size as f64)));
    }
    let ignored = opened.source.ignored();
    if !ignored.is_empty() {
        let more = match ignored.len().saturating_sub(IGNORED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let some = &ignored[..ignored.len().min(IGNORED_MAX)];
        out.add("not needed", format!("{}{more}", some.join(", ")));
    }
}

/// What is laid over the weights: rank, alpha and how many matrices each stands beside.
fn adapters(opened: &Opened, out: &mut Lines) {
    for (nth, adapter) in opened.source.adapters().iter().enumerate() {
        let of_it = |pair: &&weights::Pair| pair.adapter == nth;
        let pairs: Vec<_> = opened.plan.adapted.iter().filter(of_it).collect();
        let ranks: BTreeSet<_> = pairs.iter().map(|pair| pair.a.spec.rows).collect();
        let ranks: Vec<_> = ranks.iter().map(u32::to_string).collect();
        let times = match adapter.scale() {
            1.0 => String::new(),
            scale => format!(", times {scale}"),
        };
        let (path, alpha, count) = (adapter.path().display(), adapter.alpha(), pairs.len());
        let (rank, size) = (ranks.join(", "), bytes(adapter.file_bytes() as f64));
        let text = format!(
            "{path}: LoRA of rank {rank}, alpha {alpha}{times}, beside {count} matrices, {size}"
        );
        out.add("adapter", text);
    }
}

/// What a Modelfile or Ollama's store lays over the model, less adapters and template.
fn recipe(recipe: &Recipe, out: &mut Lines) {
    let settings =
        recipe.settings.iter().map(|(name, value)| format!("{name} {}", one_line(value)));
    let settings: Vec<_> = settings.collect();
    if !settings.is_empty() {
        out.add("settings", settings.join(", "));
    }
    if let Some(system) = &recipe.system {
        out.add("system", one_line(system));
    }
    for (role, text) in &recipe.messages {
        out.add("message", format!("{role}: {}", one_line(text)));
    }
    for license in &recipe.licenses {
        out.add("license", one_line(license));
    }
}

fn texts(opened: &Opened, out: &mut Lines) -> anyhow::Result<()> {
    let texts = Texts::of(&opened.source);
    match texts.vocab() {
        Ok(Some(vocab)) => {
            let name = |id: u32| format!("{id} {}", vocab.token_text(id).unwrap_or_default());
            let eos: Vec<_> = vocab.eos().iter().map(|&id| name(id)).collect();
            out.add("tokenizer", format!("{} tokens", vocab.len()));
            out.add(
                "begins with",
                match vocab.bos() {
                    Some(bos) if vocab.adds_bos() => name(bos),
                    Some(bos) => format!("nothing ({} is there)", name(bos)),
                    None => "nothing".to_owned(),
                },
            );
            out.add("ends with", eos.join(", "));
        }
        Ok(None) => out.add("tokenizer", "none"),
        Err(error) => out.add("tokenizer", format!("cannot be used: {error:#}")),
    }
    let templates = texts.templates()?;
    let names: Vec<_> = templates.names().collect();
    out.add(
        "template",
        match (laid_over(&opened.recipe), templates.choose(false)) {
            (Some(text), _) => format!("laid over the model, {} characters", text.chars().count()),
            (None, Some(text)) => {
                format!("the model's ({}), {} characters", names.join(", "), text.chars().count())
            }
            (None, None) => "none; it is chatted with a plain one".to_owned(),
        },
    );
    Ok(())
}

fn sampling(source: &Source, out: &mut Lines) {
    let Defaults { sampling, origin } = Defaults::of(source.sampling_defaults());
    out.add("sampling", settings(&sampling));
    out.add(
        "",
        match origin {
            Origin::Model(keys) => format!("by {}", keys.join(", ")),
            Origin::Russet => "by Russet; the model's files say nothing".to_owned(),
        },
    );
}

/// The settings that do something, by the names of their flags.
pub fn settings(sampling: &russet::Sampling) -> String {
    let off = russet::Sampling::default();
    let mut list = vec![format!("temp {}", sampling.temperature)];
    let mut add = |name: &str, value: f32, off: f32| {
        if value != off {
            list.push(format!("{name} {value}"));
        }
    };
    // The likeliest token is never cut off.
    if sampling.temperature > 0.0 {
        add("top-k", sampling.top_k as f32, 0.0);
        add("top-p", sampling.top_p, 1.0);
        add("min-p", sampling.min_p, 0.0);
        add("typical-p", sampling.typical_p, 1.0);
    }
    add("repeat-penalty", sampling.repeat_penalty, 1.0);
    add("repeat-last-n", sampling.repeat_last_n as f32, off.repeat_last_n as f32);
    add("presence-penalty", sampling.presence_penalty, 0.0);
    add("frequency-penalty", sampling.frequency_penalty, 0.0);
    add("dry-multiplier", sampling.dry.multiplier, 0.0);
    add("xtc-probability", sampling.xtc.probability, 0.0);
    add("mirostat-tau", sampling.mirostat.map_or(0.0, |m| m.tau), 0.0);
    add("logit-bias entries", sampling.logit_bias.len() as f32, 0.0);
    list.join(", ")
}

fn metadata(source: &Source, out: &mut Lines) {
    let unknown = source.unknown_keys();
    if !unknown.is_empty() {
        out.add("unknown keys", unknown.join(", "));
    }
    let Some(gguf) = source.gguf() else { return };
    let _ = writeln!(out.0, "metadata");
    for (key, value) in gguf.iter() {
        let _ = writeln!(out.0, "  {key} = {}", short(value));
    }
}

/// Characters of a text that are shown.
const SHOWN: usize = 72;

/// A text on one line, its first words.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(SHOWN).collect();
    if cut.len() < line.len() { format!("{cut}...") } else { cut }
}

/// A value on one line.
fn short(value: GgufValue<'_>) -> String {
    if let Some(array) = value.array() {
        return format!("[{} items]", array.len());
    }
    if let Some(bytes) = value.bytes() {
        let text = format!("{:?}", String::from_utf8_lossy(bytes));
        let cut: String = text.chars().take(SHOWN).collect();
        return if cut.len() < text.len() {
            format!("{cut}... ({} bytes)", bytes.len())
        } else {
            text
        };
    }
    match value {
        GgufValue::Bool(value) => value.to_string(),
        GgufValue::F32(value) => value.to_string(),
        GgufValue::F64(value) => value.to_string(),
        _ => value.int().map_or_else(|| "a number out of range".to_owned(), |int| int.to_string()),
    }
}
