//! Mixers other than softmax attention over keys and values, and the weights they demand.

use crate::part::Part;
use crate::rope::Rope;
use crate::spec::Act;

/// The gated delta rule behind a short convolution (Yang, Kautz and Hatamizadeh 2024): a mixer
/// that keeps a state of fixed size instead of keys and values.
#[derive(Clone, Debug, PartialEq)]
pub struct DeltaNet {
    /// Heads of queries and keys.
    pub k_heads: u32,
    /// Heads of values; a multiple of `k_heads`.
    pub v_heads: u32,
    /// Width of a query or key.
    pub k_dim: u32,
    /// Width of a value.
    pub v_dim: u32,
    /// Positions that the convolution sees.
    pub kernel: u32,
    /// The activation after the convolution.
    pub act: Act,
    /// Whether the file lays value heads out so that head i goes with key head `i % k_heads`;
    /// otherwise those of one key head lie together.
    pub tiled: bool,
    /// Whether the file has queries, keys, values and gates in one matrix, key head by key head.
    pub joint: bool,
    /// Whether the file has writes and decays in one matrix, key head by key head.
    pub joint_gates: bool,
}

impl DeltaNet {
    /// Width of all queries, or of all keys.
    pub fn keys(&self) -> u32 {
        self.k_heads * self.k_dim
    }

    /// Width of all values.
    pub fn values(&self) -> u32 {
        self.v_heads * self.v_dim
    }

    /// Lists the parts that it demands.
    pub fn weights(&self, dim: u32, add: &mut impl FnMut(Part, u32, u32)) {
        let convolved = 2 * self.keys() + self.values();
        if self.joint {
            add(Part::DeltaAll, convolved + self.values(), dim);
        } else {
            add(Part::DeltaInput, convolved, dim);
            add(Part::DeltaGate, self.values(), dim);
        }
        if self.joint_gates {
            add(Part::DeltaGates, 2 * self.v_heads, dim);
        } else {
            add(Part::DeltaBeta, self.v_heads, dim);
            add(Part::DeltaDecay, self.v_heads, dim);
        }
        add(Part::DeltaConv, convolved, self.kernel);
        add(Part::DeltaRate, 1, self.v_heads);
        add(Part::DeltaBias, 1, self.v_heads);
        add(Part::DeltaNorm, 1, self.v_dim);
        add(Part::DeltaOut, dim, self.values());
    }
}

/// Softmax attention over keys and values that follow from a latent of each position (DeepSeek-V2
/// 2024, section 2.1): multi-head latent attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Latent {
    /// Query heads.
    pub heads: u32,
    /// Width of the latent of the queries; `None` where they are projected at once.
    pub q_rank: Option<u32>,
    /// Width of the latent of keys and values.
    pub kv_rank: u32,
    /// Values of a query or key that are not rotated.
    pub plain_dim: u32,
    /// Width of a value.
    pub v_dim: u32,
    /// The rotation of the others; all heads share one rotated key.
    pub rope: Rope,
    /// Factor on the scores.
    pub scale: f32,
    /// Epsilon of the latents' norms.
    pub eps: f32,
    /// Whether the projections to latents and to the output have a bias.
    pub bias: bool,
    /// Whether files hold the projections of the latent to keys and to values apart, the former
    /// transposed.
    pub split: bool,
}

impl Latent {
    /// Lists the parts that it demands.
    pub fn weights(&self, dim: u32, add: &mut impl FnMut(Part, u32, u32)) {
        let queries = self.heads * (self.plain_dim + self.rope.dims);
        match self.q_rank {
            None => add(Part::Q, queries, dim),
            Some(rank) => {
                add(Part::QDown, rank, dim);
                if self.bias {
                    add(Part::QDownBias, 1, rank);
                }
                add(Part::QDownNorm, 1, rank);
                add(Part::QUp, queries, rank);
            }
        }
        let down = self.kv_rank + self.rope.dims;
        add(Part::KvDown, down, dim);
        if self.bias {
            add(Part::KvDownBias, 1, down);
        }
        add(Part::KvDownNorm, 1, self.kv_rank);
        if self.split {
            add(Part::KUp, self.heads * self.kv_rank, self.plain_dim);
            add(Part::VUp, self.heads * self.v_dim, self.kv_rank);
        } else {
            add(Part::KvUp, self.heads * (self.plain_dim + self.v_dim), self.kv_rank);
        }
        add(Part::O, dim, self.heads * self.v_dim);
        if self.bias {
            add(Part::OBias, 1, dim);
        }
    }
}
