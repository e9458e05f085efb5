//! What goes in and what comes out: requests and events.

use crate::mask::Mask;
use crate::sampling::Sampling;

/// A sequence to continue.
pub struct Request {
    /// The ids to start from; at least one.
    pub prompt: Vec<u32>,
    /// How many ids to add at most. Pages for all of them are set aside at the start.
    pub max_tokens: usize,
    /// Ids that end the sequence; the id itself is still reported.
    pub stop_ids: Vec<u32>,
    /// How ids are chosen.
    pub sampling: Sampling,
    /// Whether events carry log probabilities.
    pub logprobs: bool,
    /// A grammar.
    pub mask: Option<Box<dyn Mask>>,
    /// Only sequences with the same salt share cached prefixes (one per tenant).
    pub salt: u64,
}

impl Request {
    /// A greedy request without stop ids.
    pub fn new(prompt: Vec<u32>, max_tokens: usize) -> Request {
        Request {
            prompt,
            max_tokens,
            stop_ids: Vec::new(),
            sampling: Sampling::default(),
            logprobs: false,
            mask: None,
            salt: 0,
        }
    }
}

/// A sequence of an engine; never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(pub u64);

/// What a step has to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// More of a prompt has been read.
    Prompt {
        /// Whose.
        id: SequenceId,
        /// Ids read, cached ones included.
        done: usize,
        /// Ids in the prompt.
        total: usize,
    },
    /// A sequence grew.
    Token {
        /// Which.
        id: SequenceId,
        /// The new id.
        token: u32,
        /// Natural logarithm of its probability by the model, before any sampling option; only
        /// if asked for.
        logprob: Option<f32>,
    },
    /// A sequence ended: its last event.
    Done {
        /// Which.
        id: SequenceId,
        /// Why.
        reason: Reason,
        /// What it took.
        usage: Usage,
    },
}

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// One of its stop ids.
    Stop,
    /// It has as many ids as it asked for.
    Length,
    /// Somebody cancelled it.
    Cancelled,
    /// It could not go on.
    Failed(Failure),
}

/// Why a sequence could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The model's numbers left the range of f32.
    #[error("the model produced a logit that is not a number; the weights may be damaged")]
    NotANumber,
    /// Every id is forbidden.
    #[error("the logit bias and the grammar together forbid every id")]
    NothingAllowed,
    /// The backend gave up; [`crate::Engine::step`] returned the fault.
    #[error("the backend failed")]
    Backend,
}

/// What a sequence took, in ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Ids in the prompt.
    pub prompt: usize,
    /// Those of them whose keys and values were there already.
    pub cached: usize,
    /// Ids added.
    pub generated: usize,
}
