//! Results as a table, as JSON or separated by commas.

use std::io::Write as _;
use std::time::Duration;

use cpu::{Isa, Peaks};
use jiff::Timestamp;
use russet::Opened;
use serde_json::{Map, Value, json};

use super::explain::{self, Kind};
use super::work::Work;
use super::{Args, Format, Test};
use crate::flags::{Backend, Numerics};
use crate::machine::Machine;
use crate::terminal::{bytes, count, percent};

/// What a test gave.
pub struct Result {
    pub test: Test,
    pub peaks: Peaks,
    pub samples: Vec<Duration>,
    pub work: Work,
    pub kinds: Vec<Kind>,
}

/// A mean and the deviation of a sample.
struct Spread {
    mean: f64,
    deviation: f64,
}

/// Prints results in the format that the arguments ask for.
pub fn print(args: &Args, opened: &Opened, isa: Isa, results: &[Result]) -> anyhow::Result<()> {
    let fields = || {
        let common = common(args, opened, isa);
        results.iter().map(move |result| result.fields(&common))
    };
    let text = match args.output {
        Format::Md => table(args, opened, results),
        Format::Json => format!("{:#}\n", Value::Array(fields().map(Value::Object).collect())),
        Format::Csv => csv(fields()),
    };
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

impl Spread {
    fn of(values: &[f64]) -> Spread {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Spread { mean, deviation: (squares / (count - 1.0).max(1.0)).sqrt() }
    }
}

impl Result {
    fn nanoseconds(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.as_nanos() as f64).collect()
    }

    /// Tokens a second, of each repetition.
    fn rates(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| self.work.tokens / sample.as_secs_f64()).collect()
    }

    /// The share of the measured bandwidth, and of the measured peak.
    fn shares(&self) -> (f64, f64) {
        let seconds = Spread::of(&self.nanoseconds()).mean * 1e-9;
        (self.work.memory_seconds / seconds, self.work.compute_seconds / seconds)
    }

    fn fields(&self, common: &Map<String, Value>) -> Map<String, Value> {
        let (nanoseconds, rates) = (self.nanoseconds(), self.rates());
        let (time, rate) = (Spread::of(&nanoseconds), Spread::of(&rates));
        let (bandwidth, compute) = self.shares();
        let cost = self.work.per_token();
        let Peaks { threads, read_gb_s, int8_gop_s, f32_gflop_s } = self.peaks;
        let mut fields = common.clone();
        let own = json!({
            "n_threads": threads,
            "n_prompt": self.test.prompt,
            "n_gen": self.test.generated,
            "n_depth": self.test.depth,
            "n_parallel": self.test.parallel,
            "test_time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "avg_ns": time.mean.round() as u64,
            "stddev_ns": time.deviation.round() as u64,
            "avg_ts": rate.mean,
            "stddev_ts": rate.deviation,
            "samples_ns": nanoseconds.iter().map(|&ns| ns as u64).collect::<Vec<_>>(),
            "samples_ts": rates,
            "bytes_per_token": cost.bytes,
            "flops_per_token": cost.flops,
            "bandwidth_share": bandwidth,
            "compute_share": compute,
            "read_gb_s": read_gb_s,
            "int8_gop_s": int8_gop_s,
            "f32_gflop_s": f32_gflop_s,
        });
        fields.extend(own.as_object().cloned().unwrap_or_default());
        if !self.kinds.is_empty() {
            fields.insert("explain".to_owned(), self.kinds.iter().map(kind).collect());
        }
        fields
    }
}

fn kind(kind: &Kind) -> Value {
    json!({
        "op": kind.name,
        "ns_per_token": kind.time.as_nanos() as u64,
        "share": kind.share,
        "bytes_per_token": kind.cost.bytes,
        "flops_per_token": kind.cost.flops,
        "bandwidth_share": kind.bandwidth_share,
        "compute_share": kind.compute_share,
    })
}

/// What all results have alike.
fn common(args: &Args, opened: &Opened, isa: Isa) -> Map<String, Value> {
    let kv = opened.plan.program.caches.first().map(|group| format!("{:?}", group.kind));
    let kv = kv.unwrap_or_default().to_lowercase();
    let backend = match args.backend {
        Backend::Cpu => "CPU",
        Backend::Reference => "reference",
    };
    let fields = json!({
        "russet_version": env!("CARGO_PKG_VERSION"),
        "cpu_info": Machine::find().cpu,
        "gpu_info": "",
        "backends": backend,
        "isa": isa.name(),
        "numerics": if args.precision.numerics == Numerics::Exact { "exact" } else { "fast" },
        "model_filename": opened.source.path().display().to_string(),
        "model_type": format!("{} {}", opened.plan.spec.family, opened.title()),
        "model_size": weight_bytes(opened) as u64,
        "model_n_params": opened.plan.spec.parameters(),
        "n_batch": args.batch.ubatch,
        "n_ubatch": args.batch.ubatch,
        "type_k": kv,
        "type_v": kv,
        "use_mmap": true,
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn weight_bytes(opened: &Opened) -> f64 {
    let bytes = |bound: &weights::Bound| {
        let weights = f64::from(bound.spec.rows) * f64::from(bound.spec.cols);
        weights * bound.kind.bits_per_weight() / 8.0
    };
    opened.plan.bound.iter().map(bytes).sum()
}

fn table(args: &Args, opened: &Opened, results: &[Result]) -> String {
    let head = [
        "model",
        "size",
        "params",
        "threads",
        "test",
        "t/s",
        "bytes/t",
        "FLOP/t",
        "bandwidth",
        "peak",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for result in results {
        let rate = Spread::of(&result.rates());
        let (bandwidth, compute) = result.shares();
        let cost = result.work.per_token();
        rows.push([
            format!("{} {}", opened.plan.spec.family, opened.title()),
            bytes(weight_bytes(opened)),
            count(opened.plan.spec.parameters() as f64),
            result.peaks.threads.to_string(),
            result.test.name(),
            format!("{:.2} ± {:.2}", rate.mean, rate.deviation),
            bytes(cost.bytes),
            count(cost.flops),
            percent(bandwidth),
            percent(compute),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 10]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rules = widths.iter().enumerate().map(|(at, &width)| match at {
        0 => "-".repeat(width),
        _ => format!("{}:", "-".repeat(width.saturating_sub(1))),
    });
    let rule = format!("| {} |\n", rules.collect::<Vec<_>>().join(" | "));
    let mut text = line(&rows[0]) + &rule + &rows[1..].iter().map(line).collect::<String>();
    if args.explain {
        text.extend(
            results.iter().map(|result| explain::table(&result.test.name(), &result.kinds)),
        );
    }
    text
}

fn csv(results: impl Iterator<Item = Map<String, Value>>) -> String {
    let mut text = String::new();
    for fields in results {
        // Lists have no place in a table.
        let flat = || fields.iter().filter(|(_, value)| !value.is_array());
        if text.is_empty() {
            text = flat().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(",") + "\n";
        }
        let cell = |value: &Value| match value {
            Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            other => format!("\"{other}\""),
        };
        text += &(flat().map(|(_, value)| cell(value)).collect::<Vec<_>>().join(",") + "\n");
    }
    text
}
