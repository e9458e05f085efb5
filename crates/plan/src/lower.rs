//! From a description to a program: the only place that looks inside mixers and feed-forwards.

mod adapters;
mod attention;
mod delta;
mod ffn;
mod latent;
mod memory;

use crate::arena;
pub use adapters::Pair;
use adapters::Pairs;
use ffn::act;
use model::{Block, Ffn, Layer, Mixer, Norm, Pairing, Part as P, PerLayer, Scaling, Spec};
use ops::{
    Argmax, CacheGroup, CacheRef, Combine, Domain, Embed, Form, GatedAct, Key, KvKind, LayerNorm,
    Linear, Long, Op, Part, Pick, Program, RmsNorm, RopeId, Rotation, Scale, Slot, SlotInfo,
    SoftCap, Stage, Up, WeightId, WeightInfo,
};
use std::collections::{BTreeMap, HashMap};

/// What may be chosen when a program is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How products with quantized weights are computed, where their format has a choice.
    pub form: Form,
    /// How keys and values are stored.
    pub kv: KvKind,
}

impl Default for Options {
    fn default() -> Options {
        Options { form: Form::Fast, kv: KvKind::F16 }
    }
}

/// Why no program can be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The metadata describe no model that Russet runs.
    #[error(transparent)]
    Spec(#[from] model::SpecError),
    /// The tensors are not those that the model demands.
    #[error(transparent)]
    Weights(#[from] weights::WeightError),
    /// An adapter's matrices stand beside one that is no plain product's.
    #[error(
        "tensor `{tensor}` of an adapter stands beside a matrix that is used otherwise than in a \
         plain product; merge the adapter into the model and use that"
    )]
    Adapter {
        /// The adapter's tensor.
        tensor: String,
    },
    /// Keys or values are no whole blocks of the format that they are to be stored in.
    #[error(
        "keys and values of {dim} numbers for each head do not fill blocks of 32, as a {kind} \
         cache needs; store them as f16"
    )]
    Cache {
        /// Numbers of a head.
        dim: u32,
        /// The format.
        kind: String,
    },
}

/// Lowers `spec` with `weights`: one for each of [`Spec::weights`] in that order, then those that
/// `pairs` name, which are laid over them in their order.
///
/// # Errors
/// Where a pair stands beside no matrix of a plain product, or keys and values are no whole blocks
/// of what they are stored in.
pub fn lower(
    spec: &Spec,
    weights: Vec<WeightInfo>,
    pairs: &[Pair],
    options: &Options,
) -> Result<Program, PlanError> {
    let mut ids = HashMap::new();
    for (i, w) in spec.weights().into_iter().enumerate() {
        ids.entry((w.part, w.layer)).or_insert(WeightId(i as u32));
    }
    let program = Program { name: "main", weights, ..Program::default() };
    let (layer, own, kept) = (None, None, BTreeMap::new());
    let pairs = Pairs::new(pairs);
    let mut lowering = Lowering { spec, options, ids, program, pairs, layer, own, kept };
    lowering.all();
    lowering.pairs.all_laid(&lowering.program)?;
    let mut program = lowering.program;
    if let Some(group) = program.caches.iter().find(|g| !g.kind.fits(g.head_dim as usize)) {
        let kind = group.kind.format().name().to_lowercase();
        return Err(PlanError::Cache { dim: group.head_dim, kind });
    }
    arena::lay_out(&mut program);
    Ok(program)
}

struct Lowering<'a> {
    spec: &'a Spec,
    options: &'a Options,
    ids: HashMap<(model::Part, Option<u32>), WeightId>,
    program: Program,
    pairs: Pairs,
    layer: Option<u32>,
    /// The slot of what each layer gets besides the stream.
    own: Option<Slot>,
    /// Where layers' keys and values are.
    kept: BTreeMap<u32, CacheRef>,
}

/// Where a product goes.
#[derive(Clone, Copy)]
struct Out {
    y: Slot,
    add: bool,
    scale: f32,
}

impl Out {
    /// Into a slot of its own.
    fn to(y: Slot) -> Out {
        Out { y, add: false, scale: 1.0 }
    }
}

/// What a sum of two independent embeddings is multiplied by, so that its size stays.
const HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;

