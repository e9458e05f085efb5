//! From softmax attention to operations.

use super::{Lowering, Out, P};
use model::{Attention, QkNorm, Values};
use ops::{Attend, CacheRef, KvWrite, Linear, Op, Reach, RmsNorm, Rope, Slot, Temperature};

impl Lowering<'_> {
    /// `out = attention(normed)`.
    pub(super) fn attention(&mut self, a: &Attention, normed: Slot, out: Out) {
        let (q_width, kv_width) = (a.heads * a.head_dim, a.kv_heads * a.head_dim);
        let q = self.slot("q", q_width as usize);
        let (k, v) = (self.slot("k", kv_width as usize), self.slot("v", kv_width as usize));
        let own = a.kv_of.is_none();
        let mut parts = Vec::new();
        for (part, bias, y, there) in [
            (P::Q, P::QBias, q, true),
            (P::K, P::KBias, k, own),
            (P::V, P::VBias, v, own && a.values != Values::OfKeys),
        ] {
            if there {
                let bias = a.qkv_bias.then(|| self.weight(bias));
                parts.push(self.part(self.weight(part), bias, Out::to(y)));
            }
        }
        self.stage([Linear { x: normed, parts }.into()]);
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
        let bias = a.out_bias.then(|| self.weight(P::OBias));
        self.linear(mixed, self.weight(P::O), bias, out);
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
            Some(layer) => self.kept[layer as usize],
            None => {
                let cache = self.cache(a);
                self.stage([KvWrite { k, v, cache }.into()]);
                cache
            }
        };
        self.kept.push(cache);
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
