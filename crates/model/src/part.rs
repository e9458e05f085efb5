//! The parts of a model that have weights of their own, and those that a description demands.

use crate::spec::{
    Attention, Block, Dense, Experts, Ffn, Layer, Mixer, Norm, QkNorm, Spec, Values,
};

/// A part of a model that has weights of its own. Files name parts in many ways; we in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Token embedding, (vocab, dim).
    Embed,
    /// Learned positions, (positions, dim).
    Positions,
    /// Per-layer embedding, (vocab, layers * per_layer).
    LayerEmbed,
    /// Projection of the embedding for all layers, (layers * per_layer, dim).
    LayerProjection,
    /// Norm of that projection, (per_layer).
    LayerProjectionNorm,
    /// Norm before the head.
    HeadNorm,
    /// Bias of the norm before the head.
    HeadNormBias,
    /// Output head, (vocab, dim).
    Head,
    /// What each id counts as where n-grams are hashed: whole numbers, no weights, (vocab, 1).
    MemoryIds,
    /// A memory's table, (rows of all heads, width).
    MemoryTable,
    /// Projection of what is found to the key of its gate, (dim, heads * width).
    MemoryKey,
    /// Its bias.
    MemoryKeyBias,
    /// Projection of what is found to what is added, (dim, heads * width).
    MemoryValue,
    /// Its bias.
    MemoryValueBias,
    /// Norm of the key.
    MemoryKeyNorm,
    /// Norm of the stream that the key is compared with.
    MemoryQueryNorm,
    /// A memory's convolution, (dim, kernel).
    MemoryConv,
    /// Norm before it.
    MemoryConvNorm,
    /// Norm before the mixer.
    MixerNorm,
    /// Its bias.
    MixerNormBias,
    /// Norm of what the mixer adds to the stream.
    MixerPostNorm,
    /// Query projection, (heads * head_dim, dim).
    Q,
    /// Key projection, (kv_heads * head_dim, dim).
    K,
    /// Value projection, (kv_heads * head_dim, dim).
    V,
    /// Output projection, (dim, heads * head_dim).
    O,
    /// Bias of the query projection.
    QBias,
    /// Bias of the key projection.
    KBias,
    /// Bias of the value projection.
    VBias,
    /// Bias of the output projection.
    OBias,
    /// Norm of the queries: (head_dim), or (heads * head_dim) with gains for each head.
    QNorm,
    /// Norm of the keys, likewise.
    KNorm,
    /// A score of each head for looking nowhere, (heads).
    Sinks,
    /// Projection to the latent of the queries, (q_rank, dim).
    QDown,
    /// Its bias.
    QDownBias,
    /// Norm of the latent of the queries, (q_rank).
    QDownNorm,
    /// Projection of that latent to the queries, (heads * (plain + rotated), q_rank).
    QUp,
    /// Projection to the latent of keys and values and to the rotated key, (kv_rank + rotated,
    /// dim).
    KvDown,
    /// Its bias.
    KvDownBias,
    /// Norm of the latent of keys and values, (kv_rank).
    KvDownNorm,
    /// Projection of that latent to each head's key and value, (heads * (plain + v_dim), kv_rank).
    KvUp,
    /// What a head's queries are turned into the latent's space by, (heads * kv_rank, plain): the
    /// keys' part of the above, transposed for each head.
    KUp,
    /// The values' part of the above, (heads * v_dim, kv_rank).
    VUp,
    /// Queries, keys and values of a delta net, (2 * keys + values, dim).
    DeltaInput,
    /// Gate of a delta net's output, (values, dim).
    DeltaGate,
    /// Both in one, key head by key head.
    DeltaAll,
    /// How much a delta net's heads write, (v_heads, dim).
    DeltaBeta,
    /// How much a delta net's heads forget, (v_heads, dim).
    DeltaDecay,
    /// Both in one, key head by key head.
    DeltaGates,
    /// A delta net's convolution, (2 * keys + values, kernel).
    DeltaConv,
    /// Rates of its decays, negative, (v_heads).
    DeltaRate,
    /// Biases of its decays, (v_heads).
    DeltaBias,
    /// Norm of its heads' output, (v_dim).
    DeltaNorm,
    /// Its output projection, (dim, values).
    DeltaOut,
    /// Norm before the feed-forward network.
    FfnNorm,
    /// Its bias.
    FfnNormBias,
    /// Norm of what the feed-forward network adds to the stream.
    FfnPostNorm,
    /// Gate projection, (hidden, dim).
    Gate,
    /// Up projection, (hidden, dim).
    Up,
    /// Down projection, (dim, hidden).
    Down,
    /// Bias of the gate projection.
    GateBias,
    /// Bias of the up projection.
    UpBias,
    /// Bias of the down projection.
    DownBias,
    /// Router, (experts * dim).
    Router,
    /// Bias of the router's logits, (experts).
    RouterBias,
    /// Added to the scores for the choice of experts, (experts).
    RouterCorrection,
    /// Gains of the router's own norm, (dim).
    RouterNorm,
    /// Factor on each expert's weight, (experts).
    ExpertScale,
    /// Norm before the experts where another network stands beside them.
    ExpertNorm,
    /// Norm of what the experts give there.
    ExpertPostNorm,
    /// Norm of what the network beside the experts gives.
    BesidePostNorm,
    /// An expert's gate projection, (hidden, dim).
    ExpertGate,
    /// An expert's up projection, (hidden, dim).
    ExpertUp,
    /// An expert's gate and up projection, row by row in turn, (2 * hidden, dim).
    ExpertGateUp,
    /// An expert's down projection, (dim, hidden).
    ExpertDown,
    /// Biases of all experts' gate projections, (experts * hidden).
    ExpertGateBias,
    /// Biases of all experts' up projections, (experts * hidden).
    ExpertUpBias,
    /// Biases of gate and up in turn, (experts * 2 * hidden).
    ExpertGateUpBias,
    /// Biases of all experts' down projections, (experts * dim).
    ExpertDownBias,
    /// Gate projection of the network that all positions share, (hidden, dim).
    SharedGate,
    /// Up projection of that network.
    SharedUp,
    /// Down projection of that network.
    SharedDown,
    /// What that network is multiplied by, before the sigmoid, (1, dim).
    SharedSwitch,
    /// Gate of the layer's own embedding, (per_layer, dim).
    LayerGate,
    /// Projection of the layer's own embedding back, (dim, per_layer).
    LayerBack,
    /// Norm of what that adds to the stream.
    LayerBackNorm,
    /// A factor on the stream at the layer's end, (1).
    LayerScale,
}

