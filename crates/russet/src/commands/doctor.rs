//! `russet doctor`: what this machine is, what it can do at best, and what Russet will use of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use blocks::Kind;
use cpu::{Cpu, Effort, Isa, Peaks};
use ops::{Backend, Op, conformance};
use serde_json::{Value, json};

use crate::load;
use crate::machine::{self, CPU_VARIABLE, Machine};

/// Examine this machine
///
/// Names the processor and its memory, measures how fast it reads and computes, and says what
/// Russet will use and why. The measurement is kept for the roofline share that other commands
/// show; for an exact one, let nothing else run.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Measure with so many threads
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let isa = machine::isa()?;
    let threads = args.threads.map_or_else(machine::threads, |n| load::clamped(n.into()));
    let findings = Findings {
        machine: Machine::find(),
        isa,
        threads,
        threads_given: args.threads.is_some(),
        peaks: machine::measure(isa, threads, Effort::Full),
        holes: holes(&Cpu::new(isa, 1)),
    };
    let text = if args.json { format!("{:#}\n", findings.json()) } else { findings.text() };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

struct Findings {
    machine: Machine,
    isa: Isa,
    threads: usize,
    threads_given: bool,
    peaks: Peaks,
    /// What the backend refuses, as it says it.
    holes: Vec<String>,
}

/// What a backend refuses of the programs that every backend must run.
fn holes(backend: &dyn Backend) -> Vec<String> {
    let refusals = conformance::cases().into_iter().flat_map(|case| {
        let program = case.program;
        let refused = |op: &Op| backend.supports(op, &program).err().map(|why| why.to_string());
        program.ops().filter_map(refused).collect::<Vec<_>>()
    });
    refusals.collect::<BTreeSet<_>>().into_iter().collect()
}

impl Findings {
    fn text(&self) -> String {
        let Findings { machine, peaks, .. } = self;
        let mut out = String::new();
        let mut line = |name: &str, text: String| {
            let _ = writeln!(out, "{name:<11}{text}");
        };
        line("processor", machine.cpu.clone());
        line("cores", self.cores());
        line("features", self.features());
        line("memory", self.memory());
        line("measured", format!("{:.1} GB/s read from memory", peaks.read_gb_s));
        line(
            "",
            format!(
                "{:.0} GOP/s of int8, {:.0} GFLOP/s of f32",
                peaks.int8_gop_s, peaks.f32_gflop_s
            ),
        );
        line("", format!("with {}, on {}", count(peaks.threads), self.isa.name()));
        line("limit", self.limit());
        line("uses", self.why_threads());
        line("", self.why_isa());
        line("families", families().join(", "));
        line("formats", formats().join(" "));
        match &self.holes[..] {
            [] => line("holes", format!("none: cpu runs all {} operations", Op::NAMES.len())),
            holes => holes.iter().for_each(|hole| line("hole", hole.clone())),
        }
        out
    }

    fn json(&self) -> Value {
        let Peaks { threads, read_gb_s, int8_gop_s, f32_gflop_s } = self.peaks;
        let features: serde_json::Map<_, _> =
            cpu::features().into_iter().map(|(name, has)| (name.to_owned(), has.into())).collect();
        json!({
            "machine": self.machine,
            "features": features,
            "isa": self.isa.name(),
            "isas": Isa::available().into_iter().map(Isa::name).collect::<Vec<_>>(),
            "threads": threads,
            "read_gb_s": read_gb_s,
            "int8_gop_s": int8_gop_s,
            "f32_gflop_s": f32_gflop_s,
            "families": families(),
            "formats": formats(),
            "holes": self.holes,
        })
    }

    fn cores(&self) -> String {
        let cores = self.machine.cores;
        let mut text = match cores.physical {
            Some(physical) => format!("{physical}"),
            None => "unknown".to_owned(),
        };
        if let (Some(fast), Some(slow)) = (cores.performance, cores.efficiency) {
            let _ = write!(text, " ({fast} performance, {slow} efficiency)");
        }
        let _ = write!(text, ", {} hardware threads available", cores.available);
        text
    }

    fn features(&self) -> String {
        let features = cpu::features();
        let names = |has: bool| {
            let of = features.iter().filter(|feature| feature.1 == has);
            of.map(|feature| feature.0).collect::<Vec<_>>().join(" ")
        };
        match names(false) {
            missing if missing.is_empty() => names(true),
            missing => format!("{} (not {missing})", names(true)),
        }
    }

    fn memory(&self) -> String {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let Machine { memory_bytes: total, memory_available_bytes: available, .. } = self.machine;
        format!("{:.1} GiB, {:.1} GiB available", gib(total), gib(available))
    }

    /// What bandwidth allows, for two sizes that make the division plain.
    fn limit(&self) -> String {
        let rate = |gb: f64| {
            let rate = self.peaks.read_gb_s / gb;
            if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
        };
        let (one, eight) = (rate(1.0), rate(8.0));
        format!("{one} tokens/s with 1 GB of weights, {eight} with 8 GB: a token reads them all")
    }

    fn why_threads(&self) -> String {
        let cores = self.machine.cores;
        let why = match (self.threads_given, cores.performance, cores.physical) {
            (true, ..) => "as you asked",
            (_, Some(fast), _) if fast == self.threads => {
                "one for each performance core, which would wait for the others"
            }
            (_, _, Some(physical)) if physical == self.threads => "one for each core",
            _ => "as many as this process may use",
        };
        format!("{}: {why}", count(self.threads))
    }

    fn why_isa(&self) -> String {
        let why = match std::env::var(CPU_VARIABLE) {
            Ok(_) => format!("as {CPU_VARIABLE} says"),
            Err(_) => "the best that this processor has".to_owned(),
        };
        format!("{} ({}): {why}", self.isa.name(), self.isa.description())
    }
}

fn count(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

fn families() -> Vec<&'static str> {
    model::FAMILIES.iter().map(|family| family.gguf).collect()
}

/// The block formats of GGUF files, then MLX's and those of other safetensors.
fn formats() -> Vec<String> {
    let mlx = |bits: u8| format!("affine{bits}");
    let gguf = Kind::GGUF.iter().map(|kind| kind.name());
    let floats = ["fp8", "mxfp4", "mxfp8", "nvfp4"].map(str::to_owned);
    gguf.chain([2, 3, 4, 5, 6, 8].into_iter().map(mlx)).chain(floats).collect()
}
