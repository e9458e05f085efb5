//! The cases: odd sizes, one row, several sequences, every kind of weights.

use super::weights::random_tensor;
use super::{Case, Tolerance, latent, memory, mixture, recurrent};
use crate::list::{
    Attend, Columns, Combine, Embed, GatedAct, KvWrite, LayerNorm, Linear, Op, Pick, RmsNorm, Rope,
    SoftCap,
};
use crate::program::{
    Act, CacheGroup, CacheRef, Domain, Form, Key, KvKind, Long, Part, Program, Reach, RopeId,
    Rotation, Slot, SlotInfo, Stage, Temperature, Up, WeightId, WeightInfo,
};
use blocks::{Affine, Element, Indexed, Kind, Plain, Scale, Scaled, Tensor, Tile};

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(kinds().into_iter().flat_map(linear));
    cases.extend(odd_products());
    cases.extend(row_operations());
    cases.extend(elements());
    cases.extend(attention());
    cases.extend(mixture::cases());
    cases.extend(recurrent::cases());
    cases.extend(latent::cases());
    cases.extend(memory::cases());
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
pub(super) struct Builder {
    pub(super) program: Program,
    weights: Vec<Tensor>,
}

impl Builder {
    pub(super) fn new(width: usize) -> Builder {
        Builder::of_ids(2, width)
    }

    /// The same for rows that may bring ids.
    pub(super) fn of_ids(vocab: usize, width: usize) -> Builder {
        let mut builder = Builder { program: Program::default(), weights: Vec::new() };
        let x = builder.slot(width, Domain::Rows);
        let table = builder.weight(random_tensor(Kind::F32, vocab, width, 1));
        builder.op(Embed { table, y: x, scale: 1.0, key: Key::Id, add: false });
        builder
    }

    pub(super) fn slot(&mut self, width: usize, domain: Domain) -> Slot {
        let total = match domain {
            Domain::Rows => &mut self.program.row_width,
            Domain::Outputs => &mut self.program.output_width,
        };
        self.program.slots.push(SlotInfo { name: "slot", width, domain, offset: *total });
        *total += width;
        Slot(self.program.slots.len() as u32 - 1)
    }

    pub(super) fn weight(&mut self, tensor: Tensor) -> WeightId {
        let (kind, rows, cols) = (tensor.kind, tensor.rows, tensor.cols);
        self.program.weights.push(WeightInfo { name: "weight".into(), kind, rows, cols });
        self.weights.push(tensor);
        WeightId(self.weights.len() as u32 - 1)
    }

    pub(super) fn op(&mut self, op: impl Into<Op>) {
        self.program.stages.push(Stage { layer: None, ops: vec![op.into()] });
    }

    /// What a cache is to hold: a product with what rows bring; or where its format rounds
    /// coarsely, so that a product's last bit might make a step of it, numbers as rows bring them,
    /// from the one numbered `turn` on.
    pub(super) fn cached(&mut self, kind: KvKind, width: usize, turn: u32, seed: u64) -> Slot {
        let (x, y) = (Slot(0), self.slot(width, Domain::Rows));
        if matches!(kind, KvKind::F32 | KvKind::F16) {
            let cols = self.program.slot(x).width;
            let weight = self.weight(random_tensor(Kind::F32, width, cols, seed));
            let form = Form::Exact;
            let parts = vec![Part { weight, bias: None, y, scale: 1.0, add: false, form }];
            self.op(Linear { x, parts });
            return y;
        }
        let width = width as u32;
        for (start, take, at) in [(turn, width - turn, 0), (0, turn, width - turn)] {
            if take > 0 {
                self.op(Columns { x, start, stride: take, take, count: 1, y, at, pitch: width });
            }
        }
        y
    }

    /// Wants `y` of every row.
    pub(super) fn finish(
        mut self,
        name: String,
        y: Slot,
        lengths: &[u32],
        tolerance: Tolerance,
    ) -> Case {
        let logits = self.slot(self.program.slot(y).width, Domain::Outputs);
        self.op(Pick { x: y, y: logits });
        self.program.logits = Some(logits);
        let (program, weights) = (self.program, self.weights);
        Case { name, program, weights, lengths: lengths.to_vec(), tolerance, ids: Vec::new() }
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
        let parts = vec![Part { weight, bias: None, y, scale: 1.0, add: false, form }];
        b.op(Linear { x: Slot(0), parts });
        let tolerance = match form {
            Form::Exact => Tolerance::Relative(1e-5),
            Form::Fast => Tolerance::Bits,
        };
        b.finish(format!("linear {kind} {form:?}, {rows} rows"), y, &[rows], tolerance)
    };
    forms.into_iter().flat_map(|form| [1, 3, 21].map(|rows| case(form, rows))).collect()
}

