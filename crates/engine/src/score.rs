//! The logits of every position of a text: perplexity and comparisons with references.

use crate::engine::Engine;
use crate::error::{EngineError, Rejected};
use ops::{Fault, Input, Mask, Output, PAGE, Row, Sequence, StateWrite, States, Step};

impl Engine {
    /// Runs `ids` as a sequence of its own and hands over the logits of each position in order,
    /// as (position, logits). `chunk` positions are computed at a time, at most
    /// [`crate::Options::outputs`]; the logits do not depend on it.
    ///
    /// # Errors
    /// Where sequences are running, the ids are not acceptable, or the backend fails.
    pub fn score(
        &mut self,
        ids: &[u32],
        chunk: usize,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), EngineError> {
        if !self.is_idle() {
            return Err(EngineError::Busy);
        }
        let context = self.options().context;
        if ids.is_empty() {
            return Err(Rejected::EmptyPrompt.into());
        }
        if ids.len() > context {
            return Err(Rejected::TooLong { prompt: ids.len(), max_tokens: 0, context }.into());
        }
        self.scheduler.check_ids("ids", ids)?;
        let pages = ids.len().div_ceil(PAGE);
        // Nothing runs, and a context of pages is there at least.
        self.scheduler.make_room(pages);
        let tables = self.scheduler.fresh(pages);
        let chunk = chunk.clamp(1, self.sizes().outputs);
        let states = &mut self.scheduler.stock.states;
        let slots = if states.needed() { [states.take(), states.take()] } else { [0; 2] };
        let result = self.score_in(&tables, slots, ids, chunk, each);
        let states = &mut self.scheduler.stock.states;
        if states.needed() {
            slots.into_iter().for_each(|slot| states.release(slot));
        }
        self.scheduler.release(tables);
        Ok(result?)
    }

    fn score_in(
        &mut self,
        tables: &[Vec<u32>],
        slots: [u32; 2],
        ids: &[u32],
        chunk: usize,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), Fault> {
        let vocab = self.vocab();
        let (length, mask) = (ids.len() as u32, Mask::default());
        let mut rows = Vec::with_capacity(chunk);
        for (at, ids) in ids.chunks(chunk).enumerate() {
            let first = at * chunk;
            rows.clear();
            rows.extend(ids.iter().enumerate().map(|(i, &id)| Row {
                input: Input::Token(id),
                position: [(first + i) as u32, 0, 0],
                sequence: 0,
                adapter: 0,
                output: Output::Logits,
            }));
            // One slot is read while the other is written.
            let (read, slot) = (slots[at % 2], slots[(at + 1) % 2]);
            let writes = [StateWrite { after: (first + ids.len()) as u32, slot }];
            let states = States { read, writes: &writes };
            let sequences = [Sequence { tables, length, mask, states }];
            let step = Step { rows: &rows, sequences: &sequences, embeddings: &[], cancel: None };
            let ticket = self.executor.submit(&step)?;
            let outputs = self.executor.wait(ticket)?;
            let width = outputs.logits.len() / ids.len();
            for (i, logits) in outputs.logits.chunks(width).enumerate() {
                each(first + i, &logits[..vocab]);
            }
        }
        Ok(())
    }
}
