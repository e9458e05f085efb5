//! From a description to a program: the only place that looks inside mixers and feed-forwards.

mod delta;
mod latent;

use crate::arena;
use model::{Attention, Ffn, Layer, Mixer, Pairing, Scaling, Spec};
use ops::{
    Act, Argmax, Attend, CacheGroup, CacheRef, Columns, Domain, Embed, Form, GatedAct, KvKind,
    KvWrite, Linear, Long, Op, Part, Pick, Program, RmsNorm, Rope, RopeId, Rotation, Slot,
    SlotInfo, Stage, WeightId, WeightInfo,
};
use std::collections::HashMap;

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
}

/// Lowers `spec` with `weights`, one for each of [`Spec::weights`] in that order.
///
/// # Errors
/// None yet: whatever a description can say, the list of operations can do.
pub fn lower(
    spec: &Spec,
    weights: Vec<WeightInfo>,
    options: &Options,
) -> Result<Program, PlanError> {
    let ids = spec.weights().into_iter().enumerate();
    let ids = ids.map(|(i, w)| ((w.part, w.layer), WeightId(i as u32))).collect();
    let program = Program { name: "main", weights, ..Program::default() };
    let mut lowering = Lowering { spec, options, ids, program, layer: None };
    lowering.all();
    let mut program = lowering.program;
    arena::lay_out(&mut program);
    Ok(program)
}

struct Lowering<'a> {
    spec: &'a Spec,
    options: &'a Options,
    ids: HashMap<(model::Part, Option<u32>), WeightId>,
    program: Program,
    layer: Option<u32>,
}

