//! What can go wrong in the engine.

use crate::ledger::OverBudget;
use ops::{Fault, Unsupported};

/// Why a request is refused. Nothing has been done when it is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejected {
    /// A prompt without ids.
    #[error("the prompt is empty; give at least one id, such as the one that begins a text")]
    EmptyPrompt,
    /// More positions than a sequence may have.
    #[error(
        "a prompt of {prompt} ids and {max_tokens} to add exceed the context of {context}; \
         shorten the prompt, ask for less, or load with a longer context"
    )]
    TooLong {
        /// Ids in the prompt.
        prompt: usize,
        /// Ids to add.
        max_tokens: usize,
        /// Positions that a sequence may have.
        context: usize,
    },
    /// An id that the model does not have.
    #[error(
        "{field} holds the id {id}, but the vocabulary ends at {vocab}; is it another model's?"
    )]
    NoSuchId {
        /// Where.
        field: &'static str,
        /// The id.
        id: u32,
        /// Ids of the model.
        vocab: usize,
    },
    /// A number outside its range.
    #[error("{field} is {value}; it must lie between {low} and {high}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What it is.
        value: f32,
        /// The least it may be.
        low: f32,
        /// The most it may be.
        high: f32,
    },
    /// A list that is too long, or a count that is too large.
    #[error("{field} has {found} entries; at most {max} are taken")]
    TooMany {
        /// Which.
        field: &'static str,
        /// What it has.
        found: usize,
        /// What it may have.
        max: usize,
    },
    /// No room in the queue.
    #[error("{0} requests are waiting already; try again later")]
    QueueFull(usize),
}

/// What can go wrong while loading or running.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The backend cannot run the model.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The memory budget does not reach.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// The backend failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The request is not acceptable.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// There is no such backend.
    #[error("there is no backend {index}; {count} are registered")]
    NoBackend {
        /// Asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// An option outside its bounds.
    #[error("option {field} is {value}; it must lie between {low} and {high}")]
    Option {
        /// Which.
        field: &'static str,
        /// What it is.
        value: usize,
        /// The least it may be.
        low: usize,
        /// The most it may be.
        high: usize,
    },
    /// The program lacks what an engine needs.
    #[error("the program {program} {reason}; the engine needs a language model's main program")]
    NotAModel {
        /// The program's name.
        program: &'static str,
        /// What it lacks.
        reason: &'static str,
    },
    /// Scoring wants the engine for itself.
    #[error("sequences are running; finish or cancel them before scoring")]
    Busy,
}
