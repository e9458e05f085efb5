//! What can go wrong in a conversation.

use engine::{EngineError, Failure, Rejected};
use tokens::TemplateError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The engine failed or refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The request is not acceptable.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The template failed or refused.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The sequence could not go on.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// An empty stop string would stop everything.
    #[error("a stop string is empty; leave it out to stop nowhere")]
    EmptyStop,
    /// Something is larger than its bound.
    #[error("{what}: {found} {unit} are more than the {max} that are allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        found: usize,
        /// Bytes, strings or messages.
        unit: &'static str,
        /// The bound.
        max: usize,
    },
    /// A message that is no JSON object with a role.
    #[error("message {index} is no JSON object with a text `role`")]
    Message {
        /// Which, from 0.
        index: usize,
    },
}

impl ChatError {
    pub(crate) fn check_size(
        what: &'static str,
        found: usize,
        unit: &'static str,
        max: usize,
    ) -> Result<(), ChatError> {
        if found <= max { Ok(()) } else { Err(ChatError::TooLarge { what, found, unit, max }) }
    }
}
