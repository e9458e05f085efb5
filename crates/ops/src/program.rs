//! A program: stages of independent operations over slots, weights and caches.
//!
//! Rows are symbolic: one program serves every batch, and its memory is laid out for the largest.

use crate::list::Op;
use blocks::{Kind, Row, encode_q4_0, encode_q8_0};
use half::f16;

/// Positions in a page of the KV cache.
pub const PAGE: usize = 64;

/// A buffer of a program: so many rows of a width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// A weight of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub u32);

/// A rotation of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RopeId(pub u32);

/// What a model lowers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// What it computes: `main`, later `mtp`, `encoder`.
    pub name: &'static str,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// The buffers.
    pub slots: Vec<SlotInfo>,
    /// f32 values that the slots of one row take together; slots with disjoint lives share them.
    pub row_width: usize,
    /// Likewise for a wanted row.
    pub output_width: usize,
    /// The weights, in the order in which they are handed over.
    pub weights: Vec<WeightInfo>,
    /// The rotations.
    pub rotations: Vec<Rotation>,
    /// The caches: layers with the same retention and shape form a group.
    pub caches: Vec<CacheGroup>,
    /// f32 values of a recurrent state: what a sequence keeps besides the caches.
    pub state_width: usize,
    /// The slot that holds the logits, (outputs, vocab).
    pub logits: Option<Slot>,
    /// The slot that holds the last hidden state, (outputs, dim).
    pub hidden: Option<Slot>,
}

/// Operations that do not depend on each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// The layer that they belong to, for printing.
    pub layer: Option<u32>,
    /// The operations.
    pub ops: Vec<Op>,
}

/// Which rows a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Every row of the step.
    Rows,
    /// The rows whose output somebody wants.
    Outputs,
}

/// A buffer's name, shape and place.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotInfo {
    /// For printing.
    pub name: &'static str,
    /// f32 values per row.
    pub width: usize,
    /// Which rows it holds.
    pub domain: Domain,
    /// First value, in units of one value per row of its domain.
    pub offset: usize,
}

/// A weight's name, shape and format; its bytes come separately.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightInfo {
    /// As the file names it.
    pub name: String,
    /// How its numbers are stored.
    pub kind: Kind,
    /// Output width; 1 for a vector.
    pub rows: usize,
    /// Input width.
    pub cols: usize,
}

/// How a linear operation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the activations as f32.
    Exact,
    /// With the activations rounded to int8, as [`crate::numerics`] states.
    Fast,
}

/// One product of a linear operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The matrix, (rows, cols).
    pub weight: WeightId,
    /// Added to the product, (rows).
    pub bias: Option<WeightId>,
    /// Output, (step rows, weight rows).
    pub y: Slot,
    /// Factor on the product and its bias.
    pub scale: f32,
    /// Whether the result is added to what `y` holds.
    pub add: bool,
    /// How it is computed.
    pub form: Form,
}

/// One product of a linear operation by expert.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpertPart {
    /// The matrix of expert 0, (rows, cols); those of the others follow it.
    pub first: WeightId,
    /// Added to the product, (experts * rows).
    pub bias: Option<WeightId>,
    /// Output, (step rows, active * rows).
    pub y: Slot,
    /// How it is computed.
    pub form: Form,
}

/// How a route chooses among experts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Routing {
    /// Experts for each row.
    pub active: u32,
    /// What the logits become.
    pub score: Score,
    /// Groups of experts, the best of which are kept first.
    pub groups: Option<Groups>,
    /// Whether the chosen scores are divided by their sum.
    pub normalized: bool,
    /// Factor on the weights.
    pub scale: f32,
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
    /// The best scores of a group that are added to rank it.
    pub ranked_by: u32,
}

/// What a gate gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Up {
    /// Nothing: the result is the activation.
    None,
    /// As many values of each row of a slot, from a column on.
    Slot(Slot, u32),
    /// The gate's neighbour: a row of the gate holds gate and up in turn.
    Neighbour,
}

