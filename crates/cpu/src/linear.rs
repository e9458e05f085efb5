//! Products of weights with activations: which path a chunk of weight rows takes.
//!
//! One row is bound by memory (`dot/pairs.rs` has the figures) and many by arithmetic
//! (`panel.rs`). On Milan with AVX2, 1024 weights in the nearest caches, row products of four
//! activation rows against a panel: Q4_K 185 ns and 102, Q6_K 165 and 180, Q8_0 189 and 155,
//! Q4_0 169 and 120, IQ4_XS 206 and 152, Q3_K 234 and 165.

use crate::dot::{self, Ahead};
use crate::exact::{self, Room};
use crate::panel::{self, Panel};
use crate::rounded::Rounded;
use crate::share::Shared;
use crate::simd::Simd;
use blocks::Tensor;
use std::ops::Range;

/// Weight rows in a chunk of work, of `rows` in all: some twelve chunks for each thread, so that
/// unequal cores finish together, but not so small that claiming them counts. A multiple of what
/// any path takes at a time.
pub fn chunk_rows(rows: usize, threads: usize) -> usize {
    (rows / (12 * threads)).next_multiple_of(16).clamp(16, 256)
}

/// A thread's own memory for products.
pub struct Scratch {
    panel: Panel,
    /// Sums of sixteen weight rows, (rows, 16).
    acc: Vec<[f32; 16]>,
    exact: Box<Room>,
}

impl Scratch {
    /// Room for `rows` activation rows.
    pub fn new(rows: usize) -> Scratch {
        Scratch { panel: Panel::default(), acc: vec![[0.0; 16]; rows], exact: Room::new() }
    }
}

/// Where products go.
pub struct Target<'a> {
    /// The output slot, (rows, width).
    pub y: Shared<'a, f32>,
    /// Width of the slot.
    pub width: usize,
    /// Added to each product.
    pub bias: Option<&'a [f32]>,
    /// Whether products are added to what is there.
    pub add: bool,
    /// Factor on each product and its bias.
    pub scale: f32,
    /// Where the products of each activation row go, and a factor of their own, where that is not
    /// in order.
    pub runs: Option<(&'a [u32], &'a [f32])>,
}

impl Target<'_> {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn put(&self, row: usize, first: usize, products: &[f32]) {
        let (run, scale) = match self.runs {
            None => (row, self.scale),
            Some((runs, factors)) => (runs[row] as usize, factors[row]),
        };
        let at = run * self.width + first;
        // SAFETY: a chunk of weight rows is claimed by one thread, and parts of a stage write
        // different slots.
        let y = unsafe { self.y.write(at..at + products.len()) };
        for (i, (y, product)) in y.iter_mut().zip(products).enumerate() {
            let product = (product + self.bias.map_or(0.0, |bias| bias[first + i])) * scale;
            *y = if self.add { *y + product } else { product };
        }
    }
}

/// Activations in the form that a weight wants.
pub enum Activations<'a> {
    /// As they are, (rows, cols).
    Exact(&'a [f32]),
    /// Rounded to int8.
    Fast(Rounded<'a>),
}

/// Fetches what a thread reads first of a chunk, while it waits for something else.
#[inline(always)]
pub fn warm<S: Simd>(s: S, weight: &Tensor, chunk: &Range<usize>) {
    let first = Ahead::new(weight.view(), chunk).before(chunk.start);
    for line in first[..first.len().min(MOST_WARM)].chunks(64) {
        s.prefetch(line, 0);
    }
}

/// Bytes that a core can await at once and have room for.
const MOST_WARM: usize = 8192;

/// Multiplies a chunk of weight rows with `rows` activation rows.
#[inline(always)]
pub fn chunk<S: Simd>(
    s: S,
    weight: &Tensor,
    chunk: Range<usize>,
    x: &Activations<'_>,
    rows: usize,
    scratch: &mut Scratch,
    target: &Target<'_>,
) {
    match x {
        Activations::Exact(x) => {
            let put = |m, first, four: &[f32]| target.put(m, first, four);
            exact::multiply(s, weight, chunk, x, &mut scratch.exact, put);
        }
        Activations::Fast(x) if rows < dot::panel_rows(weight.kind) => {
            dot::multiply(s, weight, chunk, x, |m, first, four| target.put(m, first, four));
        }
        Activations::Fast(x) => {
            for first in chunk.clone().step_by(panel::WIDTH) {
                let count = panel::WIDTH.min(chunk.end - first);
                let acc = &mut scratch.acc[..rows];
                acc.fill([0.0; 16]);
                panel::multiply(s, weight, first, x, &mut scratch.panel, acc);
                for (m, acc) in acc.iter().enumerate() {
                    target.put(m, first, &acc[..count]);
                }
            }
        }
    }
}
