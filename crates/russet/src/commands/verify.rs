//! `russet verify`: a model's numbers beside those of another program.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use engine::{Event, Request};
use russet::{Form, KvKind, Model, Opened, Options};
use weights::{Dtype, SafeFile};

use crate::download;
use crate::flags::{ModelArgs, ResourceArgs};

/// Compare a model's numbers with a reference
///
/// Computes the logits of the reference's ids with f32 activations and an f32 cache, then goes on
/// greedily. Succeeds where no logit differs by more than the tolerance and the greedy ids are
/// equal; a greedy difference is forgiven, and ends that comparison, where our own two best logits
/// lie closer together than the tolerance. No tokenizer is needed.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A safetensors file: input_ids i64[n], logits f32[n, vocab] and perhaps greedy i64[m]
    #[arg(long, value_name = "FILE")]
    reference: PathBuf,
    /// The largest difference that is allowed
    #[arg(long, value_name = "X", default_value_t = 2e-3)]
    tolerance: f32,
    #[command(flatten)]
    resources: ResourceArgs,
}

/// Positions whose logits are computed together.
const POSITIONS: usize = 32;

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    ensure!(args.tolerance >= 0.0, "--tolerance must not be negative");
    let reference = Reference::open(&args.reference)?;
    args.resources.start()?;
    let options = Options {
        form: Form::Exact,
        kv: KvKind::F32,
        context: Some(reference.ids.len() + reference.greedy.len().max(1)),
        outputs: POSITIONS,
        ..Options::default()
    };
    let mut found = download::found(&args.model.hub.hub(), args.model.name())?;
    args.model.lora.lay(&mut found)?;
    let mut model = Model::load(Opened::of(found, options.form, options.kv)?, &options)?;
    let vocab = model.engine().vocab();
    ensure!(
        vocab == reference.vocab,
        "{} has logits of {} ids, the model has {vocab}; it belongs to another model",
        args.reference.display(),
        reference.vocab
    );
    let logits = worst_logit(&mut model, &reference)?;
    let greedy = greedy(&mut model, &reference, args.tolerance)?;
    let holds = logits.difference <= args.tolerance && greedy.holds();
    let verdict = if holds { "holds" } else { "differs: not" };
    writeln!(
        std::io::stdout().lock(),
        "{}\n{}\n{verdict} within {}",
        logits.text(&reference),
        greedy.text(&reference),
        args.tolerance
    )?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What another program computed.
struct Reference {
    ids: Vec<u32>,
    /// (n, vocab)
    logits: Vec<f32>,
    vocab: usize,
    /// What comes after `ids`; may be empty.
    greedy: Vec<u32>,
}

impl Reference {
    fn open(path: &Path) -> anyhow::Result<Reference> {
        let file = SafeFile::open(path)?;
        let read = || {
            let ids = ids(&file, "input_ids")?.context("`input_ids` is missing")?;
            let (vocab, logits) = logits(&file, ids.len())?;
            let greedy = ids_or_none(&file)?;
            Ok(Reference { ids, logits, vocab, greedy })
        };
        read().map_err(|error: anyhow::Error| {
            error.context(format!("{} is no reference", path.display()))
        })
    }

    fn row(&self, position: usize) -> &[f32] {
        &self.logits[position * self.vocab..][..self.vocab]
    }
}

fn ids_or_none(file: &SafeFile) -> anyhow::Result<Vec<u32>> {
    Ok(ids(file, "greedy")?.unwrap_or_default())
}

/// A list of ids, with or without a leading batch dimension of one.
fn ids(file: &SafeFile, name: &str) -> anyhow::Result<Option<Vec<u32>>> {
    let Some((dtype, shape, bytes)) = file.tensor(name) else { return Ok(None) };
    ensure!(
        matches!(shape, [_] | [1, _]) && dtype == Dtype::I64,
        "`{name}` is {dtype}{shape:?}; write it as I64[n]"
    );
    let (values, _) = bytes.as_slice().as_chunks::<8>();
    ensure!(name != "input_ids" || !values.is_empty(), "`{name}` holds no id");
    let id = |bytes: &[u8; 8]| {
        let value = i64::from_le_bytes(*bytes);
        u32::try_from(value).with_context(|| format!("`{name}` holds {value}, which is no id"))
    };
    values.iter().map(id).collect::<Result<_, _>>().map(Some)
}

