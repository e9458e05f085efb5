//! A model and the shapes of its weights become a program.
//!
//! Names, kinds and shapes of tensors are enough: nothing here reads a weight's bytes, so that a
//! plan can be made, priced and printed from a file's header alone.
#![forbid(unsafe_code)]

mod arena;
pub mod cost;
mod explain;
mod lower;

pub use explain::explain;
pub use lower::{Options, Pair, PlanError, lower};

use model::Spec;
use ops::{Program, WeightId, WeightInfo};
use weights::{Bound, Source};

/// A model ready to be loaded: its description, its program and where its weights lie.
pub struct Plan {
    /// The description.
    pub spec: Spec,
    /// The program.
    pub program: Program,
    /// The weights, in the program's order: the model's, then the adapters'.
    pub bound: Vec<Bound>,
    /// Which of them are adapters', and beside what.
    pub adapted: Vec<weights::Pair>,
}

/// Describes, binds and lowers the model that `source` holds.
///
/// # Errors
/// Names the metadata key, the tensor or the option that stands in the way.
pub fn plan(source: &Source, options: &Options) -> Result<Plan, PlanError> {
    let spec = model::describe(source.meta())?;
    let wanted = spec.weights();
    let mut bound = source.bind(&wanted)?;
    let adapted = source.pairs(&wanted)?;
    let mut pairs = Vec::new();
    for pair in &adapted {
        let id = |index: usize| WeightId(index as u32);
        let (of, a, b) = (id(pair.of), id(bound.len()), id(bound.len() + 1));
        pairs.push(Pair { of, a, b, scale: pair.scale });
        bound.extend([pair.a.clone(), pair.b.clone()]);
    }
    let info = |b: &Bound| WeightInfo {
        name: b.name.clone(),
        kind: b.kind,
        rows: b.spec.rows as usize,
        cols: b.spec.cols as usize,
    };
    let program = lower(&spec, bound.iter().map(info).collect(), &pairs, options)?;
    Ok(Plan { spec, program, bound, adapted })
}

#[cfg(test)]
mod tests;