/// Widths that fill no vector, rows and columns of more than one block of any backend, biases,
/// sums, several parts of several kinds.
fn odd_products() -> Vec<Case> {
    let mut cases = Vec::new();
    let narrow = [(Kind::F32, 3, 172), (Kind::F16, 3, 37), (Kind::BF16, 3, 5), (Kind::F32, 3, 1)];
    let wide = [(Kind::F16, 397, 1100), (Kind::BF16, 18, 2070), (Kind::Q6_K, 22, 1280)];
    for (kind, width, cols) in narrow.into_iter().chain(wide) {
        let mut b = Builder::new(cols);
        let weight = b.weight(random_tensor(kind, width, cols, 5));
        let y = b.slot(width, Domain::Rows);
        let parts = vec![Part { weight, bias: None, y, scale: 1.0, add: false, form: Form::Exact }];
        b.op(Linear { x: Slot(0), parts });
        let tolerance = Tolerance::Relative(1e-5);
        cases.push(b.finish(format!("linear {kind} {width}x{cols}"), y, &[9, 2], tolerance));
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
            parts.push(Part { weight, bias, y, scale: 1.0, add: false, form: Form::Fast });
        }
        let square = b.weight(random_tensor(Kind::Q5_K, 256, 256, 8));
        b.op(Linear { x: Slot(0), parts: parts.clone() });
        let part = Part {
            weight: square,
            bias: None,
            y: Slot(0),
            scale: 1.0,
            add: true,
            form: Form::Fast,
        };
        let x = b.slot(256, Domain::Rows);
        let gains = b.weight(random_tensor(Kind::F32, 1, 256, 9));
        b.op(RmsNorm { x: Slot(0), w: Some(gains), y: x, dim: 256, eps: 1e-5, add: false });
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
        b.op(RmsNorm { x: Slot(0), w: Some(w), y, dim: dim as u32, eps: 1e-6, add: false });
        b.op(RmsNorm { x: y, w: Some(w), y, dim: dim as u32, eps: 1e-6, add: false });
        let name = format!("rms_norm {dim} of {width}");
        cases.push(b.finish(name, y, &[3, 1], Tolerance::Relative(1e-5)));
    }
    for act in [Act::Silu, Act::Gelu, Act::GeluTanh, Act::Sigmoid, Act::RootSigmoid] {
        let mut b = Builder::new(77);
        let up = b.slot(77, Domain::Rows);
        let w = b.weight(random_tensor(Kind::F32, 1, 77, 2));
        b.op(RmsNorm { x: Slot(0), w: Some(w), y: up, dim: 77, eps: 1e-6, add: false });
        let y = b.slot(77, Domain::Rows);
        b.op(GatedAct { gate: up, up: Up::Slot(Slot(0), 0), y, act });
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

/// Norms with gains for each run or none, layer norms, factors, caps, gates of other shapes.
fn elements() -> Vec<Case> {
    let near = Tolerance::Relative(1e-5);
    let mut cases = Vec::new();
    for (name, gains) in [("own gains", Some(72)), ("no gains", None)] {
        let mut b = Builder::new(72);
        let w = gains.map(|width| b.weight(random_tensor(Kind::F32, 1, width, 3)));
        let y = b.slot(72, Domain::Rows);
        b.op(RmsNorm { x: Slot(0), w, y, dim: 24, eps: 1e-6, add: false });
        b.op(RmsNorm { x: y, w, y: Slot(0), dim: 72 / 3, eps: 1e-6, add: true });
        cases.push(b.finish(format!("rms_norm with {name}"), Slot(0), &[5], near));
    }
    for (dim, wide, bias) in [(40, 40, true), (20, 20, false), (20, 40, true)] {
        let mut b = Builder::new(40);
        let w = b.weight(random_tensor(Kind::F32, 1, wide, 3));
        let bias = bias.then(|| b.weight(random_tensor(Kind::F32, 1, wide, 4)));
        let y = b.slot(40, Domain::Rows);
        b.op(LayerNorm { x: Slot(0), w, bias, y, dim, eps: 1e-5 });
        b.op(LayerNorm { x: y, w, bias, y, dim, eps: 1e-5 });
        let factor = b.weight(random_tensor(Kind::F32, 1, 1, 6));
        b.op(crate::Scale { x: y, w: factor });
        cases.push(b.finish(format!("layer_norm {dim}, gains {wide}"), y, &[3, 2], near));
    }
    let mut b = Builder::new(51);
    b.op(SoftCap { x: Slot(0), cap: 1.5 });
    cases.push(b.finish("soft_cap".to_owned(), Slot(0), &[4], near));
    let mut b = Builder::new(30);
    let table = b.weight(random_tensor(Kind::F16, 9, 30, 6));
    b.op(Embed { table, y: Slot(0), scale: 0.5, key: Key::Position, add: true });
    cases.push(b.finish("embed positions".to_owned(), Slot(0), &[9, 2], near));
    let clamped = Act::ClampedSilu { alpha: 1.7, limit: 0.75 };
    for act in [Act::Sigmoid, Act::GeluTanh, clamped] {
        let mut b = Builder::new(66);
        let (pairs, alone) = (b.slot(33, Domain::Rows), b.slot(66, Domain::Rows));
        b.op(GatedAct { gate: Slot(0), up: Up::Neighbour, y: pairs, act });
        b.op(GatedAct { gate: Slot(0), up: Up::None, y: alone, act });
        b.op(GatedAct { gate: pairs, up: Up::Slot(alone, 31), y: pairs, act });
        cases.push(b.finish(format!("gated_act {act:?} in pairs"), pairs, &[3], near));
    }
    let mut b = Builder::new(24);
    let one = b.slot(1, Domain::Rows);
    b.op(Combine { x: Slot(0), y: one, scale: 0.3, add: false });
    let up = Up::Slot(Slot(0), 0);
    b.op(GatedAct { gate: one, up, y: Slot(0), act: Act::Sigmoid });
    cases.push(b.finish("gated_act of one gate".to_owned(), Slot(0), &[3], near));
    cases
}

/// Grouped heads of odd widths, windows, several sequences and pages.
fn attention() -> Vec<Case> {
    let mut cases = Vec::new();
    let temperature = Some(Temperature { beta: 0.4, length: 10, offset: 1 });
    for (heads, kv_heads, head_dim, kind, reach, cap, sinks, temperature, longest) in [
        (4, 4, 8, KvKind::F32, Reach::All, None, false, None, 130),
        (6, 2, 16, KvKind::F32, Reach::Window(3), Some(0.3), false, None, 130),
        (8, 1, 20, KvKind::F16, Reach::All, None, true, None, 130),
        (5, 1, 64, KvKind::F16, Reach::Window(70), None, true, temperature, 130),
        (16, 8, 128, KvKind::F16, Reach::All, None, false, None, 130),
        (16, 8, 128, KvKind::Q8_0, Reach::All, None, false, None, 130),
        (3, 1, 96, KvKind::Q8_0, Reach::Window(70), Some(0.5), true, None, 130),
        (16, 2, 64, KvKind::Q4_0, Reach::All, None, true, temperature, 130),
        (2, 1, 32, KvKind::Q4_0, Reach::Chunk(50), None, false, None, 130),
        (2, 1, 12, KvKind::F32, Reach::Chunk(50), Some(0.5), true, temperature, 130),
        // Longer than a backend may take in one piece.
        (2, 1, 32, KvKind::F32, Reach::All, None, true, None, 1100),
        (3, 1, 32, KvKind::Q8_0, Reach::Window(700), Some(0.5), true, None, 1100),
    ] {
        let (q_width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let mut b = Builder::new(q_width);
        let [k, v] = [(0, 21), (7, 22)].map(|(turn, seed)| b.cached(kind, kv_width, turn, seed));
        let group = CacheGroup {
            layers: 1,
            kv_heads: kv_heads as u32,
            head_dim: head_dim as u32,
            kind,
            window: reach.most(),
            latent: false,
        };
        b.program.caches.push(group);
        let cache = CacheRef { group: 0, layer: 0 };
        b.op(KvWrite { k, v: Some(v), cache });
        let y = b.slot(q_width, Domain::Rows);
        let scale = 0.5 / head_dim as f32;
        let sinks = sinks.then(|| b.weight(random_tensor(Kind::F32, 1, heads, 23)));
        let (q, heads) = (Slot(0), heads as u32);
        b.op(Attend { q, y, cache, heads, scale, temperature, cap, sinks, reach });
        let name = format!("attend {heads}/{kv_heads}x{head_dim} {kind:?}, {reach:?}, cap {cap:?}");
        let tolerance = tolerance(kind);
        cases.push(b.finish(name, y, &[longest, 1, 7], Tolerance::Relative(tolerance)));
    }
    cases
}

/// How near attention over a cache comes to the reference.
pub(super) fn tolerance(kind: KvKind) -> f32 {
    // Products that differ in the last bit may round to neighbouring halves.
    if kind == KvKind::F16 { 1e-3 } else { 1e-5 }
}
