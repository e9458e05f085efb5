//! From feed-forward networks and mixtures of experts to operations.

use super::{Lowering, Out, P};
use model::{Dense, Experts};
use ops::{
    Act, Combine, ExpertPart, Form, GatedAct, Groups, Linear, LinearAt, RmsNorm, Route, Routing,
    Score, Slot, Up, WeightId,
};

impl Lowering<'_> {
    /// `out = down(act(gate(normed)) * up(normed))`, or `down(act(up(normed)))`.
    pub(super) fn dense(&mut self, dense: &Dense, normed: Slot, out: Out) {
        let width = dense.hidden as usize;
        let bias = |this: &Self, part| dense.bias.then(|| this.weight(part));
        let up = self.slot("up", width);
        let up_part = self.part(self.weight(P::Up), bias(self, P::UpBias), Out::to(up));
        let (gate, gated, parts) = if dense.gated {
            let gate = self.slot("gate", width);
            let part = self.part(self.weight(P::Gate), bias(self, P::GateBias), Out::to(gate));
            (gate, Up::Slot(up, 0), vec![part, up_part])
        } else {
            (up, Up::None, vec![up_part])
        };
        self.stage([Linear { x: normed, parts }.into()]);
        self.stage([GatedAct { gate, up: gated, y: gate, act: act(dense.act) }.into()]);
        self.linear(gate, self.weight(P::Down), bias(self, P::DownBias), out);
    }

    /// `out = post(dense(normed)) + post(experts(norm(stream)))`, each with norms of its own.
    pub(super) fn beside(
        &mut self,
        dense: &Dense,
        experts: &Experts,
        stream: Slot,
        normed: Slot,
        out: Out,
    ) {
        let (dim, eps) = (self.spec.dim, self.eps());
        let (x, w) = (self.slot("beside", dim as usize), Some(self.weight(P::BesidePostNorm)));
        self.dense(dense, normed, Out::to(x));
        self.stage([RmsNorm { x, w, y: out.y, dim, eps, add: out.add }.into()]);
        let (router, w) = (self.slot("router", dim as usize), Some(self.weight(P::RouterNorm)));
        self.stage([RmsNorm { x: stream, w, y: router, dim, eps, add: false }.into()]);
        let (inner, w) = (self.slot("normed", dim as usize), Some(self.weight(P::ExpertNorm)));
        self.stage([RmsNorm { x: stream, w, y: inner, dim, eps, add: false }.into()]);
        let (x, w) = (self.slot("mixture", dim as usize), Some(self.weight(P::ExpertPostNorm)));
        self.experts(experts, inner, router, Out::to(x));
        self.stage([RmsNorm { x, w, y: out.y, dim, eps, add: true }.into()]);
    }

    /// `out = sum of the chosen experts' results`, and that of the network that all share.
    pub(super) fn experts(&mut self, e: &Experts, normed: Slot, router: Slot, out: Out) {
        let logits = self.slot("scores", e.count as usize);
        let scale = match e.routing.own_norm {
            true => (self.spec.dim as f32).powf(-0.5),
            false => 1.0,
        };
        let bias = e.bias.then(|| self.weight(P::RouterBias));
        let to_logits = Out { y: logits, add: false, scale };
        self.linear(router, self.weight(P::Router), bias, to_logits);
        let active = e.routing.active as usize;
        let routes = self.slot("routes", 2 * active);
        self.stage([Route {
            logits,
            correction: e.routing.correction.then(|| self.weight(P::RouterCorrection)),
            expert_scale: e.routing.own_norm.then(|| self.weight(P::ExpertScale)),
            routing: routing(&e.routing),
            y: routes,
        }
        .into()]);
        let (gate, up, y) = self.expert_inputs(e, normed, routes);
        self.stage([GatedAct { gate, up, y, act: act(e.act) }.into()]);
        let sums = self.slot("results", active * self.spec.dim as usize);
        let down = self.expert_part(e, P::ExpertDown, P::ExpertDownBias, sums);
        let (experts, weighted) = (e.count, !e.routing.on_input);
        self.stage([LinearAt { x: y, routes, experts, weighted, parts: vec![down] }.into()]);
        self.stage([Combine { x: sums, y: out.y, scale: out.scale, add: out.add }.into()]);
        if let Some(shared) = e.shared {
            self.shared(shared, act(e.act), normed, Out { add: true, ..out });
        }
    }

    /// The products of gate and up: the gate's slot, what it gates, and where the result goes.
    fn expert_inputs(&mut self, e: &Experts, normed: Slot, routes: Slot) -> (Slot, Up, Slot) {
        let width = (e.routing.active * e.hidden) as usize;
        let (experts, weighted) = (e.count, e.routing.on_input);
        let (parts, found) = if e.paired {
            let (pairs, y) = (self.slot("pairs", 2 * width), self.slot("gate", width));
            let part = self.expert_part(e, P::ExpertGateUp, P::ExpertGateUpBias, pairs);
            (vec![part], (pairs, Up::Neighbour, y))
        } else {
            let (gate, up) = (self.slot("gate", width), self.slot("up", width));
            let parts = vec![
                self.expert_part(e, P::ExpertGate, P::ExpertGateBias, gate),
                self.expert_part(e, P::ExpertUp, P::ExpertUpBias, up),
            ];
            (parts, (gate, Up::Slot(up, 0), gate))
        };
        self.stage([LinearAt { x: normed, routes, experts, weighted, parts }.into()]);
        found
    }

    fn expert_part(&self, e: &Experts, part: P, bias: P, y: Slot) -> ExpertPart {
        let first = self.weight(part);
        let kind = |id: u32| self.program.weight(WeightId(id)).kind;
        // Files may store experts differently; activations are rounded for all of them alike.
        let alike = (1..e.count).all(|i| kind(first.0 + i) == kind(first.0));
        let form = if alike { self.form(first) } else { Form::Exact };
        ExpertPart { first, bias: e.bias.then(|| self.weight(bias)), y, form }
    }

    /// The network that all positions share, perhaps switched by a sigmoid.
    fn shared(&mut self, shared: model::Shared, act: Act, normed: Slot, out: Out) {
        let width = shared.hidden as usize;
        let (gate, up) = (self.slot("gate", width), self.slot("up", width));
        let mut parts = vec![
            self.part(self.weight(P::SharedGate), None, Out::to(gate)),
            self.part(self.weight(P::SharedUp), None, Out::to(up)),
        ];
        let switch = shared.gated.then(|| self.slot("switch", 1));
        if let Some(switch) = switch {
            parts.push(self.part(self.weight(P::SharedSwitch), None, Out::to(switch)));
        }
        self.stage([Linear { x: normed, parts }.into()]);
        self.stage([GatedAct { gate, up: Up::Slot(up, 0), y: gate, act }.into()]);
        if let Some(switch) = switch {
            // The projection down is linear, so that its input can be switched in its place.
            let (up, act) = (Up::Slot(gate, 0), Act::Sigmoid);
            self.stage([GatedAct { gate: switch, up, y: gate, act }.into()]);
        }
        self.linear(gate, self.weight(P::SharedDown), None, out);
    }
}

/// An activation.
pub fn act(act: model::Act) -> Act {
    match act {
        model::Act::Silu => Act::Silu,
        model::Act::Gelu => Act::Gelu,
        model::Act::GeluTanh => Act::GeluTanh,
        model::Act::ClampedSilu { alpha, limit } => Act::ClampedSilu { alpha, limit },
    }
}

fn routing(r: &model::Routing) -> Routing {
    let groups = |g: model::Groups| Groups { count: g.count, kept: g.kept, ranked_by: g.ranked_by };
    Routing {
        active: r.active,
        score: match r.score {
            model::Score::Softmax => Score::Softmax,
            model::Score::SoftmaxChosen => Score::SoftmaxChosen,
            model::Score::Sigmoid => Score::Sigmoid,
        },
        groups: r.groups.map(groups),
        normalized: r.normalized,
        scale: r.scale,
    }
}
