//! Which rows go into the next step, and what a step's outputs mean for its sequences.
//!
//! First come, first served: a request starts when pages for the longest that it may become are
//! free, so that a running sequence never waits for one. This module knows no device.

use crate::error::Rejected;
use crate::limits;
use crate::pages::{Pool, Stock};
use crate::prefix::{Kept, Prefixes, Tables, Terms, truncate};
use crate::request::{Event, Failure, Reason, Request, SequenceId, Usage};
use crate::runtime::Options;
use crate::sample::Sampler;
use crate::sequence::{Sequence, Start};
use crate::states::{Flight, Held, States};
use ops::{Input, Op, Output, Outputs, PAGE, Program, Row, Sizes};
use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) struct Scheduler {
    pub vocab: usize,
    /// In the order in which they started.
    pub running: Vec<Sequence>,
    pub batch: Batch,
    /// Pages to copy before the step: (group, from, to).
    pub copies: Vec<(usize, u32, u32)>,
    waiting: VecDeque<(SequenceId, Request)>,
    pub stock: Stock,
    prefixes: Prefixes,
    /// What is to be told with the next step.
    news: Vec<Event>,
    free_slots: Vec<u32>,
    next_id: u64,
    /// Alternates from step to step.
    parity: u32,
    pipelined: bool,
    program: Arc<Program>,
    options: Options,
}

/// The rows of a step and whose they are.
pub(crate) struct Batch {
    pub rows: Vec<Row>,
    pub parts: Vec<Part>,
}

/// The rows of one sequence in a step.
pub(crate) struct Part {
    /// Its place among the running while the step is put together.
    pub index: usize,
    id: SequenceId,
    /// Its first position and the one after its last.
    from: usize,
    to: usize,
    /// What its last row gives.
    output: Output,
    /// Which row of the logits, if it gives any.
    logits: usize,
    /// The slots of its recurrent state.
    pub states: Flight,
}

impl Part {
    pub fn gives_logits(&self) -> bool {
        self.output == Output::Logits
    }
}

impl Scheduler {
    pub fn new(program: &Arc<Program>, vocab: usize, options: &Options, sizes: &Sizes) -> Self {
        let has_argmax = program.ops().any(|op| matches!(op, Op::Argmax(_)));
        Scheduler {
            vocab,
            running: Vec::with_capacity(options.sequences),
            batch: Batch {
                rows: Vec::with_capacity(options.rows),
                parts: Vec::with_capacity(options.sequences),
            },
            copies: Vec::new(),
            waiting: VecDeque::with_capacity(options.queue),
            stock: Stock {
                pools: sizes.pages.iter().map(|&pages| Pool::new(pages)).collect(),
                states: States::new(sizes.states, options.sequences, options.kept),
            },
            prefixes: Prefixes::new(options.kept),
            news: Vec::new(),
            free_slots: (0..options.sequences as u32).rev().collect(),
            next_id: 0,
            parity: 0,
            pipelined: options.pipelined && has_argmax,
            program: program.clone(),
            options: options.clone(),
        }
    }

    pub fn add(&mut self, request: Request) -> Result<SequenceId, Rejected> {
        self.check(&request)?;
        let queued = self.waiting.len() + self.news.len();
        if queued >= self.options.queue {
            return Err(Rejected::QueueFull(queued));
        }
        let id = SequenceId(self.next_id);
        self.next_id += 1;
        self.waiting.push_back((id, request));
        Ok(id)
    }

    fn check(&self, request: &Request) -> Result<(), Rejected> {
        let Request { prompt, max_tokens, stop_ids, sampling, .. } = request;
        let (prompt_len, max_tokens, context) = (prompt.len(), *max_tokens, self.options.context);
        if prompt.is_empty() {
            return Err(Rejected::EmptyPrompt);
        }
        if max_tokens == 0 {
            let (field, value, high) = ("max_tokens", 0.0, context as f32);
            return Err(Rejected::OutOfRange { field, value, low: 1.0, high });
        }
        if prompt_len.checked_add(max_tokens).is_none_or(|sum| sum > context) {
            return Err(Rejected::TooLong { prompt: prompt_len, max_tokens, context });
        }
        self.check_ids("prompt", prompt)?;
        self.check_ids("stop_ids", stop_ids)?;
        if stop_ids.len() > limits::STOP_IDS_MAX {
            let (field, found, max) = ("stop_ids", stop_ids.len(), limits::STOP_IDS_MAX);
            return Err(Rejected::TooMany { field, found, max });
        }
        sampling.check(self.vocab)
    }