impl Lowering<'_> {
    fn all(&mut self) {
        let spec = self.spec;
        let dim = spec.dim as usize;
        let stream = self.slot("x", dim);
        let table = self.weight(P::Embed);
        let (scale, key, add) = (spec.embed_scale, Key::Id, false);
        self.stage([Embed { table, y: stream, scale, key, add }.into()]);
        if spec.positions.is_some() {
            let (table, key) = (self.weight(P::Positions), Key::Position);
            self.stage([Embed { table, y: stream, scale: 1.0, key, add: true }.into()]);
        }
        self.own = spec.per_layer.map(|own| self.layer_embeddings(own, stream));
        for (i, layer) in spec.layers.iter().enumerate() {
            self.layer = Some(i as u32);
            self.layer(layer, stream);
        }
        self.layer = None;
        let (picked, hidden) = (self.output_slot("picked", dim), self.output_slot("hidden", dim));
        let logits = self.output_slot("logits", spec.vocab as usize);
        self.stage([Pick { x: stream, y: picked }.into()]);
        self.norm(P::HeadNorm, P::HeadNormBias, picked, hidden);
        let head = if spec.tied { table } else { self.weight(P::Head) };
        let out = Out { y: logits, add: false, scale: spec.logit_scale };
        self.linear(hidden, head, None, out);
        if let Some(cap) = spec.logit_cap {
            self.stage([SoftCap { x: logits, cap }.into()]);
        }
        self.stage([Argmax { logits }.into()]);
        (self.program.logits, self.program.hidden) = (Some(logits), Some(hidden));
    }

    /// What every layer gets of a token besides the stream, less the factor of [`HALF`] that
    /// [`Lowering::add_own`] applies.
    fn layer_embeddings(&mut self, own: PerLayer, stream: Slot) -> Slot {
        let y = self.slot("own", own.width as usize * self.spec.layers.len());
        let scale = (self.spec.dim as f32).powf(-0.5);
        self.linear(stream, self.weight(P::LayerProjection), None, Out { y, add: false, scale });
        let (w, dim, eps) = (Some(self.weight(P::LayerProjectionNorm)), own.width, self.eps());
        self.stage([RmsNorm { x: y, w, y, dim, eps, add: false }.into()]);
        let (table, scale) = (self.weight(P::LayerEmbed), (own.width as f32).sqrt());
        self.stage([Embed { table, y, scale, key: Key::Id, add: true }.into()]);
        y
    }

    fn layer(&mut self, layer: &Layer, stream: Slot) {
        if let Some(memory) = &layer.memory {
            self.memory(memory, stream);
        }
        let normed = match layer.block {
            Block::After => stream,
            _ => self.normed(P::MixerNorm, P::MixerNormBias, stream),
        };
        let out = self.branch(layer, stream);
        match &layer.mixer {
            Mixer::Attention(attention) => self.attention(attention, normed, out),
            Mixer::Latent(latent) => self.latent(latent, normed, out),
            Mixer::DeltaNet(delta) => self.delta_net(delta, normed, out),
        }
        self.join(layer, P::MixerPostNorm, out, stream);
        let normed = match layer.block {
            Block::After => stream,
            Block::Parallel => normed,
            Block::Before | Block::Sandwich => self.normed(P::FfnNorm, P::FfnNormBias, stream),
        };
        let out = self.branch(layer, stream);
        match &layer.ffn {
            Ffn::Dense(dense) => self.dense(dense, normed, out),
            Ffn::Experts(experts) => self.experts(experts, normed, normed, out),
            Ffn::Beside(dense, experts) => self.beside(dense, experts, stream, normed, out),
        }
        self.join(layer, P::FfnPostNorm, out, stream);
        if let (Some(all), Some(own)) = (self.own, self.spec.per_layer) {
            self.add_own(own, all, stream);
        }
        if layer.scaled {
            self.stage([Scale { x: stream, w: self.weight(P::LayerScale) }.into()]);
        }
    }

    /// `stream += norm(back(act(gate(stream)) * own))`.
    fn add_own(&mut self, own: PerLayer, all: Slot, stream: Slot) {
        let (gate, back) =
            (self.slot("gate", own.width as usize), self.slot("back", self.spec.dim as usize));
        self.linear(stream, self.weight(P::LayerGate), None, Out::to(gate));
        let first = self.layer.unwrap_or(0) * own.width;
        let (up, act) = (Up::Slot(all, first), act(own.act));
        self.stage([GatedAct { gate, up, y: gate, act }.into()]);
        let out = Out { y: back, add: false, scale: HALF };
        self.linear(gate, self.weight(P::LayerBack), None, out);
        let (w, dim, eps) = (Some(self.weight(P::LayerBackNorm)), self.spec.dim, self.eps());
        self.stage([RmsNorm { x: back, w, y: stream, dim, eps, add: true }.into()]);
    }

    /// Where a part of a layer puts what is to be added to the stream.
    fn branch(&mut self, layer: &Layer, stream: Slot) -> Out {
        match layer.block.normed_after() {
            true => Out::to(self.slot("branch", self.spec.dim as usize)),
            false => Out { y: stream, add: true, scale: layer.residual_scale },
        }
    }

    /// Adds a part's result to the stream where that is not done yet.
    fn join(&mut self, layer: &Layer, part: model::Part, out: Out, stream: Slot) {
        if !layer.block.normed_after() {
            return;
        }
        let (x, w, dim, eps) = (out.y, Some(self.weight(part)), self.spec.dim, self.eps());
        let scale = layer.residual_scale;
        if scale == 1.0 {
            self.stage([RmsNorm { x, w, y: stream, dim, eps, add: true }.into()]);
        } else {
            self.stage([RmsNorm { x, w, y: x, dim, eps, add: false }.into()]);
            self.stage([Combine { x, y: stream, scale, add: true }.into()]);
        }
    }

    fn linear(&mut self, x: Slot, weight: WeightId, bias: Option<WeightId>, out: Out) {
        let part = self.part(weight, bias, out);
        self.stage([Linear { x, parts: vec![part] }.into()]);
    }

    /// The stream after a norm.
    fn normed(&mut self, gains: model::Part, bias: model::Part, x: Slot) -> Slot {
        let normed = self.slot("normed", self.spec.dim as usize);
        self.norm(gains, bias, x, normed);
        normed
    }

    fn norm(&mut self, gains: model::Part, bias: model::Part, x: Slot, y: Slot) {
        let bias = match self.spec.norm {
            Norm::Layer { bias: true } => Some(self.weight(bias)),
            Norm::Rms | Norm::Layer { bias: false } => None,
        };
        let op = self.norm_op(self.weight(gains), bias, x, y, self.spec.dim);
        self.stage([op]);
    }

    fn norm_op(&self, w: WeightId, bias: Option<WeightId>, x: Slot, y: Slot, dim: u32) -> Op {
        let eps = self.eps();
        match self.spec.norm {
            Norm::Rms => RmsNorm { x, w: Some(w), y, dim, eps, add: false }.into(),
            Norm::Layer { .. } => LayerNorm { x, w, bias, y, dim, eps }.into(),
        }
    }

    fn eps(&self) -> f32 {
        self.spec.norm_eps
    }

    fn part(&self, weight: WeightId, bias: Option<WeightId>, out: Out) -> Part {
        let Out { y, add, scale } = out;
        Part { weight, bias, y, add, scale, form: self.form(weight) }
    }

    /// The form that a weight's format has and the options want.
    fn form(&self, weight: WeightId) -> Form {
        let info = self.program.weight(weight);
        match (self.options.form, info.kind.int_shape()) {
            (Form::Fast, Some(shape)) if info.cols.is_multiple_of(shape.n) => Form::Fast,
            _ => Form::Exact,
        }
    }

    /// The id of a part that [`Spec::weights`] lists; the two are written against each other. Of
    /// a part that every expert has it is the first one's.
    fn weight(&self, part: model::Part) -> WeightId {
        let id = self.ids.get(&(part, self.layer));
        *id.unwrap_or_else(|| &self.ids[&(part, None)])
    }

    fn slot(&mut self, name: &'static str, width: usize) -> Slot {
        self.add_slot(name, width, Domain::Rows)
    }

    fn output_slot(&mut self, name: &'static str, width: usize) -> Slot {
        self.add_slot(name, width, Domain::Outputs)
    }

    fn add_slot(&mut self, name: &'static str, width: usize, domain: Domain) -> Slot {
        self.program.slots.push(SlotInfo { name, width, domain, offset: 0 });
        Slot(self.program.slots.len() as u32 - 1)
    }

    fn stage(&mut self, ops: impl IntoIterator<Item = Op>) {
        let mut ops: Vec<Op> = ops.into_iter().collect();
        let after = self.adapted(&mut ops);
        let stages = [ops].into_iter().chain(after).map(|ops| Stage { layer: self.layer, ops });
        self.program.stages.extend(stages);
    }

    fn rotation(&mut self, rope: &model::Rope) -> RopeId {
        let rotation = rotation(rope);
        let known = self.program.rotations.iter().position(|r| *r == rotation);
        let index = known.unwrap_or_else(|| {
            self.program.rotations.push(rotation);
            self.program.rotations.len() - 1
        });
        RopeId(index as u32)
    }

    /// A place for this layer's keys and values, in the group of its shape.
    fn cache(&mut self, group: CacheGroup) -> CacheRef {
        let same = |g: &CacheGroup| CacheGroup { layers: 0, ..g.clone() } == group;
        let groups = &mut self.program.caches;
        let index = groups.iter().position(same).unwrap_or_else(|| {
            groups.push(group.clone());
            groups.len() - 1
        });
        groups[index].layers += 1;
        CacheRef { group: index as u32, layer: groups[index].layers - 1 }
    }
}

fn rotation(rope: &model::Rope) -> Rotation {
    let short = rope.table(1);
    let long = match &rope.scaling {
        Scaling::LongRope { original, .. } => {
            Some(Long::Switch { above: *original, frequencies: rope.table(u32::MAX).frequencies })
        }
        Scaling::Dynamic { factor, original } => {
            Some(Long::Grow { above: *original, factor: *factor, theta: rope.theta })
        }
        _ => None,
    };
    Rotation {
        interleaved: rope.pairing == Pairing::Interleaved,
        frequencies: short.frequencies,
        magnitude: short.magnitude,
        long,
    }
}
