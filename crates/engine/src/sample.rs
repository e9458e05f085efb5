//! From logits to the next id.

use crate::dry::{Breakers, Repetitions};
use crate::mask::Mask;
use crate::penalties::Penalties;
use crate::random::{Draw, uniform};
use crate::request::Failure;
use crate::sampling::{Mirostat, Sampling, Xtc};
use crate::sequence::Sequence;
use std::cmp::Ordering;

/// Storage of the sampler; nothing in it outlives a call.
pub(crate) struct Sampler {
    logits: Vec<f32>, // (vocab)
    candidates: Vec<Candidate>,
    penalties: Penalties,
    repetitions: Repetitions,
}

/// An id that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    id: u32,
    logit: f32,
    p: f32,
}

/// What a choice depends on besides the logits.
pub(crate) struct Context<'a> {
    /// Everything so far; its length is the position that randomness is drawn for.
    pub history: &'a [u32],
    pub sampling: &'a Sampling,
    pub breakers: &'a Breakers,
    pub mask: Option<&'a mut (dyn Mask + 'static)>,
    pub mirostat_bound: &'a mut f32,
}

impl Sampler {
    pub fn new(vocab: usize) -> Sampler {
        Sampler {
            logits: Vec::with_capacity(vocab),
            candidates: Vec::with_capacity(vocab),
            penalties: Penalties::new(vocab),
            repetitions: Repetitions::new(vocab),
        }
    }

    /// A sequence's next id, with its log probability if the sequence wants it.
    pub fn next(
        &mut self,
        logits: &[f32],
        sequence: &mut Sequence,
    ) -> Result<(u32, Option<f32>), Failure> {
        let context = Context {
            history: &sequence.ids,
            sampling: &sequence.sampling,
            breakers: &sequence.breakers,
            mask: sequence.mask.as_deref_mut(),
            mirostat_bound: &mut sequence.mirostat_bound,
        };
        let id = self.choose(logits, context)?;
        Ok((id, sequence.logprobs.then(|| log_probability(logits, id))))
    }

    /// The next id.
    pub fn choose(&mut self, logits: &[f32], context: Context<'_>) -> Result<u32, Failure> {
        let Context { history, sampling, breakers, mask, mirostat_bound } = context;
        if !logits.iter().all(|logit| *logit < f32::INFINITY) {
            return Err(Failure::NotANumber);
        }
        if sampling.is_argmax() && mask.is_none() {
            return argmax(logits).ok_or(Failure::NothingAllowed);
        }
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        for &(id, bias) in &sampling.logit_bias {
            self.logits[id as usize] += bias;
        }
        if let Some(mask) = mask {
            mask.apply(&mut self.logits);
        }
        self.penalties.apply(&mut self.logits, history, sampling);
        self.repetitions.apply(&mut self.logits, history, &sampling.dry, breakers);
        if sampling.temperature == 0.0 {
            return argmax(&self.logits).ok_or(Failure::NothingAllowed);
        }
        let possible = self.logits.iter().enumerate().filter(|(_, l)| **l > f32::NEG_INFINITY);
        let candidates = &mut self.candidates;
        candidates.clear();
        candidates.extend(possible.map(|(id, &logit)| Candidate { id: id as u32, logit, p: 0.0 }));
        if candidates.is_empty() {
            return Err(Failure::NothingAllowed);
        }
        let draw = |draw| uniform(sampling.seed, history.len(), draw);
        if let Some(mirostat) = sampling.mirostat {
            scale(candidates, sampling.temperature);
            return Ok(surprise(candidates, mirostat, mirostat_bound, draw(Draw::Id)));
        }
        top_k(candidates, sampling.top_k);
        typical(candidates, sampling.typical_p);
        top_p(candidates, sampling.top_p);
        min_p(candidates, sampling.min_p);
        if sampling.xtc.probability > 0.0
            && draw(Draw::Exclude) < f64::from(sampling.xtc.probability)
        {
            exclude_top(candidates, sampling.xtc);
        }
        scale(candidates, sampling.temperature);
        softmax(candidates);
        Ok(pick(candidates, draw(Draw::Id)).id)
    }
}

/// The index of the largest, the first of equals; none if all are negative infinity.
fn argmax(logits: &[f32]) -> Option<u32> {
    let mut best = (None, f32::NEG_INFINITY);
    for (id, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (Some(id as u32), logit);
        }
    }
    best.0
}

/// The natural logarithm of an id's probability.
fn log_probability(logits: &[f32], id: u32) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    (f64::from(logits[id as usize] - largest) - sum.ln()) as f32
}

