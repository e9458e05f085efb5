//! Each sampler against its definition, and the frequencies of what is drawn.

use super::*;
use crate::sampling::Dry;
use proptest::prelude::*;
use testkit::tiny;

fn random_logits(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed;
    // A coarse grid, so that equals occur.
    (0..n).map(|_| (tiny::unit(&mut state) * 12.0).round() / 2.0).collect()
}

fn candidates(logits: &[f32]) -> Vec<Candidate> {
    let candidate = |(id, &logit)| Candidate { id: id as u32, logit, p: 0.0 };
    logits.iter().enumerate().map(candidate).collect()
}

/// (probability, id), likeliest first, in f64.
fn distribution(logits: &[f32]) -> Vec<(f64, u32)> {
    let sum: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
    let p = |(id, l): (usize, &f32)| (f64::from(*l).exp() / sum, id as u32);
    let mut all: Vec<_> = logits.iter().enumerate().map(p).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all
}

fn ids(candidates: &[Candidate]) -> Vec<u32> {
    let mut ids: Vec<u32> = candidates.iter().map(|c| c.id).collect();
    ids.sort_unstable();
    ids
}

fn sorted(mut ids: Vec<u32>) -> Vec<u32> {
    ids.sort_unstable();
    ids
}

proptest! {
    #[test]
    fn top_k_keeps_the_largest(seed: u64, n in 1usize..300, k in 0usize..310) {
        let logits = random_logits(seed, n);
        let mut found = candidates(&logits);
        top_k(&mut found, k);
        let keep = if k == 0 { n } else { k.min(n) };
        let expected = distribution(&logits)[..keep].iter().map(|(_, id)| *id).collect();
        prop_assert_eq!(ids(&found), sorted(expected));
    }

    #[test]
    fn top_p_keeps_the_fewest_that_reach_the_sum(seed: u64, n in 1usize..1000, p in 0.0f32..0.999) {
        let logits = random_logits(seed, n);
        let mut found = candidates(&logits);
        top_p(&mut found, p);
        let all = distribution(&logits);
        let kept: Vec<u32> = found.iter().map(|c| c.id).collect();
        let likeliest: Vec<u32> = all[..kept.len()].iter().map(|(_, id)| *id).collect();
        prop_assert_eq!(&kept, &likeliest);
        let mass: f64 = all[..kept.len()].iter().map(|(p, _)| p).sum();
        prop_assert!(mass >= f64::from(p) - 1e-5);
        prop_assert!(kept.len() == 1 || mass - all[kept.len() - 1].0 < f64::from(p) + 1e-5);
    }

    #[test]
    fn min_p_is_relative_to_the_likeliest(seed: u64, n in 1usize..300, p in 0.001f32..1.0) {
        let logits = random_logits(seed, n);
        let mut found = candidates(&logits);
        min_p(&mut found, p);
        let all = distribution(&logits);
        let near = |q: f64| (q / all[0].0 - f64::from(p)).abs() < 1e-5;
        let kept = ids(&found);
        for (q, id) in &all {
            prop_assert!(near(*q) || kept.contains(id) == (q / all[0].0 >= f64::from(p)));
        }
        prop_assert!(kept.contains(&all[0].1));
    }

    #[test]
    fn the_typical_set_is_closest_to_the_entropy(seed: u64, n in 1usize..200, p in 0.01f32..0.99) {
        let logits = random_logits(seed, n);
        let mut found = candidates(&logits);
        typical(&mut found, p);
        let all = distribution(&logits);
        let entropy: f64 = all.iter().map(|(q, _)| -q * q.ln()).sum();
        let distance = |id: u32| {
            let (q, _) = all.iter().find(|(_, other)| *other == id).expect("every id is there");
            (-q.ln() - entropy).abs()
        };
        let kept = ids(&found);
        let farthest = kept.iter().map(|id| distance(*id)).fold(0.0, f64::max);
        for (_, id) in &all {
            prop_assert!(kept.contains(id) || distance(*id) >= farthest - 1e-4);
        }
        let mass: f64 = all.iter().filter(|(_, id)| kept.contains(id)).map(|(q, _)| q).sum();
        prop_assert!(mass > f64::from(p) - 1e-4);
        let last = found.last().map_or(0.0, |c| f64::from(c.p));
        prop_assert!(kept.len() == 1 || mass - last <= f64::from(p) + 1e-4);
    }

    #[test]
    fn xtc_leaves_the_least_likely_of_the_likely(
        seed: u64,
        n in 1usize..100,
        threshold in 0.01f32..0.5,
    ) {
        let logits = random_logits(seed, n);
        let mut found = candidates(&logits);
        exclude_top(&mut found, Xtc { probability: 1.0, threshold });
        let all = distribution(&logits);
        prop_assume!(all.iter().all(|(p, _)| (p - f64::from(threshold)).abs() > 1e-5));
        let likely = all.iter().filter(|(p, _)| *p >= f64::from(threshold)).count();
        let expected = all[likely.saturating_sub(1)..].iter().map(|(_, id)| *id).collect();
        prop_assert_eq!(ids(&found), sorted(expected));
    }
}

