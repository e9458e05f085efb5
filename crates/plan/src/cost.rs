//! What an operation moves and computes: the two sides of the roofline.

use ops::{CacheGroup, Op, Program, StateRef};
use std::ops::{Add, AddAssign};

/// The shape of a step, as far as costs go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Rows in the step.
    pub rows: f64,
    /// Rows that want an output.
    pub outputs: f64,
    /// Positions that a row sees, on average.
    pub context: f64,
    /// Times that a cached position is read: once per sequence for decoding, once per tile of
    /// rows for a prompt.
    pub reads: f64,
}

impl Load {
    /// One token of one sequence that holds `context` positions, the new one included.
    pub fn decode(context: f64) -> Load {
        Load { rows: 1.0, outputs: 1.0, context, reads: 1.0 }
    }

    /// A prompt of `rows` tokens after `depth` cached ones, of which the last wants an output.
    pub fn prompt(rows: f64, depth: f64) -> Load {
        Load { rows, outputs: 1.0, context: depth + (rows + 1.0) / 2.0, reads: 1.0 }
    }
}

/// Bytes that must come from memory and floating-point operations that must be done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Bytes of weights and cache read, each once.
    pub bytes: f64,
    /// Multiplications and additions.
    pub flops: f64,
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost { bytes: self.bytes + other.bytes, flops: self.flops + other.flops }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        *self = *self + other;
    }
}

/// The cost of one operation of `program`.
pub fn cost(program: &Program, op: &Op, load: Load) -> Cost {
    let weight_bytes = |w| {
        let info = program.weight(w);
        info.rows as f64 * info.cols as f64 * info.kind.bits_per_weight() / 8.0
    };
    let row_bytes = |w| weight_bytes(w) / program.weight(w).rows as f64;
    let width = |slot| program.slot(slot).width as f64;
    let rows = |slot| match program.slot(slot).domain {
        ops::Domain::Rows => load.rows,
        ops::Domain::Outputs => load.outputs,
    };
    match op {
        Op::Embed(op) => Cost { bytes: load.rows * row_bytes(op.table), flops: 0.0 },
        Op::Recall(op) => {
            let found = load.rows * op.hashing.heads.len() as f64 * row_bytes(op.table);
            Cost { bytes: found + state_bytes(load, op.state), flops: 0.0 }
        }
        Op::RmsNorm(op) => Cost { bytes: 0.0, flops: 4.0 * rows(op.x) * width(op.x) },
        Op::LayerNorm(op) => Cost { bytes: 0.0, flops: 6.0 * rows(op.x) * width(op.x) },
        Op::Dot(op) => Cost { bytes: 0.0, flops: 2.0 * rows(op.a) * width(op.a) },
        Op::Scale(op) => Cost { bytes: 0.0, flops: rows(op.x) * width(op.x) },
        Op::SoftCap(op) => Cost { bytes: 0.0, flops: 8.0 * rows(op.x) * width(op.x) },
        Op::Linear(op) => op.parts.iter().fold(Cost::default(), |sum, part| {
            let info = program.weight(part.weight);
            let flops = 2.0 * rows(part.y) * info.rows as f64 * info.cols as f64;
            sum + Cost { bytes: weight_bytes(part.weight), flops }
        }),
        Op::Rope(op) => Cost { bytes: 0.0, flops: 3.0 * load.rows * width(op.x) },
        Op::KvWrite(op) => {
            let written = load.rows * position_bytes(program.cache(op.cache));
            Cost { bytes: written, flops: 0.0 }
        }
        Op::Attend(op) => {
            let cache = program.cache(op.cache);
            let context = op.reach.most().map_or(load.context, |w| load.context.min(f64::from(w)));
            Cost {
                bytes: load.reads * context * position_bytes(cache),
                flops: 2.0 * load.rows * context * (width(op.q) + width(op.y)),
            }
        }
        Op::GatedAct(op) => Cost { bytes: 0.0, flops: 8.0 * load.rows * width(op.y) },
        Op::Route(op) => Cost { bytes: 0.0, flops: 8.0 * load.rows * width(op.logits) },
        Op::LinearAt(op) => {
            let active = width(op.routes) / 2.0;
            let union = expected_union(f64::from(op.experts), active, load.rows);
            op.parts.iter().fold(Cost::default(), |sum, part| {
                let info = program.weight(part.first);
                let flops = 2.0 * load.rows * active * info.rows as f64 * info.cols as f64;
                sum + Cost { bytes: union * weight_bytes(part.first), flops }
            })
        }
        Op::Combine(op) => Cost { bytes: 0.0, flops: load.rows * width(op.x) },
        Op::ShortConv(op) => Cost {
            bytes: state_bytes(load, op.state),
            flops: 2.0 * load.rows * width(op.x) * program.weight(op.w).cols as f64,
        },
        Op::HeadLinear(op) => {
            let (used, info) = (f64::from(op.heads * op.take), program.weight(op.w));
            let flops = 2.0 * load.rows * used * info.cols as f64;
            Cost { bytes: used * row_bytes(op.w), flops }
        }
        Op::DeltaNet(op) => Cost {
            bytes: state_bytes(load, op.state),
            flops: 7.0 * load.rows * op.state.width as f64,
        },
        Op::Columns(_) | Op::Pick(_) | Op::Argmax(_) => Cost::default(),
    }
}

/// What one layer keeps of a position.
fn position_bytes(cache: &CacheGroup) -> f64 {
    (cache.planes() * cache.kv_heads as usize * cache.row_bytes()) as f64
}

/// How many of `experts` a step of so many rows uses, if each row chooses `active` of them by
/// chance.
fn expected_union(experts: f64, active: f64, rows: f64) -> f64 {
    experts * (1.0 - (1.0 - active / experts).powf(rows))
}

/// A recurrent state is read and written once for each sequence.
fn state_bytes(load: Load, state: StateRef) -> f64 {
    2.0 * load.reads * 4.0 * state.width as f64
}

/// The cost of a whole step.
pub fn total(program: &Program, load: Load) -> Cost {
    program.ops().fold(Cost::default(), |sum, op| sum + cost(program, op, load))
}
