//! The interface of a backend: it takes a program and its weights, and runs steps.

use crate::list::Op;
use crate::program::Program;
use crate::step::Step;
use blocks::Tensor;
use std::sync::Arc;
use std::time::Duration;

/// Why an operation cannot run on a backend; found when the plan is made, never in a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{backend} cannot run {op}: {reason}")]
pub struct Unsupported {
    /// The backend.
    pub backend: &'static str,
    /// The operation's name.
    pub op: &'static str,
    /// What it lacks.
    pub reason: String,
}

/// What can go wrong while loading or in a step. Anything foreseeable is refused earlier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The memory asked for is not to be had.
    #[error("no memory for {0} bytes of cache and scratch; ask for a shorter context")]
    OutOfMemory(usize),
    /// The device went away.
    #[error("the device was lost: {0}")]
    DeviceLost(String),
    /// The step was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The step does not fit the program's sizes: a bug of the caller's.
    #[error("invalid step: {0}")]
    InvalidStep(&'static str),
    /// The program needs what this backend lacks.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

/// What the memory of a loaded program is laid out for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows in a step.
    pub rows: usize,
    /// Rows of a step that want an output.
    pub outputs: usize,
    /// Pages of each cache group.
    pub pages: Vec<usize>,
    /// Slots for sampled ids.
    pub sampled: usize,
    /// Slots for recurrent states; none where the program keeps none.
    pub states: usize,
}

/// A device with everything that it needs to run programs.
pub trait Backend: Send + Sync {
    /// Its name, as `doctor` prints it.
    fn name(&self) -> &'static str;

    /// Whether it can run `op` of `program`.
    fn supports(&self, op: &Op, program: &Program) -> Result<(), Unsupported>;

    /// Takes a program with its weights, one for each of `program.weights`.
    fn load(
        &self,
        program: Arc<Program>,
        weights: Vec<Tensor>,
        sizes: Sizes,
    ) -> Result<Box<dyn Executor>, Fault>;
}

/// A loaded program: its weights, caches and scratch on a device.
pub trait Executor: Send {
    /// Starts a step. At most one ticket is open for each step submitted; they finish in order.
    fn submit(&mut self, step: &Step<'_>) -> Result<Ticket, Fault>;

    /// Waits for a step and gives its outputs, which live until the next call.
    fn wait(&mut self, ticket: Ticket) -> Result<Outputs<'_>, Fault>;

    /// Copies one page of a cache group to another (a shared page is about to be written).
    fn copy_page(&mut self, group: usize, from: u32, to: u32);

    /// Starts or stops measuring; measuring changes no result.
    fn set_profiling(&mut self, on: bool);

    /// What was measured since profiling was switched on.
    fn profile(&self) -> &Profile;

    /// Bytes of caches and scratch that it holds.
    fn bytes(&self) -> usize;
}

/// A step under way.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// What a step gives.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// Logits of the wanted rows, (outputs, vocab); empty if the program has none.
    pub logits: &'a [f32],
    /// Last hidden states of the wanted rows, (outputs, dim).
    pub hidden: &'a [f32],
    /// The ids in the sampled slots.
    pub sampled: &'a [u32],
}

/// Time spent in each operation of the program, in the order of [`Program::ops`].
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Steps measured.
    pub steps: u64,
    /// Time in each operation, waiting for other threads included.
    pub ops: Vec<Duration>,
}
