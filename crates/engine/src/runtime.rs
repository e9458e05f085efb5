//! What a process has one of: its backends and the ledger of its memory.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::ledger::{Class, Entry, Ledger};
use crate::limits;
use blocks::Tensor;
use ops::{Backend, Op, PAGE, Program, Sizes};
use std::sync::Arc;

/// The backends and the ledger, handed to every engine of the process.
pub struct Runtime {
    backends: Vec<Arc<dyn Backend>>,
    ledger: Ledger,
}

/// What an engine is laid out for. Results depend on none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The model's name, for the ledger.
    pub owner: String,
    /// Positions that a sequence may have.
    pub context: usize,
    /// Positions that all sequences may have together, kept ones included; `context` if smaller.
    pub kv_tokens: usize,
    /// Sequences that run together.
    pub sequences: usize,
    /// Rows in a step.
    pub rows: usize,
    /// Rows of one prompt in a step.
    pub chunk: usize,
    /// Rows of a step that give logits: what [`Engine::score`] gets at once.
    pub outputs: usize,
    /// Requests that wait.
    pub queue: usize,
    /// Finished sequences whose pages are kept for requests that begin alike; 0 keeps none.
    pub kept: usize,
    /// Whether a step may start before the ids of the previous one are known. A stop is then
    /// seen one step late, which pays only where starting a step takes time.
    pub pipelined: bool,
    /// Whether the weights lie in a mapped file, which the system can drop and read again.
    pub mapped: bool,
    /// Bytes of weights that lie in memory although the others are mapped: what was repacked.
    pub repacked: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            owner: "model".to_owned(),
            context: 4096,
            kv_tokens: 0,
            sequences: 1,
            rows: limits::ROWS_MAX,
            chunk: limits::ROWS_MAX,
            outputs: 1,
            queue: 64,
            kept: 4,
            pipelined: false,
            mapped: true,
            repacked: 0,
        }
    }
}

impl Runtime {
    /// A runtime whose engines may hold `budget` bytes together, mapped weights aside.
    pub fn new(backends: Vec<Arc<dyn Backend>>, budget: usize) -> Runtime {
        Runtime { backends, ledger: Ledger::new(budget) }
    }

    /// The backends.
    pub fn backends(&self) -> &[Arc<dyn Backend>] {
        &self.backends
    }

    /// Who holds how much.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Loads a program with its weights, one for each of `program.weights`, on a backend.
    ///
    /// # Errors
    /// Where an option is out of bounds, the program is no language model, the backend cannot run
    /// an operation, the budget has no room, or the backend fails.
    pub fn load(
        &self,
        backend: usize,
        program: Arc<Program>,
        weights: Vec<Tensor>,
        options: Options,
    ) -> Result<Engine, EngineError> {
        let count = self.backends.len();
        let missing = EngineError::NoBackend { index: backend, count };
        let backend = self.backends.get(backend).ok_or(missing)?;
        let options = options.checked()?;
        for op in program.ops() {
            backend.supports(op, &program)?;
        }
        let vocab = vocab(&program)?;
        let sizes = options.sizes(&program);
        let entry = |class, bytes, reclaimable| {
            let (owner, device) = (options.owner.clone(), backend.name());
            self.ledger.reserve(Entry { owner, device, class, bytes, reclaimable })
        };
        let bytes: usize = weights.iter().map(Tensor::bytes).sum();
        let repacked = options.repacked.min(bytes);
        let mut leases = vec![
            entry(Class::Weights, bytes - repacked, options.mapped)?,
            entry(Class::Kv, kv_bytes(&program, &sizes), false)?,
            entry(Class::Scratch, scratch_bytes(&program, &sizes), false)?,
        ];
        if repacked > 0 {
            leases.push(entry(Class::Weights, repacked, false)?);
        }
        let executor = backend.load(program.clone(), weights, sizes.clone())?;
        Ok(Engine::new(executor, program, vocab, options, sizes, leases))
    }
}

impl Options {
    fn checked(mut self) -> Result<Options, EngineError> {
        let within = |field, value, low, high| {
            let fits = (low..=high).contains(&value);
            if fits { Ok(()) } else { Err(EngineError::Option { field, value, low, high }) }
        };
        within("context", self.context, 1, limits::CONTEXT_MAX)?;
        within("kv_tokens", self.kv_tokens, 0, limits::CONTEXT_MAX * limits::SEQUENCES_MAX)?;
        within("rows", self.rows, 1, limits::ROWS_MAX)?;
        within("sequences", self.sequences, 1, self.rows.min(limits::SEQUENCES_MAX))?;
        within("chunk", self.chunk, 1, self.rows)?;
        within("outputs", self.outputs, 1, self.rows)?;
        within("queue", self.queue, 1, limits::QUEUE_MAX)?;
        within("kept", self.kept, 0, limits::KEPT_MAX)?;
        self.outputs = self.outputs.max(self.sequences);
        self.kv_tokens = self.kv_tokens.max(self.context);
        Ok(self)
    }

    fn sizes(&self, program: &Program) -> Sizes {
        Sizes {
            rows: self.rows,
            outputs: self.outputs,
            pages: vec![self.kv_tokens.div_ceil(PAGE); program.caches.len()],
            // Two per sequence: a step writes one while the next reads the other.
            sampled: 2 * self.sequences,
        }
    }
}

/// Ids that the program can both read and write.
fn vocab(program: &Program) -> Result<usize, EngineError> {
    let lacks = |reason| EngineError::NotAModel { program: program.name, reason };
    let logits = program.logits.ok_or(lacks("gives no logits"))?;
    let table = program.ops().find_map(|op| match op {
        Op::Embed(op) => Some(program.weight(op.table).rows),
        _ => None,
    });
    Ok(table.ok_or(lacks("reads no ids"))?.min(program.slot(logits).width))
}

fn kv_bytes(program: &Program, sizes: &Sizes) -> usize {
    program.caches.iter().zip(&sizes.pages).map(|(group, pages)| group.page_bytes() * pages).sum()
}

fn scratch_bytes(program: &Program, sizes: &Sizes) -> usize {
    size_of::<f32>() * (program.row_width * sizes.rows + program.output_width * sizes.outputs)
}
