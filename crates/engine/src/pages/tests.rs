//! Pages are conserved, whatever is taken, shared and given back.

use super::*;
use proptest::prelude::*;

proptest! {
    /// Against a plain list of who uses what.
    #[test]
    fn pages_are_conserved(
        total in 1usize..12,
        acts in prop::collection::vec((0u8..3, 0usize..64), 0..200),
    ) {
        let mut pool = Pool::new(total);
        let mut held: Vec<u32> = Vec::new();
        for (act, at) in acts {
            match act {
                0 => match pool.take() {
                    Some(page) => {
                        prop_assert!(!held.contains(&page), "page {} was not free", page);
                        held.push(page);
                    }
                    None => {
                        let mut used = held.clone();
                        used.sort_unstable();
                        used.dedup();
                        prop_assert_eq!(used.len(), total);
                    }
                },
                1 if !held.is_empty() => {
                    let page = held[at % held.len()];
                    pool.share(page);
                    held.push(page);
                }
                2 if !held.is_empty() => pool.release(held.swap_remove(at % held.len())),
                _ => {}
            }
            let used = (0..total as u32).filter(|page| held.contains(page)).count();
            prop_assert_eq!(pool.free(), total - used);
            for &page in &held {
                let users = held.iter().filter(|&&other| other == page).count();
                prop_assert_eq!(pool.is_shared(page), users > 1);
            }
        }
        held.into_iter().for_each(|page| pool.release(page));
        prop_assert_eq!(pool.free(), total);
    }
}
