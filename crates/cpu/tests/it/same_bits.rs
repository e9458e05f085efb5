//! A row depends on itself only: a whole model's logits have the same bits alone, in a batch of
//! five, and with the prompt whole, one by one and in chunks of seven, on 1, 2 and 3 threads.

use crate::no_allocation::{ALONE, allocations_so_far};
use blocks::{Kind, Tensor};
use cpu::{Cpu, Isa};
use ops::conformance::random_tensor;
use ops::{
    Backend, Form, Input, KvKind, Mask, Op, Output, PAGE, Program, Row, Sequence, Sizes, Step,
};
use std::sync::Arc;

/// Lengths of the five sequences; the longest crosses a page.
const LENGTHS: [usize; 5] = [70, 3, 21, 1, 40];
/// All of them.
pub const ALL: [usize; 5] = [0, 1, 2, 3, 4];

/// The tiny model, its matrices in `kind` where their rows hold whole blocks.
pub fn model(kind: Option<Kind>) -> (Arc<Program>, Vec<Tensor>) {
    let mut program = testkit::tiny::program();
    let mut weights = testkit::tiny::weights(&program, 3);
    let Some(kind) = kind else { return (Arc::new(program), weights) };
    for group in &mut program.caches {
        group.kind = KvKind::F16;
    }
    for (i, (info, tensor)) in program.weights.iter_mut().zip(&mut weights).enumerate() {
        if info.rows > 1 && kind.row_bytes(info.cols).is_some() {
            *tensor = random_tensor(kind, info.rows, info.cols, i as u64);
            info.kind = kind;
        }
    }
    let fast = |i: u32| program.weights[i as usize].kind == kind && kind.int_shape().is_some();
    for stage in &mut program.stages {
        for op in &mut stage.ops {
            let Op::Linear(linear) = op else { continue };
            for part in linear.parts.iter_mut().filter(|part| fast(part.weight.0)) {
                part.form = Form::Fast;
            }
        }
    }
    (Arc::new(program), weights)
}

/// What [`run`] found.
pub struct Found {
    /// Logits of every row of every sequence.
    logits: Vec<Vec<f32>>,
    /// How often memory was asked for in the steps.
    pub allocations: usize,
}

/// Runs the chosen sequences, the rows handed over `chunk` of each sequence at a time.
pub fn run(
    backend: &Cpu,
    (program, weights): &(Arc<Program>, Vec<Tensor>),
    chosen: &[usize],
    chunk: usize,
) -> Found {
    let total: usize = LENGTHS.iter().sum();
    let pages = LENGTHS.map(|length| length.div_ceil(PAGE));
    let sizes = Sizes {
        rows: total,
        outputs: total,
        pages: vec![pages.iter().sum(); program.caches.len()],
        sampled: 1,
    };
    let mut executor = backend.load(program.clone(), weights.clone(), sizes).unwrap();
    let mut next = 0..;
    let tables: Vec<Vec<Vec<u32>>> = pages
        .iter()
        .map(|&pages| vec![next.by_ref().take(pages).collect(); program.caches.len()])
        .collect();
    let sequences: Vec<_> = tables
        .iter()
        .zip(LENGTHS)
        .map(|(tables, length)| Sequence { tables, length: length as u32, mask: Mask::default() })
        .collect();
    let mut logits = vec![Vec::new(); LENGTHS.len()];
    let mut allocations = 0;
    for start in (0..total).step_by(chunk) {
        let mut rows = Vec::new();
        for &sequence in chosen {
            for position in start..LENGTHS[sequence].min(start + chunk) {
                rows.push(Row {
                    input: Input::Token(((7 * position + sequence) % testkit::tiny::VOCAB) as u32),
                    position: [position as u32; 3],
                    sequence: sequence as u32,
                    adapter: 0,
                    output: Output::Logits,
                });
            }
        }
        let step = Step { rows: &rows, sequences: &sequences, embeddings: &[], cancel: None };
        let before = allocations_so_far();
        let ticket = executor.submit(&step).unwrap();
        let outputs = executor.wait(ticket).unwrap();
        allocations += allocations_so_far() - before;
        for (row, found) in rows.iter().zip(outputs.logits.chunks(testkit::tiny::VOCAB)) {
            logits[row.sequence as usize].extend(found);
        }
    }
    Found { logits, allocations }
}

fn bits(rows: &[f32]) -> Vec<u32> {
    rows.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_row_depends_on_itself_only() {
    let _not_alone = ALONE.read();
    for kind in [None, Some(Kind::Q8_0), Some(Kind::Q4_0), Some(Kind::F16)] {
        let model = model(kind);
        let expected = run(&Cpu::new(Isa::best(), 1), &model, &ALL, 100).logits;
        assert!(expected.iter().flatten().all(|v| v.is_finite()), "{kind:?}");
        for threads in 1..=3 {
            let backend = Cpu::new(Isa::best(), threads);
            for chunk in [1, 7, 100] {
                let together = run(&backend, &model, &ALL, chunk).logits;
                for sequence in 0..LENGTHS.len() {
                    let alone = &run(&backend, &model, &[sequence], chunk).logits[sequence];
                    let case = format!("{kind:?}, {threads} threads, chunks of {chunk}");
                    assert_eq!(bits(alone), bits(&expected[sequence]), "alone, {case}");
                    assert_eq!(bits(&together[sequence]), bits(&expected[sequence]), "{case}");
                }
            }
        }
    }
}
