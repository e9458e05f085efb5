//! Random arrivals and cancellations on pools that are too small. A failure names its seed.

use crate::streams::requests;
use crate::*;

struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        (tiny::next(&mut self.0) % n as u64) as usize
    }
}

fn request(chance: &mut Chance) -> Request {
    // Few stems and few lengths, so that prefixes are shared at and off page borders.
    let stem = prompt(chance.below(2) as u64, 128);
    let len = [1, 9, 63, 64, 65, 100][chance.below(6)];
    let tail = prompt(50 + chance.below(3) as u64, chance.below(6));
    let ids = [&stem[..len], &tail].concat();
    let sampling = requests().swap_remove(chance.below(7)).sampling;
    let stop_ids = if chance.below(3) == 0 { vec![chance.below(61) as u32] } else { vec![] };
    Request { sampling, stop_ids, ..Request::new(ids, 1 + chance.below(40)) }
}

fn copy(request: &Request) -> Request {
    let Request { prompt, max_tokens, stop_ids, sampling, .. } = request;
    let (stop_ids, sampling) = (stop_ids.clone(), sampling.clone());
    Request { stop_ids, sampling, ..Request::new(prompt.clone(), *max_tokens) }
}

fn simulate(seed: u64) {
    let mut chance = Chance(seed);
    let sequences = 1 + chance.below(5);
    let rows = sequences + chance.below(20);
    let kv_tokens = 192 + 64 * chance.below(6);
    let options = Options {
        context: 192,
        kv_tokens,
        sequences,
        rows,
        chunk: 1 + chance.below(rows),
        outputs: 1,
        queue: 4,
        kept: chance.below(4),
        pipelined: chance.below(2) == 1,
        ..Options::default()
    };
    let mut engine = load(options.clone());
    let (mut streams, mut added) = (Streams::new(), Vec::new());
    for turn in 0.. {
        if turn < 60 && chance.below(3) == 0 {
            let request = request(&mut chance);
            if let Ok(id) = engine.add(copy(&request)) {
                added.push((id, request));
            }
        }
        if chance.below(12) == 0 && !added.is_empty() {
            let (id, _) = added[chance.below(added.len())];
            let ended = streams.get(&id).is_some_and(|heard: &Heard| !heard.ends.is_empty());
            let cancelled = engine.cancel(id);
            assert!(!(ended && cancelled), "seed {seed}: a sequence that ended was cancelled");
        }
        if turn >= 60 && engine.is_idle() {
            break;
        }
        assert!(turn < 5000, "seed {seed}: somebody starves");
        step(&mut engine, &mut streams);
    }
    engine.forget();
    assert_eq!(engine.free_pages(), kv_tokens / 64, "seed {seed}: pages are lost, {options:?}");
    let mut solo = load(Options { sequences: 1, kept: 0, pipelined: false, rows: 32, ..options });
    for (id, request) in added {
        let heard = &streams[&id];
        assert_eq!(heard.ends.len(), 1, "seed {seed}: {id:?} ended {:?}", heard.ends);
        let alone = run_one(&mut solo, request);
        if heard.ends[0].0 == Reason::Cancelled {
            assert!(alone.tokens.starts_with(&heard.tokens), "seed {seed}: {id:?}");
        } else {
            assert_eq!(alone.tokens, heard.tokens, "seed {seed}: {id:?}");
            assert_eq!(alone.ends[0].0, heard.ends[0].0, "seed {seed}: {id:?}");
        }
    }
}

#[test]
fn every_stream_ends_once_as_if_alone_and_pages_are_conserved() {
    (0..24).for_each(simulate);
}
