//! The engine on the tiny model and the scalar backend.
#![allow(missing_docs)]

mod bounds;
mod faults;
mod prefix;
mod simulation;
mod streams;

use engine::{Engine, Event, Options, Reason, Request, Runtime, SequenceId, Usage};
use ops::Backend;
use ops::reference::Reference;
use std::collections::BTreeMap;
use std::sync::Arc;
use testkit::tiny;

/// Everything that was said about a sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    pub tokens: Vec<u32>,
    pub logprobs: Vec<Option<f32>>,
    pub ends: Vec<(Reason, Usage)>,
}

pub type Streams = BTreeMap<SequenceId, Heard>;

pub fn options() -> Options {
    Options { context: 256, rows: 32, chunk: 16, sequences: 4, outputs: 8, ..Options::default() }
}

pub fn load(options: Options) -> Engine {
    load_on(Arc::new(Reference), options)
}

pub fn load_on(backend: Arc<dyn Backend>, options: Options) -> Engine {
    let program = Arc::new(tiny::program());
    let weights = tiny::weights(&program, 1);
    let runtime = Runtime::new(vec![backend], 1 << 30);
    runtime.load(0, program, weights, options).expect("the tiny model loads")
}

/// Appends what a step says to the streams.
pub fn step(engine: &mut Engine, streams: &mut Streams) {
    let mut events = Vec::new();
    engine.step(&mut events).expect("the scalar backend does not fail");
    hear(events, streams);
}

pub fn hear(events: Vec<Event>, streams: &mut Streams) {
    for event in events {
        match event {
            Event::Prompt { done, total, .. } => assert!(done <= total),
            Event::Token { id, token, logprob } => {
                let heard = streams.entry(id).or_default();
                assert!(heard.ends.is_empty(), "an id came after the end");
                heard.tokens.push(token);
                heard.logprobs.push(logprob);
            }
            Event::Done { id, reason, usage } => {
                streams.entry(id).or_default().ends.push((reason, usage));
            }
        }
    }
}

pub fn run(engine: &mut Engine) -> Streams {
    let mut streams = Streams::new();
    while !engine.is_idle() {
        step(engine, &mut streams);
    }
    streams
}

pub fn run_one(engine: &mut Engine, request: Request) -> Heard {
    let id = engine.add(request).expect("the request is fine");
    run(engine).remove(&id).expect("it was heard of")
}

/// A prompt of random ids.
pub fn prompt(seed: u64, len: usize) -> Vec<u32> {
    let mut state = seed;
    (0..len).map(|_| (tiny::next(&mut state) % tiny::VOCAB as u64) as u32).collect()
}

/// Greedy ids by computing everything anew for each: no cache, no scheduler, no sampler.
pub fn greedy(prompt: &[u32], count: usize) -> Vec<u32> {
    let mut engine = load(options());
    let mut ids = prompt.to_vec();
    for _ in 0..count {
        let mut next = 0;
        engine
            .score(&ids, 8, &mut |_, logits| next = ops::reference::argmax(logits))
            .expect("the ids are fine");
        ids.push(next);
    }
    ids.split_off(prompt.len())
}
