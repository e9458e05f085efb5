//! `russet bench`: how fast a model is, and what share of the machine's peaks that is.

mod explain;
mod report;
mod rig;
mod steps;
mod work;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use cpu::{Cpu, Peaks};
use ops::Backend;
use ops::reference::Reference;
use russet::Opened;

use crate::flags::{self, BatchArgs, ModelArgs, PrecisionArgs};
use crate::{load, machine, terminal};
use report::Result;
use rig::Rig;
use work::Work;

/// Measure a model's speed
///
/// As llama-bench does: reading prompts of -p random tokens, generating -n tokens, both after -d
/// tokens, each -r times after a warm-up; without sampling or text. With -npl several sequences are
/// read and generated together, each of so many tokens; the speed is that of all of them. Beside it
/// stand the bytes and operations of a token, and the share of this machine's measured bandwidth
/// and peak.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Prompts of so many tokens; 0 for none
    #[arg(short = 'p', long, value_name = "N,...", value_delimiter = ',', default_value = "512")]
    n_prompt: Vec<u32>,
    /// Generations of so many tokens; 0 for none
    #[arg(short = 'n', long, value_name = "N,...", value_delimiter = ',', default_value = "128")]
    n_gen: Vec<u32>,
    /// A prompt and a generation timed together, as in 512,128 (also -pg)
    #[arg(long, value_name = "P,N")]
    pg: Vec<String>,
    /// After so many tokens
    #[arg(short = 'd', long, value_name = "N,...", value_delimiter = ',', default_value = "0")]
    n_depth: Vec<u32>,
    /// So many sequences together, each with its own tokens (also -npl)
    #[arg(
        long, value_name = "N,...", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    n_parallel: Vec<u32>,
    /// Times
    #[arg(
        short = 'r', long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    repetitions: u16,
    /// Threads; one for each core that is not an efficiency core unless given
    #[arg(
        short, long, value_name = "N,...", value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    threads: Vec<u16>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Also time, bytes and operations of each kind of operation, and their shares
    #[arg(long)]
    explain: bool,
    /// Measure at once
    #[arg(long)]
    no_warmup: bool,
    /// What computes
    #[arg(long, value_enum, default_value_t)]
    backend: flags::Backend,
    #[command(flatten)]
    precision: PrecisionArgs,
    #[command(flatten)]
    batch: BatchArgs,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table in Markdown
    #[default]
    Md,
    /// A list with llama-bench's field names, and ours beside them
    Json,
    /// The same fields, separated by commas
    Csv,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// Tokens read at once.
    prompt: u32,
    /// Tokens that follow one by one.
    generated: u32,
    /// Tokens that are there already.
    depth: u32,
    /// Sequences that each do this, together.
    parallel: u32,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let tests = tests(&args)?;
    let opened = load::open(&args.model, &args.precision)?;
    let isa = machine::isa()?;
    let threads = match &args.threads[..] {
        [] => vec![machine::threads()],
        given => given.iter().map(|&threads| load::clamped(threads.into())).collect(),
    };
    let mut results = Vec::new();
    for threads in threads {
        let backend: Arc<dyn Backend> = match args.backend {
            flags::Backend::Cpu => Arc::new(Cpu::new(isa, threads)),
            flags::Backend::Reference => Arc::new(Reference),
        };
        let peaks = terminal::peaks(isa, threads);
        for &test in &tests {
            results.push(measure(&args, &opened, &*backend, peaks, test)?);
        }
    }
    report::print(&args, &opened, isa, &results)?;
    Ok(ExitCode::SUCCESS)
}

/// Every test at every depth, in llama-bench's order.
fn tests(args: &Args) -> anyhow::Result<Vec<Test>> {
    let pair = |text: &String| {
        let (prompt, generated) = text.split_once(',')?;
        Some((prompt.trim().parse().ok()?, generated.trim().parse().ok()?))
    };
    let of = |text: &String| pair(text).with_context(|| format!("--pg is `{text}`; write 512,128"));
    let both: Vec<(u32, u32)> = args.pg.iter().map(of).collect::<anyhow::Result<_>>()?;
    let alone = args.n_prompt.iter().map(|&n| (n, 0)).chain(args.n_gen.iter().map(|&n| (0, n)));
    let shapes: Vec<_> = alone.chain(both).filter(|&shape| shape != (0, 0)).collect();
    let mut tests = Vec::new();
    for &parallel in &args.n_parallel {
        for &depth in &args.n_depth {
            let test = |&(prompt, generated)| Test { prompt, generated, depth, parallel };
            tests.extend(shapes.iter().map(test));
        }
    }
    let fits = |test: &Test| test.positions() <= engine::limits::CONTEXT_MAX;
    ensure!(!tests.is_empty(), "there is nothing to measure; give -p or -n a number above 0");
    ensure!(tests.iter().all(fits), "a test exceeds {} tokens", engine::limits::CONTEXT_MAX);
    let (most, rows) = (args.n_parallel.iter().max(), u32::from(args.batch.ubatch));
    ensure!(most <= Some(&rows), "-npl exceeds the {rows} tokens that -ub computes together");
    Ok(tests)
}

impl Test {
    /// Positions of all sequences together.
    fn positions(&self) -> usize {
        let each: usize =
            [self.depth, self.prompt, self.generated].iter().map(|&n| n as usize).sum();
        each.saturating_mul(self.parallel as usize)
    }

    /// Tokens that are timed.
    fn tokens(&self) -> usize {
        (self.prompt as usize + self.generated as usize) * self.parallel as usize
    }

    /// Its name in llama-bench's words.
    fn name(&self) -> String {
        let mut parts = Vec::new();
        if self.prompt > 0 {
            parts.push(format!("pp{}", self.prompt));
        }
        if self.generated > 0 {
            parts.push(format!("tg{}", self.generated));
        }
        let depth = if self.depth > 0 { format!(" @ d{}", self.depth) } else { String::new() };
        let parallel =
            if self.parallel > 1 { format!(" x{}", self.parallel) } else { String::new() };
        parts.join("+") + &parallel + &depth
    }
}

fn measure(
    args: &Args,
    opened: &Opened,
    backend: &dyn Backend,
    peaks: Peaks,
    test: Test,
) -> anyhow::Result<Result> {
    let spinner = terminal::spinner(format!("{} on {} threads", test.name(), peaks.threads));
    let chunk = args.batch.ubatch.into();
    let mut rig = Rig::load(opened, backend, test, chunk)?;
    rig.run(Test { prompt: test.depth, generated: 0, depth: 0, ..test })?;
    if !args.no_warmup {
        // As llama-bench: the whole prompt, but one step only.
        rig.run(Test { generated: test.generated.min(1), ..test })?;
    }
    let samples = (0..args.repetitions).map(|_| rig.run(test));
    let samples = samples.collect::<anyhow::Result<Vec<Duration>>>()?;
    let work = Work::of(&opened.plan.program, test, chunk, peaks);
    let kinds = match args.explain {
        true => explain::kinds(&opened.plan.program, &rig.profile(test)?, &work, peaks),
        false => Vec::new(),
    };
    spinner.finish_and_clear();
    Ok(Result { test, peaks, samples, work, kinds })
}
