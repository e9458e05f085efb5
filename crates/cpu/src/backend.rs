//! The CPU as a backend: loading a program, checking a step, starting the team on it.

use crate::attend::Tile;
use crate::attention;
use crate::experts::{Mixture, TILE};
use crate::features::Isa;
use crate::linear::Scratch;
use crate::recurrent::Recurrence;
use crate::run::{Own, Progress, Thread};
use crate::share::Shared;
use crate::simd::Simd;
#[cfg(target_arch = "aarch64")]
use crate::simd::neon::Neon;
use crate::simd::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};
use crate::team::Team;
use crate::work::{RoundedRoom, Work};
use blocks::Tensor;
use bytemuck::{Pod, Zeroable};
use ops::{
    Backend, CacheGroup, Executor, ExpertPart, Fault, Form, Input, Key, KvWrite, Op, Output,
    Outputs, PAGE, Part, Profile, Program, Reach, Sizes, Slot, Step, Ticket, Unsupported, WeightId,
};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The processor with a team of threads.
pub struct Cpu {
    isa: Isa,
    team: Arc<Mutex<Team>>,
    threads: usize,
}

impl Cpu {
    /// A backend of `threads` threads on the vector units `isa`.
    pub fn new(isa: Isa, threads: usize) -> Cpu {
        let team = Team::new(threads);
        let threads = team.threads();
        Cpu { isa, team: Arc::new(Mutex::new(team)), threads }
    }

