//! Answers from the tiny model.

use crate::{EOS, vocab};
use chat::{Finish, Finished, Hooks, Job, Stops, generate};
use engine::{Engine, Options, Runtime, Sampling};
use ops::reference::Reference;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::tiny;

fn load() -> Engine {
    let program = Arc::new(tiny::program());
    let weights = tiny::weights(&program, 1);
    let runtime = Runtime::new(vec![Arc::new(Reference)], 1 << 30);
    let options = Options { context: 128, rows: 8, chunk: 8, ..Options::default() };
    runtime.load(0, program, weights, options).expect("the tiny model loads")
}

fn job(seed: u64) -> Job {
    let sampling = Sampling { temperature: 2.0, seed, ..Sampling::default() };
    let ids = (2..22).collect();
    Job { ids, sampling, max_tokens: Some(40), ignore_end: true, ..Job::default() }
}

/// Runs a job; `stop_after` characters its caller has had enough, `cancel_after` it sets the flag.
fn answer(engine: &mut Engine, job: &Job, stop_after: usize, cancel_after: usize) -> Finished {
    let (cancel, mut heard, mut progress) = (AtomicBool::new(false), String::new(), Vec::new());
    let ticks = Cell::new(0);
    let now = || Duration::from_secs(ticks.replace(ticks.get() + 1));
    let mut on_text = |text: &str| {
        assert!(!text.is_empty());
        heard.push_str(text);
        if heard.len() >= cancel_after {
            cancel.store(true, Ordering::Relaxed);
        }
        if heard.len() >= stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut on_prompt = |done, total| progress.push((done, total));
    let mut hooks =
        Hooks { on_text: &mut on_text, on_prompt: &mut on_prompt, cancel: &cancel, now: &now };
    let vocab = vocab(true);
    let finished = generate(engine, &vocab, job, &mut hooks).expect("the job is fine");
    assert_eq!(finished.text, heard);
    assert_eq!(progress.last(), Some(&(job.ids.len(), job.ids.len())));
    assert!(progress.is_sorted());
    let ids = finished.ids.len() as u64;
    // The clock ticks once at the start and once for each id.
    let timings = (finished.timings.prompt.as_secs(), finished.timings.generation.as_secs());
    assert_eq!(timings, if ids == 0 { (0, 0) } else { (1, ids - 1) });
    assert!(engine.is_idle());
    finished
}

#[test]
fn text_is_that_of_the_ids() {
    let finished = answer(&mut load(), &job(1), usize::MAX, usize::MAX);
    assert_eq!(finished.finish, Finish::Length);
    assert_eq!(finished.ids.len(), 40);
    assert_eq!(finished.text, vocab(true).decode(&finished.ids, false));
    assert_eq!((finished.usage.prompt, finished.usage.generated), (20, 40));
}

#[test]
fn an_answer_ends_at_the_end_of_text() {
    let seed = (0..50)
        .find(|&seed| {
            let ids = answer(&mut load(), &job(seed), usize::MAX, usize::MAX).ids;
            ids[5..].contains(&EOS) && !ids[..5].contains(&EOS)
        })
        .expect("some seed gives it");
    let all = answer(&mut load(), &job(seed), usize::MAX, usize::MAX).ids;
    let at = all.iter().position(|&id| id == EOS).expect("it is there");
    let finished =
        answer(&mut load(), &Job { ignore_end: false, ..job(seed) }, usize::MAX, usize::MAX);
    assert_eq!(finished.finish, Finish::End);
    assert_eq!(finished.ids, all[..=at]);
    assert_eq!(finished.text, vocab(true).decode(&all[..at], false));
}

#[test]
fn an_answer_ends_before_a_stop_string() {
    let whole = answer(&mut load(), &job(3), usize::MAX, usize::MAX).text;
    let chars: Vec<char> = whole.chars().collect();
    let stop: String = chars[12..16].iter().collect();
    let stops = Stops::new(vec![stop.clone()]).expect("it is short");
    let mut engine = load();
    let finished = answer(&mut engine, &Job { stops, ..job(3) }, usize::MAX, usize::MAX);
    assert_eq!(finished.finish, Finish::Stop);
    assert_eq!(finished.text, whole[..whole.find(&stop).expect("it is there")]);
    assert!(finished.ids.len() < 40);
}

#[test]
fn the_caller_can_end_an_answer() {
    for (stop_after, cancel_after) in [(10, usize::MAX), (usize::MAX, 10)] {
        let mut engine = load();
        let finished = answer(&mut engine, &job(4), stop_after, cancel_after);
        assert_eq!(finished.finish, Finish::Cancelled);
        let whole = answer(&mut load(), &job(4), usize::MAX, usize::MAX);
        assert!(whole.text.starts_with(&finished.text) && finished.text.len() < whole.text.len());
        assert_eq!(finished.usage.generated, finished.ids.len());
        // The engine goes on as if nothing had happened, from what is there.
        let again = answer(&mut engine, &job(4), usize::MAX, usize::MAX);
        assert_eq!(again.text, whole.text);
        assert_eq!(again.usage.cached, 19);
    }
}

#[test]
fn an_answer_without_a_bound_fills_the_context() {
    for max_tokens in [None, Some(1000)] {
        let finished = answer(&mut load(), &Job { max_tokens, ..job(5) }, usize::MAX, usize::MAX);
        assert_eq!((finished.finish, finished.ids.len()), (Finish::Length, 108));
    }
}

#[test]
fn a_prompt_as_long_as_the_context_is_refused() {
    let cancel = AtomicBool::new(false);
    let mut hooks = Hooks {
        on_text: &mut |_| ControlFlow::Continue(()),
        on_prompt: &mut |_, _| {},
        cancel: &cancel,
        now: &|| Duration::ZERO,
    };
    let job = Job { ids: vec![2; 128], ..Job::default() };
    let error = generate(&mut load(), &vocab(true), &job, &mut hooks).expect_err("it is too long");
    assert!(
        error.to_string().contains("128 ids and 1 to add exceed the context of 128"),
        "{error}"
    );
}
