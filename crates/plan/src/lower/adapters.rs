//! Adapters over linear operations: `y = W x` becomes `y = W x + scale * B (A x)`.

use std::collections::HashMap;

use super::{Lowering, Out, PlanError};
use ops::{Linear, Op, Part, Program, SlotInfo, WeightId};

/// Two matrices of an adapter beside one of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The model's, (out, in).
    pub of: WeightId,
    /// The first, (rank, in).
    pub a: WeightId,
    /// The second, (out, rank).
    pub b: WeightId,
    /// Factor on their product.
    pub scale: f32,
}

/// The pairs beside each weight, in order, and whether they were laid over its product.
#[derive(Default)]
pub struct Pairs(HashMap<WeightId, (Vec<Pair>, bool)>);

impl Pairs {
    pub fn new(pairs: &[Pair]) -> Pairs {
        let mut by_weight: HashMap<_, (Vec<Pair>, bool)> = HashMap::new();
        for pair in pairs {
            by_weight.entry(pair.of).or_default().0.push(*pair);
        }
        Pairs(by_weight)
    }

    /// Refuses pairs that no product took up.
    pub fn all_laid(&self, program: &Program) -> Result<(), PlanError> {
        let spare = self.0.values().filter(|(_, laid)| !laid).flat_map(|(pairs, _)| pairs);
        match spare.min_by_key(|pair| pair.a) {
            None => Ok(()),
            Some(pair) => Err(PlanError::Adapter { tensor: program.weight(pair.a).name.clone() }),
        }
    }

    /// The pairs beside a weight whose product is being planned.
    fn take(&mut self, weight: WeightId) -> Vec<Pair> {
        let found = self.0.get_mut(&weight);
        found.map_or_else(Vec::new, |(pairs, laid)| {
            *laid = true;
            pairs.clone()
        })
    }
}

impl Lowering<'_> {
    /// Adds the first product of each pair beside the operations' weights to the operations, which
    /// read the same input, and gives the stages of the second products. Those of one adapter
    /// share a stage; those of the next write the same outputs and wait for it.
    pub(super) fn adapted(&mut self, ops: &mut [Op]) -> Vec<Vec<Op>> {
        let mut after: Vec<Vec<Op>> = Vec::new();
        for op in ops {
            let Op::Linear(linear) = op else { continue };
            let mut inner = Vec::new();
            for part in &linear.parts {
                for (nth, pair) in self.pairs.take(part.weight).into_iter().enumerate() {
                    let SlotInfo { domain, .. } = *self.program.slot(linear.x);
                    let x = self.add_slot("low", self.program.weight(pair.a).rows, domain);
                    inner.push(self.part(pair.a, None, Out::to(x)));
                    let out = Out { y: part.y, add: true, scale: part.scale * pair.scale };
                    let parts: Vec<Part> = vec![self.part(pair.b, None, out)];
                    if after.len() == nth {
                        after.push(Vec::new());
                    }
                    after[nth].push(Linear { x, parts }.into());
                }
            }
            linear.parts.extend(inner);
        }
        after
    }
}