    /// The vector units in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The threads in use.
    pub fn threads(&self) -> usize {
        self.threads
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn supports(&self, op: &Op, program: &Program) -> Result<(), Unsupported> {
        for (weight, _) in products(op).filter(|(_, form)| *form == Form::Fast) {
            let info = program.weight(weight);
            if info.kind.int_shape().is_none_or(|shape| !info.cols.is_multiple_of(shape.n)) {
                let reason = format!("{} as {} has no integer form", info.name, info.kind);
                return Err(Unsupported { backend: self.name(), op: op.name(), reason });
            }
        }
        if let Op::KvWrite(KvWrite { cache, .. }) = op {
            let CacheGroup { kind, head_dim, .. } = *program.cache(*cache);
            if !kind.fits(head_dim as usize) {
                let reason = format!("rows of {head_dim} are no whole blocks of {kind:?}");
                return Err(Unsupported { backend: self.name(), op: op.name(), reason });
            }
        }
        Ok(())
    }

    fn load(
        &self,
        program: Arc<Program>,
        weights: Vec<Tensor>,
        sizes: Sizes,
    ) -> Result<Box<dyn Executor>, Fault> {
        let loaded = Loaded::new(program, weights, sizes, self.team.clone(), self.isa)?;
        Ok(Box::new(loaded))
    }
}

/// Sixteen bytes: the largest alignment for which the allocator takes zeroed pages from the
/// system as they are. For a larger one it would write zeros, and a cache of gigabytes would be
/// resident before its first token.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(16))]
struct Line([u8; 16]);

/// Zeroed memory that the system hands over page by page as it is touched.
fn lines(bytes: usize) -> Result<Box<[Line]>, Fault> {
    let count = bytes.div_ceil(size_of::<Line>());
    bytemuck::try_zeroed_slice_box(count).map_err(|()| Fault::OutOfMemory(bytes))
}

/// The memory of each cache group.
fn pools(program: &Program, sizes: &Sizes) -> Result<Vec<Box<[Line]>>, Fault> {
    let pools = program.caches.iter().zip(&sizes.pages);
    pools.map(|(group, pages)| lines(group.page_bytes() * pages)).collect()
}

struct Loaded {
    program: Arc<Program>,
    weights: Vec<Tensor>,
    vectors: Vec<Vec<f32>>,
    sizes: Sizes,
    team: Arc<Mutex<Team>>,
    isa: Isa,
    arena: Box<[Line]>,
    outputs: Box<[Line]>,
    caches: Vec<Box<[Line]>>,
    states: Box<[Line]>,
    tiles: Vec<Range<usize>>,
    gathered: Vec<f32>,
    runs: Vec<Range<usize>>,
    sampled: Vec<u32>,
    wanted: Vec<u32>,
    rounded: [Room; 2],
    own: Vec<Mutex<Own>>,
    claims: Vec<AtomicUsize>,
    finished: AtomicUsize,
    cancelled: AtomicBool,
    times: Vec<AtomicUsize>,
    profiling: bool,
    profile: Profile,
    tickets: u64,
    bytes: usize,
    /// Positions that the program has tables for.
    positions: usize,
}

/// Room for rounded activations.
struct Room {
    n: usize,
    q: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i16>,
}

impl Room {
    fn new(n: usize, rows: usize, cols: usize) -> Room {
        let values = rows * cols;
        let (q, scales, sums) = (vec![0; values], vec![0.0; values / n], vec![0; values / 16]);
        Room { n, q, scales, sums }
    }
}

impl Loaded {
    fn new(
        program: Arc<Program>,
        weights: Vec<Tensor>,
        sizes: Sizes,
        team: Arc<Mutex<Team>>,
        isa: Isa,
    ) -> Result<Loaded, Fault> {
        let threads = team.lock().map_or(1, |team| team.threads());
        let arena = lines(4 * sizes.rows * program.row_width)?;
        let outputs = lines(4 * sizes.outputs * program.output_width)?;
        let caches = pools(&program, &sizes)?;
        let states = lines(4 * sizes.states * program.state_width)?;
        let vectors = vectors(&program, &weights);
        let cols = |n: usize| fast_cols(&program, n);
        let rows = sizes.rows.max(sizes.outputs);
        let rounded = [32, 256].map(|n| Room::new(n, rows, cols(n)));
        let widest = program.weights.iter().map(|w| w.cols).max().unwrap_or(0);
        let (queries, dim, half) = attention_room(&program);
        let gathered = attention::gathered_room(&program, &sizes, threads);
        let own = || {
            Mutex::new(Own {
                scratch: Scratch::new(rows.max(TILE)),
                tile: Tile::new(queries, dim),
                frequencies: vec![0.0; half],
                cos: vec![0.0; half],
                sin: vec![0.0; half],
                row: vec![0.0; widest],
                mixture: Mixture::new(&program, rows),
                recurrence: Recurrence::new(&program),
                weight_row: vec![0.0; crate::latent::longest(&program)],
            })
        };
        let own: Vec<_> = (0..threads).map(|_| own()).collect();
        let count = program.ops().count();
        let counters = |n: usize| (0..n).map(|_| AtomicUsize::new(0)).collect();
        let bytes = size_of::<Line>() * (arena.len() + outputs.len() + states.len())
            + caches.iter().map(|cache| size_of_val(&cache[..])).sum::<usize>()
            + rounded.iter().map(|r| r.q.len() * 9 / 8 + 4 * r.scales.len()).sum::<usize>()
            + 4 * gathered
            + threads * (64 * rows + 16 * widest + Mixture::new(&program, rows).bytes());
        Ok(Loaded {
            sampled: vec![0; sizes.sampled],
            wanted: Vec::with_capacity(sizes.outputs),
            tiles: Vec::with_capacity(sizes.rows),
            gathered: vec![0.0; gathered],
            runs: Vec::with_capacity(sizes.rows),
            claims: counters(2 * count * threads),
            times: counters(count),
            finished: AtomicUsize::new(0),
            cancelled: AtomicBool::new(false),
            profiling: false,
            profile: Profile { steps: 0, ops: vec![Duration::ZERO; count] },
            tickets: 0,
            bytes,
            positions: positions(&program),
            program,
            weights,
            vectors,
            sizes,
            team,
            isa,
            arena,
            outputs,
            caches,
            states,
            rounded,
            own,
        })
    }

