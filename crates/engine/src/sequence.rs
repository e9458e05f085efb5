//! A running sequence: its ids, its pages and how far both have come.

use crate::dry::Breakers;
use crate::mask::Mask;
use crate::request::{Reason, Request, SequenceId, Usage};
use crate::sampling::Sampling;
use crate::states::{Flight, Held};

/// A sequence with pages. `computed <= submitted`, and `submitted` is at most one position beyond
/// the known ids: the one whose id a step under way is about to choose.
pub(crate) struct Sequence {
    pub id: SequenceId,
    /// The prompt, then what was added.
    pub ids: Vec<u32>,
    pub prompt: usize,
    pub cached: usize,
    /// Positions whose keys and values are there.
    pub computed: usize,
    /// Positions that steps, finished or under way, compute.
    pub submitted: usize,
    /// For each cache group the pages, enough for the longest that the sequence may become.
    pub tables: Vec<Vec<u32>>,
    /// Its recurrent state, if the program keeps one.
    pub states: Held,
    /// Its pair of slots for sampled ids.
    pub slot: u32,
    /// Where the step under way stores the next id.
    pub awaited: Option<u32>,
    pub max_tokens: usize,
    pub stop_ids: Vec<u32>,
    pub sampling: Sampling,
    pub logprobs: bool,
    pub mask: Option<Box<dyn Mask>>,
    pub salt: u64,
    /// The bound that mirostat moves.
    pub mirostat_bound: f32,
    pub breakers: Breakers,
}

/// What a sequence starts with.
pub(crate) struct Start {
    pub tables: Vec<Vec<u32>>,
    /// Positions of its prompt whose keys, values and state are there.
    pub cached: usize,
    pub states: Held,
}

impl Sequence {
    pub fn new(
        id: SequenceId,
        request: Request,
        Start { tables, cached, states }: Start,
        slot: u32,
    ) -> Sequence {
        let Request { prompt: ids, max_tokens, stop_ids, sampling, logprobs, mask, salt } = request;
        let mirostat_bound = 2.0 * sampling.mirostat.map_or(0.0, |mirostat| mirostat.tau);
        let breakers = Breakers::new(&sampling.dry.breakers);
        let prompt = ids.len();
        let (computed, submitted, awaited) = (cached, cached, None);
        Sequence {
            id,
            ids,
            prompt,
            cached,
            computed,
            submitted,
            tables,
            states,
            slot,
            awaited,
            max_tokens,
            stop_ids,
            sampling,
            logprobs,
            mask,
            salt,
            mirostat_bound,
            breakers,
        }
    }

    /// Ids added.
    pub fn generated(&self) -> usize {
        self.ids.len() - self.prompt
    }

    /// Whether its prompt has been handed to steps completely.
    pub fn decodes(&self) -> bool {
        self.submitted >= self.prompt
    }

    /// Whether the backend can choose the next id by itself.
    pub fn is_argmax(&self) -> bool {
        self.sampling.is_argmax() && self.mask.is_none() && !self.logprobs
    }

    /// Whether a further id can follow the one that is awaited.
    pub fn goes_on(&self) -> bool {
        self.generated() + 1 < self.max_tokens
    }

    /// Appends the next id; says so if it is the last.
    pub fn push(&mut self, token: u32) -> Option<Reason> {
        self.ids.push(token);
        if let Some(mask) = &mut self.mask {
            mask.accept(token);
        }
        if self.stop_ids.contains(&token) {
            Some(Reason::Stop)
        } else {
            (self.generated() >= self.max_tokens).then_some(Reason::Length)
        }
    }

    pub fn usage(&self) -> Usage {
        Usage { prompt: self.prompt, cached: self.cached, generated: self.generated() }
    }

    /// As a step sees it.
    pub fn as_step<'a>(&'a self, flight: &'a Flight) -> ops::Sequence<'a> {
        let (tables, length) = (&self.tables[..], self.prompt as u32);
        let states = flight.as_step();
        ops::Sequence { tables, length, mask: ops::Mask::default(), states }
    }
}