fn logits(file: &SafeFile, rows: usize) -> anyhow::Result<(usize, Vec<f32>)> {
    let (dtype, shape, bytes) = file.tensor("logits").context("`logits` is missing")?;
    let (found, vocab) = match *shape {
        [found, vocab] | [1, found, vocab] => (found, vocab),
        _ => bail!("`logits` has the shape {shape:?}; write it as F32[n, vocab]"),
    };
    ensure!(dtype == Dtype::F32, "`logits` is {dtype}; write it as F32[n, vocab]");
    ensure!(
        found == rows as u64 && vocab > 0,
        "`logits` has the shape {shape:?}, but there are {rows} input_ids"
    );
    let values = bytes.as_slice().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
    Ok((usize::try_from(vocab)?, values.collect()))
}

/// The logit that differs most.
#[derive(Default)]
struct Worst {
    difference: f32,
    position: usize,
    id: usize,
    ours: f32,
    theirs: f32,
}

impl Worst {
    fn text(&self, reference: &Reference) -> String {
        let Worst { difference, position, id, ours, theirs } = self;
        let (rows, vocab) = (reference.ids.len(), reference.vocab);
        format!(
            "logits  {rows}x{vocab}, largest difference {difference:.3e} at position {position}, \
             id {id}: {ours} here, {theirs} there"
        )
    }
}

fn worst_logit(model: &mut Model, reference: &Reference) -> anyhow::Result<Worst> {
    let mut worst = Worst::default();
    model.engine().score(&reference.ids, POSITIONS, &mut |position, logits| {
        for (id, (&ours, &theirs)) in logits.iter().zip(reference.row(position)).enumerate() {
            let difference = if ours == theirs { 0.0 } else { (ours - theirs).abs() };
            // What is no number is worse than any number, and stays.
            let worse = difference > worst.difference || difference.is_nan();
            if worse && !worst.difference.is_nan() {
                worst = Worst { difference, position, id, ours, theirs };
            }
        }
    })?;
    Ok(worst)
}

/// How the greedy ids compare.
enum Greedy {
    /// All are equal.
    Equal,
    /// The first difference, and how far our two best logits lie apart there.
    Differs { at: usize, ours: u32, margin: f32, forgiven: bool },
}

impl Greedy {
    fn holds(&self) -> bool {
        matches!(self, Greedy::Equal | Greedy::Differs { forgiven: true, .. })
    }

    fn text(&self, reference: &Reference) -> String {
        let count = reference.greedy.len();
        match *self {
            Greedy::Equal if count == 0 => "greedy  none in the reference".to_owned(),
            Greedy::Equal => format!("greedy  {count} of {count} agree"),
            Greedy::Differs { at, ours, margin, forgiven } => {
                let theirs = reference.greedy[at];
                let verdict = if forgiven { "a tie, forgiven" } else { "no tie" };
                format!(
                    "greedy  {at} of {count} agree, then {ours} here, {theirs} there; our two \
                     best are {margin:.3e} apart: {verdict}"
                )
            }
        }
    }
}

fn greedy(model: &mut Model, reference: &Reference, tolerance: f32) -> anyhow::Result<Greedy> {
    if reference.greedy.is_empty() {
        return Ok(Greedy::Equal);
    }
    let engine = model.engine();
    engine.add(Request::new(reference.ids.clone(), reference.greedy.len()))?;
    let (mut ours, mut events) = (Vec::new(), Vec::new());
    while !engine.is_idle() {
        events.clear();
        engine.step(&mut events)?;
        ours.extend(events.iter().filter_map(|event| match event {
            Event::Token { token, .. } => Some(*token),
            _ => None,
        }));
    }
    let theirs = &reference.greedy;
    let differs = |&at: &usize| ours.get(at) != Some(&theirs[at]);
    let Some(at) = (0..theirs.len()).find(differs) else { return Ok(Greedy::Equal) };
    let Some(&id) = ours.get(at) else { bail!("the model gave no id after {at}: it failed") };
    let margin = margin(model, &[&reference.ids, &theirs[..at]].concat())?;
    Ok(Greedy::Differs { at, ours: id, margin, forgiven: margin < tolerance })
}

/// How far the two best logits after `ids` lie apart.
fn margin(model: &mut Model, ids: &[u32]) -> anyhow::Result<f32> {
    let mut best = [f32::NEG_INFINITY; 2];
    model.engine().score(ids, POSITIONS, &mut |position, logits| {
        if position + 1 < ids.len() {
            return;
        }
        for &logit in logits {
            if logit > best[0] {
                best = [logit, best[0]];
            } else if logit > best[1] {
                best[1] = logit;
            }
        }
    })?;
    Ok(best[0] - best[1])
}