/// The likelier first; of equals the smaller id.
fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    // Not `total_cmp`: zero and negative zero are equals, and nothing here is NaN.
    b.logit.partial_cmp(&a.logit).unwrap_or(Ordering::Equal).then(a.id.cmp(&b.id))
}

/// Brings the `n` likeliest to the front, in order.
fn sort_first(candidates: &mut [Candidate], n: usize) {
    if n == 0 {
        return;
    }
    if n < candidates.len() {
        candidates.select_nth_unstable_by(n - 1, likelier);
    }
    candidates[..n].sort_unstable_by(likelier);
}

fn scale(candidates: &mut [Candidate], temperature: f32) {
    candidates.iter_mut().for_each(|c| c.logit /= temperature);
}

/// Sets probabilities that sum to one over the candidates.
fn softmax(candidates: &mut [Candidate]) {
    let largest = candidates.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0f64;
    for c in candidates.iter_mut() {
        c.p = (c.logit - largest).exp();
        sum += f64::from(c.p);
    }
    candidates.iter_mut().for_each(|c| c.p = (f64::from(c.p) / sum) as f32);
}

fn top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k > 0 && k < candidates.len() {
        sort_first(candidates, k);
        candidates.truncate(k);
    }
}

/// The locally typical set (Meister et al. 2022).
fn typical(candidates: &mut Vec<Candidate>, p: f32) {
    if p >= 1.0 {
        return;
    }
    softmax(candidates);
    let information = |c: &Candidate| -f64::from(c.p).ln();
    let likely = candidates.iter().filter(|c| c.p > 0.0);
    let entropy: f64 = likely.map(|c| f64::from(c.p) * information(c)).sum();
    let distance = |c: &Candidate| (information(c) - entropy).abs();
    candidates
        .sort_unstable_by(|a, b| distance(a).total_cmp(&distance(b)).then_with(|| likelier(a, b)));
    let mut sum = 0.0;
    let last = candidates.iter().position(|c| {
        sum += f64::from(c.p);
        sum > f64::from(p)
    });
    candidates.truncate(last.map_or(candidates.len(), |last| last + 1));
}

/// The nucleus (Holtzman et al. 2019). Sorts only as many as it takes.
fn top_p(candidates: &mut Vec<Candidate>, p: f32) {
    if p >= 1.0 {
        return;
    }
    softmax(candidates);
    let mut sorted = 0;
    while sorted < candidates.len() {
        sorted = (8 * sorted).max(64).min(candidates.len());
        sort_first(candidates, sorted);
        let mut sum = 0.0;
        let last = candidates[..sorted].iter().position(|c| {
            sum += f64::from(c.p);
            sum >= f64::from(p)
        });
        if let Some(last) = last {
            candidates.truncate(last + 1);
            return;
        }
    }
}

fn min_p(candidates: &mut Vec<Candidate>, p: f32) {
    if p > 0.0 {
        let largest = candidates.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
        let least = largest + p.ln();
        candidates.retain(|c| c.logit >= least);
    }
}

/// Removes all of the likely but the least likely of them (p-e-w 2024).
fn exclude_top(candidates: &mut Vec<Candidate>, xtc: Xtc) {
    if xtc.threshold > 0.5 {
        return;
    }
    softmax(candidates);
    let likely = |c: &Candidate| c.p >= xtc.threshold;
    let least = candidates.iter().filter(|c| likely(c)).max_by(|a, b| likelier(a, b)).map(|c| c.id);
    candidates.retain(|c| !likely(c) || Some(c.id) == least);
}

/// Mirostat 2: draws from what is no more surprising than the bound, then moves the bound.
fn surprise(
    candidates: &mut Vec<Candidate>,
    mirostat: Mirostat,
    bound: &mut f32,
    draw: f64,
) -> u32 {
    softmax(candidates);
    sort_first(candidates, 1);
    let first = candidates[0].id;
    candidates.retain(|c| c.id == first || -c.p.log2() <= *bound);
    softmax(candidates);
    let chosen = pick(candidates, draw);
    *bound -= mirostat.eta * (-chosen.p.log2() - mirostat.tau);
    chosen.id
}

/// The candidate at `draw` of the way through the probabilities.
fn pick(candidates: &[Candidate], draw: f64) -> Candidate {
    let total: f64 = candidates.iter().map(|c| f64::from(c.p)).sum();
    let mut left = draw * total;
    for c in candidates {
        left -= f64::from(c.p);
        if left < 0.0 {
            return *c;
        }
    }
    // Rounding can leave a crumb: it belongs to the last that is possible at all.
    let possible = candidates.iter().rev().find(|c| c.p > 0.0);
    possible.or(candidates.first()).copied().unwrap_or(Candidate { id: 0, logit: 0.0, p: 1.0 })
}

#[cfg(test)]
mod tests;
