//! Conditional memory: the lookup, a gate that compares what is found with the stream, a short
//! convolution.

use super::{Lowering, Out, P};
use model::Memory;
use ops::{
    Act, Combine, Dot, GatedAct, HashHead, Hashing, Linear, Op, Recall, RmsNorm, ShortConv, Slot,
    Up, WeightId,
};

impl Lowering<'_> {
    /// `stream += v + silu(conv(norm(v)))`, where `v` is `value(found)` times the sigmoid of the
    /// signed root of `norm(key(found)) . norm(stream) / sqrt(dim)` (Cheng et al. 2026, sections
    /// 2.3 and 2.4).
    pub(super) fn memory(&mut self, m: &Memory, stream: Slot) {
        let found = self.recall(m);
        let dim = self.spec.dim as usize;
        let (key, value, query) =
            (self.slot("key", dim), self.slot("value", dim), self.slot("query", dim));
        let bias = |part| m.bias.then(|| self.weight(part));
        let part = |matrix, y, b| self.part(self.weight(matrix), bias(b), Out::to(y));
        let parts = vec![
            part(P::MemoryKey, key, P::MemoryKeyBias),
            part(P::MemoryValue, value, P::MemoryValueBias),
        ];
        self.stage([Linear { x: found, parts }.into()]);
        let normed_key = self.memory_norm(P::MemoryKeyNorm, key, key);
        let normed_stream = self.memory_norm(P::MemoryQueryNorm, stream, query);
        self.stage([normed_key, normed_stream]);
        let gate = self.slot("gate", 1);
        let scale = (dim as f32).powf(-0.5);
        self.stage([Dot { a: key, b: query, y: gate, scale }.into()]);
        let (up, act) = (Up::Slot(value, 0), Act::RootSigmoid);
        self.stage([GatedAct { gate, up, y: value, act }.into()]);
        let add = |x| Op::from(Combine { x, y: stream, scale: 1.0, add: true });
        let Some(kernel) = m.kernel else { return self.stage([add(value)]) };
        let (normed, mixed) = (self.slot("normed", dim), self.slot("mixed", dim));
        let norm = self.memory_norm(P::MemoryConvNorm, value, normed);
        self.stage([norm, add(value)]);
        let (w, dilation) = (self.weight(P::MemoryConv), m.dilation());
        let state = self.state((kernel - 1) as usize * dilation as usize * dim);
        self.stage([ShortConv { x: normed, w, y: mixed, dilation, act: Act::Silu, state }.into()]);
        self.stage([add(mixed)]);
    }

    /// The rows that the last ids are hashed to, in a slot.
    fn recall(&mut self, m: &Memory) -> Slot {
        let y = self.slot("found", m.found() as usize);
        let heads = m.heads.iter().map(|head| HashHead { ids: head.ids, rows: head.rows });
        let (multipliers, heads) = (m.multipliers.clone(), heads.collect());
        let hashing = Hashing { multipliers, heads, pad: m.pad };
        let state = self.state(hashing.history());
        let table: WeightId = self.weight(P::MemoryTable);
        let merged = m.merged.then(|| self.weight(P::MemoryIds));
        self.stage([Recall { table, merged, hashing, y, state }.into()]);
        y
    }

    fn memory_norm(&self, gains: model::Part, x: Slot, y: Slot) -> Op {
        let (w, dim, eps) = (Some(self.weight(gains)), self.spec.dim, self.eps());
        RmsNorm { x, w, y, dim, eps, add: false }.into()
    }
}