/// What chooses a row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The row's id; a row that brings an embedding has none.
    Id,
    /// The row's position.
    Position,
}

/// Which positions a row sees, of those that its sequence's mask lets it see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All.
    All,
    /// The last so many, its own included.
    Window(u32),
    /// Those of its own chunk of so many.
    Chunk(u32),
}

impl Reach {
    /// The most positions that a row sees; `None` for all.
    pub fn most(self) -> Option<u32> {
        match self {
            Reach::All => None,
            Reach::Window(n) | Reach::Chunk(n) => Some(n),
        }
    }
}

/// A factor that grows with the position: `1 + beta * ln(1 + floor((position + offset) / length))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    /// How much it grows.
    pub beta: f32,
    /// Positions for each step of it.
    pub length: u32,
    /// Added to the position.
    pub offset: u32,
}

impl Temperature {
    /// The factor at a position.
    pub fn at(&self, position: u32) -> f32 {
        let steps = (u64::from(position) + u64::from(self.offset)) / u64::from(self.length.max(1));
        (1.0 + f64::from(self.beta) * (1.0 + steps as f64).ln()) as f32
    }
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
    /// `sigmoid(x)`.
    Sigmoid,
    /// `sigmoid(sign(x) * sqrt(max(|x|, 1e-6)))`, and a half for zero.
    RootSigmoid,
    /// `g * sigmoid(alpha * g)` with `g` at most `limit`; what it gates is brought within `limit`
    /// of zero and one is added to it.
    ClampedSilu {
        /// The steepness.
        alpha: f32,
        /// The bound.
        limit: f32,
    },
}

/// A rotation's frequencies.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    /// Whether neighbours turn together (else value i with i + n).
    pub interleaved: bool,
    /// Radians per position, (n); 2n leading values of a head are rotated.
    pub frequencies: Vec<f32>,
    /// Factor on the rotated values.
    pub magnitude: f32,
    /// What changes for long sequences.
    pub long: Option<Long>,
}

/// How a rotation changes for sequences longer than `above` positions. The length that counts
/// for a row is the larger of its own position plus one and the length that its sequence declares.
#[derive(Clone, Debug, PartialEq)]
pub enum Long {
    /// Other frequencies.
    Switch {
        /// Positions up to which the usual ones serve.
        above: u32,
        /// The others, (n).
        frequencies: Vec<f32>,
    },
    /// A base that grows with the length: `theta * (factor * length / above - (factor - 1)) ^
    /// (dims / (dims - 2))`.
    Grow {
        /// Positions up to which the usual ones serve.
        above: u32,
        /// The growth.
        factor: f32,
        /// The usual base.
        theta: f32,
    },
}

impl Rotation {
    /// Writes the frequencies that a row of a sequence of `length` positions uses.
    pub fn frequencies(&self, length: u32, out: &mut [f32]) {
        match &self.long {
            Some(Long::Switch { above, frequencies }) if length > *above => {
                out.copy_from_slice(frequencies);
            }
            Some(Long::Grow { above, factor, theta }) if length > *above => {
                let dims = 2.0 * out.len() as f64;
                let factor = f64::from(*factor);
                let growth = factor * f64::from(length) / f64::from(*above) - (factor - 1.0);
                let theta = f64::from(*theta) * growth.powf(dims / (dims - 2.0));
                for (i, f) in out.iter_mut().enumerate() {
                    *f = theta.powf(-2.0 * i as f64 / dims) as f32;
                }
            }
            _ => out.copy_from_slice(&self.frequencies),
        }
    }
}

/// How keys and values are stored: each head's row of a position in blocks of a format.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvKind {
    /// Four bytes a value.
    F32,
    /// Two bytes a value.
    F16,
    /// Thirty-four bytes for 32 values.
    Q8_0,
    /// Eighteen bytes for 32 values.
    Q4_0,
}

