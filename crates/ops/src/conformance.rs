//! Cases that every backend must pass, each compared with the scalar reference.
//!
//! A case is a small program around one operation: rows bring embeddings, the operation works on
//! them, every row's output is wanted. Exact forms are compared within a tolerance that is stated
//! here; the fast form of linear operations must agree to the bit.

mod cases;
mod mixture;
mod weights;

pub use cases::cases;
pub use weights::random_tensor;

use crate::backend::{Backend, Sizes};
use crate::program::{PAGE, Program};
use crate::reference::Reference;
use crate::step::{Input, Mask, Output, Row, Sequence, Step};
use blocks::Tensor;
use std::sync::Arc;

/// How near a backend must come to the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// The same bits.
    Bits,
    /// A difference of at most this share of the largest reference value.
    Relative(f32),
}

/// A program with its weights and the rows of its sequences.
pub struct Case {
    /// What it tries.
    pub name: String,
    /// The program; its logits are compared.
    pub program: Program,
    /// The weights.
    pub weights: Vec<Tensor>,
    /// Rows of each sequence.
    pub lengths: Vec<u32>,
    /// How near is near enough.
    pub tolerance: Tolerance,
}

/// How a case's rows are cut into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All rows of all sequences in one step.
    Whole,
    /// One sequence after the other, so many rows at a time.
    Chunks(usize),
}

/// Runs a case on a backend and returns its logits, sequence after sequence.
///
/// # Errors
/// What the backend refuses or fails at.
pub fn run(backend: &dyn Backend, case: &Case, cut: Cut) -> Result<Vec<f32>, String> {
    let program = Arc::new(case.program.clone());
    for op in program.ops() {
        backend.supports(op, &program).map_err(|e| e.to_string())?;
    }
    let total: u32 = case.lengths.iter().sum();
    let pages = |length: &u32| (*length as usize).div_ceil(PAGE);
    let sizes = Sizes {
        rows: total as usize,
        outputs: total as usize,
        pages: program.caches.iter().map(|_| case.lengths.iter().map(pages).sum()).collect(),
        sampled: 1,
    };
    let width = program.slots[0].width;
    let embeddings = embeddings(total as usize * width);
    let mut executor =
        backend.load(program.clone(), case.weights.clone(), sizes).map_err(|e| e.to_string())?;
    // Pages are dealt out in turn, so that tables are not consecutive.
    let mut next = 0;
    let tables: Vec<Vec<Vec<u32>>> = case
        .lengths
        .iter()
        .map(|length| {
            let table: Vec<u32> = (0..pages(length) as u32).rev().map(|p| p + next).collect();
            next += pages(length) as u32;
            program.caches.iter().map(|_| table.clone()).collect()
        })
        .collect();
    let sequences: Vec<Sequence<'_>> = tables
        .iter()
        .zip(&case.lengths)
        .map(|(tables, length)| Sequence { tables, length: *length, mask: Mask::default() })
        .collect();
    let mut rows = Vec::new();
    for (sequence, length) in case.lengths.iter().enumerate() {
        for position in 0..*length {
            rows.push(Row {
                input: Input::Embedding(rows.len() as u32),
                position: [position; 3],
                sequence: sequence as u32,
                adapter: 0,
                output: Output::Logits,
            });
        }
    }
    let steps: Vec<&[Row]> = match cut {
        Cut::Whole => vec![&rows],
        Cut::Chunks(n) => {
            rows.chunk_by(|a, b| a.sequence == b.sequence).flat_map(|rows| rows.chunks(n)).collect()
        }
    };
    let mut logits = Vec::new();
    for rows in steps {
        let step = Step { rows, sequences: &sequences, embeddings: &embeddings, cancel: None };
        let ticket = executor.submit(&step).map_err(|e| e.to_string())?;
        logits.extend_from_slice(executor.wait(ticket).map_err(|e| e.to_string())?.logits);
    }
    Ok(logits)
}

/// Checks a backend against the reference, and its rows against themselves in other batches.
///
/// # Errors
/// Names the case and the first value that differs.
pub fn check(backend: &dyn Backend, case: &Case) -> Result<(), String> {
    let named = |e: String| format!("{}: {e}", case.name);
    let expected = run(&Reference, case, Cut::Whole).map_err(named)?;
    let whole = run(backend, case, Cut::Whole).map_err(named)?;
    compare(&expected, &whole, case.tolerance).map_err(named)?;
    for chunk in [1, 5, 7] {
        let cut = run(backend, case, Cut::Chunks(chunk)).map_err(named)?;
        compare(&whole, &cut, Tolerance::Bits)
            .map_err(|e| named(format!("in chunks of {chunk}, {e}")))?;
    }
    Ok(())
}

fn compare(expected: &[f32], found: &[f32], tolerance: Tolerance) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("{} values, expected {}", found.len(), expected.len()));
    }
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    for (i, (e, f)) in expected.iter().zip(found).enumerate() {
        let near = match tolerance {
            Tolerance::Bits => e.to_bits() == f.to_bits() || (e.is_nan() && f.is_nan()),
            Tolerance::Relative(share) => (e - f).abs() <= share * largest,
        };
        if !near {
            return Err(format!("value {i} is {f:e}, expected {e:e} ({tolerance:?})"));
        }
    }
    Ok(())
}

/// Values of both signs and several magnitudes.
fn embeddings(count: usize) -> Vec<f32> {
    let mut random = weights::Random::new(7);
    (0..count).map(|i| random.unit() * [0.3, 1.0, 2.5, 0.01][i / 64 % 4]).collect()
}
