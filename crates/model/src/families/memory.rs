//! Conditional memory, which a model of any family may have: tables as the method's authors lay
//! them out, with sizes and multipliers that follow from a few keys.

mod draw;

use super::base::MAX_WIDTH;
use crate::memory::{Memory, MemoryHead};
use crate::meta::{Meta, SpecError, Value};
use crate::spec::Spec;
use std::collections::BTreeSet;

/// Longer than any n-gram that is hashed.
const MAX_ORDER: u32 = 1 << 4;
/// Larger than any table of one head.
const MAX_ROWS: u32 = 1 << 26;
/// More heads than any model has in all its layers.
const MAX_HEADS: u32 = 1 << 12;
/// Longer than any short convolution.
const MAX_KERNEL: u32 = 1 << 8;
/// What the number of a layer adds to the seed of its multipliers.
const SEED_STEP: u64 = 10_007;

/// Adds memory to the layers that the metadata name.
pub fn add(mut spec: Spec, m: &Meta) -> Result<Spec, SpecError> {
    let Some(layers) = numbers(m, "memory.layers", None)?.filter(|list| !list.is_empty()) else {
        return Ok(spec);
    };
    let mut known = BTreeSet::new();
    if !layers.iter().all(|layer| (*layer as usize) < spec.layers.len() && known.insert(*layer)) {
        return Err(m.invalid("memory.layers", "the numbers of different layers"));
    }
    let shape = Shape::read(m, spec.vocab, layers.len())?;
    let rows = numbers(m, "memory.rows", Some(layers.len()))?;
    let mut taken = BTreeSet::new();
    for (i, layer) in layers.iter().enumerate() {
        let heads = shape.heads(&mut taken);
        let least = heads.iter().try_fold(0u32, |sum, head| sum.checked_add(head.rows));
        let least = least.ok_or_else(|| m.invalid("memory.size", "fewer rows in one table"))?;
        let rows = rows.as_ref().map_or(least, |rows| rows[i]);
        if rows < least {
            return Err(m.invalid("memory.rows", "at least as many rows as the heads have"));
        }
        let seed = u64::from(shape.seed) + SEED_STEP * u64::from(*layer);
        spec.layers[*layer as usize].memory = Some(Memory {
            heads,
            width: shape.width,
            rows,
            multipliers: draw::odd(seed, shape.bound, shape.sizes.len() + 1),
            pad: shape.pad,
            merged: shape.merged,
            kernel: shape.kernel,
            bias: m.flag("memory.bias")?,
        });
    }
    Ok(spec)
}

/// What all tables have in common.
struct Shape {
    /// The least number of rows of a head, for n-grams of two ids, of three and so on.
    sizes: Vec<u32>,
    /// Heads for n-grams of one length.
    heads: u32,
    width: u32,
    pad: u32,
    merged: bool,
    kernel: Option<u32>,
    seed: u32,
    /// Above the multipliers' halves, so that no product of an id has more than 63 bits.
    bound: u64,
}

impl Shape {
    fn read(m: &Meta, vocab: u32, layers: usize) -> Result<Shape, SpecError> {
        let order = m.size("memory.order", MAX_ORDER)?;
        if order < 2 {
            return Err(m.invalid("memory.order", "a length of n-grams of 2 or more"));
        }
        let sizes = numbers(m, "memory.size", Some(order as usize - 1))?
            .ok_or_else(|| SpecError::Missing(m.spelled("memory.size")))?;
        if !sizes.iter().all(|size| (1..=MAX_ROWS).contains(size)) {
            return Err(m.invalid("memory.size", "positive sizes of sensible magnitude"));
        }
        let heads = m.size("memory.heads", MAX_HEADS / (order - 1))?;
        if layers as u64 * u64::from(heads * (order - 1)) > u64::from(MAX_HEADS) {
            return Err(m.invalid("memory.heads", "a sensible number of heads"));
        }
        let width = m.size("memory.width", MAX_WIDTH / (heads * (order - 1)))?;
        let pad = m.u32("memory.pad")?;
        if pad >= vocab {
            return Err(m.invalid("memory.pad", "an id of the vocabulary"));
        }
        let (merged, ids) = match m.get("memory.ids") {
            Some(_) => (true, m.size("memory.ids", vocab)?),
            None => (false, vocab),
        };
        let kernel = match m.opt_u32("memory.kernel")? {
            None | Some(0) => None,
            Some(_) => Some(m.size("memory.kernel", MAX_KERNEL)?),
        };
        let seed = m.opt_u32("memory.seed")?.unwrap_or(0);
        let bound = i64::MAX as u64 / u64::from(ids) / 2;
        Ok(Shape { sizes, heads, width, pad, merged, kernel, seed, bound })
    }

    /// The heads of one table. Their rows are primes from the size on, each the next one that no
    /// head of the model has.
    fn heads(&self, taken: &mut BTreeSet<u32>) -> Vec<MemoryHead> {
        let mut heads = Vec::new();
        for (ids, size) in (2..).zip(&self.sizes) {
            let mut from = *size;
            for _ in 0..self.heads {
                let fits = |n: &u32| is_prime(*n) && !taken.contains(n);
                let rows = (from..).find(fits).expect("there is a prime below twice a number");
                taken.insert(rows);
                heads.push(MemoryHead { ids, rows });
                from = rows + 1;
            }
        }
        heads
    }
}

fn is_prime(n: u32) -> bool {
    n > 1 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

/// A list of whole numbers, if present: of any length, or of `count`, for which one number stands
/// for as many.
fn numbers(m: &Meta, key: &str, count: Option<usize>) -> Result<Option<Vec<u32>>, SpecError> {
    let number = |value: &Value| match *value {
        Value::Int(i) => u32::try_from(i).ok(),
        _ => None,
    };
    let list = match (m.get(key), count) {
        (None, _) => return Ok(None),
        (Some(Value::List(items)), _) => items.iter().map(number).collect(),
        (Some(one), Some(count)) => number(one).map(|number| vec![number; count]),
        (Some(_), None) => None,
    };
    let list: Option<Vec<u32>> = list;
    let list = list.filter(|list| count.is_none_or(|count| list.len() == count));
    list.map(Some).ok_or_else(|| m.invalid(key, "a list of whole numbers, as many as there are"))
}