/// One matrix or vector that a model demands. A vector has one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightSpec {
    /// Which part it is.
    pub part: Part,
    /// The layer it belongs to; `None` outside the stack.
    pub layer: Option<u32>,
    /// The expert it belongs to.
    pub expert: Option<u32>,
    /// Output width.
    pub rows: u32,
    /// Input width.
    pub cols: u32,
}

impl WeightSpec {
    /// How many weights it has.
    pub fn count(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.cols)
    }
}

/// A list under construction.
struct List<'a> {
    spec: &'a Spec,
    weights: Vec<WeightSpec>,
    layer: Option<u32>,
}

impl Spec {
    /// Every part that the model's file must hold, with its shape; nothing else may be left over.
    /// Of a part that every expert has, those of all experts follow each other.
    pub fn weights(&self) -> Vec<WeightSpec> {
        let mut list = List { spec: self, weights: Vec::new(), layer: None };
        list.add(Part::Embed, self.vocab, self.dim);
        if let Some(positions) = self.positions {
            list.add(Part::Positions, positions, self.dim);
        }
        if let Some(width) = self.per_layer.map(|own| own.width) {
            let all = self.layers.len() as u32 * width;
            list.add(Part::LayerEmbed, self.vocab, all);
            list.add(Part::LayerProjection, all, self.dim);
            list.add(Part::LayerProjectionNorm, 1, width);
        }
        let memories = || self.layers.iter().filter_map(|layer| layer.memory.as_ref());
        if memories().any(|memory| memory.merged) {
            list.add(Part::MemoryIds, self.vocab, 1);
        }
        list.norm(Part::HeadNorm, Part::HeadNormBias);
        if !self.tied {
            list.add(Part::Head, self.vocab, self.dim);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            list.layer = Some(i as u32);
            list.layer(layer);
        }
        list.weights
    }
}

