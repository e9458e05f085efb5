//! From flags to a model that is ready, and to how it is sampled.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use hub::Headers;
use russet::{
    BackendKind, Form, KvKind, Mirostat, Model, Opened, Options, Resources, Runtime, Sampling,
};
use tokens::Vocab;

use crate::download;
use crate::flags::{
    Backend, BatchArgs, ContextArgs, HubArgs, KvType, LoraArgs, ModelArgs, Numerics, PrecisionArgs,
    ResourceArgs, SamplingArgs,
};
use crate::machine;
use crate::terminal;

impl ResourceArgs {
    /// Starts the runtime of this process.
    pub fn start(&self) -> anyhow::Result<Arc<Runtime>> {
        let backend = match self.backend {
            Backend::Cpu => BackendKind::Cpu,
            Backend::Reference => BackendKind::Reference,
        };
        let isa = Some(machine::isa()?);
        let threads = self.threads.map(|threads| clamped(threads.into()));
        Ok(Runtime::start(Resources { threads, isa, backend, memory: None })?)
    }
}

/// More threads than the process may run at once only wait for each other.
pub fn clamped(threads: usize) -> usize {
    let available = machine::Cores::find().available;
    if threads > available {
        terminal::note(&format!(
            "{threads} threads asked for, using {available}: no more can run at once here, and \
             the others would only be waited for"
        ));
    }
    threads.min(available)
}

impl PrecisionArgs {
    /// How products with quantized weights are computed.
    pub fn form(&self) -> Form {
        match self.numerics {
            Numerics::Fast => Form::Fast,
            Numerics::Exact => Form::Exact,
        }
    }

    /// How keys and values are stored.
    pub fn kv(&self) -> anyhow::Result<KvKind> {
        let kind = match (self.cache_type_k, self.cache_type_v) {
            (None, None) => self.kv_type,
            (k, v) if k == v => k.unwrap_or_default(),
            (Some(only), None) | (None, Some(only)) if only == KvType::default() => only,
            _ => bail!("keys and values are stored alike; give --kv-type instead of -ctk and -ctv"),
        };
        Ok(match kind {
            KvType::F16 => KvKind::F16,
            KvType::F32 => KvKind::F32,
            KvType::Q8_0 => KvKind::Q8_0,
            KvType::Q4_0 => KvKind::Q4_0,
        })
    }
}

/// Opens a model with the settings of the flags; one that is not here is downloaded.
pub fn open(model: &ModelArgs, precision: &PrecisionArgs) -> anyhow::Result<Opened> {
    let mut found = download::found(&model.hub.hub(), model.name())?;
    model.lora.lay(&mut found)?;
    Ok(Opened::of(found, precision.form(), precision.kv()?)?)
}

/// The same for whoever reads headers only: those of a model that is not here are enough. They are
/// gone when the second value is.
pub fn headers(
    model: &ModelArgs,
    precision: &PrecisionArgs,
) -> anyhow::Result<(Opened, Option<Headers>)> {
    let (mut found, headers) = download::headers(&model.hub.hub(), model.name())?;
    model.lora.lay(&mut found)?;
    Ok((Opened::of(found, precision.form(), precision.kv()?)?, headers))
}

/// Opens and loads a model while a spinner says so.
pub fn model(
    name: &str,
    (hub, lora): (&HubArgs, &LoraArgs),
    precision: &PrecisionArgs,
    batch: &BatchArgs,
    context: &ContextArgs,
) -> anyhow::Result<Model> {
    let mut found = download::found(&hub.hub(), name)?;
    lora.lay(&mut found)?;
    let spinner = terminal::spinner(format!("loading {name}"));
    let options =
        Options { chunk: batch.ubatch.into(), context: context.context, ..Options::default() };
    let opened = Opened::of(found, precision.form(), precision.kv()?)?;
    let model = Model::load(opened, &options)?;
    spinner.finish_and_clear();
    Ok(model)
}

