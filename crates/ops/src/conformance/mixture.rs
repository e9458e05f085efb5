//! Cases of experts: routes of every kind, products by expert in both forms, sums.

use super::cases::Builder;
use super::{Case, Tolerance, random_tensor};
use crate::list::{Combine, GatedAct, Linear, LinearAt, Route};
use crate::program::{
    Act, Domain, ExpertPart, Form, Groups, Part, Routing, Score, Slot, Up, WeightId,
};
use blocks::Kind;

/// Every case.
pub fn cases() -> Vec<Case> {
    let plain =
        Routing { active: 2, score: Score::Softmax, groups: None, normalized: true, scale: 1.0 };
    let groups = Some(Groups { count: 3, kept: 2, ranked_by: 2 });
    let mut cases = vec![
        mixture("softmax", plain, false, Kind::F32, Form::Exact, 9),
        mixture("of one", Routing { active: 1, ..plain }, false, Kind::BF16, Form::Exact, 3),
        mixture(
            "sigmoid",
            Routing { score: Score::Sigmoid, groups, scale: 2.5, ..plain },
            true,
            Kind::F16,
            Form::Exact,
            9,
        ),
        mixture(
            "of the chosen",
            Routing { active: 3, score: Score::SoftmaxChosen, ..plain },
            true,
            Kind::Q8_0,
            Form::Exact,
            7,
        ),
        mixture(
            "of many",
            Routing { normalized: false, active: 8, ..plain },
            false,
            Kind::F32,
            Form::Exact,
            40,
        ),
    ];
    for kind in [Kind::Q8_0, Kind::Q4_K, Kind::Q6_K] {
        cases.push(mixture("int8", plain, false, kind, Form::Fast, 5));
    }
    cases
}

/// A whole mixture of experts; of the sums that it gives, every row's is compared.
fn mixture(
    name: &str,
    routing: Routing,
    more: bool,
    kind: Kind,
    form: Form,
    experts: usize,
) -> Case {
    let (dim, hidden) = if kind.block_len() > 32 { (256, 256) } else { (64, 32) };
    let mut b = Builder::new(dim);
    let active = routing.active as usize;
    let (logits, routes) = (b.slot(experts, Domain::Rows), b.slot(2 * active, Domain::Rows));
    let weight = b.weight(random_tensor(Kind::F32, experts, dim, 31));
    let parts =
        vec![Part { weight, bias: None, y: logits, scale: 0.3, add: false, form: Form::Exact }];
    b.op(Linear { x: Slot(0), parts });
    let correction = more.then(|| b.weight(random_tensor(Kind::F32, 1, experts, 32)));
    let expert_scale = more.then(|| b.weight(random_tensor(Kind::F32, 1, experts, 33)));
    b.op(Route { logits, correction, expert_scale, routing, y: routes });
    let matrices = |b: &mut Builder, rows, cols, seed| {
        let ids: Vec<WeightId> = (0..experts as u64)
            .map(|e| b.weight(random_tensor(kind, rows, cols, seed + e)))
            .collect();
        ids[0]
    };
    let (up, down) = (matrices(&mut b, 2 * hidden, dim, 100), matrices(&mut b, dim, hidden, 200));
    let bias = more.then(|| b.weight(random_tensor(Kind::F32, 1, experts * 2 * hidden, 34)));
    let pairs = b.slot(active * 2 * hidden, Domain::Rows);
    let inner = b.slot(active * hidden, Domain::Rows);
    let (results, y) = (b.slot(active * dim, Domain::Rows), b.slot(dim, Domain::Rows));
    let count = experts as u32;
    let parts = vec![ExpertPart { first: up, bias, y: pairs, form }];
    b.op(LinearAt { x: Slot(0), routes, experts: count, weighted: more, parts });
    b.op(GatedAct { gate: pairs, up: Up::Neighbour, y: inner, act: Act::Silu });
    let parts = vec![ExpertPart { first: down, bias: None, y: results, form }];
    b.op(LinearAt { x: inner, routes, experts: count, weighted: true, parts });
    b.op(Combine { x: results, y, scale: 0.5, add: false });
    // Between the products stands a function that backends may round differently.
    let near = if form == Form::Fast { 2e-2 } else { 1e-5 };
    let name = format!("experts {name}, {kind} {form:?}");
    b.finish(name, y, &[50, 1, 9], Tolerance::Relative(near))
}