    /// Whether a step fits; the kernels rely on it.
    fn check(&self, step: &Step<'_>) -> Result<(), Fault> {
        let no = |reason| Err(Fault::InvalidStep(reason));
        if step.rows.len() > self.sizes.rows || step.outputs() > self.sizes.outputs {
            return no("more rows than the program was loaded for");
        }
        let (vocab, dim) = input_shape(&self.program);
        for row in step.rows {
            let Some(sequence) = step.sequences.get(row.sequence as usize) else {
                return no("a row of no sequence");
            };
            let fits = match row.input {
                Input::Token(id) => (id as usize) < vocab,
                Input::Sampled(slot) => (slot as usize) < self.sampled.len(),
                Input::Embedding(i) => (i as usize + 1) * dim <= step.embeddings.len(),
            };
            if !fits {
                return no("an input out of range");
            }
            if matches!(row.output, Output::Sampled(slot) if slot as usize >= self.sampled.len()) {
                return no("an output slot out of range");
            }
            if row.adapter != 0 {
                return no("an adapter that is not loaded");
            }
            if row.position[0] as usize >= self.positions {
                return no("a position beyond those that the model has learned");
            }
            let end = sequence.mask.visible(row.position[0], Reach::All).end;
            if sequence.tables.len() != self.program.caches.len()
                || sequence.tables.iter().any(|table| table.len() * PAGE < end)
            {
                return no("a block table that ends before its rows");
            }
        }
        let page_fits = |(table, pages): (&Vec<u32>, &usize)| {
            table.iter().all(|page| (*page as usize) < *pages)
        };
        let fits = |s: &ops::Sequence<'_>| s.tables.iter().zip(&self.sizes.pages).all(page_fits);
        if !step.sequences.iter().all(fits) {
            return no("a page out of range");
        }
        if self.program.state_width > 0 {
            step.check_states(self.sizes.states).map_err(Fault::InvalidStep)?;
        }
        Ok(())
    }

    /// Runs the program with the vector units `s`.
    fn run<S: Simd>(&mut self, s: S, step: &Step<'_>) {
        let Ok(mut team) = self.team.lock() else { return };
        let mut pools = self.caches.iter_mut();
        // A model has few kinds of caches; their handles live on the stack.
        let caches: [Shared<'_, u8>; GROUPS_MAX] = std::array::from_fn(|_| {
            Shared::new(pools.next().map_or(&mut [][..], |pool| bytemuck::cast_slice_mut(pool)))
        });
        let work = Work {
            program: &self.program,
            weights: &self.weights,
            vectors: &self.vectors,
            step,
            wanted: &self.wanted,
            arena: Shared::new(bytemuck::cast_slice_mut(&mut self.arena)),
            outputs: Shared::new(bytemuck::cast_slice_mut(&mut self.outputs)),
            max_rows: self.sizes.rows,
            max_outputs: self.sizes.outputs,
            caches: &caches,
            states: Shared::new(bytemuck::cast_slice_mut(&mut self.states)),
            tiles: &self.tiles,
            gathered: Shared::new(&mut self.gathered),
            runs: &self.runs,
            sampled: Shared::new(&mut self.sampled),
            rounded: self.rounded.each_mut().map(|room| RoundedRoom {
                n: room.n,
                q: Shared::new(&mut room.q),
                scales: Shared::new(&mut room.scales),
                sums: Shared::new(&mut room.sums),
            }),
            claims: &self.claims,
            finished: &self.finished,
            threads: team.threads(),
            spins: team.spins(),
            cancelled: &self.cancelled,
            times: self.profiling.then_some(&self.times),
        };
        let own = &self.own;
        team.run(&|id| {
            if let Ok(mut own) = own[id].lock() {
                Thread { s, work: &work, own: &mut own, id, progress: Progress::default() }.run();
            }
        });
    }
}

/// Kinds of caches that one program may have.
const GROUPS_MAX: usize = 16;

impl Executor for Loaded {
    fn submit(&mut self, step: &Step<'_>) -> Result<Ticket, Fault> {
        self.check(step)?;
        self.wanted.clear();
        let wanted = step.rows.iter().enumerate().filter(|(_, row)| row.output != Output::None);
        self.wanted.extend(wanted.map(|(i, _)| i as u32));
        self.runs.clear();
        if self.program.state_width > 0 {
            self.runs.extend(step.runs());
        }
        self.tiles.clear();
        self.tiles.extend(attention::tiles(step.rows));
        self.claims.iter().for_each(|claim| claim.store(0, Ordering::Relaxed));
        self.finished.store(0, Ordering::Relaxed);
        self.cancelled.store(false, Ordering::Relaxed);
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if let Some(s) = Avx512::detect() => self.run(s, step),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 if let Some(s) = Avx2::detect() => self.run(s, step),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm if let Some(s) = <Neon<true>>::detect() => self.run(s, step),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon if let Some(s) = <Neon<false>>::detect() => self.run(s, step),
            _ => self.run(Scalar, step),
        }
        if self.profiling {
            self.profile.steps += 1;
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Fault::Cancelled);
        }
        self.tickets += 1;
        Ok(Ticket(self.tickets))
    }

    fn wait(&mut self, _: Ticket) -> Result<Outputs<'_>, Fault> {
        for (sum, time) in self.profile.ops.iter_mut().zip(&self.times) {
            *sum += Duration::from_nanos(time.swap(0, Ordering::Relaxed) as u64);
        }
        let outputs: &[f32] = bytemuck::cast_slice(&self.outputs);
        let values = |slot: Option<Slot>| {
            slot.map_or(&[][..], |slot| {
                let info = self.program.slot(slot);
                &outputs[info.offset * self.sizes.outputs..][..self.wanted.len() * info.width]
            })
        };
        let (logits, hidden) = (values(self.program.logits), values(self.program.hidden));
        Ok(Outputs { logits, hidden, sampled: &self.sampled })
    }

    fn copy_page(&mut self, group: usize, from: u32, to: u32) {
        let bytes = self.program.caches[group].page_bytes();
        let pool: &mut [u8] = bytemuck::cast_slice_mut(&mut self.caches[group]);
        let from = from as usize * bytes;
        pool.copy_within(from..from + bytes, to as usize * bytes);
    }

    fn set_profiling(&mut self, on: bool) {
        self.profiling = on;
        self.profile.steps = 0;
        self.profile.ops.fill(Duration::ZERO);
    }

    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Vectors as f32, and the weights of convolutions by their taps: (kernel, channels).
