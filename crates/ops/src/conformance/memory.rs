//! Cases of the lookup of hashed n-grams, and of what gates what is found.

use super::cases::Builder;
use super::weights::random_tensor;
use super::{Case, Tolerance};
use crate::hashing::{HashHead, Hashing};
use crate::list::{Dot, GatedAct, Recall};
use crate::program::{Act, Domain, Slot, Up};
use blocks::{Kind, Tensor};

/// Lengths that end before, at and after a boundary of 64.
const LENGTHS: [u32; 4] = [130, 1, 64, 7];
const VOCAB: usize = 29;

/// Every case.
pub fn cases() -> Vec<Case> {
    let big = i64::MAX / 31;
    vec![
        recall(Kind::F32, 5, &[3, 7], &[(2, 11), (2, 13)], true),
        recall(Kind::BF16, 8, &[big, -big, big - 2], &[(1, 2), (2, 23), (3, 29), (3, 1)], false),
        recall(Kind::Q8_0, 32, &[9, 5, i64::MIN, 1], &[(2, 17), (4, 300)], true),
        gate(40),
        gate(7),
    ]
}

fn recall(
    kind: Kind,
    width: usize,
    multipliers: &[i64],
    heads: &[(u32, u32)],
    merged: bool,
) -> Case {
    let mut b = Builder::of_ids(VOCAB, 4);
    let heads: Vec<_> =
        heads.iter().map(|(ids, rows)| HashHead { ids: *ids, rows: *rows }).collect();
    let rows: u32 = heads.iter().map(|head| head.rows).sum();
    let table = b.weight(random_tensor(kind, rows as usize, width, 51));
    let numbers: Vec<f32> = (0..VOCAB).map(|id| (id * id % 16) as f32).collect();
    let merged = merged.then(|| b.weight(Tensor::from_f32(VOCAB, 1, &numbers)));
    let y = b.slot(heads.len() * width, Domain::Rows);
    // The state is not the first in its slot.
    b.state(3);
    let state = b.state(multipliers.len() - 1);
    let name = format!("recall {kind} of {} heads, {} ids", heads.len(), multipliers.len());
    let hashing = Hashing { multipliers: multipliers.to_vec(), heads, pad: 2 };
    b.op(Recall { table, merged, hashing, y, state });
    let case = b.finish(name, y, &LENGTHS, Tolerance::Bits);
    Case { ids: (0..97).map(|i| i * i % VOCAB as u32).collect(), ..case }
}

/// A product of two slots that gates one of them.
fn gate(width: usize) -> Case {
    let mut b = Builder::new(width);
    let (other, product) = (b.slot(width, Domain::Rows), b.slot(1, Domain::Rows));
    b.op(GatedAct { gate: Slot(0), up: Up::None, y: other, act: Act::Silu });
    b.op(Dot { a: Slot(0), b: other, y: product, scale: 0.5 });
    let up = Up::Slot(other, 0);
    b.op(GatedAct { gate: product, up, y: other, act: Act::RootSigmoid });
    b.finish(format!("dot of {width}"), other, &[5, 1], Tolerance::Relative(1e-5))
}
