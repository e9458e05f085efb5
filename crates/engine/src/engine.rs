//! The engine: schedule, run, settle.

use crate::error::{EngineError, Rejected};
use crate::ledger::Lease;
use crate::request::{Event, Failure, Request, SequenceId};
use crate::runtime::Options;
use crate::sample::Sampler;
use crate::scheduler::{Part, Scheduler};
use ops::{Executor, Fault, Profile, Program, Sizes, Step, Ticket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A loaded model with its sequences.
pub struct Engine {
    pub(crate) executor: Box<dyn Executor>,
    pub(crate) scheduler: Scheduler,
    sampler: Sampler,
    /// The step whose ids are not known yet.
    flight: Option<Flight>,
    /// Storage of step descriptions, empty between steps.
    sequences: Vec<ops::Sequence<'static>>,
    spare: Vec<Vec<Part>>,
    program: Arc<Program>,
    options: Options,
    sizes: Sizes,
    _leases: Vec<Lease>,
}

/// A step under way.
struct Flight {
    ticket: Ticket,
    parts: Vec<Part>,
}

impl Engine {
    pub(crate) fn new(
        executor: Box<dyn Executor>,
        program: Arc<Program>,
        vocab: usize,
        options: Options,
        sizes: Sizes,
        leases: Vec<Lease>,
    ) -> Engine {
        Engine {
            executor,
            scheduler: Scheduler::new(&program, vocab, &options, &sizes),
            sampler: Sampler::new(vocab),
            flight: None,
            sequences: Vec::with_capacity(options.sequences),
            spare: Vec::new(),
            program,
            options,
            sizes,
            _leases: leases,
        }
    }

    /// Takes a request into the queue.
    ///
    /// # Errors
    /// Names the field that cannot be honoured and what it may be.
    pub fn add(&mut self, request: Request) -> Result<SequenceId, Rejected> {
        self.scheduler.add(request)
    }

    /// Ends a sequence; the next step reports it. False if it has ended already.
    pub fn cancel(&mut self, id: SequenceId) -> bool {
        self.scheduler.cancel(id)
    }

    /// Runs one step and appends what it has to tell. Without work it does nothing.
    ///
    /// # Errors
    /// Where the backend fails; every running sequence has then ended.
    pub fn step(&mut self, events: &mut Vec<Event>) -> Result<(), EngineError> {
        self.step_unless(None, events)
    }

    /// Like [`Engine::step`]; once `cancel` is true the step ends early and has no effect, and
    /// the next call repeats it.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub fn step_unless(
        &mut self,
        cancel: Option<&AtomicBool>,
        events: &mut Vec<Event>,
    ) -> Result<(), EngineError> {
        let result = self.schedule_run_settle(cancel, events);
        if result.is_err() {
            self.flight = None;
            self.scheduler.fail_all(Failure::Backend, events);
        }
        Ok(result?)
    }

    fn schedule_run_settle(
        &mut self,
        cancel: Option<&AtomicBool>,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        self.schedule(events);
        let next = self.run(cancel)?;
        if let Some(flight) = self.flight.take() {
            self.settle(flight, None, events)?;
        }
        match next {
            // Logits do not outlive the next step, so they are read before it.
            Some(next) if self.options.pipelined && !next.parts.iter().any(Part::gives_logits) => {
                self.flight = Some(next);
            }
            Some(next) => self.settle(next, cancel, events)?,
            None => {}
        }
        Ok(())
    }

    /// Whether there is nothing to do and nothing to tell.
    pub fn is_idle(&self) -> bool {
        self.flight.is_none() && self.scheduler.is_idle()
    }

    /// Gives up the pages of finished sequences, so that the next request is computed anew.
    pub fn forget(&mut self) {
        self.scheduler.forget();
    }

    /// Ids of the model: each id in and out is below it.
    pub fn vocab(&self) -> usize {
        self.scheduler.vocab
    }

    /// The program that it runs.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// What it was laid out for, defaults filled in.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The sizes given to the backend.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Pages of the first cache group that nobody uses; kept sequences count as users.
    pub fn free_pages(&self) -> usize {
        self.scheduler.free_pages()
    }

    /// Slots for recurrent states that nobody uses.
    pub fn free_states(&self) -> usize {
        self.scheduler.stock.states.free()
    }

    /// Starts or stops measuring operations; results do not change.
    pub fn set_profiling(&mut self, on: bool) {
        self.executor.set_profiling(on);
    }

    /// What was measured, in the order of [`Program::ops`].
    pub fn profile(&self) -> &Profile {
        self.executor.profile()
    }

    /// Bytes of caches and scratch that the backend holds.
    pub fn bytes(&self) -> usize {
        self.executor.bytes()
    }

    fn schedule(&mut self, events: &mut Vec<Event>) {
        self.scheduler.schedule(events);
        for (group, from, to) in self.scheduler.copies.drain(..) {
            self.executor.copy_page(group, from, to);
        }
    }

    fn run(&mut self, cancel: Option<&AtomicBool>) -> Result<Option<Flight>, Fault> {
        let batch = &mut self.scheduler.batch;
        if batch.rows.is_empty() {
            return Ok(None);
        }
        let mut parts = self.spare.pop().unwrap_or_default();
        parts.append(&mut batch.parts);
        let mut sequences = recycled(std::mem::take(&mut self.sequences));
        sequences.extend(
            parts.iter().map(|part| self.scheduler.running[part.index].as_step(&part.states)),
        );
        let rows = &self.scheduler.batch.rows;
        let step = Step { rows, sequences: &sequences, embeddings: &[], cancel };
        let submitted = self.executor.submit(&step);
        self.sequences = recycled(sequences);
        match submitted {
            Ok(ticket) => Ok(Some(Flight { ticket, parts })),
            Err(Fault::Cancelled) => {
                self.scheduler.undo(&parts);
                self.recycle(parts);
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn settle(
        &mut self,
        flight: Flight,
        cancel: Option<&AtomicBool>,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Flight { ticket, parts } = flight;
        let waited = self.executor.wait(ticket);
        let cancelled = cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed));
        match waited {
            Ok(outputs) if !cancelled => {
                self.scheduler.settle(&parts, outputs, &mut self.sampler, events);
            }
            Ok(_) | Err(Fault::Cancelled) => self.scheduler.undo(&parts),
            Err(fault) => return Err(fault),
        }
        self.recycle(parts);
        Ok(())
    }

    fn recycle(&mut self, mut parts: Vec<Part>) {
        parts.clear();
        self.spare.push(parts);
    }
}

/// The same storage for values that borrow from elsewhere; collecting in place keeps it.
fn recycled<'b>(mut storage: Vec<ops::Sequence<'_>>) -> Vec<ops::Sequence<'b>> {
    storage.clear();
    storage.into_iter().map(|_| unreachable!("the storage is empty")).collect()
}