impl SamplingArgs {
    /// The settings: what was given, else `base`.
    pub fn apply(&self, base: Sampling, vocab: &Vocab) -> anyhow::Result<Sampling> {
        let mut to = base;
        to.temperature = self.temperature.unwrap_or(to.temperature);
        to.top_k = self.top_k.unwrap_or(to.top_k);
        to.top_p = self.top_p.unwrap_or(to.top_p);
        to.min_p = self.min_p.unwrap_or(to.min_p);
        to.typical_p = self.typical_p.unwrap_or(to.typical_p);
        to.repeat_penalty = self.repeat_penalty.unwrap_or(to.repeat_penalty);
        to.repeat_last_n = self.repeat_last_n.map_or(to.repeat_last_n, back);
        to.presence_penalty = self.presence_penalty.unwrap_or(to.presence_penalty);
        to.frequency_penalty = self.frequency_penalty.unwrap_or(to.frequency_penalty);
        to.xtc.probability = self.xtc_probability.unwrap_or(to.xtc.probability);
        to.xtc.threshold = self.xtc_threshold.unwrap_or(to.xtc.threshold);
        to.mirostat = self.mirostat(to.mirostat)?;
        self.dry(&mut to.dry, vocab);
        for text in &self.logit_bias {
            to.logit_bias.push(logit_bias(text)?);
        }
        to.seed = match self.seed {
            Some(seed) if seed != -1 => seed as u64,
            _ => clock(),
        };
        to.check(vocab.len())?;
        Ok(to)
    }

    /// Most tokens of an answer; `None` for what the context leaves room for.
    pub fn limit(&self) -> Option<usize> {
        self.max_tokens.and_then(|n| usize::try_from(n).ok())
    }

    fn mirostat(&self, base: Option<Mirostat>) -> anyhow::Result<Option<Mirostat>> {
        let base = match self.mirostat {
            None => base,
            Some(0) => None,
            Some(2) => Some(base.unwrap_or_default()),
            Some(other) => bail!("--mirostat is {other}; it may be 0 (off) or 2"),
        };
        Ok(base.map(|base| Mirostat {
            tau: self.mirostat_ent.unwrap_or(base.tau),
            eta: self.mirostat_lr.unwrap_or(base.eta),
        }))
    }

    fn dry(&self, dry: &mut russet::Dry, vocab: &Vocab) {
        dry.multiplier = self.dry_multiplier.unwrap_or(dry.multiplier);
        dry.base = self.dry_base.unwrap_or(dry.base);
        dry.allowed_length = self.dry_allowed_length.unwrap_or(dry.allowed_length);
        dry.penalty_last_n = self.dry_penalty_last_n.map_or(dry.penalty_last_n, back);
        if dry.multiplier == 0.0 {
            return;
        }
        let given: Vec<&str> = self.dry_sequence_breaker.iter().map(String::as_str).collect();
        dry.breakers = match given[..] {
            [] => chat::dry_breakers(vocab, &chat::DRY_BREAKERS),
            ["none"] => Vec::new(),
            _ => chat::dry_breakers(vocab, &given),
        };
    }
}

/// How many tokens back; a negative number means all.
fn back(n: i64) -> usize {
    usize::try_from(n).unwrap_or(engine::limits::PENALTY_WINDOW_MAX)
}

/// Reads `ID+BIAS` or `ID-BIAS`; `ID-inf` forbids a token.
fn logit_bias(text: &str) -> anyhow::Result<(u32, f32)> {
    let read = || {
        let at = text.find(['+', '-'])?;
        let bias: f32 = text[at..].parse().ok()?;
        Some((text[..at].parse().ok()?, bias))
    };
    read().with_context(|| format!("--logit-bias is `{text}`; write it as 15043+1 or 15043-inf"))
}

/// A number that differs from run to run.
fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Seeds of llama.cpp have 32 bits; shorter ones are also easier to type again.
    (now.as_nanos() as u64 ^ u64::from(std::process::id())) & 0xFFFF_FFFF
}
