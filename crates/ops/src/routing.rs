//! The choice of experts from their scores: one function for every backend, so that equal scores
//! are settled alike everywhere.

use crate::program::{Groups, Routing, Score};

/// Chooses experts by `ranks`, which it overwrites, and writes their numbers, best first, and then
/// their weights to `chosen`, (2 * active). `scores` weight them: logits where the routing takes
/// the softmax of the chosen ones, of which `exp` is the exponential function.
pub fn choose(
    routing: &Routing,
    scores: &[f32],
    ranks: &mut [f32],
    chosen: &mut [f32],
    exp: impl Fn(f32) -> f32,
) {
    if let Some(groups) = routing.groups {
        keep_groups(groups, ranks);
    }
    let (ids, weights) = chosen.split_at_mut(routing.active as usize);
    for (id, weight) in ids.iter_mut().zip(weights.iter_mut()) {
        let best = best(ranks);
        ranks[best] = f32::NEG_INFINITY;
        // Numbers of experts are far below 2^24.
        (*id, *weight) = (best as f32, scores[best]);
    }
    if routing.score == Score::SoftmaxChosen {
        let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        weights.iter_mut().for_each(|w| *w = exp(*w - largest));
    }
    let divisor = match routing.normalized || routing.score == Score::SoftmaxChosen {
        true => weights.iter().sum::<f32>().max(LEAST_SUM),
        false => 1.0,
    };
    weights.iter_mut().for_each(|w| *w = *w / divisor * routing.scale);
}

/// Scores whose sum is less than this are divided by it.
const LEAST_SUM: f32 = 1e-20;

/// Rules out the experts of all groups but the best ones.
fn keep_groups(groups: Groups, ranks: &mut [f32]) {
    let size = ranks.len() / groups.count.max(1) as usize;
    for _ in groups.kept..groups.count {
        // The worst of the groups that are left goes; the last of equals.
        let mut worst: Option<(usize, f32)> = None;
        for (group, ranks) in ranks.chunks(size).enumerate() {
            let rank = rank(ranks, groups.ranked_by);
            if rank > f32::NEG_INFINITY && worst.is_none_or(|(_, least)| rank <= least) {
                worst = Some((group, rank));
            }
        }
        let Some((group, _)) = worst else { return };
        ranks[group * size..][..size].fill(f32::NEG_INFINITY);
    }
}

/// The sum of a group's best ranks.
fn rank(ranks: &[f32], ranked_by: u32) -> f32 {
    let first = best(ranks);
    let others = ranks.iter().enumerate().filter(|(i, _)| *i != first);
    let second = others.map(|(_, rank)| *rank).fold(f32::NEG_INFINITY, f32::max);
    match ranked_by {
        2 if ranks.len() > 1 => ranks[first] + second,
        _ => ranks[first],
    }
}

/// The index of the largest, the first of equals; 0 if none is a number.
fn best(ranks: &[f32]) -> usize {
    crate::reference::argmax(ranks) as usize
}
