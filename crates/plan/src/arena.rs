//! Where slots lie: those that never live at the same time share their place.

use ops::{Domain, Op, Program, Slot, Up};

/// Gives every slot its offset and the program its widths.
pub fn lay_out(program: &mut Program) {
    let lives = lives(program);
    for domain in [Domain::Rows, Domain::Outputs] {
        let mut placed: Vec<usize> = Vec::new();
        let mut width = 0;
        let slots = (0..program.slots.len()).filter(|&i| program.slots[i].domain == domain);
        for slot in slots.collect::<Vec<_>>() {
            let (first, last) = lives[slot];
            // The places taken while this slot lives, from the left.
            let mut taken: Vec<(usize, usize)> = placed
                .iter()
                .filter(|&&other| lives[other].0 <= last && first <= lives[other].1)
                .map(|&other| {
                    let info = &program.slots[other];
                    (info.offset, info.offset + info.width)
                })
                .collect();
            taken.sort_unstable();
            let own = program.slots[slot].width;
            let gap = |offset: usize, &(from, to): &(usize, usize)| {
                if offset + own <= from { Err(offset) } else { Ok(offset.max(to)) }
            };
            let offset = match taken.iter().try_fold(0, gap) {
                Ok(offset) | Err(offset) => offset,
            };
            program.slots[slot].offset = offset;
            width = width.max(offset + own);
            placed.push(slot);
        }
        match domain {
            Domain::Rows => program.row_width = width,
            Domain::Outputs => program.output_width = width,
        }
    }
}

/// The first and the last stage in which each slot is used.
fn lives(program: &Program) -> Vec<(usize, usize)> {
    let mut lives = vec![(usize::MAX, 0); program.slots.len()];
    for (stage, ops) in program.stages.iter().enumerate() {
        for slot in ops.ops.iter().flat_map(slots) {
            let life = &mut lives[slot.0 as usize];
            *life = (life.0.min(stage), life.1.max(stage));
        }
    }
    // What a step gives must outlive it.
    for slot in [program.logits, program.hidden].into_iter().flatten() {
        lives[slot.0 as usize].1 = program.stages.len();
    }
    lives
}

fn slots(op: &Op) -> Vec<Slot> {
    match op {
        Op::Embed(op) => vec![op.y],
        Op::Recall(op) => vec![op.y],
        Op::RmsNorm(op) => vec![op.x, op.y],
        Op::LayerNorm(op) => vec![op.x, op.y],
        Op::Dot(op) => vec![op.a, op.b, op.y],
        Op::Scale(op) => vec![op.x],
        Op::SoftCap(op) => vec![op.x],
        Op::Linear(op) => op.parts.iter().map(|part| part.y).chain([op.x]).collect(),
        Op::Rope(op) => vec![op.x],
        Op::KvWrite(op) => [Some(op.k), op.v].into_iter().flatten().collect(),
        Op::Attend(op) => vec![op.q, op.y],
        Op::GatedAct(op) => match op.up {
            Up::Slot(up, _) => vec![op.gate, up, op.y],
            Up::None | Up::Neighbour => vec![op.gate, op.y],
        },
        Op::Route(op) => vec![op.logits, op.y],
        Op::LinearAt(op) => op.parts.iter().map(|p| p.y).chain([op.x, op.routes]).collect(),
        Op::Combine(op) => vec![op.x, op.y],
        Op::Columns(op) => vec![op.x, op.y],
        Op::ShortConv(op) => vec![op.x, op.y],
        Op::HeadLinear(op) => vec![op.x, op.y],
        Op::DeltaNet(op) => vec![op.qkv, op.decay, op.beta, op.y],
        Op::Pick(op) => vec![op.x, op.y],
        Op::Argmax(op) => vec![op.logits],
    }
}