impl KvKind {
    /// The format of the blocks.
    pub fn format(self) -> Kind {
        match self {
            KvKind::F32 => Kind::F32,
            KvKind::F16 => Kind::F16,
            KvKind::Q8_0 => Kind::Q8_0,
            KvKind::Q4_0 => Kind::Q4_0,
        }
    }

    /// Whether rows of `dim` values are whole blocks.
    pub fn fits(self, dim: usize) -> bool {
        dim.is_multiple_of(self.format().block_len())
    }

    /// Bytes of a head's row of `dim` values, which are whole blocks.
    pub fn row_bytes(self, dim: usize) -> usize {
        dim / self.format().block_len() * self.format().block_bytes()
    }

    /// Makes a row's values those that are read after they were stored.
    pub fn round(self, row: &mut [f32]) {
        let format = self.format();
        let decode = |data: &[u8], out: &mut [f32]| {
            format.decode(Row { data, scales: &[], biases: &[], index: &[] }, 0, out);
        };
        match self {
            KvKind::F32 => {}
            KvKind::F16 => row.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32()),
            KvKind::Q8_0 => {
                row.as_chunks_mut().0.iter_mut().for_each(|x| decode(&encode_q8_0(x), x));
            }
            KvKind::Q4_0 => {
                row.as_chunks_mut().0.iter_mut().for_each(|x| decode(&encode_q4_0(x), x));
            }
        }
    }
}

/// Layers whose caches have the same shape and keep the same positions: they share block tables.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheGroup {
    /// Layers in the group.
    pub layers: u32,
    /// Key heads of each layer.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// How values are stored.
    pub kind: KvKind,
    /// How many positions are ever seen again; all when `None`.
    pub window: Option<u32>,
    /// Whether values are the first numbers of the keys and take no memory of their own, as those
    /// of a latent do.
    pub latent: bool,
}

impl CacheGroup {
    /// Bytes of a head's keys (or values) of one layer and position.
    pub fn row_bytes(&self) -> usize {
        self.kind.row_bytes(self.head_dim as usize)
    }

    /// Numbers in a page, of all layers.
    pub fn page_values(&self) -> usize {
        let heads = self.layers as usize * self.planes() * self.kv_heads as usize;
        heads * PAGE * self.head_dim as usize
    }

    /// Bytes of the keys (or the values) of one layer in one page: `[kv_head][position][dim]`.
    pub fn plane_bytes(&self) -> usize {
        self.kv_heads as usize * PAGE * self.row_bytes()
    }

    /// What a layer keeps of a position: keys, and values unless they are part of the keys.
    pub fn planes(&self) -> usize {
        2 - usize::from(self.latent)
    }

    /// Bytes of a page: for each layer its keys, then its values.
    pub fn page_bytes(&self) -> usize {
        self.layers as usize * self.planes() * self.plane_bytes()
    }

    /// Bytes that one position takes in all layers of the group.
    pub fn bytes_per_token(&self) -> usize {
        self.page_bytes() / PAGE
    }
}

/// A layer's place in the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheRef {
    /// The group.
    pub group: u32,
    /// The layer within the group.
    pub layer: u32,
}

/// An operation's place in a recurrent state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRef {
    /// Its first value.
    pub offset: usize,
    /// Its values.
    pub width: usize,
}

impl Program {
    /// A slot's description.
    pub fn slot(&self, slot: Slot) -> &SlotInfo {
        &self.slots[slot.0 as usize]
    }

    /// A weight's description.
    pub fn weight(&self, weight: WeightId) -> &WeightInfo {
        &self.weights[weight.0 as usize]
    }

    /// A rotation.
    pub fn rotation(&self, rope: RopeId) -> &Rotation {
        &self.rotations[rope.0 as usize]
    }

    /// A cache group.
    pub fn cache(&self, cache: CacheRef) -> &CacheGroup {
        &self.caches[cache.group as usize]
    }

    /// The operations in order, with their stage's layer.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        self.stages.iter().flat_map(|stage| &stage.ops)
    }
}
