//! What is refused, and in which words.

use crate::*;
use engine::{Class, EngineError, Rejected, Sampling};
use ops::{Executor, Fault, Op, Program, Sizes, Unsupported};

fn refusal(request: Request) -> String {
    load(options()).add(request).expect_err("it must be refused").to_string()
}

#[test]
fn requests_are_refused_by_field() {
    let with = |sampling| Request { sampling, ..Request::new(vec![1], 1) };
    let base = Sampling::default();
    let cases = [
        (Request::new(vec![], 1), "prompt is empty"),
        (Request::new(vec![1], 0), "max_tokens is 0"),
        (Request::new(vec![1; 250], 7), "250 ids and 7 to add exceed the context of 256"),
        (Request::new(vec![1], usize::MAX), "exceed the context of 256"),
        (Request::new(vec![1, 61], 1), "prompt holds the id 61"),
        (Request { stop_ids: vec![99], ..Request::new(vec![1], 1) }, "stop_ids holds the id 99"),
        (Request { stop_ids: vec![1; 65], ..Request::new(vec![1], 1) }, "stop_ids has 65"),
        (with(Sampling { temperature: f32::NAN, ..base.clone() }), "temperature is NaN"),
        (with(Sampling { temperature: -1.0, ..base.clone() }), "temperature is -1"),
        (with(Sampling { top_p: 1.5, ..base.clone() }), "top_p is 1.5"),
        (with(Sampling { min_p: -0.1, ..base.clone() }), "min_p is -0.1"),
        (with(Sampling { repeat_penalty: 0.0, ..base.clone() }), "repeat_penalty is 0"),
        (with(Sampling { logit_bias: vec![(61, 0.0)], ..base.clone() }), "logit_bias holds the id"),
        (with(Sampling { logit_bias: vec![(1, f32::NAN)], ..base.clone() }), "logit_bias is NaN"),
        (with(Sampling { logit_bias: vec![(1, f32::INFINITY)], ..base }), "logit_bias is inf"),
    ];
    for (request, expected) in cases {
        let found = refusal(request);
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
}

#[test]
fn the_queue_is_bounded() {
    let mut engine = load(Options { queue: 3, ..options() });
    for _ in 0..3 {
        engine.add(Request::new(vec![1], 4)).expect("there is room");
    }
    assert_eq!(engine.add(Request::new(vec![1], 4)), Err(Rejected::QueueFull(3)));
    assert_eq!(run(&mut engine).len(), 3);
}

#[test]
fn the_longest_request_that_is_accepted_runs() {
    let mut engine = load(Options { context: 100, ..options() });
    assert_eq!(run_one(&mut engine, Request::new(prompt(1, 99), 1)).tokens.len(), 1);
    assert_eq!(run_one(&mut engine, Request::new(prompt(2, 1), 99)).tokens.len(), 99);
}

#[test]
fn options_are_refused_by_field() {
    let runtime = Runtime::new(vec![Arc::new(Reference)], 1 << 30);
    let load = |backend, options| {
        let program = Arc::new(tiny::program());
        let weights = tiny::weights(&program, 1);
        match runtime.load(backend, program, weights, options) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    let cases = [
        (Options { rows: 513, ..options() }, "rows is 513"),
        (Options { chunk: 33, ..options() }, "chunk is 33"),
        (Options { sequences: 33, ..options() }, "sequences is 33"),
        (Options { context: 0, ..options() }, "context is 0"),
    ];
    for (options, expected) in cases {
        let found = load(0, options);
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
    assert!(load(1, options()).contains("no backend 1"));
}

#[test]
fn memory_is_reserved_and_given_back() {
    let backend: Arc<dyn Backend> = Arc::new(Reference);
    let program = Arc::new(tiny::program());
    let weights = || tiny::weights(&program, 1);
    let runtime = Runtime::new(vec![backend.clone()], 1 << 20);
    let engine = runtime.load(0, program.clone(), weights(), options()).expect("it fits");
    let pages = 256usize.div_ceil(64);
    let kv: usize = program.caches.iter().map(|group| group.page_bytes() * pages).sum();
    assert_eq!(runtime.ledger().total(Class::Kv), kv);
    let used = kv + runtime.ledger().total(Class::Scratch);
    assert_eq!(runtime.ledger().used(), used, "mapped weights do not count");
    assert!(runtime.ledger().total(Class::Weights) > 0);
    drop(engine);
    assert!(runtime.ledger().entries().is_empty());

    let small = Runtime::new(vec![backend.clone()], used - 1);
    let error = small.load(0, program.clone(), weights(), options()).err().expect("too small");
    assert!(matches!(error, EngineError::OverBudget(_)), "{error}");
    assert!(small.ledger().entries().is_empty(), "a refused load leaves nothing");

    let exact = Runtime::new(vec![backend], used);
    assert!(exact.load(0, program.clone(), weights(), options()).is_ok());
    let copied = Options { mapped: false, ..options() };
    assert!(exact.load(0, program.clone(), weights(), copied).is_err());
    let repacked = || Options { repacked: 8, ..options() };
    assert!(exact.load(0, program.clone(), weights(), repacked()).is_err());
    let engine = runtime.load(0, program.clone(), weights(), repacked()).expect("it fits");
    assert_eq!(runtime.ledger().used(), used + 8, "what was repacked counts");
    drop(engine);
}

struct NoArgmax;

impl Backend for NoArgmax {
    fn name(&self) -> &'static str {
        "partial"
    }

    fn supports(&self, op: &Op, _: &Program) -> Result<(), Unsupported> {
        match op {
            Op::Argmax(_) => {
                let (backend, op, reason) = (self.name(), op.name(), "missing".to_owned());
                Err(Unsupported { backend, op, reason })
            }
            _ => Ok(()),
        }
    }

    fn load(
        &self,
        _: Arc<Program>,
        _: Vec<blocks::Tensor>,
        _: Sizes,
    ) -> Result<Box<dyn Executor>, Fault> {
        panic!("it was loaded although it cannot run the program");
    }
}

#[test]
fn a_backend_is_asked_before_it_is_loaded() {
    let program = Arc::new(tiny::program());
    let weights = tiny::weights(&program, 1);
    let runtime = Runtime::new(vec![Arc::new(NoArgmax)], 1 << 30);
    let error = runtime.load(0, program, weights, options()).err().expect("it lacks argmax");
    assert_eq!(error.to_string(), "partial cannot run argmax: missing");
    assert!(runtime.ledger().entries().is_empty());
}

#[test]
fn an_engine_can_move_to_another_thread() {
    let mut engine = load(options());
    let run = move || run_one(&mut engine, Request::new(vec![1], 3)).tokens;
    let tokens = std::thread::spawn(run).join().expect("it does not panic");
    assert_eq!(tokens, greedy(&[1], 3));
}
