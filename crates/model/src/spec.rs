//! The description of a network, layer by layer, and the weights it demands.

use crate::mixers::{DeltaNet, Latent};
use crate::rope::Rope;

/// A network as data.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The family's name, as GGUF spells it.
    pub family: &'static str,
    /// Tokens in the vocabulary: rows of the embedding and of the head.
    pub vocab: u32,
    /// Width of the residual stream.
    pub dim: u32,
    /// Positions the model was trained for, scaling included.
    pub context: u32,
    /// Factor on the embedding.
    pub embed_scale: f32,
    /// Whether the head is the embedding's matrix.
    pub tied: bool,
    /// Epsilon of the norms.
    pub norm_eps: f32,
    /// The layers, from the embedding upwards.
    pub layers: Vec<Layer>,
}

/// One layer: a mixer over positions, then a feed-forward network, each after a norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What mixes positions.
    pub mixer: Mixer,
    /// What works on each position alone.
    pub ffn: Ffn,
}

/// What mixes positions.
#[derive(Clone, Debug, PartialEq)]
pub enum Mixer {
    /// Softmax attention over a KV cache.
    Attention(Attention),
    /// Softmax attention over a cache of latents.
    Latent(Latent),
    /// A recurrence of fixed state.
    DeltaNet(DeltaNet),
}

/// Softmax attention with grouped heads.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; divides `heads`.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// The rotary embedding.
    pub rope: Rope,
    /// Factor on the scores.
    pub scale: f32,
    /// How many positions a row sees, itself included; all when `None`.
    pub window: Option<u32>,
    /// Whether q and k are normalised per head.
    pub qk_norm: bool,
    /// Whether q, k and v have a bias.
    pub qkv_bias: bool,
    /// Whether the output projection has a bias.
    pub out_bias: bool,
    /// Whether what attention gives is multiplied by a sigmoid; the rows of its projection follow
    /// those of q head by head (Qwen3-Next).
    pub gate: bool,
}

/// What works on each position alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Ffn {
    /// `down(act(gate(x)) * up(x))`.
    Dense {
        /// Width of the hidden layer.
        hidden: u32,
        /// The activation of the gate.
        act: Act,
        /// Whether the three projections have a bias.
        bias: bool,
    },
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `x * sigmoid(x)`.
    Silu,
    /// The exact GELU, with erf.
    Gelu,
    /// GELU's tanh approximation.
    GeluTanh,
}

/// A part of a model that has weights of its own. Files name parts in many ways; we in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Token embedding, (vocab, dim).
    Embed,
    /// Norm before the head.
    HeadNorm,
    /// Output head, (vocab, dim).
    Head,
    /// Norm before the mixer.
    MixerNorm,
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
    /// Per-head norm of the queries, (head_dim).
    QNorm,
    /// Per-head norm of the keys, (head_dim).
    KNorm,
    /// Projection to the latent of the queries, (q_rank, dim).
    QDown,
    /// Its bias.
    QDownBias,
    /// Norm of the latent of the queries, (q_rank).
    QDownNorm,
    /// Projection of that latent to the queries, (heads * (plain + rotated), q_rank).
    QUp,
    /// Projection to the latent of keys and values and to the rotated key, (kv_rank + rotated, dim).
    KvDown,
    /// Its bias.
    KvDownBias,
    /// Norm of the latent of keys and values, (kv_rank).
    KvDownNorm,
    /// Projection of that latent to each head's key and value, (heads * (plain + v_dim), kv_rank).
    KvUp,
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
}

/// One matrix or vector that a model demands. A vector has one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightSpec {
    /// Which part it is.
    pub part: Part,
    /// The layer it belongs to; `None` outside the stack.
    pub layer: Option<u32>,
    /// Output width.
    pub rows: u32,
    /// Input width.
    pub cols: u32,
}

impl Spec {
    /// Changes every layer, given its index.
    pub fn each_layer(mut self, change: impl Fn(usize, &mut Layer)) -> Spec {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            change(i, layer);
        }
        self
    }

    /// Changes the attention of every layer that has one, given the layer's index.
    pub fn attention(self, change: impl Fn(usize, &mut Attention)) -> Spec {
        self.each_layer(|i, layer| match &mut layer.mixer {
            Mixer::Attention(attention) => change(i, attention),
            Mixer::Latent(_) | Mixer::DeltaNet(_) => {}
        })
    }

    /// Every part that the model's file must hold, with its shape; nothing else may be left over.
    pub fn weights(&self) -> Vec<WeightSpec> {
        let mut list = Vec::new();
        let mut top = |part, rows, cols| list.push(WeightSpec { part, layer: None, rows, cols });
        top(Part::Embed, self.vocab, self.dim);
        top(Part::HeadNorm, 1, self.dim);
        if !self.tied {
            top(Part::Head, self.vocab, self.dim);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            let mut add = |part, rows, cols| {
                list.push(WeightSpec { part, layer: Some(i as u32), rows, cols });
            };
            add(Part::MixerNorm, 1, self.dim);
            mixer_weights(&layer.mixer, self.dim, &mut add);
            add(Part::FfnNorm, 1, self.dim);
            ffn_weights(&layer.ffn, self.dim, &mut add);
        }
        list
    }

    /// Weights in the model, each counted once.
    pub fn parameters(&self) -> u64 {
        self.weights().iter().map(|w| u64::from(w.rows) * u64::from(w.cols)).sum()
    }
}

fn mixer_weights(mixer: &Mixer, dim: u32, add: &mut impl FnMut(Part, u32, u32)) {
    match mixer {
        Mixer::Attention(a) => attention_weights(a, dim, add),
        Mixer::Latent(l) => l.weights(dim, add),
        Mixer::DeltaNet(d) => d.weights(dim, add),
    }
}

fn attention_weights(a: &Attention, dim: u32, add: &mut impl FnMut(Part, u32, u32)) {
    let (q, kv) = (a.heads * a.head_dim, a.kv_heads * a.head_dim);
    for (part, bias, rows) in [
        (Part::Q, Part::QBias, q * (1 + u32::from(a.gate))),
        (Part::K, Part::KBias, kv),
        (Part::V, Part::VBias, kv),
    ] {
        add(part, rows, dim);
        if a.qkv_bias {
            add(bias, 1, rows);
        }
    }
    if a.qk_norm {
        add(Part::QNorm, 1, a.head_dim);
        add(Part::KNorm, 1, a.head_dim);
    }
    add(Part::O, dim, q);
    if a.out_bias {
        add(Part::OBias, 1, dim);
    }
}

fn ffn_weights(ffn: &Ffn, dim: u32, add: &mut impl FnMut(Part, u32, u32)) {
    let Ffn::Dense { hidden, bias, .. } = *ffn;
    for (part, bias_part, rows, cols) in [
        (Part::Gate, Part::GateBias, hidden, dim),
        (Part::Up, Part::UpBias, hidden, dim),
        (Part::Down, Part::DownBias, dim, hidden),
    ] {
        add(part, rows, cols);
        if bias {
            add(bias_part, 1, rows);
        }
    }
}
