//! A transformer small enough for scalar code, with everything that a real one has: grouped
//! heads, two layers in cache groups of their own (one with a window), an own head.

use blocks::{Kind, Tensor};
use ops::{
    Act, Argmax, Attend, CacheGroup, CacheRef, Domain, Embed, Form, GatedAct, Key, KvKind, KvWrite,
    Linear, Op, Part, Pick, Program, Reach, RmsNorm, Rope, RopeId, Rotation, Slot, SlotInfo, Stage,
    Up, WeightId, WeightInfo,
};

/// Ids of the tiny model.
pub const VOCAB: usize = 61;

const DIM: usize = 32;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 8;
const HIDDEN: usize = 48;
const WINDOW: u32 = 24;

/// The tiny model's program.
pub fn program() -> Program {
    let mut build = Build::default();
    let embed = build.weight("embed", VOCAB, DIM);
    let x = build.slot("x", DIM, Domain::Rows);
    build.stage([Embed { table: embed, y: x, scale: 1.0, key: Key::Id, add: false }.into()]);
    let (heads, kv_heads) = (HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM);
    let [h, q, k, v, a, gate, up] = [DIM, heads, kv_heads, kv_heads, heads, HIDDEN, HIDDEN]
        .map(|width| build.slot("work", width, Domain::Rows));
    for group in 0..2 {
        let window = (group == 1).then_some(WINDOW);
        let reach = window.map_or(Reach::All, Reach::Window);
        build.program.caches.push(CacheGroup {
            layers: 1,
            kv_heads: KV_HEADS as u32,
            head_dim: HEAD_DIM as u32,
            kind: KvKind::F32,
            window,
            latent: false,
        });
        let cache = CacheRef { group, layer: 0 };
        build.norm(x, h);
        build.linear(h, &[(q, heads), (k, kv_heads), (v, kv_heads)]);
        let head_dim = HEAD_DIM as u32;
        build.stage([q, k].map(|x| Op::from(Rope { x, head_dim, rotation: RopeId(0) })));
        build.stage([KvWrite { k, v: Some(v), cache }.into()]);
        let scale = (HEAD_DIM as f32).powf(-0.5);
        build.stage([Attend {
            q,
            y: a,
            cache,
            heads: HEADS as u32,
            scale,
            temperature: None,
            cap: None,
            sinks: None,
            reach,
        }
        .into()]);
        build.add(a, x, heads);
        build.norm(x, h);
        build.linear(h, &[(gate, HIDDEN), (up, HIDDEN)]);
        build.stage([GatedAct { gate, up: Up::Slot(up, 0), y: gate, act: Act::Silu }.into()]);
        build.add(gate, x, HIDDEN);
    }
    let last = build.slot("last", DIM, Domain::Outputs);
    let logits = build.slot("logits", VOCAB, Domain::Outputs);
    build.stage([Pick { x, y: last }.into()]);
    build.norm(last, last);
    build.linear(last, &[(logits, VOCAB)]);
    build.stage([Argmax { logits }.into()]);
    let frequencies = (0..HEAD_DIM / 2).map(|i| 100f32.powf(-2.0 * i as f32 / HEAD_DIM as f32));
    let program = &mut build.program;
    program.rotations.push(Rotation {
        interleaved: false,
        frequencies: frequencies.collect(),
        magnitude: 1.0,
        long: None,
    });
    (program.name, program.logits, program.hidden) = ("main", Some(logits), Some(last));
    build.program
}

/// Random weights for a program whose weights are all f32: gains near one, and matrices large
/// enough that attention is peaked and the ids that follow differ.
pub fn weights(program: &Program, seed: u64) -> Vec<Tensor> {
    let mut state = seed;
    let tensor = |info: &WeightInfo| {
        let spread = 3.0 / (info.cols as f32).sqrt();
        let mut value = || match info.rows {
            1 => 1.0 + 0.2 * unit(&mut state),
            _ => spread * unit(&mut state),
        };
        let values: Vec<f32> = (0..info.rows * info.cols).map(|_| value()).collect();
        Tensor::from_f32(info.rows, info.cols, &values)
    };
    program.weights.iter().map(tensor).collect()
}

/// A number in [-1, 1) by SplitMix64.
pub fn unit(state: &mut u64) -> f32 {
    (next(state) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// The next number of SplitMix64 (Steele, Lea and Flood 2014).
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[derive(Default)]
struct Build {
    program: Program,
}

impl Build {
    fn slot(&mut self, name: &'static str, width: usize, domain: Domain) -> Slot {
        let total = match domain {
            Domain::Rows => &mut self.program.row_width,
            Domain::Outputs => &mut self.program.output_width,
        };
        let offset = *total;
        *total += width;
        self.program.slots.push(SlotInfo { name, width, domain, offset });
        Slot(self.program.slots.len() as u32 - 1)
    }

    fn weight(&mut self, name: &str, rows: usize, cols: usize) -> WeightId {
        let id = self.program.weights.len() as u32;
        let name = format!("{name}.{id}");
        self.program.weights.push(WeightInfo { name, kind: Kind::F32, rows, cols });
        WeightId(id)
    }

    fn stage(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.program.stages.push(Stage { layer: None, ops: ops.into_iter().collect() });
    }

    fn norm(&mut self, x: Slot, y: Slot) {
        let w = self.weight("norm", 1, DIM);
        self.stage([RmsNorm { x, w: Some(w), y, dim: DIM as u32, eps: 1e-6, add: false }.into()]);
    }

    fn linear(&mut self, x: Slot, outs: &[(Slot, usize)]) {
        let part = |&(y, rows): &(Slot, usize)| {
            let weight = self.weight("linear", rows, DIM);
            Part { weight, bias: None, y, scale: 1.0, add: false, form: Form::Exact }
        };
        let parts = outs.iter().map(part).collect();
        self.stage([Linear { x, parts }.into()]);
    }

    fn add(&mut self, x: Slot, y: Slot, cols: usize) {
        let weight = self.weight("linear", DIM, cols);
        let part = Part { weight, bias: None, y, scale: 1.0, add: true, form: Form::Exact };
        self.stage([Linear { x, parts: vec![part] }.into()]);
    }
}