fn choose(logits: &[f32], history: &[u32], sampling: &Sampling) -> Result<u32, Failure> {
    let context = Context {
        history,
        sampling,
        breakers: &Breakers::new(&[]),
        mask: None,
        mirostat_bound: &mut 0.0,
    };
    Sampler::new(logits.len()).choose(logits, context)
}

#[test]
fn frequencies_are_the_probabilities() {
    let logits = [0.3, -1.0, 2.0, 1.0, 0.0, -3.0, 1.5, 0.9];
    for temperature in [0.5f32, 1.0, 2.0] {
        let draws = 20_000;
        let mut counts = [0.0f64; 8];
        let mut history = Vec::new();
        for position in 0..draws {
            let seed = (position / 1000) as u64;
            let sampling = Sampling { temperature, seed, ..Sampling::default() };
            counts[choose(&logits, &history, &sampling).expect("all is finite") as usize] += 1.0;
            history.push(0);
        }
        let scaled: Vec<f32> = logits.iter().map(|l| l / temperature).collect();
        let chi: f64 = distribution(&scaled)
            .iter()
            .map(|(p, id)| {
                let expected = p * f64::from(draws);
                (counts[*id as usize] - expected).powi(2) / expected
            })
            .sum();
        // 7 degrees of freedom: larger once in 10,000 times.
        assert!(chi < 29.9, "chi-square is {chi} at temperature {temperature}");
    }
}

#[test]
fn equal_seeds_give_equal_ids_and_others_do_not() {
    let logits = random_logits(1, 50);
    let series = |seed| -> Vec<u32> {
        let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let history = vec![0; 64];
        (0..64).map(|n| choose(&logits, &history[..n], &sampling).expect("finite")).collect()
    };
    assert_eq!(series(3), series(3));
    assert_ne!(series(3), series(4));
}

#[test]
fn temperature_zero_takes_the_first_of_the_largest() {
    let sampling = Sampling { top_k: 1, ..Sampling::default() };
    assert_eq!(choose(&[1.0, 3.0, 2.0, 3.0], &[0], &sampling), Ok(1));
    let biased = Sampling { logit_bias: vec![(1, f32::NEG_INFINITY)], ..sampling };
    assert_eq!(choose(&[1.0, 3.0, 2.0, 3.0], &[0], &biased), Ok(3));
}

#[test]
fn forbidden_ids_never_come() {
    let ban: Vec<_> = (0..40).filter(|id| id % 4 != 0).map(|id| (id, f32::NEG_INFINITY)).collect();
    let logits = random_logits(2, 40);
    for position in 0..500 {
        let history = vec![0; position];
        let sampling =
            Sampling { temperature: 3.0, logit_bias: ban.clone(), ..Sampling::default() };
        assert_eq!(choose(&logits, &history, &sampling).expect("some are allowed") % 4, 0);
    }
}

#[test]
fn logits_that_are_no_numbers_are_an_error() {
    for bad in [f32::NAN, f32::INFINITY] {
        for temperature in [0.0, 1.0] {
            let sampling = Sampling { temperature, ..Sampling::default() };
            assert_eq!(choose(&[0.0, bad], &[0], &sampling), Err(Failure::NotANumber));
        }
    }
    let nothing = [f32::NEG_INFINITY; 3];
    assert_eq!(choose(&nothing, &[0], &Sampling::default()), Err(Failure::NothingAllowed));
}

#[test]
fn mirostat_keeps_the_surprise_near_its_target() {
    for tau in [2.0f32, 4.0, 6.0] {
        let mirostat = Mirostat { tau, eta: 0.1 };
        let sampling =
            Sampling { temperature: 1.0, mirostat: Some(mirostat), ..Sampling::default() };
        let (mut sampler, mut bound) = (Sampler::new(2000), 2.0 * tau);
        let (mut history, mut surprises) = (Vec::new(), Vec::new());
        for step in 0..1500u64 {
            let logits: Vec<f32> = random_logits(step, 2000).iter().map(|l| l * 0.7).collect();
            let context = Context {
                history: &history,
                sampling: &sampling,
                breakers: &Breakers::new(&[]),
                mask: None,
                mirostat_bound: &mut bound,
            };
            let id = sampler.choose(&logits, context).expect("finite");
            surprises.push(f64::from(
                -sampler.candidates.iter().find(|c| c.id == id).expect("kept").p.log2(),
            ));
            history.push(id);
        }
        let mean = surprises[200..].iter().sum::<f64>() / (surprises.len() - 200) as f64;
        assert!((mean - f64::from(tau)).abs() < 0.15, "mean surprise {mean}, target {tau}");
    }
}

#[test]
fn penalties_work_through_the_sampler() {
    let sampling = Sampling { presence_penalty: 5.0, ..Sampling::default() };
    assert_eq!(choose(&[3.0, 2.0, 1.0], &[0], &sampling), Ok(1));
    let dry = Dry { multiplier: 5.0, allowed_length: 2, ..Dry::default() };
    let sampling = Sampling { dry, ..Sampling::default() };
    assert_eq!(choose(&[3.0, 2.0, 1.0], &[1, 2, 0, 1, 2], &sampling), Ok(1));
    assert_eq!(choose(&[3.0, 2.0, 1.0], &[1, 0, 2], &sampling), Ok(0));
}
