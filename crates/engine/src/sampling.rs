//! How the next id is chosen: the fields that a request may set, and what each may hold.

use crate::error::Rejected;
use crate::limits;

/// How the next id is chosen from the logits. The default is greedy.
///
/// The order is that of llama.cpp: bias, mask, penalties, DRY, top-k, typical, top-p, min-p, XTC,
/// temperature, draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the largest (the first of equals) and ignores the truncations.
    pub temperature: f32,
    /// Keeps so many of the largest; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest of the likeliest whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Keeps what is at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Keeps the ids whose surprise is closest to the entropy, up to this sum; 1 keeps all.
    pub typical_p: f32,
    /// Divides positive and multiplies negative logits of recent ids; 1 does nothing.
    pub repeat_penalty: f32,
    /// How many recent ids the three penalties look at; 0 looks at none.
    pub repeat_last_n: usize,
    /// Taken from the logits of ids that occurred.
    pub presence_penalty: f32,
    /// Taken from the logits of ids for each time they occurred.
    pub frequency_penalty: f32,
    /// Penalty on going on with a repetition.
    pub dry: Dry,
    /// Leaving out the likeliest ids now and then.
    pub xtc: Xtc,
    /// Replaces all truncations by one that keeps the surprise near a target.
    pub mirostat: Option<Mirostat>,
    /// Added to the logits of some ids; negative infinity forbids one.
    pub logit_bias: Vec<(u32, f32)>,
    /// Equal seeds give equal ids.
    pub seed: u64,
}

/// "Don't repeat yourself": an id that would prolong a repetition of `n` ids is penalised by
/// `multiplier * base^(n - allowed_length)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dry {
    /// Strength; 0 switches it off.
    pub multiplier: f32,
    /// How fast the penalty grows.
    pub base: f32,
    /// Shorter repetitions are free.
    pub allowed_length: usize,
    /// How many recent ids are searched.
    pub penalty_last_n: usize,
    /// Sequences of ids that no repetition extends across.
    pub breakers: Vec<Vec<u32>>,
}

/// "Exclude top choices".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Xtc {
    /// How often; 0 switches it off.
    pub probability: f32,
    /// Of the ids at least this likely only the least likely stays; above 0.5 nothing happens.
    pub threshold: f32,
}

/// Mirostat 2 (Basu et al. 2020): drops ids more surprising than a bound that follows the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirostat {
    /// The target surprise, in bits.
    pub tau: f32,
    /// How fast the bound follows.
    pub eta: f32,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dry: Dry::default(),
            xtc: Xtc::default(),
            mirostat: None,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Default for Dry {
    fn default() -> Dry {
        Dry {
            multiplier: 0.0,
            base: 1.75,
            allowed_length: 2,
            penalty_last_n: limits::PENALTY_WINDOW_MAX,
            breakers: Vec::new(),
        }
    }
}

impl Default for Xtc {
    fn default() -> Xtc {
        Xtc { probability: 0.0, threshold: 0.1 }
    }
}

impl Default for Mirostat {
    fn default() -> Mirostat {
        Mirostat { tau: 5.0, eta: 0.1 }
    }
}

impl Sampling {
    /// Whether the next id is the likeliest one, whatever came before.
    pub fn is_argmax(&self) -> bool {
        self.temperature == 0.0
            && !self.penalises()
            && self.dry.multiplier == 0.0
            && self.logit_bias.is_empty()
    }

    /// Whether any of the three penalties does something.
    pub(crate) fn penalises(&self) -> bool {
        self.repeat_last_n > 0
            && (self.repeat_penalty != 1.0
                || self.presence_penalty != 0.0
                || self.frequency_penalty != 0.0)
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// Names the field and what it may hold.
    pub fn check(&self, vocab: usize) -> Result<(), Rejected> {
        let within = |field, value: f32, low: f32, high: f32| {
            let fits = value.is_finite() && (low..=high).contains(&value);
            if fits { Ok(()) } else { Err(Rejected::OutOfRange { field, value, low, high }) }
        };
        within("temperature", self.temperature, 0.0, 1000.0)?;
        within("top_p", self.top_p, 0.0, 1.0)?;
        within("min_p", self.min_p, 0.0, 1.0)?;
        within("typical_p", self.typical_p, 0.0, 1.0)?;
        within("repeat_penalty", self.repeat_penalty, 0.01, 100.0)?;
        within("presence_penalty", self.presence_penalty, -100.0, 100.0)?;
        within("frequency_penalty", self.frequency_penalty, -100.0, 100.0)?;
        within("dry.multiplier", self.dry.multiplier, 0.0, 1000.0)?;
        within("dry.base", self.dry.base, 1.0, 1000.0)?;
        within("xtc.probability", self.xtc.probability, 0.0, 1.0)?;
        within("xtc.threshold", self.xtc.threshold, 0.0, 1.0)?;
        if let Some(mirostat) = self.mirostat {
            within("mirostat.tau", mirostat.tau, 0.0, 100.0)?;
            within("mirostat.eta", mirostat.eta, 0.0, 1.0)?;
        }
        let at_most = |field, found: usize, max: usize| {
            if found <= max { Ok(()) } else { Err(Rejected::TooMany { field, found, max }) }
        };
        at_most("repeat_last_n", self.repeat_last_n, limits::PENALTY_WINDOW_MAX)?;
        at_most("dry.penalty_last_n", self.dry.penalty_last_n, limits::PENALTY_WINDOW_MAX)?;
        at_most("dry.breakers", self.dry.breakers.len(), limits::DRY_BREAKERS_MAX)?;
        for breaker in &self.dry.breakers {
            at_most("dry.breakers[]", breaker.len(), limits::DRY_BREAKER_IDS_MAX)?;
        }
        at_most("logit_bias", self.logit_bias.len(), limits::LOGIT_BIAS_MAX)?;
        for &(id, bias) in &self.logit_bias {
            if id as usize >= vocab {
                return Err(Rejected::NoSuchId { field: "logit_bias", id, vocab });
            }
            if bias != f32::NEG_INFINITY {
                within("logit_bias", bias, -1e6, 1e6)?;
            }
        }
        Ok(())
    }
}
