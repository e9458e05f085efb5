//! How fast attention is over each kind of cache, and what share of this machine's peaks that is.
//!
//!     cargo run --release --package russet-cpu --example attention -- [THREADS [HEADS KV_HEADS DIM
//!         [TURNS]]]
//!
//! Eight layers, so that no cache holds their keys and values. Kinds take turns; medians count.

use blocks::{Kind, Tensor};
use cpu::{Cpu, Effort, Isa, measure};
use ops::conformance::random_tensor;
use ops::{
    Attend, Backend, CacheGroup, CacheRef, Domain, Embed, Executor, Input, Key, KvKind, KvWrite,
    Mask, Op, Output, PAGE, Program, Reach, Row, Sequence, Sizes, Slot, SlotInfo, Stage, States,
    Step, WeightId, WeightInfo,
};
use std::sync::Arc;

const LAYERS: u32 = 8;
const DEPTHS: [usize; 2] = [4096, 16384];
const PROMPT: usize = 512;
const IDS: usize = 16;

/// Heads, heads of the keys, and their width.
#[derive(Clone, Copy)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    dim: usize,
}

fn main() {
    let args: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let arg = |i: usize, usual| args.get(i).copied().unwrap_or(usual);
    let threads = arg(0, 2);
    let shape = Shape { heads: arg(1, 16), kv_heads: arg(2, 8), dim: arg(3, 128) };
    let name = std::env::var("RUSSET_CPU").unwrap_or_default();
    let isa = Isa::from_name(&name).unwrap_or(Isa::best());
    let peaks = measure(isa, threads, Effort::Quick);
    println!(
        "{} threads, {}: {:.1} GB/s, {:.0} GFLOP/s in f32; {} heads of {}, {} of keys\n",
        threads,
        isa.name(),
        peaks.read_gb_s,
        peaks.f32_gflop_s,
        shape.heads,
        shape.dim,
        shape.kv_heads
    );
    let kinds = [KvKind::F16, KvKind::Q8_0, KvKind::Q4_0];
    let backend = Cpu::new(isa, threads);
    let mut rigs: Vec<Rig> = kinds.map(|kind| Rig::new(&backend, shape, kind)).into();
    for rig in &mut rigs {
        rig.fill();
    }
    println!("| test | cache | µs a layer | GB/s | bandwidth | GFLOP/s | peak | f16 / this |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let tests = DEPTHS.map(|depth| (1, depth)).into_iter().chain([(PROMPT, 0)]);
    for (rows, depth) in tests {
        let mut times = vec![Vec::new(); rigs.len()];
        for _ in 0..arg(4, 5) {
            for (rig, times) in rigs.iter_mut().zip(&mut times) {
                times.push(rig.seconds(rows, depth));
            }
        }
        let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
        for ((rig, kind), seconds) in rigs.iter().zip(kinds).zip(&medians) {
            let bytes = (rig.program.caches[0].bytes_per_token() * (depth + rows)) as f64;
            let seen: usize = (depth + 1..=depth + rows).sum();
            let flops = (4 * shape.heads * shape.dim * seen * LAYERS as usize) as f64;
            let (read, rate) = (bytes / seconds * 1e-9, flops / seconds * 1e-9);
            let layer = seconds / f64::from(LAYERS) * 1e6;
            let kind = format!("{kind:?}").to_lowercase();
            let (bandwidth, peak) =
                (100.0 * read / peaks.read_gb_s, 100.0 * rate / peaks.f32_gflop_s);
            print!("| {rows} after {depth} | {kind} | {layer:.0} | {read:.1} | {bandwidth:.0}% ");
            println!("| {rate:.1} | {peak:.0}% | {:.2} |", medians[0] / seconds);
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A program of attention alone, loaded with room for the longest sequence.
struct Rig {
    program: Arc<Program>,
    executor: Box<dyn Executor>,
    pages: u32,
}

impl Rig {
    fn new(backend: &Cpu, shape: Shape, kind: KvKind) -> Rig {
        let (program, weights) = program(shape, kind);
        let program = Arc::new(program);
        let pages = (DEPTHS[1] + PROMPT).div_ceil(PAGE);
        let sizes = Sizes { rows: PROMPT, outputs: 1, pages: vec![pages], sampled: 1, states: 0 };
        let mut executor = backend.load(program.clone(), weights, sizes).expect("memory");
        executor.set_profiling(true);
        Rig { program, executor, pages: pages as u32 }
    }

    /// Fills every page, each as a sequence of its own, which sees little.
    fn fill(&mut self) {
        for page in 0..self.pages {
            self.run(&[vec![page]], 0, PAGE);
        }
    }

    fn run(&mut self, tables: &[Vec<u32>], first: usize, count: usize) {
        let row = |i: usize| Row {
            input: Input::Token((i % IDS) as u32),
            position: [(first + i) as u32; 3],
            sequence: 0,
            adapter: 0,
            output: Output::None,
        };
        let rows: Vec<Row> = (0..count).map(row).collect();
        let length = (first + count) as u32;
        let sequence =
            Sequence { tables, length, mask: Mask::default(), states: States::default() };
        let step = Step { rows: &rows, sequences: &[sequence], embeddings: &[], cancel: None };
        let ticket = self.executor.submit(&step).expect("a step");
        self.executor.wait(ticket).expect("its end");
    }

    /// How long all layers' attention takes for some rows after so many positions.
    fn seconds(&mut self, rows: usize, depth: usize) -> f64 {
        let pages = (depth + rows).div_ceil(PAGE) as u32;
        self.executor.set_profiling(true);
        self.run(&[(0..pages).collect()], depth, rows);
        let times = self.program.ops().zip(&self.executor.profile().ops);
        let attend = times.filter(|(op, _)| matches!(op, Op::Attend(_)));
        attend.map(|(_, time)| time.as_secs_f64()).sum()
    }
}

/// Keys, values and queries from tables, then writing and attention of each layer.
fn program(shape: Shape, kind: KvKind) -> (Program, Vec<Tensor>) {
    let mut program = Program::default();
    let mut weights = Vec::new();
    let widths = [shape.heads, shape.kv_heads, shape.kv_heads].map(|heads| heads * shape.dim);
    let mut stages = Vec::new();
    for (i, width) in widths.into_iter().chain([shape.heads * shape.dim]).enumerate() {
        let offset = program.row_width;
        program.slots.push(SlotInfo { name: "slot", width, domain: Domain::Rows, offset });
        program.row_width += width;
        if i < widths.len() {
            let (name, kind) = ("table".to_owned(), Kind::F32);
            program.weights.push(WeightInfo { name, kind, rows: IDS, cols: width });
            weights.push(random_tensor(kind, IDS, width, i as u64));
            let (table, y) = (WeightId(i as u32), Slot(i as u32));
            stages.push(Embed { table, y, scale: 1.0, key: Key::Id, add: false }.into());
        }
    }
    for layer in 0..LAYERS {
        let cache = CacheRef { group: 0, layer };
        stages.push(KvWrite { k: Slot(1), v: Some(Slot(2)), cache }.into());
        stages.push(Op::Attend(Attend {
            q: Slot(0),
            y: Slot(3),
            cache,
            heads: shape.heads as u32,
            scale: 1.0 / (shape.dim as f32).sqrt(),
            temperature: None,
            cap: None,
            sinks: None,
            reach: Reach::All,
        }));
    }
    program.stages = stages.into_iter().map(|op| Stage { layer: None, ops: vec![op] }).collect();
    program.caches.push(CacheGroup {
        layers: LAYERS,
        kv_heads: shape.kv_heads as u32,
        head_dim: shape.dim as u32,
        kind,
        window: None,
        latent: false,
    });
    (program, weights)
}
