//! DRY against its definition, term by term.

use super::*;
use proptest::prelude::*;

/// The length of the longest end of `ids` that also occurs before an earlier `id`, not counting
/// anything at or before the last breaker; none if `id` never follows another.
fn naive(ids: &[u32], id: u32, breakers: &[Vec<u32>]) -> Option<usize> {
    let broken = |end: usize| breakers.iter().any(|b| !b.is_empty() && ids[..end].ends_with(b));
    let limit = (0..=ids.len()).take_while(|l| *l == 0 || !broken(ids.len() - l + 1)).last()?;
    let prolongs = |at: usize, length: usize| {
        length <= at && ids[at - length..at] == ids[ids.len() - length..]
    };
    let earlier = (1..ids.len()).filter(|&at| ids[at] == id);
    earlier.filter_map(|at| (0..=limit).rev().find(|&length| prolongs(at, length))).max()
}

proptest! {
    #[test]
    fn penalties_are_those_of_the_definition(
        history in prop::collection::vec(0u32..4, 0..40),
        allowed_length in 0usize..5,
        penalty_last_n in 0usize..50,
        breakers in prop::collection::vec(prop::collection::vec(0u32..4, 0..4), 0..3),
    ) {
        let (multiplier, base) = (0.8, 1.75);
        let table = Breakers::new(&breakers);
        let dry = Dry { multiplier, base, allowed_length, penalty_last_n, breakers: Vec::new() };
        let mut found = vec![0.0; 4];
        let mut storage = Repetitions::new(4);
        storage.apply(&mut found, &history, &dry, &table);
        let ids = &history[history.len().saturating_sub(penalty_last_n)..];
        for id in 0..4u32 {
            let expected = match naive(ids, id, &breakers) {
                Some(length) if length >= allowed_length => {
                    multiplier * base.powi((length - allowed_length) as i32)
                }
                _ => 0.0,
            };
            let found = -found[id as usize];
            let close = (found - expected).abs() <= 1e-4 * expected;
            prop_assert!(close, "id {}: {} is not {}", id, found, expected);
        }
        prop_assert!(storage.longest.iter().all(|&length| length == 0));
    }
}

#[test]
fn endless_repetitions_stay_finite() {
    let dry = Dry { multiplier: 1000.0, base: 1000.0, ..Dry::default() };
    let mut logits = vec![5.0; 2];
    Repetitions::new(2).apply(&mut logits, &[1; 5000], &dry, &Breakers::new(&[]));
    assert!(logits[0] == 5.0 && logits[1] < -1e29 && logits[1].is_finite());
}
