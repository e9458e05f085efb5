//! Ids to text while they arrive, up to a stop string.

use crate::error::ChatError;
use engine::limits;
use std::sync::Arc;
use tokens::{Decoder, Vocab};

/// Strings that end an answer and are not part of it.
#[derive(Clone, Debug, Default)]
pub struct Stops(Vec<String>);

/// Text that may still become a stop string is held back until that is decided. What comes out
/// does not depend on how the text was cut into tokens.
#[derive(Debug)]
pub struct Stream {
    decoder: Decoder,
    stops: Stops,
    held: String,
    stopped: bool,
}

impl Stops {
    /// Takes stop strings.
    ///
    /// # Errors
    /// Where one is empty or a bound is exceeded.
    pub fn new(strings: Vec<String>) -> Result<Stops, ChatError> {
        let max = limits::STOP_STRINGS_MAX;
        ChatError::check_size("stop strings", strings.len(), "strings", max)?;
        for string in &strings {
            if string.is_empty() {
                return Err(ChatError::EmptyStop);
            }
            let max = limits::STOP_STRING_BYTES_MAX;
            ChatError::check_size("a stop string", string.len(), "bytes", max)?;
        }
        Ok(Stops(strings))
    }

    /// Where the first string to be complete begins; of several the longest.
    fn find(&self, text: &str) -> Option<usize> {
        let found =
            self.0.iter().filter_map(|s| text.find(s.as_str()).map(|at| (at + s.len(), at)));
        found.min().map(|(_, at)| at)
    }

    /// How many bytes at the end of `text` may become a stop string.
    fn undecided(&self, text: &str) -> usize {
        let begins = |stop: &String| {
            let cuts = stop.char_indices().map(|(at, _)| at).skip(1);
            cuts.filter(|&at| text.ends_with(&stop[..at])).last().unwrap_or(0)
        };
        self.0.iter().map(begins).max().unwrap_or(0)
    }
}

impl Stream {
    /// A stream at the start of a text.
    pub fn new(vocab: Arc<Vocab>, stops: Stops, show_special: bool) -> Stream {
        let decoder = Decoder::new(vocab, show_special);
        Stream { decoder, stops, held: String::new(), stopped: false }
    }

    /// The same for ids that go on a text that is there already.
    pub fn continuing(mut self) -> Stream {
        self.decoder = self.decoder.continuing();
        self
    }

    /// The text that is certain with this id; often none.
    pub fn push(&mut self, id: u32) -> String {
        let text = self.decoder.push(id);
        self.decide(&text)
    }

    /// What is left at the end of the ids.
    pub fn finish(&mut self) -> String {
        let text = self.decoder.finish();
        let mut out = self.decide(&text);
        out.push_str(&std::mem::take(&mut self.held));
        out
    }

    /// Whether a stop string was met; nothing comes after it.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn decide(&mut self, text: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(text);
        if let Some(at) = self.stops.find(&self.held) {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let undecided = self.held.split_off(self.held.len() - self.stops.undecided(&self.held));
        std::mem::replace(&mut self.held, undecided)
    }
}
