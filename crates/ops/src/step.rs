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
    /// Where its recurrent state is; nothing for programs without one.
    pub states: States<'a>,
}

/// Where a sequence's recurrent state comes from and goes to. Rows of a sequence with a state
/// follow each other in the step, without a gap in their positions.
#[derive(Clone, Copy, Debug, Default)]
pub struct States<'a> {
    /// The slot of the state before the sequence's first row; a first row at position 0 begins
    /// with zeros and reads none.
    pub read: u32,
    /// The slots to write, in the order of their positions; none of them is the one to read. To
    /// check a draft, each of its rows gets one.
    pub writes: &'a [StateWrite],
}

/// A state to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateWrite {
    /// How many positions of the sequence the state has seen.
    pub after: u32,
    /// Where it goes.
    pub slot: u32,
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

    /// The rows of each sequence that follow each other.
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let mut start = 0;
        self.rows.chunk_by(|a, b| a.sequence == b.sequence).map(move |rows| {
            start += rows.len();
            start - rows.len()..start
        })
    }

    /// Whether the recurrent states of the step are in order, `slots` of them being there.
    ///
    /// # Errors
    /// Says what is not.
    pub fn check_states(&self, slots: usize) -> Result<(), &'static str> {
        let next = |pair: &[Row]| pair[0].position[0].checked_add(1) == Some(pair[1].position[0]);
        for (i, run) in self.runs().enumerate() {
            let rows = &self.rows[run];
            let Some(sequence) = self.sequences.get(rows[0].sequence as usize) else {
                return Err("a row of no sequence");
            };
            let mut later = self.runs().skip(i + 1).map(|run| self.rows[run.start].sequence);
            if later.any(|other| other == rows[0].sequence) || !rows.windows(2).all(next) {
                return Err("rows of a recurrent sequence that do not follow each other");
            }
            let (first, last) = (rows[0].position[0], rows[rows.len() - 1].position[0]);
            let States { read, writes } = sequence.states;
            let is_read = |slot: u32| first > 0 && slot == read;
            if first > 0 && read as usize >= slots {
                return Err("a state that is not there");
            }
            let fits = |w: &StateWrite| {
                (w.slot as usize) < slots
                    && !is_read(w.slot)
                    && (first..=last).contains(&w.after.wrapping_sub(1))
            };
            if !writes.iter().all(fits) || !writes.is_sorted_by_key(|write| write.after) {
                return Err("a state to be written where it is read, out of order or out of range");
            }
        }
        Ok(())
    }

    /// The length that chooses a row's frequencies.
    pub fn length(&self, row: &Row) -> u32 {
        self.sequences[row.sequence as usize].length.max(row.position[0] + 1)
    }
}
