//! The cases: odd sizes, one row, several sequences, every kind of weights.

use super::weights::random_tensor;
use super::{Case, Tolerance};
use crate::list::{Attend, Embed, GatedAct, KvWrite, Linear, Op, Pick, RmsNorm, Rope};
use crate::program::{
    Act, CacheGroup, CacheRef, Domain, Form, KvKind, Long, Part, Program, RopeId, Rotation, Slot,
    SlotInfo, Stage, WeightId, WeightInfo,
};
use blocks::{Affine, Element, Indexed, Kind, Plain, Scale, Scaled, Tensor, Tile};

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(kinds().into_iter().flat_map(linear));
    cases.extend(odd_products());
    cases.extend(row_operations());
    cases.extend(attention());
    cases
}

/// Every block format of GGUF, MLX's and those of small floats.
fn kinds() -> Vec<Kind> {
    let affine = |bits| {
        let shapes = [(32, Plain::F16), (64, Plain::BF16), (128, Plain::F32)];
        shapes.map(|(group, scale)| Kind::Affine(Affine { bits, group, scale }))
    };
    let mut kinds = Kind::GGUF.to_vec();
    kinds.extend([2, 3, 4, 5, 6, 8].into_iter().flat_map(affine));
    let fp8 = |rows, cols| Scaled {
        element: Element::E4M3,
        scale: Scale::Plain(Plain::F32),
        tile: Tile { rows, cols },
        global: None,
    };
    let scaled = [Scaled::MXFP4, Scaled::MXFP8, Scaled::NVFP4, fp8(16, 40), fp8(Tile::ALL, 64)];
    kinds.extend(scaled.map(Kind::Scaled));
    kinds.push(Kind::Indexed(Indexed { bits: 4, group: 32, scale: Plain::F32 }));
    kinds
}

/// A program under construction: slot 0 holds what rows bring.
struct Builder {
    program: Program,
    weights: Vec<Tensor>,
}

impl Builder {
    fn new(width: usize) -> Builder {
        let mut builder = Builder { program: Program::default(), weights: Vec::new() };
        let x = builder.slot(width, Domain::Rows);
        let table = builder.weight(random_tensor(Kind::F32, 2, width, 1));
        builder.op(Embed { table, y: x, scale: 1.0 });
        builder
    }

    fn slot(&mut self, width: usize, domain: Domain) -> Slot {
        let total = match domain {
            Domain::Rows => &mut self.program.row_width,
            Domain::Outputs => &mut self.program.output_width,
        };
        self.program.slots.push(SlotInfo { name: "slot", width, domain, offset: *total });
        *total += width;
        Slot(self.program.slots.len() as u32 - 1)
    }

    fn weight(&mut self, tensor: Tensor) -> WeightId {
        let (kind, rows, cols) = (tensor.kind, tensor.rows, tensor.cols);
        self.program.weights.push(WeightInfo { name: "weight".into(), kind, rows, cols });
        self.weights.push(tensor);
        WeightId(self.weights.len() as u32 - 1)
    }

    fn op(&mut self, op: impl Into<Op>) {
        self.program.stages.push(Stage { layer: None, ops: vec![op.into()] });
    }

    /// Wants `y` of every row.
    fn finish(mut self, name: String, y: Slot, lengths: &[u32], tolerance: Tolerance) -> Case {
        let logits = self.slot(self.program.slot(y).width, Domain::Outputs);
        self.op(Pick { x: y, y: logits });
        self.program.logits = Some(logits);
        let (program, weights) = (self.program, self.weights);
        Case { name, program, weights, lengths: lengths.to_vec(), tolerance }
    }
}

/// A matrix of one kind, in both forms, for few and for many rows.
fn linear(kind: Kind) -> Vec<Case> {
    let cols = 3 * kind.block_len().max(32);
    let mut forms = vec![Form::Exact];
    if kind.int_shape().is_some_and(|shape| cols.is_multiple_of(shape.n)) {
        forms.push(Form::Fast);
    }
    let case = |form, rows: u32| {
        let mut b = Builder::new(cols);
        let weight = b.weight(random_tensor(kind, 37, cols, 11));
        let y = b.slot(37, Domain::Rows);
        let parts = vec![Part { weight, bias: None, y, add: false, form }];
        b.op(Linear { x: Slot(0), parts });
        let tolerance = match form {
            Form::Exact => Tolerance::Relative(1e-5),
            Form::Fast => Tolerance::Bits,
        };
        b.finish(format!("linear {kind} {form:?}, {rows} rows"), y, &[rows], tolerance)
    };
    forms.into_iter().flat_map(|form| [1, 3, 21].map(|rows| case(form, rows))).collect()
}

