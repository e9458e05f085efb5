//! A loaded program that is fed random ids: no sampling, no text, no scheduling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ops::{
    Backend, Executor, Input, Mask, Op, Output, PAGE, Profile, Program, Row, Sequence, Sizes,
    StateWrite, States, Step,
};
use russet::Opened;

use super::Test;
use super::steps::Span;

/// A loaded program with the sequences of a test.
pub struct Rig {
    executor: Box<dyn Executor>,
    /// The pages of each sequence, by cache group.
    tables: Vec<Vec<Vec<u32>>>,
    vocab: u32,
    chunk: usize,
    /// The slots that hold the recurrent states, if there are any.
    states: Vec<u32>,
    rows: Vec<Row>,
    random: u64,
}

impl Rig {
    /// Loads a model for the sequences of a test, of whose prompts `chunk` tokens are computed
    /// together.
    pub fn load(
        opened: &Opened,
        backend: &dyn Backend,
        test: Test,
        chunk: usize,
    ) -> anyhow::Result<Rig> {
        let program = Arc::new(opened.plan.program.clone());
        program.ops().try_for_each(|op| backend.supports(op, &program))?;
        let (parallel, groups) = (test.parallel, program.caches.len());
        let pages = (test.positions() / parallel as usize).div_ceil(PAGE) as u32;
        let states = if program.state_width > 0 { 2 * parallel as usize } else { 0 };
        let pages_of = vec![(pages * parallel) as usize; groups];
        let outputs = parallel as usize;
        let sizes = Sizes { rows: chunk, outputs, pages: pages_of, sampled: 1, states };
        let vocab = vocab(&program, opened.plan.spec.vocab);
        let executor = backend.load(program, opened.weights()?, sizes)?;
        let table = |i| vec![(i * pages..(i + 1) * pages).collect(); groups];
        let tables = (0..parallel).map(table).collect();
        let states = (0..parallel).map(|i| 2 * i).collect();
        let rows = Vec::with_capacity(chunk);
        Ok(Rig { executor, tables, vocab, chunk, states, rows, random: 42 })
    }

    /// Runs a test once; what lies before its depth is there already.
    pub fn run(&mut self, test: Test) -> anyhow::Result<Duration> {
        let steps = test.steps(self.chunk);
        let started = Instant::now();
        steps.iter().try_for_each(|step| self.step(step))?;
        Ok(started.elapsed())
    }

    /// Runs a test once and says how long each operation took.
    pub fn profile(&mut self, test: Test) -> anyhow::Result<Profile> {
        self.executor.set_profiling(true);
        self.run(test)?;
        let profile = self.executor.profile().clone();
        self.executor.set_profiling(false);
        Ok(profile)
    }

    fn step(&mut self, spans: &[Span]) -> anyhow::Result<()> {
        self.rows.clear();
        for (sequence, span) in (0..).zip(spans) {
            for at in 0..span.count {
                let wanted = span.output && at + 1 == span.count;
                self.random = random(self.random);
                self.rows.push(Row {
                    input: Input::Token((self.random >> 33) as u32 % self.vocab),
                    position: [span.first + at, 0, 0],
                    sequence,
                    adapter: 0,
                    output: if wanted { Output::Logits } else { Output::None },
                });
            }
        }
        // Two slots in turn: a step does not write the state that it reads.
        let state = |span: &Span| self.states[span.sequence as usize];
        let write =
            |span: &Span| StateWrite { after: span.first + span.count, slot: state(span) ^ 1 };
        let writes: Vec<StateWrite> = spans.iter().map(write).collect();
        let sequence = |(span, write): (&Span, _)| Sequence {
            tables: &self.tables[span.sequence as usize],
            length: span.first + span.count,
            mask: Mask::default(),
            states: States { read: state(span), writes: std::slice::from_ref(write) },
        };
        let sequences: Vec<Sequence<'_>> = spans.iter().zip(&writes).map(sequence).collect();
        let step = Step { rows: &self.rows, sequences: &sequences, embeddings: &[], cancel: None };
        let ticket = self.executor.submit(&step)?;
        self.executor.wait(ticket)?;
        for span in spans {
            self.states[span.sequence as usize] ^= 1;
        }
        Ok(())
    }
}

/// Ids that the program reads.
fn vocab(program: &Program, described: u32) -> u32 {
    let tables = program.ops().filter_map(|op| match op {
        Op::Embed(op) => Some(program.weight(op.table).rows as u32),
        _ => None,
    });
    tables.chain([described]).min().unwrap_or(1).max(1)
}

/// The next number of Knuth's linear congruential generator.
fn random(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}
