//! The gated delta net: projections, a short convolution, the recurrence, a gated norm.

use super::ffn::act;
use super::{Lowering, Out, P};
use model::DeltaNet;
use ops::{Act, Columns, GatedAct, Linear, Op, RmsNorm, ShortConv, Slot, StateRef, Up};

impl Lowering<'_> {
    /// `out = out(norm(delta(conv(qkv))) * silu(z))`, all of `normed`.
    pub(super) fn delta_net(&mut self, d: &DeltaNet, normed: Slot, out: Out) {
        let (keys, values) = (d.keys() as usize, d.values() as usize);
        let qkv = self.slot("qkv", 2 * keys + values);
        let z = self.slot("z", values);
        let (beta, decay) =
            (self.slot("beta", d.v_heads as usize), self.slot("decay", d.v_heads as usize));
        self.delta_inputs(d, normed, [qkv, z, beta, decay]);
        let mixed = self.slot("mixed", 2 * keys + values);
        let state = self.state((d.kernel as usize - 1) * (2 * keys + values));
        let (w, act) = (self.weight(P::DeltaConv), act(d.act));
        self.stage([ShortConv { x: qkv, w, y: mixed, dilation: 1, act, state }.into()]);
        let y = self.slot("delta", values);
        let state = self.state(values * d.k_dim as usize);
        self.stage([ops::DeltaNet {
            qkv: mixed,
            decay,
            beta,
            rate: self.weight(P::DeltaRate),
            bias: self.weight(P::DeltaBias),
            y,
            k_heads: d.k_heads,
            v_heads: d.v_heads,
            k_dim: d.k_dim,
            v_dim: d.v_dim,
            tiled: d.tiled,
            eps: UNIT_EPS,
            state,
        }
        .into()]);
        let (w, dim, eps) = (self.weight(P::DeltaNorm), d.v_dim, self.spec.norm_eps);
        self.stage([RmsNorm { x: y, w: Some(w), y, dim, eps, add: false }.into()]);
        self.stage([GatedAct { gate: z, up: Up::Slot(y, 0), y: z, act: Act::Silu }.into()]);
        self.linear(z, self.weight(P::DeltaOut), None, out);
    }

    /// The four projections, taken apart where the file has them in one.
    fn delta_inputs(&mut self, d: &DeltaNet, x: Slot, [qkv, z, beta, decay]: [Slot; 4]) {
        let (mut parts, mut copies): (Vec<_>, Vec<Op>) = (Vec::new(), Vec::new());
        // Value heads of one key head.
        let shared = d.v_heads / d.k_heads;
        // Runs, one for each key head, from a joint slot to one of their own.
        let copy = |x, widths: &[u32], i: usize, y, at| {
            let start = widths[..i].iter().sum();
            let (stride, take, count) = (widths.iter().sum(), widths[i], d.k_heads);
            Op::from(Columns { x, start, stride, take, count, y, at, pitch: take })
        };
        if d.joint {
            let all = self.slot("qkvz", (2 * d.keys() + 2 * d.values()) as usize);
            parts.push(self.part(self.weight(P::DeltaAll), None, Out::to(all)));
            let widths = [d.k_dim, d.k_dim, shared * d.v_dim, shared * d.v_dim];
            let targets = [(qkv, 0), (qkv, d.keys()), (qkv, 2 * d.keys()), (z, 0)];
            let each = targets.into_iter().enumerate();
            copies.extend(each.map(|(i, (y, at))| copy(all, &widths, i, y, at)));
        } else {
            parts.push(self.part(self.weight(P::DeltaInput), None, Out::to(qkv)));
            parts.push(self.part(self.weight(P::DeltaGate), None, Out::to(z)));
        }
        if d.joint_gates {
            let both = self.slot("gates", 2 * d.v_heads as usize);
            parts.push(self.part(self.weight(P::DeltaGates), None, Out::to(both)));
            let each = [beta, decay].into_iter().enumerate();
            copies.extend(each.map(|(i, y)| copy(both, &[shared, shared], i, y, 0)));
        } else {
            parts.push(self.part(self.weight(P::DeltaBeta), None, Out::to(beta)));
            parts.push(self.part(self.weight(P::DeltaDecay), None, Out::to(decay)));
        }
        self.stage([Linear { x, parts }.into()]);
        if !copies.is_empty() {
            self.stage(copies);
        }
    }

    /// A place in the recurrent state.
    pub(super) fn state(&mut self, width: usize) -> StateRef {
        let offset = self.program.state_width;
        self.program.state_width += width;
        StateRef { offset, width }
    }
}

/// What is added to the squared length of a query or key, in every implementation of the rule.
const UNIT_EPS: f32 = 1e-6;
