//! What a sequence says depends on nothing but its own request.

use crate::*;
use engine::{Dry, Mask, Mirostat, Sampling, Xtc};

#[test]
fn greedy_ids_are_those_of_computing_everything_anew() {
    for len in [1, 2, 15, 16, 17, 63, 64, 65, 100] {
        let heard = run_one(&mut load(options()), Request::new(prompt(7, len), 12));
        assert_eq!(heard.tokens, greedy(&prompt(7, len), 12), "prompt of {len}");
        let usage = Usage { prompt: len, cached: 0, generated: 12 };
        assert_eq!(heard.ends, [(Reason::Length, usage)]);
    }
}

#[test]
fn scores_do_not_depend_on_chunks() {
    let ids = prompt(3, 90);
    let score = |chunk, outputs| {
        let mut all = Vec::new();
        let mut engine = load(Options { outputs, ..options() });
        let mut each = |position: usize, logits: &[f32]| {
            assert_eq!(position * tiny::VOCAB, all.len());
            all.extend(logits.iter().map(|l| l.to_bits()));
        };
        engine.score(&ids, chunk, &mut each).expect("the ids are fine");
        all
    };
    let whole = score(32, 32);
    assert_eq!(whole.len(), 90 * tiny::VOCAB);
    for chunk in [1, 7, 31, 500] {
        assert_eq!(score(chunk, 32), whole, "chunks of {chunk}");
        assert_eq!(score(chunk, 4), whole, "chunks of {chunk}, 4 outputs");
    }
}

/// Requests of every kind, with logits that matter.
pub fn requests() -> Vec<Request> {
    let base = Sampling { temperature: 1.0, seed: 5, ..Sampling::default() };
    let samplings = [
        Sampling::default(),
        base.clone(),
        Sampling { top_k: 9, top_p: 0.9, min_p: 0.02, typical_p: 0.95, ..base.clone() },
        Sampling { repeat_penalty: 1.3, presence_penalty: 0.5, ..Sampling::default() },
        Sampling { dry: Dry { multiplier: 0.8, ..Dry::default() }, ..base.clone() },
        Sampling { xtc: Xtc { probability: 0.5, threshold: 0.1 }, ..base.clone() },
        Sampling { mirostat: Some(Mirostat { tau: 3.0, eta: 0.2 }), ..base },
    ];
    let request = |(i, sampling)| {
        let len = [1, 30, 64, 3, 70, 17, 40][i];
        Request { sampling, ..Request::new(prompt(i as u64, len), 20 + i) }
    };
    samplings.into_iter().enumerate().map(request).collect()
}

#[test]
fn company_chunks_and_order_change_nothing() {
    let alone: Vec<Vec<u32>> =
        requests().into_iter().map(|r| run_one(&mut load(options()), r).tokens).collect();
    for (rows, chunk, sequences) in [(32, 16, 4), (5, 1, 3), (7, 7, 7), (32, 32, 1), (8, 3, 8)] {
        let kv_tokens = 512;
        let mut engine =
            load(Options { rows, chunk, sequences, kv_tokens, outputs: 1, ..options() });
        let ids: Vec<_> =
            requests().into_iter().rev().map(|r| engine.add(r).expect("it is fine")).collect();
        let streams = run(&mut engine);
        for (id, alone) in ids.iter().rev().zip(&alone) {
            assert_eq!(&streams[id].tokens, alone, "{rows} rows, {chunk} a chunk, {sequences}");
            assert_eq!(streams[id].ends.len(), 1);
        }
    }
}

#[test]
fn steps_that_start_before_ids_are_known_change_nothing() {
    let stop = greedy(&prompt(0, 1), 9)[8];
    let with_stop = |mut request: Request| {
        request.stop_ids = vec![stop];
        request
    };
    let mut plain = load(options());
    let mut pipelined = load(Options { pipelined: true, ..options() });
    for request in [requests, || requests().drain(..1).collect::<Vec<_>>()] {
        for engine in [&mut plain, &mut pipelined] {
            request().into_iter().map(with_stop).for_each(|request| {
                engine.add(request).expect("it is fine");
            });
        }
        assert_eq!(run(&mut plain), run(&mut pipelined));
    }
    let greedy_only = |engine: &mut Engine| -> Vec<Heard> {
        engine.forget();
        let requests = (0..6).map(|i| with_stop(Request::new(prompt(i, 5 + i as usize), 30)));
        requests.for_each(|request| {
            engine.add(request).expect("it is fine");
        });
        run(engine).into_values().collect()
    };
    let heard = greedy_only(&mut pipelined);
    assert_eq!(heard, greedy_only(&mut plain));
    assert!(heard.iter().all(|heard| heard.ends.len() == 1));
}

#[test]
fn a_stop_id_is_the_last() {
    let expected = greedy(&prompt(0, 4), 16);
    let stop = expected[10];
    let first = expected.iter().position(|&id| id == stop).expect("it is there");
    for pipelined in [false, true] {
        let request = Request { stop_ids: vec![stop], ..Request::new(prompt(0, 4), 16) };
        let heard = run_one(&mut load(Options { pipelined, ..options() }), request);
        assert_eq!(heard.tokens, expected[..=first]);
        assert_eq!(heard.ends[0].0, Reason::Stop);
    }
}

#[test]
fn log_probabilities_are_the_models_own() {
    let sampling = Sampling { temperature: 1.5, top_k: 4, seed: 9, ..Sampling::default() };
    let start = prompt(2, 5);
    let request = Request { sampling, logprobs: true, ..Request::new(start.clone(), 10) };
    let mut engine = load(options());
    let heard = run_one(&mut engine, request);
    let ids = [start, heard.tokens.clone()].concat();
    let mut expected = Vec::new();
    let mut each = |position: usize, logits: &[f32]| {
        if let Some(&next) = ids.get(position + 1) {
            let sum: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
            expected.push(f64::from(logits[next as usize]) - sum.ln());
        }
    };
    engine.score(&ids, 8, &mut each).expect("the ids are fine");
    for (found, expected) in heard.logprobs.iter().zip(&expected[4..]) {
        let found = f64::from(found.expect("it was asked for"));
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
}

/// Only ids that are larger than the one before by an even number.
struct Even(u32);

impl Mask for Even {
    fn apply(&mut self, logits: &mut [f32]) {
        for (id, logit) in logits.iter_mut().enumerate() {
            if !(id as u32 + self.0).is_multiple_of(2) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    fn accept(&mut self, id: u32) {
        self.0 = id + 1;
    }
}

#[test]
fn a_mask_is_obeyed_and_told() {
    for temperature in [0.0, 1.0] {
        let sampling = Sampling { temperature, ..Sampling::default() };
        let mask: Option<Box<dyn Mask>> = Some(Box::new(Even(0)));
        let request = Request { sampling, mask, ..Request::new(prompt(1, 3), 20) };
        let heard = run_one(&mut load(Options { pipelined: true, ..options() }), request);
        let parities: Vec<u32> = heard.tokens.iter().map(|id| id % 2).collect();
        let alternating: Vec<u32> = (0..20).map(|i| i % 2).collect();
        assert_eq!(parities, alternating);
    }
}
