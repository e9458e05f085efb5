//! The description of a network, layer by layer.

use crate::memory::Memory;
use crate::mixers::{DeltaNet, Latent};
use crate::part::{Part, WeightSpec};
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
    /// Rows of a table of learned positions that is added to the embedding.
    pub positions: Option<u32>,
    /// Factor on the embedding.
    pub embed_scale: f32,
    /// Whether the head is the embedding's matrix.
    pub tied: bool,
    /// What its norms compute.
    pub norm: Norm,
    /// Epsilon of the norms.
    pub norm_eps: f32,
    /// Factor on the logits.
    pub logit_scale: f32,
    /// Soft cap of the logits: `cap * tanh(logit / cap)`.
    pub logit_cap: Option<f32>,
    /// What each layer gets of every token besides the stream (Gemma 4).
    pub per_layer: Option<PerLayer>,
    /// The layers, from the embedding upwards.
    pub layers: Vec<Layer>,
}

/// Embeddings of their own for every layer, gated into the stream at the layer's end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerLayer {
    /// Width for each layer.
    pub width: u32,
    /// The activation of the gate.
    pub act: Act,
}

/// What a norm computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Divides by the root mean square.
    Rms,
    /// Takes the mean off, then divides by the standard deviation.
    Layer {
        /// Whether a bias is added.
        bias: bool,
    },
}

/// One layer: a mixer over positions and a feed-forward network, each added to the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What is looked up and added to the stream before the rest.
    pub memory: Option<Memory>,
    /// What mixes positions.
    pub mixer: Mixer,
    /// What works on each position alone.
    pub ffn: Ffn,
    /// Where its norms stand.
    pub block: Block,
    /// Factor on what is added to the stream.
    pub residual_scale: f32,
    /// Whether the stream is multiplied by a number of the layer's own at its end.
    pub scaled: bool,
}

impl Layer {
    /// Its softmax attention over keys and values, if that is its mixer.
    pub fn attention(&self) -> Option<&Attention> {
        match &self.mixer {
            Mixer::Attention(attention) => Some(attention),
            Mixer::Latent(_) | Mixer::DeltaNet(_) => None,
        }
    }
}

/// Where the norms of a layer stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Before the mixer and before the feed-forward network.
    Before,
    /// After each of them.
    After,
    /// Before and after each of them.
    Sandwich,
    /// One before both, which read the same and are added together.
    Parallel,
}

impl Block {
    /// Whether what is added to the stream is normalised.
    pub fn normed_after(self) -> bool {
        matches!(self, Block::After | Block::Sandwich)
    }
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
    /// The rotary embedding, if there is one.
    pub rope: Option<Rope>,
    /// Factor on the scores.
    pub scale: f32,
    /// How that factor grows with the row's position.
    pub temperature: Option<Temperature>,
    /// Soft cap of the scores: `cap * tanh(score / cap)`.
    pub cap: Option<f32>,
    /// Which positions a row sees.
    pub reach: Reach,
    /// Whether each head has a score of its own that takes part in the softmax and has no value.
    pub sinks: bool,
    /// How q and k are normalised.
    pub qk_norm: QkNorm,
    /// Where the values come from.
    pub values: Values,
    /// The earlier layer whose keys and values this one sees; it has none of its own then.
    pub kv_of: Option<u32>,
    /// Whether q, k and v have a bias.
    pub qkv_bias: bool,
    /// Whether the output projection has a bias.
    pub out_bias: bool,
    /// Whether what attention gives is multiplied by a sigmoid; the rows of its projection follow
    /// those of q head by head (Qwen3-Next).
    pub gate: bool,
}

/// Which positions a row sees, of those up to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All.
    All,
    /// The last so many, its own included.
    Window(u32),
    /// Those of its own chunk of so many.
    Chunk(u32),
}

/// A factor on the scores that grows with the position: `1 + beta * ln(1 + floor((position +
/// offset) / length))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    /// How much it grows.
    pub beta: f32,
    /// Positions for each step of it.
    pub length: u32,
    /// Added to the position.
    pub offset: u32,
}

/// How queries and keys are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkNorm {
    /// Not at all.
    None,
    /// Each head, with gains that all heads share.
    Head,
    /// Each head, with gains of its own.
    EachHead,
    /// All heads together.
    Whole,
    /// Each head by its root mean square, without gains, after the rotation.
    AfterRope,
}

/// Where an attention's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// A projection.
    Projected,
    /// A projection, each head divided by its root mean square.
    Normed,
    /// The keys before their norm and rotation, each head divided by its root mean square.
    OfKeys,
}

