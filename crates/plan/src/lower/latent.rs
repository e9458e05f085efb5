//! Attention over a latent, with the projections of keys and values absorbed into those of the
//! queries and the output: the cache holds a latent and a rotated key for each position, whatever
//! the number of heads (DeepSeek-V2 2024, section 2.1 and appendix C).
//!
//! Prompts take the same path as single tokens, so that a row's bits do not depend on how its
//! sequence is cut; expanding keys and values for a prompt would save products and round otherwise.

use super::{Lowering, Out, P};
use model::Latent;
use ops::{
    Attend, CacheGroup, Columns, HeadLinear, KvWrite, Linear, Op, Reach, RmsNorm, Rope, Slot,
    WeightId,
};

impl Lowering<'_> {
    /// `out = attention(normed)`.
    pub(super) fn latent(&mut self, l: &Latent, normed: Slot, out: Out) {
        let (heads, rank) = (l.heads, l.kv_rank);
        let width = |per_head: u32| (heads * per_head) as usize;
        let [plain, turned] = [l.plain_dim, l.rope.dims].map(|dim| self.slot("q part", width(dim)));
        let latent = self.slot("latent", rank as usize);
        let turned_key = self.slot("rotated key", l.rope.dims as usize);
        self.latent_inputs(l, normed, [plain, turned, latent, turned_key]);
        let dim = rank + l.rope.dims;
        let (q, key) = (self.slot("q", width(dim)), self.slot("key", dim as usize));
        let (rotation, head_dim) = (self.rotation(&l.rope), l.rope.dims);
        let norm = norm(latent, self.weight(P::KvDownNorm), rank, l.eps);
        let gathered = self.slot("gathered", width(rank));
        let mixed = self.slot("mixed", width(l.v_dim));
        let [to_latent, to_values] = self.by_head(l, [plain, q], [gathered, mixed]);
        self.stage([
            norm,
            Rope { x: turned, head_dim, rotation }.into(),
            Rope { x: turned_key, head_dim, rotation }.into(),
            to_latent,
        ]);
        let copy = |x, take, count, y, at| Columns {
            x,
            start: 0,
            stride: take,
            take,
            count,
            y,
            at,
            pitch: dim,
        };
        self.stage([copy(turned, head_dim, heads, q, rank).into()]);
        self.stage([copy(latent, rank, 1, key, 0).into()]);
        self.stage([copy(turned_key, head_dim, 1, key, rank).into()]);
        let cache = self.cache(CacheGroup {
            layers: 0,
            kv_heads: 1,
            head_dim: dim,
            kind: self.options.kv,
            window: None,
            latent: true,
        });
        self.stage([KvWrite { k: key, v: None, cache }.into()]);
        self.stage([Attend {
            q,
            y: gathered,
            cache,
            heads,
            scale: l.scale,
            temperature: None,
            cap: None,
            sinks: None,
            reach: Reach::All,
        }
        .into()]);
        self.stage([to_values]);
        let bias = l.bias.then(|| self.weight(P::OBias));
        self.linear(mixed, self.weight(P::O), bias, out);
    }

    /// Queries into the latent's space, and what was gathered there into values; each from its
    /// slot to the other.
    fn by_head(&self, l: &Latent, queries: [Slot; 2], values: [Slot; 2]) -> [Op; 2] {
        let (heads, dim) = (l.heads, l.kv_rank + l.rope.dims);
        let op = |[x, y]: [Slot; 2], part, [first, stride, take, pitch]: [u32; 4], transposed| {
            let w = self.weight(part);
            Op::from(HeadLinear { x, w, y, heads, first, stride, take, pitch, transposed })
        };
        let stride = l.plain_dim + l.v_dim;
        match l.split {
            true => [
                op(queries, P::KUp, [0, l.kv_rank, l.kv_rank, dim], false),
                op(values, P::VUp, [0, l.v_dim, l.v_dim, l.v_dim], false),
            ],
            false => [
                op(queries, P::KvUp, [0, stride, l.plain_dim, dim], true),
                op(values, P::KvUp, [l.plain_dim, stride, l.v_dim, l.v_dim], false),
            ],
        }
    }

    /// Queries, the latent and the key that is rotated, taken apart.
    fn latent_inputs(&mut self, l: &Latent, x: Slot, [plain, turned, latent, key]: [Slot; 4]) {
        let q_dim = l.plain_dim + l.rope.dims;
        let q = self.slot("q", (l.heads * q_dim) as usize);
        let kv = self.slot("latent and key", (l.kv_rank + l.rope.dims) as usize);
        let bias = |this: &Self, part| l.bias.then(|| this.weight(part));
        let down = self.part(self.weight(P::KvDown), bias(self, P::KvDownBias), Out::to(kv));
        match l.q_rank {
            None => {
                let part = self.part(self.weight(P::Q), None, Out::to(q));
                self.stage([Linear { x, parts: vec![part, down] }.into()]);
            }
            Some(rank) => {
                let low = self.slot("q latent", rank as usize);
                let (bias, w) = (bias(self, P::QDownBias), self.weight(P::QDownNorm));
                let part = self.part(self.weight(P::QDown), bias, Out::to(low));
                self.stage([Linear { x, parts: vec![part, down] }.into()]);
                self.stage([norm(low, w, rank, l.eps)]);
                self.linear(low, self.weight(P::QUp), None, Out::to(q));
            }
        }
        let copy = |x, start, stride, take, count, y| {
            Op::from(Columns { x, start, stride, take, count, y, at: 0, pitch: take })
        };
        self.stage([
            copy(q, 0, q_dim, l.plain_dim, l.heads, plain),
            copy(q, l.plain_dim, q_dim, l.rope.dims, l.heads, turned),
            copy(kv, 0, l.kv_rank, l.kv_rank, 1, latent),
            copy(kv, l.kv_rank, l.rope.dims, l.rope.dims, 1, key),
        ]);
    }
}

/// A latent's norm, in place.
fn norm(x: Slot, w: WeightId, dim: u32, eps: f32) -> Op {
    RmsNorm { x, w: Some(w), y: x, dim, eps, add: false }.into()
}
