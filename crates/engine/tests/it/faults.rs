//! Backends that fail or are interrupted, and models that produce no numbers.

use crate::*;
use blocks::Tensor;
use engine::{Failure, Sampling};
use ops::{Executor, Fault, Input, Outputs, Profile, Program, Sizes, Step, Ticket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The scalar backend, whose steps fail as told.
struct Faulty {
    faults: Arc<Mutex<Vec<(usize, Fault)>>>,
    overlapped: Arc<AtomicUsize>,
}

struct Running {
    inner: Box<dyn Executor>,
    faults: Arc<Mutex<Vec<(usize, Fault)>>>,
    /// Rows that started before their id was known.
    overlapped: Arc<AtomicUsize>,
    waited: usize,
}

impl Backend for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn supports(&self, _: &ops::Op, _: &Program) -> Result<(), ops::Unsupported> {
        Ok(())
    }

    fn load(
        &self,
        program: Arc<Program>,
        weights: Vec<Tensor>,
        sizes: Sizes,
    ) -> Result<Box<dyn Executor>, Fault> {
        let inner = Reference.load(program, weights, sizes)?;
        let (faults, overlapped) = (self.faults.clone(), self.overlapped.clone());
        Ok(Box::new(Running { inner, faults, overlapped, waited: 0 }))
    }
}

impl Executor for Running {
    fn submit(&mut self, step: &Step<'_>) -> Result<Ticket, Fault> {
        if step.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(Fault::Cancelled);
        }
        let early = step.rows.iter().filter(|row| matches!(row.input, Input::Sampled(_)));
        self.overlapped.fetch_add(early.count(), Ordering::Relaxed);
        self.inner.submit(step)
    }

    fn wait(&mut self, ticket: Ticket) -> Result<Outputs<'_>, Fault> {
        let at = self.waited;
        self.waited += 1;
        let faults = self.faults.lock().expect("no test panics with it");
        let fault = faults.iter().find(|(step, _)| *step == at).map(|(_, fault)| fault.clone());
        match fault {
            Some(fault) => Err(fault),
            None => self.inner.wait(ticket),
        }
    }

    fn copy_page(&mut self, group: usize, from: u32, to: u32) {
        self.inner.copy_page(group, from, to);
    }

    fn set_profiling(&mut self, on: bool) {
        self.inner.set_profiling(on);
    }

    fn profile(&self) -> &Profile {
        self.inner.profile()
    }

    fn bytes(&self) -> usize {
        self.inner.bytes()
    }
}

fn faulty(faults: Vec<(usize, Fault)>, pipelined: bool) -> Engine {
    counting(faults, pipelined).0
}

/// An engine, and the number of rows that it starts before their id is known.
fn counting(faults: Vec<(usize, Fault)>, pipelined: bool) -> (Engine, Arc<AtomicUsize>) {
    let (faults, overlapped) = (Arc::new(Mutex::new(faults)), Arc::default());
    let backend = Faulty { faults, overlapped: Arc::clone(&overlapped) };
    (load_on(Arc::new(backend), Options { pipelined, ..options() }), overlapped)
}

#[test]
fn greedy_rows_start_before_their_ids_are_known_and_a_surplus_one_is_dropped() {
    let expected = greedy(&prompt(1, 20), 8);
    for (stop_ids, early) in [(vec![], 7), (vec![expected[7]], 8)] {
        let stop_ids: Vec<u32> = stop_ids;
        assert!(!expected[..7].contains(&expected[7]), "the test wants another prompt");
        let max_tokens = 8 + stop_ids.len();
        for (pipelined, early) in [(true, early), (false, 0)] {
            let (mut engine, overlapped) = counting(Vec::new(), pipelined);
            let stop_ids = stop_ids.clone();
            let request = Request { stop_ids, ..Request::new(prompt(1, 20), max_tokens) };
            assert_eq!(run_one(&mut engine, request).tokens, expected);
            assert_eq!(overlapped.load(Ordering::Relaxed), early);
        }
    }
}