impl List<'_> {
    fn add(&mut self, part: Part, rows: u32, cols: u32) {
        self.weights.push(WeightSpec { part, layer: self.layer, expert: None, rows, cols });
    }

    fn each_expert(&mut self, count: u32, part: Part, rows: u32, cols: u32) {
        let layer = self.layer;
        let of = |expert| WeightSpec { part, layer, expert: Some(expert), rows, cols };
        self.weights.extend((0..count).map(of));
    }

    fn vector(&mut self, part: Part) {
        self.add(part, 1, self.spec.dim);
    }

    fn norm(&mut self, gains: Part, bias: Part) {
        self.vector(gains);
        if self.spec.norm == (Norm::Layer { bias: true }) {
            self.vector(bias);
        }
    }

    fn layer(&mut self, layer: &Layer) {
        let after = layer.block.normed_after();
        if let Some(memory) = &layer.memory {
            memory.weights(self.spec.dim, &mut |part, rows, cols| self.add(part, rows, cols));
        }
        if layer.block != Block::After {
            self.norm(Part::MixerNorm, Part::MixerNormBias);
        }
        let dim = self.spec.dim;
        match &layer.mixer {
            Mixer::Attention(attention) => self.attention(attention),
            Mixer::Latent(latent) => {
                latent.weights(dim, &mut |part, rows, cols| self.add(part, rows, cols));
            }
            Mixer::DeltaNet(delta) => {
                delta.weights(dim, &mut |part, rows, cols| self.add(part, rows, cols));
            }
        }
        if after {
            self.vector(Part::MixerPostNorm);
        }
        if matches!(layer.block, Block::Before | Block::Sandwich) {
            self.norm(Part::FfnNorm, Part::FfnNormBias);
        }
        match &layer.ffn {
            Ffn::Dense(dense) => self.dense(dense),
            Ffn::Experts(experts) => self.experts(experts),
            Ffn::Beside(dense, experts) => {
                self.dense(dense);
                self.experts(experts);
                self.vector(Part::BesidePostNorm);
                self.vector(Part::ExpertNorm);
                self.vector(Part::ExpertPostNorm);
            }
        }
        if after {
            self.vector(Part::FfnPostNorm);
        }
        if let Some(width) = self.spec.per_layer.map(|own| own.width) {
            self.add(Part::LayerGate, width, self.spec.dim);
            self.add(Part::LayerBack, self.spec.dim, width);
            self.vector(Part::LayerBackNorm);
        }
        if layer.scaled {
            self.add(Part::LayerScale, 1, 1);
        }
    }

    fn attention(&mut self, a: &Attention) {
        let (dim, q, kv) = (self.spec.dim, a.heads * a.head_dim, a.kv_heads * a.head_dim);
        let own = a.kv_of.is_none();
        for (part, bias, rows, there) in [
            (Part::Q, Part::QBias, if a.gate { 2 * q } else { q }, true),
            (Part::K, Part::KBias, kv, own),
            (Part::V, Part::VBias, kv, own && a.values != Values::OfKeys),
        ] {
            if there {
                self.add(part, rows, dim);
            }
            if there && a.qkv_bias {
                self.add(bias, 1, rows);
            }
        }
        let gains = |heads: u32| match a.qk_norm {
            QkNorm::None | QkNorm::AfterRope => None,
            QkNorm::Head => Some(a.head_dim),
            QkNorm::EachHead | QkNorm::Whole => Some(heads * a.head_dim),
        };
        for (part, heads, there) in [(Part::QNorm, a.heads, true), (Part::KNorm, a.kv_heads, own)] {
            if let Some(cols) = gains(heads).filter(|_| there) {
                self.add(part, 1, cols);
            }
        }
        if a.sinks {
            self.add(Part::Sinks, 1, a.heads);
        }
        self.add(Part::O, dim, q);
        if a.out_bias {
            self.add(Part::OBias, 1, dim);
        }
    }

    fn dense(&mut self, dense: &Dense) {
        let (dim, hidden) = (self.spec.dim, dense.hidden);
        for (part, bias, rows, cols) in [
            (Part::Gate, Part::GateBias, hidden, dim),
            (Part::Up, Part::UpBias, hidden, dim),
            (Part::Down, Part::DownBias, dim, hidden),
        ] {
            if part == Part::Gate && !dense.gated {
                continue;
            }
            self.add(part, rows, cols);
            if dense.bias {
                self.add(bias, 1, rows);
            }
        }
    }

    fn experts(&mut self, experts: &Experts) {
        let (dim, hidden, count) = (self.spec.dim, experts.hidden, experts.count);
        let routing = &experts.routing;
        self.add(Part::Router, count, dim);
        if routing.own_norm {
            self.vector(Part::RouterNorm);
            self.add(Part::ExpertScale, 1, count);
        }
        if routing.correction {
            self.add(Part::RouterCorrection, 1, count);
        }
        if experts.bias {
            self.add(Part::RouterBias, 1, count);
        }
        let inner: &[_] = match experts.paired {
            true => &[(Part::ExpertGateUp, Part::ExpertGateUpBias, 2 * hidden)],
            false => &[
                (Part::ExpertGate, Part::ExpertGateBias, hidden),
                (Part::ExpertUp, Part::ExpertUpBias, hidden),
            ],
        };
        for &(part, bias, rows) in inner {
            self.each_expert(count, part, rows, dim);
            if experts.bias {
                self.add(bias, 1, count * rows);
            }
        }
        self.each_expert(count, Part::ExpertDown, dim, hidden);
        if experts.bias {
            self.add(Part::ExpertDownBias, 1, count * dim);
        }
        if let Some(shared) = experts.shared {
            self.add(Part::SharedGate, shared.hidden, dim);
            self.add(Part::SharedUp, shared.hidden, dim);
            self.add(Part::SharedDown, dim, shared.hidden);
            if shared.gated {
                self.add(Part::SharedSwitch, 1, dim);
            }
        }
    }
}
