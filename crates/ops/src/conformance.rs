//! Cases that every backend must pass, each compared with the scalar reference.
//!
//! A case is a small program around one operation: rows bring embeddings, the operation works on
//! them, every row's output is wanted. Exact forms are compared within a tolerance that is stated
//! here; the fast form of linear operations must agree to the bit.

mod cases;
mod latent;
mod memory;
mod mixture;
mod recurrent;
mod weights;

pub use cases::cases;
pub use weights::random_tensor;

use crate::backend::{Backend, Sizes};
use crate::program::{PAGE, Program};
use crate::reference::Reference;
use crate::step::{Input, Mask, Output, Row, Sequence, StateWrite, States, Step};
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
    /// Ids that rows bring instead of embeddings, where there are any, in turn.
    pub ids: Vec<u32>,
}

/// How a case's rows are cut into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All rows of all sequences in one step.
    Whole,
    /// One sequence after the other, so many rows at a time.
    Chunks(usize),
    /// One sequence after the other, all rows at a time; then those after the first page again,
    /// from the recurrent state that was kept there.
    Restored,
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
        states: STATES * case.lengths.len(),
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
    let mut rows = Vec::new();
    for (sequence, length) in case.lengths.iter().enumerate() {
        for position in 0..*length {
            let input = match case.ids.len() {
                0 => Input::Embedding(rows.len() as u32),
                count => Input::Token(case.ids[rows.len() % count]),
            };
            rows.push(Row {
                input,
                position: [position; 3],
                sequence: sequence as u32,
                adapter: 0,
                output: Output::Logits,
            });
        }
    }
    let mut logits = Vec::new();
    for Piece { rows, read, writes, surplus } in pieces(&rows, cut) {
        let states = States { read, writes: &writes };
        let mask = Mask::default();
        let sequences: Vec<_> = tables
            .iter()
            .zip(&case.lengths)
            .map(|(tables, length)| Sequence { tables, length: *length, mask, states })
            .collect();
        let step = Step { rows, sequences: &sequences, embeddings: &embeddings, cancel: None };
        let ticket = executor.submit(&step).map_err(|e| e.to_string())?;
        let found = executor.wait(ticket).map_err(|e| e.to_string())?.logits;
        logits.extend_from_slice(&found[..found.len() / rows.len() * (rows.len() - surplus)]);
    }
    Ok(logits)
}

/// Slots for recurrent states that each sequence has: two to go on from in turn, one to keep.
const STATES: usize = 3;

/// A step's rows, its recurrent states, and how many of its last rows do not count.
struct Piece<'a> {
    rows: &'a [Row],
    read: u32,
    writes: Vec<StateWrite>,
    surplus: usize,
}

fn pieces(rows: &[Row], cut: Cut) -> Vec<Piece<'_>> {
    let piece = |rows, read, writes, surplus| Piece { rows, read, writes, surplus };
    let alone = rows.chunk_by(|a, b| a.sequence == b.sequence);
    let slot = |rows: &[Row], i: usize| (STATES * rows[0].sequence as usize + i) as u32;
    match cut {
        Cut::Whole => vec![piece(rows, 0, Vec::new(), 0)],
        Cut::Chunks(n) => alone
            .flat_map(|rows| {
                rows.chunks(n).enumerate().map(move |(i, rows)| {
                    let after = rows[rows.len() - 1].position[0] + 1;
                    let write = StateWrite { after, slot: slot(rows, (i + 1) % 2) };
                    piece(rows, slot(rows, i % 2), vec![write], 0)
                })
            })
            .collect(),
        Cut::Restored => alone
            .flat_map(|rows| {
                let rest = &rows[rows.len().min(PAGE)..];
                let write = StateWrite { after: PAGE as u32, slot: slot(rows, 2) };
                let kept = if rest.is_empty() { Vec::new() } else { vec![write] };
                let again = piece(rest, slot(rows, 2), Vec::new(), 0);
                let both = [piece(rows, 0, kept, rest.len()), again];
                both.into_iter().filter(|piece| !piece.rows.is_empty())
            })
            .collect(),
    }
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
    for cut in [Cut::Chunks(1), Cut::Chunks(5), Cut::Chunks(7), Cut::Restored] {
        let found = run(backend, case, cut).map_err(named)?;
        compare(&whole, &found, Tolerance::Bits).map_err(|e| named(format!("{cut:?}: {e}")))?;
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
