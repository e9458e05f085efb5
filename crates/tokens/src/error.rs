//! Why a vocabulary cannot be used.

/// A vocabulary that cannot be read or cannot be honoured.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A key or field that every vocabulary of this kind has is absent.
    #[error("the tokenizer has no `{0}`; convert the model again with a current converter")]
    Missing(&'static str),
    /// A key or field is present and makes no sense.
    #[error("tokenizer field `{field}` is invalid: {reason}")]
    Invalid {
        /// Name of the key or field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A `tokenizer.ggml.pre` that no split rule is known for.
    #[error("unknown pre-tokenizer `{0}`; this file needs a newer Russet")]
    UnknownPre(String),
    /// A part of a tokenizer that would be silently wrong if it were skipped.
    #[error("tokenizer part `{0}` is not supported; use the model's GGUF file if there is one")]
    Unsupported(String),
    /// The text is not JSON or not of the expected shape.
    #[error("the tokenizer's JSON cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

impl TokenError {
    pub(crate) fn invalid(field: impl Into<String>, reason: impl ToString) -> Self {
        TokenError::Invalid { field: field.into(), reason: reason.to_string() }
    }
}
