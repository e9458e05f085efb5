//! One answer, from ids to text.

use crate::error::ChatError;
use crate::stream::{Stops, Stream};
use engine::{Engine, EngineError, Event, Reason, Request, Sampling, SequenceId, Usage};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokens::Vocab;

/// What to generate.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// The prompt.
    pub ids: Vec<u32>,
    /// How ids are chosen.
    pub sampling: Sampling,
    /// Ids to add at most; what the context leaves room for if `None` or more than that.
    pub max_tokens: Option<usize>,
    /// Strings that end the answer.
    pub stops: Stops,
    /// Ids that end the answer, besides the vocabulary's.
    pub stop_ids: Vec<u32>,
    /// Goes on after the vocabulary's end of text (for measurements).
    pub ignore_end: bool,
    /// Shows control tokens as text.
    pub show_special: bool,
    /// The answer goes on the prompt's last word: a leading space is part of it.
    pub continues: bool,
}

/// What a caller wants to hear, and how it stops an answer.
pub struct Hooks<'a> {
    /// Gets text as it becomes certain; `Break` ends the answer.
    pub on_text: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    /// Gets the ids of the prompt that are read, and all of them.
    pub on_prompt: &'a mut dyn FnMut(usize, usize),
    /// Once true, the answer ends.
    pub cancel: &'a AtomicBool,
    /// Time since any fixed moment.
    pub now: &'a dyn Fn() -> Duration,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it, with one of the ids that end a text.
    End,
    /// A stop string came up.
    Stop,
    /// As many ids as were asked for, or as fit the context.
    Length,
    /// The caller ended it.
    Cancelled,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its text, as it was handed out.
    pub text: String,
    /// Its ids, the one that ended it included.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// Ids read, found in the cache, and added.
    pub usage: Usage,
    /// Where the time went.
    pub timings: Timings,
}

/// Times by the caller's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the start to the first id: `usage.prompt - usage.cached` ids were read.
    pub prompt: Duration,
    /// From the first id to the last: `usage.generated - 1` steps.
    pub generation: Duration,
}

/// Generates an answer on an engine that does nothing else meanwhile.
///
/// # Errors
/// Where the job is not acceptable, the engine is busy or fails, or no id can be chosen.
pub fn generate(
    engine: &mut Engine,
    vocab: &Arc<Vocab>,
    job: &Job,
    hooks: &mut Hooks<'_>,
) -> Result<Finished, ChatError> {
    if !engine.is_idle() {
        return Err(EngineError::Busy.into());
    }
    let started = (hooks.now)();
    let request = request(engine, vocab, job);
    let stop_ids = request.stop_ids.clone();
    let mut stream = Stream::new(vocab.clone(), job.stops.clone(), job.show_special);
    if job.continues {
        stream = stream.continuing();
    }
    let mut answer = Answer {
        sequence: engine.add(request)?,
        stop_ids,
        stream,
        started,
        first: None,
        last: started,
        ended: None,
        text: String::new(),
        ids: Vec::new(),
        done: None,
    };
    let mut events = Vec::new();
    while answer.done.is_none() {
        let cancelled = hooks.cancel.load(Ordering::Relaxed);
        if cancelled && answer.ended.is_none() {
            answer.ended = Some(Finish::Cancelled);
        }
        if answer.ended.is_some() {
            engine.cancel(answer.sequence);
        }
        events.clear();
        let cancel = (!cancelled).then_some(hooks.cancel);
        engine.step_unless(cancel, &mut events)?;
        events.drain(..).for_each(|event| answer.take(event, hooks));
    }
    answer.finished(hooks)
}

fn request(engine: &Engine, vocab: &Vocab, job: &Job) -> Request {
    let room = engine.options().context.saturating_sub(job.ids.len()).max(1);
    let mut stop_ids = job.stop_ids.clone();
    if !job.ignore_end {
        stop_ids.extend(vocab.eos());
    }
    let max_tokens = job.max_tokens.unwrap_or(room).min(room);
    Request {
        stop_ids,
        sampling: job.sampling.clone(),
        ..Request::new(job.ids.clone(), max_tokens)
    }
}

/// An answer under way.
struct Answer {
    sequence: SequenceId,
    stop_ids: Vec<u32>,
    stream: Stream,
    started: Duration,
    first: Option<Duration>,
    last: Duration,
    ended: Option<Finish>,
    text: String,
    ids: Vec<u32>,
    done: Option<(Reason, Usage)>,
}

impl Answer {
    fn take(&mut self, event: Event, hooks: &mut Hooks<'_>) {
        match event {
            Event::Prompt { done, total, .. } => (hooks.on_prompt)(done, total),
            // An id that came after the end was decided is no part of the answer.
            Event::Token { token, .. } if self.ended.is_none() => {
                self.last = (hooks.now)();
                self.first.get_or_insert(self.last);
                self.ids.push(token);
                if !self.stop_ids.contains(&token) {
                    let text = self.stream.push(token);
                    self.emit(&text, hooks);
                    if self.stream.is_stopped() {
                        self.ended = Some(Finish::Stop);
                    }
                }
            }
            Event::Token { .. } => {}
            Event::Done { reason, usage, .. } => self.done = Some((reason, usage)),
        }
    }

    fn emit(&mut self, text: &str, hooks: &mut Hooks<'_>) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        if (hooks.on_text)(text).is_break() && self.ended.is_none() {
            self.ended = Some(Finish::Cancelled);
        }
    }

    fn finished(mut self, hooks: &mut Hooks<'_>) -> Result<Finished, ChatError> {
        let ended = self.ended;
        let rest = self.stream.finish();
        self.emit(&rest, hooks);
        let (reason, mut usage) = self.done.unwrap_or((Reason::Cancelled, Usage::default()));
        usage.generated = self.ids.len();
        let finish = match (ended, reason) {
            (_, Reason::Failed(failure)) => return Err(failure.into()),
            (Some(ended), _) => ended,
            (None, Reason::Stop) => Finish::End,
            (None, Reason::Length) => Finish::Length,
            (None, Reason::Cancelled) => Finish::Cancelled,
        };
        let first = self.first.unwrap_or(self.last);
        let timings = Timings {
            prompt: first.saturating_sub(self.started),
            generation: self.last.saturating_sub(first),
        };
        Ok(Finished { text: self.text, ids: self.ids, finish, usage, timings })
    }
}
