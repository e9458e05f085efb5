//! From softmax attention to operations.

use super::{Lowering, Out, P};
use model::{Attention, QkNorm, Values};
use ops::{
    Act, Attend, CacheGroup, CacheRef, Columns, GatedAct, KvWrite, Linear, Op, Reach, RmsNorm,
    Rope, Slot, Temperature, Up,
};

impl Lowering<'_> {
    /// `out = attention(normed)`.
    pub(super) fn attention(&mut self, a: &Attention, normed: Slot, out: Out) {
        let (q_width, kv_width) = (a.heads * a.head_dim, a.kv_heads * a.head_dim);
        let q = self.slot("q", q_width as usize);
        let (k, v) = (self.slot("k", kv_width as usize), self.slot("v", kv_width as usize));
        let own = a.kv_of.is_none();
        let joint = if a.gate { self.slot("q and gate", 2 * q_width as usize) } else { q };
        let mut parts = Vec::new();
        for (part, bias, y, there) in [
            (P::Q, P::QBias, joint, true),
            (P::K, P::KBias, k, own),
            (P::V, P::VBias, v, own && a.values != Values::OfKeys),
        ] {
            if there {
                let bias = a.qkv_bias.then(|| self.weight(bias));
                parts.push(self.part(self.weight(part), bias, Out::to(y)));
            }
        }
        self.stage([Linear { x: normed, parts }.into()]);
        let gate = a.gate.then(|| self.part_gate(a, joint, q));
        self.norm_heads(a, q, own.then_some((k, v)));
        let turned = [Some(q), own.then_some(k)];
        if let Some(rope) = &a.rope {
            let rotation = self.rotation(rope);
            let turn = |x| Op::from(Rope { x, head_dim: a.head_dim, rotation });
            self.stage(turned.into_iter().flatten().map(turn));
        }
        if a.qk_norm == QkNorm::AfterRope {
            let norms: Vec<Op> =
                turned.into_iter().flatten().map(|x| self.unit(a.head_dim, x, x)).collect();
            self.stage(norms);
        }
        let cache = self.keep(a, k, v);
        let mixed = self.slot("mixed", q_width as usize);
        self.stage([Attend {
            q,
            y: mixed,
            cache,
            heads: a.heads,
            scale: a.scale,
            temperature: a.temperature.map(temperature),
            cap: a.cap,
            sinks: a.sinks.then(|| self.weight(P::Sinks)),
            reach: reach(a.reach),
        }
        .into()]);
        if let Some(gate) = gate {
            let (up, act) = (Up::Slot(mixed, 0), Act::Sigmoid);
            self.stage([GatedAct { gate, up, y: gate, act }.into()]);
        }
        let bias = a.out_bias.then(|| self.weight(P::OBias));
        self.linear(gate.unwrap_or(mixed), self.weight(P::O), bias, out);
    }

    /// Parts queries from the gates that follow them head by head, and gives the gates.
    fn part_gate(&mut self, a: &Attention, joint: Slot, q: Slot) -> Slot {
        let gate = self.slot("gate", (a.heads * a.head_dim) as usize);
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
        gate
    }

    /// The norms before the rotation, in place.
    fn norm_heads(&mut self, a: &Attention, q: Slot, own: Option<(Slot, Slot)>) {
        let mut norms = Vec::new();
        match (a.values, own) {
            (Values::OfKeys, Some((k, v))) => {
                // The keys are read here and overwritten in the next stage.
                self.stage([self.unit(a.head_dim, k, v)]);
            }
            (Values::Normed, Some((_, v))) => norms.push(self.unit(a.head_dim, v, v)),
            _ => {}
        }
        let dim = |heads| match a.qk_norm {
            QkNorm::None | QkNorm::AfterRope => None,
            QkNorm::Head | QkNorm::EachHead => Some(a.head_dim),
            QkNorm::Whole => Some(heads * a.head_dim),
        };
        let both = [(P::QNorm, Some(q), a.heads), (P::KNorm, own.map(|(k, _)| k), a.kv_heads)];
        for (part, x, heads) in both {
            if let (Some(x), Some(dim)) = (x, dim(heads)) {
                norms.push(self.norm_op(self.weight(part), None, x, x, dim));
            }
        }
        if !norms.is_empty() {
            self.stage(norms);
        }
    }

    /// Each head divided by its root mean square.
    fn unit(&self, dim: u32, x: Slot, y: Slot) -> Op {
        RmsNorm { x, w: None, y, dim, eps: self.eps(), add: false }.into()
    }

    /// Keeps keys and values, or finds those of the layer that this one shares.
    fn keep(&mut self, a: &Attention, k: Slot, v: Slot) -> CacheRef {
        let cache = match a.kv_of {
            Some(layer) => self.kept[&layer],
            None => {
                let cache = self.cache(CacheGroup {
                    layers: 0,
                    kv_heads: a.kv_heads,
                    head_dim: a.head_dim,
                    kind: self.options.kv,
                    window: reach(a.reach).most(),
                    latent: false,
                });
                self.stage([KvWrite { k, v: Some(v), cache }.into()]);
                cache
            }
        };
        self.kept.insert(self.layer.unwrap_or(0), cache);
        cache
    }
}

/// Which positions a row sees.
pub fn reach(reach: model::Reach) -> Reach {
    match reach {
        model::Reach::All => Reach::All,
        model::Reach::Window(n) => Reach::Window(n),
        model::Reach::Chunk(n) => Reach::Chunk(n),
    }
}

fn temperature(t: model::Temperature) -> Temperature {
    Temperature { beta: t.beta, length: t.length, offset: t.offset }
}