impl Lowering<'_> {
    fn all(&mut self) {
        let spec = self.spec;
        let dim = spec.dim as usize;
        let stream = self.slot("x", dim);
        let table = self.weight(model::Part::Embed);
        self.stage([Embed { table, y: stream, scale: spec.embed_scale }.into()]);
        for (i, layer) in spec.layers.iter().enumerate() {
            self.layer = Some(i as u32);
            self.layer(layer, stream);
        }
        self.layer = None;
        let (picked, hidden) = (self.output_slot("picked", dim), self.output_slot("hidden", dim));
        let logits = self.output_slot("logits", spec.vocab as usize);
        self.stage([Pick { x: stream, y: picked }.into()]);
        self.norm(model::Part::HeadNorm, picked, hidden);
        let head = if spec.tied { table } else { self.weight(model::Part::Head) };
        let part = self.part(head, None, logits, false);
        self.stage([Linear { x: hidden, parts: vec![part] }.into()]);
        self.stage([Argmax { logits }.into()]);
        (self.program.logits, self.program.hidden) = (Some(logits), Some(hidden));
    }

    fn layer(&mut self, layer: &Layer, stream: Slot) {
        let normed = self.slot("normed", self.spec.dim as usize);
        self.norm(model::Part::MixerNorm, stream, normed);
        match &layer.mixer {
            Mixer::Attention(attention) => self.attention(attention, normed, stream),
            Mixer::Latent(latent) => self.latent(latent, normed, stream),
            Mixer::DeltaNet(delta) => self.delta_net(delta, normed, stream),
        }
        let normed = self.slot("normed", self.spec.dim as usize);
        self.norm(model::Part::FfnNorm, stream, normed);
        match &layer.ffn {
            Ffn::Dense { hidden, act, bias } => self.dense(*hidden, *act, *bias, normed, stream),
        }
    }

    /// `stream += attention(normed)`.
    fn attention(&mut self, a: &Attention, normed: Slot, stream: Slot) {
        use model::Part as P;
        let (q_width, kv_width) = (a.heads * a.head_dim, a.kv_heads * a.head_dim);
        let q = self.slot("q", q_width as usize);
        let k = self.slot("k", kv_width as usize);
        let v = self.slot("v", kv_width as usize);
        let joint = if a.gate { self.slot("q and gate", 2 * q_width as usize) } else { q };
        let projections = [(P::Q, P::QBias, joint), (P::K, P::KBias, k), (P::V, P::VBias, v)];
        let parts = projections.map(|(part, bias, y)| {
            let bias = a.qkv_bias.then(|| self.weight(bias));
            self.part(self.weight(part), bias, y, false)
        });
        self.stage([Linear { x: normed, parts: parts.to_vec() }.into()]);
        let gate = a.gate.then(|| self.slot("gate", q_width as usize));
        if let Some(gate) = gate {
            let copy = |start, y| Columns {
                x: joint,
                start,
                stride: 2 * a.head_dim,
                take: a.head_dim,
                count: a.heads,
                y,
                at: 0,
                pitch: a.head_dim,
            };
            self.stage([copy(0, q).into(), copy(a.head_dim, gate).into()]);
        }
        if a.qk_norm {
            let norm = |part, x| RmsNorm {
                x,
                w: self.weight(part),
                y: x,
                dim: a.head_dim,
                eps: self.spec.norm_eps,
            };
            let norms = [norm(P::QNorm, q).into(), norm(P::KNorm, k).into()];
            self.stage(norms);
        }
        let rotation = self.rotation(&a.rope);
        let turn = |x| Op::from(Rope { x, head_dim: a.head_dim, rotation });
        self.stage([turn(q), turn(k)]);
        let cache = self.cache(CacheGroup {
            layers: 0,
            kv_heads: a.kv_heads,
            head_dim: a.head_dim,
            kind: self.options.kv,
            window: a.window,
            latent: false,
        });
        self.stage([KvWrite { k, v: Some(v), cache }.into()]);
        let mixed = self.slot("mixed", q_width as usize);
        self.stage([Attend {
            q,
            y: mixed,
            cache,
            heads: a.heads,
            scale: a.scale,
            window: a.window,
        }
        .into()]);
        let mixed = match gate {
            Some(gate) => {
                self.stage([GatedAct { gate, up: mixed, y: gate, act: Act::Sigmoid }.into()]);
                gate
            }
            None => mixed,
        };
        let bias = a.out_bias.then(|| self.weight(P::OBias));
        let part = self.part(self.weight(P::O), bias, stream, true);
        self.stage([Linear { x: mixed, parts: vec![part] }.into()]);
    }

    /// `stream += down(act(gate(normed)) * up(normed))`.
    fn dense(&mut self, width: u32, act: model::Act, bias: bool, normed: Slot, stream: Slot) {
        use model::Part as P;
        let (gate, up) = (self.slot("gate", width as usize), self.slot("up", width as usize));
        let bias = |this: &Self, part| bias.then(|| this.weight(part));
        let parts = vec![
            self.part(self.weight(P::Gate), bias(self, P::GateBias), gate, false),
            self.part(self.weight(P::Up), bias(self, P::UpBias), up, false),
        ];
        self.stage([Linear { x: normed, parts }.into()]);
        self.stage([GatedAct { gate, up, y: gate, act: self::act(act) }.into()]);
        let part = self.part(self.weight(P::Down), bias(self, P::DownBias), stream, true);
        self.stage([Linear { x: gate, parts: vec![part] }.into()]);
    }

    fn norm(&mut self, part: model::Part, x: Slot, y: Slot) {
        let (w, eps) = (self.weight(part), self.spec.norm_eps);
        self.stage([RmsNorm { x, w, y, dim: self.spec.dim, eps }.into()]);
    }

    fn part(&self, weight: WeightId, bias: Option<WeightId>, y: Slot, add: bool) -> Part {
        let info = self.program.weight(weight);
        let form = match (self.options.form, info.kind.int_shape()) {
            (Form::Fast, Some(shape)) if info.cols.is_multiple_of(shape.n) => Form::Fast,
            _ => Form::Exact,
        };
        Part { weight, bias, y, add, form }
    }

    /// The id of a part that [`Spec::weights`] lists; the two are written against each other.
    fn weight(&self, part: model::Part) -> WeightId {
        let top = [model::Part::Embed, model::Part::HeadNorm, model::Part::Head].contains(&part);
        self.ids[&(part, self.layer.filter(|_| !top))]
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
        let ops = ops.into_iter().collect();
        self.program.stages.push(Stage { layer: self.layer, ops });
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

fn act(act: model::Act) -> Act {
    match act {
        model::Act::Silu => Act::Silu,
        model::Act::Gelu => Act::Gelu,
        model::Act::GeluTanh => Act::GeluTanh,
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
