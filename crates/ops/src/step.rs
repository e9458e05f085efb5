//! A step: a ragged batch of rows over some sequences.

use crate::program::Reach;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

/// What a row brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A token's id.
    Token(u32),
    /// The id that an earlier step stored in this slot.
    Sampled(u32),
    /// A row of the step's embeddings.
    Embedding(u32),
}

/// What is wanted of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nothing but its keys and values.
    None,
    /// Its logits.
    Logits,
    /// Its last hidden state.
    Hidden,
    /// The most likely id, stored in this slot for a later step.
    Sampled(u32),
}

/// One row of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it brings.
    pub input: Input,
    /// Its position in time, height and width; for text all that counts is the first.
    pub position: [u32; 3],
    /// Its sequence, an index into the step's.
    pub sequence: u32,
    /// Its adapter; 0 is none.
    pub adapter: u32,
    /// What is wanted of it.
    pub output: Output,
}

/// A sequence that takes part in a step.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// For each cache group the pages of the sequence, in the order of their positions. They
    /// reach to the last position of the step's rows.
    pub tables: &'a [Vec<u32>],
    /// The length that the sequence was announced with (its prompt); it chooses between
    /// frequencies for short and long sequences.
    pub length: u32,
    /// What its rows see.
    pub mask: Mask<'a>,
}

/// Which positions a row sees, besides its layer's reach.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mask<'a> {
    /// Runs of positions whose rows see the whole run (an image; a text to embed).
    pub spans: &'a [Range<u32>],
    /// Rows see their own chunk of so many positions only.
    pub chunk: Option<u32>,
}

impl Mask<'_> {
    /// The positions that a row at `position` sees in a layer of this reach.
    pub fn visible(&self, position: u32, reach: Reach) -> Range<usize> {
        let end = match self.spans.iter().find(|span| span.contains(&position)) {
            Some(span) => span.end,
            None => position + 1,
        };
        let chunked = |chunk: u32| position / chunk * chunk;
        let start = match reach {
            Reach::All => 0,
            Reach::Window(window) => (position + 1).saturating_sub(window),
            Reach::Chunk(chunk) => chunked(chunk),
        };
        start.max(self.chunk.map_or(0, chunked)) as usize..end as usize
    }
}

/// A ragged batch of rows. A row's result depends on its own sequence only: never on how many
/// rows, sequences or threads share the step, nor on how its sequence was cut into steps.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The rows; those of a sequence in the order of their positions.
    pub rows: &'a [Row],
    /// The sequences.
    pub sequences: &'a [Sequence<'a>],
    /// Embeddings that rows bring, (n, dim).
    pub embeddings: &'a [f32],
    /// Read between stages; once true, the step ends early and its outputs mean nothing.
    pub cancel: Option<&'a AtomicBool>,
}

impl Step<'_> {
    /// How many rows want an output.
    pub fn outputs(&self) -> usize {
        self.rows.iter().filter(|row| row.output != Output::None).count()
    }

    /// The length that chooses a row's frequencies.
    pub fn length(&self, row: &Row) -> u32 {
        self.sequences[row.sequence as usize].length.max(row.position[0] + 1)
    }
}