    pub fn check_ids(&self, field: &'static str, ids: &[u32]) -> Result<(), Rejected> {
        let vocab = self.vocab;
        match ids.iter().find(|&&id| id as usize >= vocab) {
            Some(&id) => Err(Rejected::NoSuchId { field, id, vocab }),
            None => Ok(()),
        }
    }

    pub fn cancel(&mut self, id: SequenceId) -> bool {
        if let Some(at) = self.running.iter().position(|sequence| sequence.id == id) {
            let sequence = self.running.remove(at);
            let done = self.retire(sequence, Reason::Cancelled);
            self.news.push(done);
            return true;
        }
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == id) else {
            return false;
        };
        if let Some((_, request)) = self.waiting.remove(at) {
            let usage = Usage { prompt: request.prompt.len(), ..Usage::default() };
            self.news.push(Event::Done { id, reason: Reason::Cancelled, usage });
        }
        true
    }

    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty() && self.news.is_empty()
    }

    pub fn forget(&mut self) {
        self.prefixes.clear(&mut self.stock);
    }

    pub fn free_pages(&self) -> usize {
        self.stock.pools.first().map_or(0, Pool::free)
    }

    /// Fills the batch: whoever decodes first, then prompts as far as rows reach.
    pub fn schedule(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.news);
        self.admit();
        self.batch.rows.clear();
        self.batch.parts.clear();
        self.parity ^= 1;
        let mut logits = 0;
        for decoding in [true, false] {
            for index in 0..self.running.len() {
                if self.running[index].decodes() == decoding {
                    self.plan(index, &mut logits);
                }
            }
        }
        for part in &self.batch.parts {
            let sequence = &mut self.running[part.index];
            sequence.submitted = part.to;
            sequence.awaited = match part.output {
                Output::Sampled(slot) => Some(slot),
                _ => None,
            };
        }
    }

    /// Appends the rows that a sequence can bring to the next step.
    fn plan(&mut self, index: usize, logits: &mut usize) {
        let Batch { rows, parts } = &mut self.batch;
        let sequence = &self.running[index];
        let from = sequence.submitted;
        let known = &sequence.ids[from.min(sequence.ids.len())..];
        let room = (self.options.rows - rows.len()).min(self.options.chunk);
        let row = |input, at: usize| {
            let (position, sequence) = ([at as u32, 0, 0], parts.len() as u32);
            Row { input, position, sequence, adapter: 0, output: Output::None }
        };
        if !known.is_empty() {
            let tokens = known.iter().take(room).enumerate();
            rows.extend(tokens.map(|(i, &id)| row(Input::Token(id), from + i)));
        } else if let Some(slot) = sequence.awaited.filter(|_| room > 0 && sequence.goes_on()) {
            rows.push(row(Input::Sampled(slot), from));
        }
        let count = if known.is_empty() { 1 } else { known.len().min(room) };
        let planned = rows.last().is_some_and(|row| row.sequence == parts.len() as u32);
        let Some(last) = rows.last_mut().filter(|_| planned) else {
            return;
        };
        let to = from + count;
        // The last known id is the one that the next follows.
        if to >= sequence.ids.len() {
            last.output = if self.pipelined && sequence.is_argmax() {
                Output::Sampled(2 * sequence.slot + self.parity)
            } else {
                Output::Logits
            };
        }
        let output = last.output;
        let sequence = &mut self.running[index];
        let states = self.stock.states.plan(&mut sequence.states, sequence.prompt, from, to);
        let id = sequence.id;
        parts.push(Part { index, id, from, to, output, logits: *logits, states });
        *logits += usize::from(output != Output::None);
    }

    /// Starts waiting requests, in order, while there is room.
    fn admit(&mut self) {
        while let Some(slot) = self.free_slots.last().copied()
            && let Some((id, request)) = self.waiting.pop_front()
        {
            let positions = request.prompt.len() + request.max_tokens;
            let terms = Terms::new(&self.program, request.salt, request.prompt.len());
            let Some(start) = self.allocate(&request.prompt, positions, &terms) else {
                self.waiting.push_front((id, request));
                return;
            };
            self.free_slots.pop();
            self.running.push(Sequence::new(id, request, start, slot));
        }
    }

    /// Pages for a sequence of at most `positions` that begins with `prompt`, and what of it they
    /// hold already.
    fn allocate(&mut self, prompt: &[u32], positions: usize, terms: &Terms) -> Option<Start> {
        let pages = positions.div_ceil(PAGE);
        // The last id is computed in any case: the next one follows from its output.
        let Some((mut kept, cached)) = self.prefixes.take_best(&prompt[..prompt.len() - 1], terms)
        else {
            let states = Held::default();
            let room = self.make_room(pages);
            return room.then(|| Start { tables: self.fresh(pages), cached: 0, states });
        };
        let whole = cached / PAGE;
        if kept.ids.len() > cached && self.make_room(pages - whole) {
            let states = self.go_on(&kept, cached, prompt.len());
            let tables = self.branch(&kept.tables, cached, pages);
            self.prefixes.put_back(kept);
            return Some(Start { tables, cached, states });
        }
        kept.truncate(cached, &mut self.stock);
        let partial = !cached.is_multiple_of(PAGE);
        let mut groups = kept.tables.iter().zip(&self.stock.pools);
        let shared = partial && groups.any(|(table, pool)| pool.is_shared(table[whole]));
        if !self.make_room(pages - if shared { whole } else { cached.div_ceil(PAGE) }) {
            self.prefixes.put_back(kept);
            return None;
        }
        let states = self.go_on(&kept, cached, prompt.len());
        if shared {
            let tables = self.branch(&kept.tables, cached, pages);
            kept.truncate(0, &mut self.stock);
            return Some(Start { tables, cached, states });
        }
        let mut tables = std::mem::take(&mut kept.tables);
        kept.truncate(0, &mut self.stock);
        self.extend(&mut tables, pages);
        Some(Start { tables, cached, states })
    }

    /// The recurrent state that a sequence goes on from which uses the first ids of a kept one.
    fn go_on(&mut self, kept: &Kept, cached: usize, prompt: usize) -> Held {
        let snapshot = kept.snapshot(cached);
        snapshot.map_or_else(Held::default, |s| self.stock.states.go_on(s, prompt))
    }

    /// Tables that share the whole pages of the first `common` positions; a page that both would
    /// write to is copied.
    fn branch(&mut self, from: &Tables, common: usize, pages: usize) -> Tables {
        let whole = common / PAGE;
        let mut tables: Tables = from.iter().map(|table| table[..whole].to_vec()).collect();
        for (table, pool) in tables.iter().zip(&mut self.stock.pools) {
            table.iter().for_each(|&page| pool.share(page));
        }
        self.extend(&mut tables, pages);
        if !common.is_multiple_of(PAGE) {
            let pairs = from.iter().zip(&tables).enumerate();
            self.copies.extend(pairs.map(|(group, (from, to))| (group, from[whole], to[whole])));
        }
        tables
    }

    pub fn fresh(&mut self, pages: usize) -> Tables {
        let mut tables = vec![Vec::with_capacity(pages); self.stock.pools.len()];
        self.extend(&mut tables, pages);
        tables
    }

    fn extend(&mut self, tables: &mut Tables, pages: usize) {
        for (table, pool) in tables.iter_mut().zip(&mut self.stock.pools) {
            table.extend((table.len()..pages).map_while(|_| pool.take()));
            assert_eq!(table.len(), pages, "room was made for {pages} pages");
        }
    }

    /// Gives up kept sequences until so many pages of each group are free.
    pub fn make_room(&mut self, pages: usize) -> bool {
        while self.stock.pools.iter().any(|pool| pool.free() < pages) {
            if !self.prefixes.drop_oldest(&mut self.stock) {
                return false;
            }
        }
        true
    }

    pub fn release(&mut self, mut tables: Tables) {
        truncate(&mut tables, 0, &mut self.stock.pools);
    }

    /// Takes over what a step gave.
    pub fn settle(
        &mut self,
        parts: &[Part],
        outputs: Outputs<'_>,
        sampler: &mut Sampler,
        events: &mut Vec<Event>,
    ) {
        for part in parts {
            // A sequence that ended meanwhile left a surplus row; one that was set back will
            // bring its rows again.
            let found = self.running.iter_mut().position(|sequence| sequence.id == part.id);
            let Some(at) = found.filter(|&at| self.running[at].computed == part.from) else {
                self.stock.states.give_up(&part.states);
                continue;
            };
            let sequence = &mut self.running[at];
            sequence.computed = part.to;
            let newest = sequence.submitted <= part.to;
            self.stock.states.settle(&mut sequence.states, &part.states, newest);
            // A later step that was given up has set it back too far.
            sequence.submitted = sequence.submitted.max(part.to);
            let id = sequence.id;
            if part.from < sequence.prompt {
                let (done, total) = (part.to, sequence.prompt);
                events.push(Event::Prompt { id, done, total });
            }
            let next = match part.output {
                Output::Logits => {
                    let width = outputs.logits.len() / logit_rows(parts);
                    let logits = &outputs.logits[part.logits * width..][..self.vocab];
                    sampler.next(logits, sequence)
                }
                Output::Sampled(slot) => Ok((outputs.sampled[slot as usize], None)),
                _ => continue,
            };
            let ended = match next {
                Ok((token, logprob)) => {
                    events.push(Event::Token { id, token, logprob });
                    sequence.push(token)
                }
                Err(failure) => Some(Reason::Failed(failure)),
            };
            if let Some(reason) = ended {
                let sequence = self.running.remove(at);
                events.push(self.retire(sequence, reason));
            }
        }
    }

    /// Sets sequences back to what is computed, after a step that was given up.
    pub fn undo(&mut self, parts: &[Part]) {
        parts.iter().for_each(|part| self.stock.states.give_up(&part.states));
        for sequence in &mut self.running {
            if parts.iter().any(|part| part.id == sequence.id) {
                sequence.submitted = sequence.computed;
                sequence.states.submitted = sequence.states.computed;
                sequence.awaited = None;
            }
        }
    }

    /// Ends every running sequence.
    pub fn fail_all(&mut self, failure: Failure, events: &mut Vec<Event>) {
        while !self.running.is_empty() {
            let sequence = self.running.remove(0);
            events.push(self.retire(sequence, Reason::Failed(failure)));
        }
        // Nobody knows what the failed step left in the pages, and it has left its states.
        self.forget();
        self.stock.states.reset();
    }

    /// Frees what a sequence holds, or keeps it for others that begin alike.
    fn retire(&mut self, mut sequence: Sequence, reason: Reason) -> Event {
        let (id, usage) = (sequence.id, sequence.usage());
        self.free_slots.push(sequence.slot);
        let tables = std::mem::take(&mut sequence.tables);
        let sound = !matches!(reason, Reason::Failed(_));
        let mut computed = sequence.computed.min(sequence.ids.len());
        let Held { computed: state, snapshots, .. } = std::mem::take(&mut sequence.states);
        let states = &mut self.stock.states;
        state.into_iter().for_each(|slot| states.release(slot));
        let snapshots = states.needed().then_some(snapshots);
        if let Some(snapshots) = &snapshots {
            // What lies after the last snapshot would be computed again.
            computed = snapshots.iter().flatten().map(|s| s.after).max().unwrap_or(0);
        }
        let terms = Terms::new(&self.program, sequence.salt, sequence.prompt);
        let mut kept = Kept { ids: sequence.ids, tables, terms, snapshots };
        let keep = sound && computed > 0 && self.options.kept > 0;
        kept.truncate(if keep { computed } else { 0 }, &mut self.stock);
        if keep {
            self.prefixes.keep(kept, &mut self.stock);
        }
        Event::Done { id, reason, usage }
    }
}

fn logit_rows(parts: &[Part]) -> usize {
    parts.iter().filter(|part| part.output != Output::None).count().max(1)
}
