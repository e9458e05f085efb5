//! Everything that can go wrong between a model's name and its answer.

use chat::ChatError;
use engine::EngineError;
use hub::HubError;
use plan::PlanError;
use tokens::TemplateError;
use weights::WeightError;

/// Why a model cannot be opened, or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name means no model.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The model's files are not as they should be.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The model is none that Russet runs.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The answer failed.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The chat template is not valid.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The tokenizer or the template cannot be read.
    #[error(transparent)]
    Text(#[from] anyhow::Error),
    /// There is no tokenizer.
    #[error(
        "{0} has no tokenizer; put its tokenizer.json or tokenizer.model beside it, or use its \
         GGUF file"
    )]
    NoTokenizer(String),
    /// A text of no ids.
    #[error("an empty prompt is nothing to {0}, since it has no id that begins a text; write one")]
    EmptyPrompt(String),
    /// The runtime exists already.
    #[error("the runtime exists already; ask for threads before the first model is opened")]
    RuntimeExists,
}
