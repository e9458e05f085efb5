//! Penalties against their definitions.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_recent_id_is_penalised_once(
        history in prop::collection::vec(0u32..12, 0..40),
        last in 0usize..50,
        repeat in 0.5f32..2.0,
        presence in -1.0f32..1.0,
        frequency in -1.0f32..1.0,
    ) {
        let sampling = Sampling {
            repeat_penalty: repeat,
            presence_penalty: presence,
            frequency_penalty: frequency,
            repeat_last_n: last,
            ..Sampling::default()
        };
        let logits: Vec<f32> = (0..12).map(|id| id as f32 - 5.5).collect();
        let mut found = logits.clone();
        let mut penalties = Penalties::new(12);
        penalties.apply(&mut found, &history, &sampling);
        for id in 0..12u32 {
            let count = history.iter().rev().take(last).filter(|&&other| other == id).count();
            let logit = logits[id as usize];
            let expected = match (count, logit > 0.0) {
                (0, _) => logit,
                (_, true) => logit / repeat - presence - count as f32 * frequency,
                (_, false) => logit * repeat - presence - count as f32 * frequency,
            };
            prop_assert!((found[id as usize] - expected).abs() < 1e-4);
        }
        prop_assert!(penalties.counts.iter().all(|&count| count == 0));
    }
}
