//! What a test moves and computes, and how fast that could be done at best.

use cpu::Peaks;
use ops::{Form, Op, Program};
use plan::cost::{self, Cost, Load};

use super::Test;

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
        let loads = loads(test, chunk);
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

/// The steps of a test.
fn loads(test: Test, chunk: usize) -> Vec<Load> {
    let (depth, prompt) = (f64::from(test.depth), test.prompt as usize);
    let chunks = (0..prompt).step_by(chunk).map(|at| {
        let rows = (prompt - at).min(chunk);
        let load = Load::prompt(rows as f64, depth + at as f64);
        Load { outputs: if at + rows == prompt { 1.0 } else { 0.0 }, ..load }
    });
    let start = depth + prompt as f64 + 1.0;
    let steps = (0..test.generated).map(|at| Load::decode(start + f64::from(at)));
    chunks.chain(steps).collect()
}