/// Widths that fill no vector, biases, sums, several parts of several kinds.
fn odd_products() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, cols) in [(Kind::F32, 172), (Kind::F16, 37), (Kind::BF16, 5), (Kind::F32, 1)] {
        let mut b = Builder::new(cols);
        let weight = b.weight(random_tensor(kind, 3, cols, 5));
        let y = b.slot(3, Domain::Rows);
        let parts = vec![Part { weight, bias: None, y, add: false, form: Form::Exact }];
        b.op(Linear { x: Slot(0), parts });
        let tolerance = Tolerance::Relative(1e-5);
        cases.push(b.finish(format!("linear {kind} 3x{cols}"), y, &[9, 2], tolerance));
    }
    let affine = Kind::Affine(Affine { bits: 4, group: 32, scale: Plain::F16 });
    let mixed = [(Kind::Q4_K, 70), (Kind::Q6_K, 4), (Kind::Q8_0, 33), (affine, 16)];
    for rows in [1, 13] {
        let mut b = Builder::new(256);
        let mut parts = Vec::new();
        for (kind, width) in mixed {
            let weight = b.weight(random_tensor(kind, width, 256, 3));
            let bias = Some(b.weight(random_tensor(Kind::F32, 1, width, 4)));
            let y = b.slot(width, Domain::Rows);
            parts.push(Part { weight, bias, y, add: false, form: Form::Fast });
        }
        let square = b.weight(random_tensor(Kind::Q5_K, 256, 256, 8));
        b.op(Linear { x: Slot(0), parts: parts.clone() });
        let part = Part { weight: square, bias: None, y: Slot(0), add: true, form: Form::Fast };
        let x = b.slot(256, Domain::Rows);
        let gains = b.weight(random_tensor(Kind::F32, 1, 256, 9));
        b.op(RmsNorm { x: Slot(0), w: gains, y: x, dim: 256, eps: 1e-5 });
        b.op(Linear { x, parts: vec![part] });
        let name = format!("linear with parts, biases and a sum, {rows} rows");
        cases.push(b.finish(name, Slot(0), &[rows], Tolerance::Relative(2e-2)));
    }
    cases
}

/// Operations that treat each row alone.
fn row_operations() -> Vec<Case> {
    let mut cases = Vec::new();
    for (width, dim) in [(1, 1), (40, 40), (96, 24), (1024, 1024)] {
        let mut b = Builder::new(width);
        let w = b.weight(random_tensor(Kind::BF16, 1, dim, 2));
        let y = b.slot(width, Domain::Rows);
        b.op(RmsNorm { x: Slot(0), w, y, dim: dim as u32, eps: 1e-6 });
        b.op(RmsNorm { x: y, w, y, dim: dim as u32, eps: 1e-6 });
        let name = format!("rms_norm {dim} of {width}");
        cases.push(b.finish(name, y, &[3, 1], Tolerance::Relative(1e-5)));
    }
    for act in [Act::Silu, Act::Gelu, Act::GeluTanh] {
        let mut b = Builder::new(77);
        let up = b.slot(77, Domain::Rows);
        let w = b.weight(random_tensor(Kind::F32, 1, 77, 2));
        b.op(RmsNorm { x: Slot(0), w, y: up, dim: 77, eps: 1e-6 });
        let y = b.slot(77, Domain::Rows);
        b.op(GatedAct { gate: up, up: Slot(0), y, act });
        cases.push(b.finish(format!("gated_act {act:?}"), y, &[4], Tolerance::Relative(1e-5)));
    }
    for (pairs, interleaved, long) in [
        (4, true, None),
        (8, false, None),
        (3, false, Some(Long::Switch { above: 5, frequencies: vec![0.5, 0.25, 0.1] })),
        (8, true, Some(Long::Grow { above: 5, factor: 2.0, theta: 100.0 })),
    ] {
        let mut b = Builder::new(48);
        let frequencies = (0..pairs).map(|i| 0.7f32.powi(i)).collect();
        let magnitude = 1.25;
        b.program.rotations.push(Rotation { interleaved, frequencies, magnitude, long });
        b.op(Rope { x: Slot(0), head_dim: 16, rotation: RopeId(0) });
        let name = format!("rope {pairs} pairs, interleaved {interleaved}");
        cases.push(b.finish(name, Slot(0), &[4, 9], Tolerance::Relative(1e-5)));
    }
    cases
}

/// Grouped heads of odd widths, windows, several sequences and pages.
fn attention() -> Vec<Case> {
    let mut cases = Vec::new();
    for (heads, kv_heads, head_dim, kind, window) in [
        (4, 4, 8, KvKind::F32, None),
        (6, 2, 16, KvKind::F32, Some(3)),
        (8, 1, 20, KvKind::F16, None),
        (5, 1, 64, KvKind::F16, Some(70)),
        (16, 8, 128, KvKind::F16, None),
    ] {
        let (q_width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let mut b = Builder::new(q_width);
        let mut project = |width: usize, seed| {
            let weight = b.weight(random_tensor(Kind::F32, width, q_width, seed));
            let y = b.slot(width, Domain::Rows);
            Part { weight, bias: None, y, add: false, form: Form::Exact }
        };
        let parts = vec![project(kv_width, 21), project(kv_width, 22)];
        let (k, v) = (parts[0].y, parts[1].y);
        b.op(Linear { x: Slot(0), parts });
        let group = CacheGroup {
            layers: 1,
            kv_heads: kv_heads as u32,
            head_dim: head_dim as u32,
            kind,
            window,
        };
        b.program.caches.push(group);
        let cache = CacheRef { group: 0, layer: 0 };
        b.op(KvWrite { k, v, cache });
        let y = b.slot(q_width, Domain::Rows);
        let scale = 0.5 / head_dim as f32;
        b.op(Attend { q: Slot(0), y, cache, heads: heads as u32, scale, window });
        let name = format!("attend {heads}/{kv_heads}x{head_dim} {kind:?}, window {window:?}");
        let tolerance = match kind {
            KvKind::F32 => 1e-5,
            // Products that differ in the last bit may round to neighbouring halves.
            KvKind::F16 => 1e-3,
        };
        cases.push(b.finish(name, y, &[130, 1, 7], Tolerance::Relative(tolerance)));
    }
    cases
}