fn vectors(program: &Program, weights: &[Tensor]) -> Vec<Vec<f32>> {
    let mut vectors: Vec<_> =
        weights.iter().map(|w| if w.rows == 1 { w.to_f32() } else { Vec::new() }).collect();
    for op in program.ops() {
        let Op::ShortConv(op) = op else { continue };
        let weight = &weights[op.w.0 as usize];
        let (values, taps) = (weight.to_f32(), weight.cols);
        let by_tap = (0..taps).flat_map(|tap| values.iter().skip(tap).step_by(taps).copied());
        vectors[op.w.0 as usize] = by_tap.collect();
    }
    vectors
}

/// The weights of an operation's products, and their forms.
fn products(op: &Op) -> impl Iterator<Item = (WeightId, Form)> {
    let (linear, by_expert): (&[Part], &[ExpertPart]) = match op {
        Op::Linear(op) => (&op.parts, &[]),
        Op::LinearAt(op) => (&[], &op.parts),
        _ => (&[], &[]),
    };
    let linear = linear.iter().map(|part| (part.weight, part.form));
    linear.chain(by_expert.iter().map(|part| (part.first, part.form)))
}

/// The widest row that is the input of products in fast form whose weights want blocks of `n`.
fn fast_cols(program: &Program, n: usize) -> usize {
    let wants = |op: &&Op| {
        products(op).any(|(weight, form)| {
            let shape = program.weight(weight).kind.int_shape();
            form == Form::Fast && shape.is_some_and(|shape| shape.n == n)
        })
    };
    let width = |op: &Op| match op {
        Op::Linear(op) => program.slot(op.x).width,
        Op::LinearAt(op) => program.slot(op.x).width,
        _ => 0,
    };
    program.ops().filter(wants).map(width).max().unwrap_or(0)
}

/// The least number of rows of the tables of positions.
fn positions(program: &Program) -> usize {
    let rows = program.ops().filter_map(|op| match op {
        Op::Embed(op) if op.key == Key::Position => Some(program.weight(op.table).rows),
        _ => None,
    });
    rows.min().unwrap_or(usize::MAX)
}

/// Queries in a tile, the widest head and the most rotated pairs.
fn attention_room(program: &Program) -> (usize, usize, usize) {
    let shared = program.ops().filter_map(|op| match op {
        Op::Attend(op) => Some((op.heads / program.cache(op.cache).kv_heads) as usize),
        _ => None,
    });
    let queries = (attention::TILE_ROWS * shared.max().unwrap_or(1)).min(64);
    let dim = program.caches.iter().map(|group| group.head_dim as usize).max().unwrap_or(0);
    let half = program.rotations.iter().map(|r| r.frequencies.len()).max().unwrap_or(0);
    (queries, dim, half)
}

/// The vocabulary and the width of the embedding.
fn input_shape(program: &Program) -> (usize, usize) {
    let shape = program.ops().find_map(|op| match op {
        Op::Embed(op) => Some((program.weight(op.table).rows, program.slot(op.y).width)),
        _ => None,
    });
    shape.unwrap_or((0, 0))
}
