//! What a test moves and computes, and how fast that could be done at best.

use cpu::Peaks;
use ops::{Form, Op, Program};
use plan::cost::{self, Cost, Load};

use super::Test;
use super::steps::Span;

/// What a test takes, by operation.
pub struct Work {
    /// Bytes and operations of each operation of the program, all steps together.
    pub ops: Vec<Cost>,
    /// The tokens that are timed.
    pub tokens: f64,
    /// Seconds that memory takes at its measured bandwidth.
    pub memory_seconds: f64,
    /// Seconds that arithmetic takes at its measured peaks.
    pub compute_seconds: f64,
}

impl Work {
    /// The work of a test whose prompts are cut into chunks.
    pub fn of(program: &Program, test: Test, chunk: usize, peaks: Peaks) -> Work {
        let loads: Vec<Load> = test.steps(chunk).iter().map(|step| load(step)).collect();
        let all =
            |op| loads.iter().fold(Cost::default(), |sum, &l| sum + cost::cost(program, op, l));
        let ops: Vec<Cost> = program.ops().map(all).collect();
        let pairs = || program.ops().zip(&ops);
        Work {
            tokens: test.tokens() as f64,
            memory_seconds: pairs().map(|(_, cost)| memory_seconds(*cost, peaks)).sum(),
            compute_seconds: pairs().map(|(op, cost)| compute_seconds(op, *cost, peaks)).sum(),
            ops,
        }
    }

    /// Bytes and operations of a token, on average.
    pub fn per_token(&self) -> Cost {
        let total = self.ops.iter().fold(Cost::default(), |sum, &cost| sum + cost);
        Cost { bytes: total.bytes / self.tokens, flops: total.flops / self.tokens }
    }
}

/// Seconds for the bytes at the measured bandwidth.
pub fn memory_seconds(cost: Cost, peaks: Peaks) -> f64 {
    cost.bytes / (peaks.read_gb_s * 1e9)
}

/// Seconds for the operations at the measured peak of their kind of numbers.
pub fn compute_seconds(op: &Op, cost: Cost, peaks: Peaks) -> f64 {
    let fast = match op {
        Op::Linear(op) => op.parts.iter().any(|part| part.form == Form::Fast),
        _ => false,
    };
    cost.flops / (if fast { peaks.int8_gop_s } else { peaks.f32_gflop_s } * 1e9)
}

/// What a step costs: the rows and caches of all its sequences.
fn load(step: &[Span]) -> Load {
    let each = |span: &Span| Load::prompt(f64::from(span.count), f64::from(span.first));
    let rows: f64 = step.iter().map(|span| each(span).rows).sum();
    let seen: f64 = step.iter().map(|span| each(span).rows * each(span).context).sum();
    let read: f64 = step.iter().map(|span| each(span).context).sum();
    let outputs = step.iter().filter(|span| span.output).count() as f64;
    // Every cached position is read once, whatever the rows that see it.
    Load { rows, outputs, context: seen / rows, reads: read * rows / seen }
}
