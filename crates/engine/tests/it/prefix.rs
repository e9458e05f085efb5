//! Going on from pages of finished sequences changes no id.

use crate::*;
use ops::Long;

fn fresh(ids: &[u32], count: usize) -> Vec<u32> {
    run_one(&mut load(options()), Request::new(ids.to_vec(), count)).tokens
}

#[test]
fn a_chat_goes_on_from_its_last_turn() {
    let mut engine = load(Options { context: 1024, ..options() });
    let mut ids = prompt(4, 10);
    for turn in 0..6 {
        let computed = ids.len() + 30 - 1;
        let heard = run_one(&mut engine, Request::new(ids.clone(), 30));
        let expected = run_one(
            &mut load(Options { context: 1024, ..options() }),
            Request::new(ids.clone(), 30),
        );
        assert_eq!(heard.tokens, expected.tokens, "turn {turn}");
        ids.extend(&heard.tokens);
        ids.extend(prompt(100 + turn, 20));
        // The last id of the answer was never computed; the rest of the turn is there.
        let request = Request::new(ids.clone(), 1);
        assert_eq!(run_one(&mut engine, request).ends[0].1.cached, computed);
        assert_eq!(expected.ends[0].1.cached, 0);
    }
}

#[test]
fn a_prompt_that_is_there_completely_is_computed_from_its_last_id() {
    for len in [1, 2, 64, 65, 128] {
        let mut engine = load(options());
        for pass in 0..3 {
            let heard = run_one(&mut engine, Request::new(prompt(5, len), 8));
            assert_eq!(heard.tokens, greedy(&prompt(5, len), 8), "prompt of {len}, pass {pass}");
            assert_eq!(heard.ends[0].1.cached, if pass == 0 { 0 } else { len - 1 });
        }
    }
}

#[test]
fn branches_do_not_disturb_each_other() {
    let stem = prompt(6, 100);
    let branch = |cut: usize, seed| [&stem[..cut], &prompt(seed, 30)[..]].concat();
    let mut engine = load(Options { kv_tokens: 2048, ..options() });
    run_one(&mut engine, Request::new(stem.clone(), 5));
    let cuts = [100, 80, 64, 63, 10, 100, 80];
    // All at once, so that shared pages are written while others read them.
    let added: Vec<_> = cuts
        .iter()
        .enumerate()
        .map(|(i, &cut)| {
            let ids = branch(cut, i as u64);
            (engine.add(Request::new(ids.clone(), 9)).expect("it is fine"), ids, cut)
        })
        .collect();
    let streams = run(&mut engine);
    for (id, ids, cut) in added {
        assert_eq!(streams[&id].tokens, fresh(&ids, 9), "branch at {cut}");
        assert!(streams[&id].ends[0].1.cached >= cut.min(64));
    }
    engine.forget();
    assert_eq!(engine.free_pages(), 2048 / 64);
}

#[test]
fn other_tenants_share_nothing() {
    let mut engine = load(options());
    let request = |salt| Request { salt, ..Request::new(prompt(8, 40), 4) };
    assert_eq!(run_one(&mut engine, request(1)).ends[0].1.cached, 0);
    assert_eq!(run_one(&mut engine, request(2)).ends[0].1.cached, 0);
    assert_eq!(run_one(&mut engine, request(1)).ends[0].1.cached, 39);
}

#[test]
fn rotations_that_change_with_the_length_share_only_where_they_agree() {
    let switch = Long::Switch { above: 50, frequencies: vec![0.5, 0.25, 0.1, 0.05] };
    let grow = Long::Grow { above: 50, factor: 4.0, theta: 100.0 };
    for long in [switch, grow] {
        let load = || {
            let mut program = tiny::program();
            program.rotations[0].long = Some(long.clone());
            let weights = tiny::weights(&program, 1);
            let runtime = Runtime::new(vec![Arc::new(Reference)], 1 << 30);
            runtime.load(0, Arc::new(program), weights, options()).expect("it loads")
        };
        let mut engine = load();
        let stem = prompt(9, 80);
        for len in [20, 40, 49, 60, 80, 45] {
            let request = || Request::new(stem[..len].to_vec(), 20);
            let heard = run_one(&mut engine, request());
            assert_eq!(heard.tokens, run_one(&mut load(), request()).tokens, "{long:?}, {len}");
        }
    }
}