#[test]
fn steps_that_are_given_up_are_repeated() {
    for pipelined in [false, true] {
        let faults = [0, 2, 5, 6, 9].map(|at| (at, Fault::Cancelled)).to_vec();
        let mut engine = faulty(faults, pipelined);
        let ids: Vec<_> = (0..3)
            .map(|i| engine.add(Request::new(prompt(i, 20), 8)).expect("it is fine"))
            .collect();
        let streams = run(&mut engine);
        for (i, id) in ids.iter().enumerate() {
            assert_eq!(streams[id].tokens, greedy(&prompt(i as u64, 20), 8), "{pipelined}");
            assert_eq!(streams[id].ends.len(), 1);
        }
    }
}

#[test]
fn a_set_flag_stops_steps_and_a_cleared_one_lets_them_go_on() {
    for pipelined in [false, true] {
        let mut engine = faulty(Vec::new(), pipelined);
        let id = engine.add(Request::new(prompt(1, 40), 10)).expect("it is fine");
        let (cancel, mut streams) = (AtomicBool::new(false), Streams::new());
        for turn in 0.. {
            if engine.is_idle() {
                break;
            }
            assert!(turn < 1000, "it goes nowhere");
            cancel.store(turn % 3 == 1, Ordering::Relaxed);
            let mut events = Vec::new();
            engine.step_unless(Some(&cancel), &mut events).expect("being cancelled is no fault");
            hear(events, &mut streams);
        }
        assert_eq!(streams[&id].tokens, greedy(&prompt(1, 40), 10));
    }
}

#[test]
fn a_lost_device_ends_every_sequence_once() {
    for pipelined in [false, true] {
        for at in 0..8 {
            let mut engine = faulty(vec![(at, Fault::DeviceLost("gone".into()))], pipelined);
            for i in 0..2 {
                engine.add(Request::new(prompt(i, 20), 8)).expect("it is fine");
            }
            let (mut streams, mut failed) = (Streams::new(), 0);
            while !engine.is_idle() {
                let mut events = Vec::new();
                failed += usize::from(engine.step(&mut events).is_err());
                hear(events, &mut streams);
            }
            assert_eq!(failed, 1);
            let reason = Reason::Failed(Failure::Backend);
            assert!(streams.values().all(|heard| heard.ends.len() == 1));
            assert!(streams.values().any(|heard| heard.ends[0].0 == reason));
            assert_eq!(engine.free_pages(), 256 / 64, "failed pages are not kept");
        }
    }
}

#[test]
fn numbers_that_are_none_end_their_own_sequence_only() {
    let program = Arc::new(tiny::program());
    let mut weights = tiny::weights(&program, 1);
    let mut table = weights[0].to_f32();
    table[7 * 32..8 * 32].fill(f32::NAN);
    weights[0] = Tensor::from_f32(tiny::VOCAB, 32, &table);
    let runtime = Runtime::new(vec![Arc::new(Reference)], 1 << 30);
    let mut engine = runtime.load(0, program, weights, options()).expect("it loads");
    let ban = Sampling { logit_bias: vec![(7, f32::NEG_INFINITY)], ..Sampling::default() };
    let request = |ids| Request { sampling: ban.clone(), ..Request::new(ids, 5) };
    let sick = engine.add(request(vec![1, 7, 2])).expect("it is fine");
    let sound = engine.add(request(vec![1, 3, 2])).expect("it is fine");
    let streams = run(&mut engine);
    assert_eq!(streams[&sick].ends[0].0, Reason::Failed(Failure::NotANumber));
    assert_eq!(streams[&sound].ends[0].0, Reason::Length);
    assert_eq!(streams[&sound].tokens.len(), 5);
}

#[test]
fn forbidding_every_id_is_a_failure() {
    for temperature in [0.0, 1.0] {
        let logit_bias = (0..tiny::VOCAB as u32).map(|id| (id, f32::NEG_INFINITY)).collect();
        let sampling = Sampling { temperature, logit_bias, ..Sampling::default() };
        let request = Request { sampling, ..Request::new(vec![1], 5) };
        let heard = run_one(&mut load(options()), request);
        assert_eq!(heard.ends[0].0, Reason::Failed(Failure::NothingAllowed));
    }
}
