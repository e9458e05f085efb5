//! Penalties on ids that occurred lately.

use crate::sampling::Sampling;

/// Storage for counting ids; all zero between calls.
pub(crate) struct Penalties {
    counts: Vec<u32>, // (vocab)
}

impl Penalties {
    pub fn new(vocab: usize) -> Penalties {
        Penalties { counts: vec![0; vocab] }
    }

    /// The repetition penalty (Keskar et al. 2019, with negative logits multiplied so that they
    /// shrink too), then presence and frequency penalties, each id once.
    pub fn apply(&mut self, logits: &mut [f32], history: &[u32], sampling: &Sampling) {
        if !sampling.penalises() {
            return;
        }
        let window = &history[history.len().saturating_sub(sampling.repeat_last_n)..];
        for &id in window {
            self.counts[id as usize] += 1;
        }
        for &id in window {
            let count = std::mem::take(&mut self.counts[id as usize]);
            if count > 0 {
                let logit = &mut logits[id as usize];
                if *logit <= 0.0 {
                    *logit *= sampling.repeat_penalty;
                } else {
                    *logit /= sampling.repeat_penalty;
                }
                *logit -= sampling.presence_penalty + count as f32 * sampling.frequency_penalty;
            }
        }
    }
}

#[cfg(test)]
mod tests;