/// What works on each position alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Ffn {
    /// One network.
    Dense(Dense),
    /// Many, of which a router chooses a few for each position.
    Experts(Experts),
    /// Both, each between norms of its own, added together (Gemma 4).
    Beside(Dense, Experts),
}

/// `down(act(gate(x)) * up(x))`, or `down(act(up(x)))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dense {
    /// Width of the hidden layer.
    pub hidden: u32,
    /// The activation.
    pub act: Act,
    /// Whether there is a gate.
    pub gated: bool,
    /// Whether the projections have a bias.
    pub bias: bool,
}

/// A mixture of experts: gated networks of one shape, and a router.
#[derive(Clone, Debug, PartialEq)]
pub struct Experts {
    /// How many there are.
    pub count: u32,
    /// Width of the hidden layer of each.
    pub hidden: u32,
    /// The activation of their gates.
    pub act: Act,
    /// How a position's experts are chosen and weighted.
    pub routing: Routing,
    /// Whether their projections have a bias, and the router too.
    pub bias: bool,
    /// Whether the file stores the rows of gate and up in turn, in one matrix.
    pub paired: bool,
    /// A network that works on every position beside them.
    pub shared: Option<Shared>,
}

/// A network beside the experts, shared by all positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Width of its hidden layer.
    pub hidden: u32,
    /// Whether it is multiplied by the sigmoid of a projection of the input to one number.
    pub gated: bool,
}

/// How experts are chosen and weighted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Routing {
    /// Experts for each position.
    pub active: u32,
    /// What the router's logits become.
    pub score: Score,
    /// Whether a bias is added to the scores for the choice, and for it only.
    pub correction: bool,
    /// Groups of experts, of which some are chosen first.
    pub groups: Option<Groups>,
    /// Whether the chosen scores are divided by their sum.
    pub normalized: bool,
    /// Factor on the weights.
    pub scale: f32,
    /// Whether a weight is applied to an expert's input instead of its output.
    pub on_input: bool,
    /// Whether the router has a norm of its own on the stream, and each expert a factor on its
    /// weight (Gemma 4).
    pub own_norm: bool,
}

/// What a router's logits become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// Their softmax.
    Softmax,
    /// The softmax of the chosen ones alone.
    SoftmaxChosen,
    /// The sigmoid of each.
    Sigmoid,
}

/// Groups of experts, the best of which are kept before experts are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// How many groups there are; divides the number of experts.
    pub count: u32,
    /// How many are kept.
    pub kept: u32,
    /// The best scores of a group that are added to rank it: 1 or 2.
    pub ranked_by: u32,
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// `x * sigmoid(x)`.
    Silu,
    /// The exact GELU, with erf.
    Gelu,
    /// GELU's tanh approximation.
    GeluTanh,
    /// `g * sigmoid(alpha * g) * (u + 1)`, where `g` is the gate up to `limit` and `u` what it
    /// gates, within `limit` (gpt-oss).
    ClampedSilu {
        /// The steepness.
        alpha: f32,
        /// The bound.
        limit: f32,
    },
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

    /// Weights in the model, each counted once.
    pub fn parameters(&self) -> u64 {
        self.weights().iter().filter(|w| w.part != Part::MemoryIds).map(WeightSpec::count).sum()
    }

    /// Weights that take part in one position's result: of the experts only the chosen ones, of a
    /// memory's table only the rows that are looked up.
    pub fn active_parameters(&self) -> u64 {
        let active = |w: &WeightSpec| match (w.part, w.expert, w.layer) {
            (Part::MemoryIds, ..) => 0,
            (Part::MemoryTable, _, Some(layer)) => self.found(layer),
            (_, Some(expert), Some(layer)) if expert >= self.active_experts(layer) => 0,
            _ => w.count(),
        };
        self.weights().iter().map(active).sum()
    }

    /// Weights of a layer's memory that one position looks up.
    fn found(&self, layer: u32) -> u64 {
        let memory = self.layers.get(layer as usize).and_then(|layer| layer.memory.as_ref());
        memory.map_or(0, |memory| u64::from(memory.found()))
    }

    /// How many experts of a layer one position uses.
    fn active_experts(&self, layer: u32) -> u32 {
        match self.layers.get(layer as usize).map(|layer| &layer.ffn) {
            Some(Ffn::Experts(experts) | Ffn::Beside(_, experts)) => experts.routing.active,
            _ => 0,
        }
    }
}
