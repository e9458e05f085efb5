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
pub use lower::{Options, PlanError, lower};

use model::Spec;
use ops::{Program, WeightInfo};
use weights::{Bound, Source};

/// A model ready to be loaded: its description, its program and where its weights lie.
pub struct Plan {
    /// The description.
    pub spec: Spec,
    /// The program.
    pub program: Program,
    /// The weights, in the program's order.
    pub bound: Vec<Bound>,
}

/// Describes, binds and lowers the model that `source` holds.
///
/// # Errors
/// Names the metadata key, the tensor or the option that stands in the way.
pub fn plan(source: &Source, options: &Options) -> Result<Plan, PlanError> {
    let spec = model::describe(source.meta())?;
    let bound = source.bind(&spec.weights())?;
    let info = |b: &Bound| WeightInfo {
        name: b.name.clone(),
        kind: b.kind,
        rows: b.spec.rows as usize,
        cols: b.spec.cols as usize,
    };
    let program = lower(&spec, bound.iter().map(info).collect(), options)?;
    Ok(Plan { spec, program, bound })
}

#[cfg(test)]
mod tests;
