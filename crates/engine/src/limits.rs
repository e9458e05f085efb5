//! Every bound of the system, in one place. What exceeds one is refused with both numbers.

/// Rows in a step. More rows amortize reading the weights; beyond this nothing is gained.
pub const ROWS_MAX: usize = 512;

/// Sequences that are decoded together.
pub const SEQUENCES_MAX: usize = 256;

/// Requests that wait for pages or for a place among the running.
pub const QUEUE_MAX: usize = 1024;

/// Positions in a sequence, prompt and continuation together.
pub const CONTEXT_MAX: usize = 1 << 24;

/// Finished sequences whose pages are kept for a later request with the same beginning.
pub const KEPT_MAX: usize = 64;

/// Ids that end a sequence.
pub const STOP_IDS_MAX: usize = 64;

/// Entries of a logit bias.
pub const LOGIT_BIAS_MAX: usize = 4096;

/// Ids that a penalty looks back on.
pub const PENALTY_WINDOW_MAX: usize = CONTEXT_MAX;

/// Sequences of ids that interrupt a repetition, and the length of each.
pub const DRY_BREAKERS_MAX: usize = 1 << 18;

/// Ids in one such sequence.
pub const DRY_BREAKER_IDS_MAX: usize = 21;

/// Strings that end an answer.
pub const STOP_STRINGS_MAX: usize = 64;

/// Bytes in one such string; so much text may have to be held back.
pub const STOP_STRING_BYTES_MAX: usize = 1024;

/// Bytes of a conversation, its messages taken together.
pub const CONVERSATION_BYTES_MAX: usize = 64 << 20;

/// Messages of a conversation.
pub const MESSAGES_MAX: usize = 1 << 16;
