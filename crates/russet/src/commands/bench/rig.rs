//! A loaded program that is fed random ids: no sampling, no text, no scheduling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ops::{
    Backend, Executor, Input, Mask, Op, Output, PAGE, Profile, Program, Row, Sequence, Sizes,
    StateWrite, States, Step,
};
use russet::Opened;

use super::Test;

/// A loaded program with one sequence.
pub struct Rig {
    executor: Box<dyn Executor>,
    tables: Vec<Vec<u32>>,
    vocab: u32,
    chunk: usize,
    /// The slot that holds the recurrent state, if there is one.
    state: u32,
    rows: Vec<Row>,
    random: u64,
}

impl Rig {
    /// Loads a model for a sequence of `positions`, of which `chunk` are computed together.
    pub fn load(
        opened: &Opened,
        backend: &dyn Backend,
        positions: usize,
        chunk: usize,
    ) -> anyhow::Result<Rig> {
        let program = Arc::new(opened.plan.program.clone());
        program.ops().try_for_each(|op| backend.supports(op, &program))?;
        let pages = positions.div_ceil(PAGE);
        let groups = program.caches.len();
        let states = if program.state_width > 0 { 2 } else { 0 };
        let pages_of = vec![pages; groups];
        let sizes = Sizes { rows: chunk, outputs: 1, pages: pages_of, sampled: 1, states };
        let vocab = vocab(&program, opened.plan.spec.vocab);
        let executor = backend.load(program, opened.weights()?, sizes)?;
        let tables = vec![(0..pages as u32).collect(); groups];
        let rows = Vec::with_capacity(chunk);
        Ok(Rig { executor, tables, vocab, chunk, state: 0, rows, random: 42 })
    }

    /// Runs a test once; what lies before its depth is there already.
    pub fn run(&mut self, test: Test) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.prompt(test.depth, test.prompt)?;
        for at in 0..test.generated {
            self.step(test.depth + test.prompt + at, 1, true)?;
        }
        Ok(started.elapsed())
    }

    /// Reads `count` ids from position `first` on; the last one gives logits.
    pub fn prompt(&mut self, first: u32, count: u32) -> anyhow::Result<()> {
        let end = first + count;
        for at in (first..end).step_by(self.chunk) {
            let rows = (end - at).min(self.chunk as u32);
            self.step(at, rows, at + rows == end)?;
        }
        Ok(())
    }

    /// Runs a test once and says how long each operation took.
    pub fn profile(&mut self, test: Test) -> anyhow::Result<Profile> {
        self.executor.set_profiling(true);
        self.run(test)?;
        let profile = self.executor.profile().clone();
        self.executor.set_profiling(false);
        Ok(profile)
    }

    fn step(&mut self, first: u32, count: u32, logits: bool) -> anyhow::Result<()> {
        self.rows.clear();
        for at in 0..count {
            let wanted = logits && at + 1 == count;
            self.random = random(self.random);
            self.rows.push(Row {
                input: Input::Token((self.random >> 33) as u32 % self.vocab),
                position: [first + at, 0, 0],
                sequence: 0,
                adapter: 0,
                output: if wanted { Output::Logits } else { Output::None },
            });
        }
        let length = first + count;
        // Two slots in turn: a step does not write the state that it reads.
        let read = self.state;
        self.state = 1 - read;
        let writes = [StateWrite { after: length, slot: self.state }];
        let states = States { read, writes: &writes };
        let tables = &self.tables[..];
        let sequences = [Sequence { tables, length, mask: Mask::default(), states }];
        let step = Step { rows: &self.rows, sequences: &sequences, embeddings: &[], cancel: None };
        let ticket = self.executor.submit(&step)?;
        self.executor.wait(ticket)?;
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
