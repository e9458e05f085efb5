//! Where the time goes: kinds of operation beside their bytes and FLOPs.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::Duration;

use cpu::Peaks;
use ops::{Op, Profile, Program};
use plan::cost::Cost;

use super::work::{self, Work};
use crate::terminal::{bytes, count, percent, significant};

/// What all operations of a kind take, for one token on average.
pub struct Kind {
    pub name: &'static str,
    pub time: Duration,
    pub cost: Cost,
    /// Of the whole time.
    pub share: f64,
    /// Of the measured bandwidth.
    pub bandwidth_share: f64,
    /// Of the measured peak.
    pub compute_share: f64,
}

/// The kinds of operation of a program, the slowest first.
pub fn kinds(program: &Program, profile: &Profile, work: &Work, peaks: Peaks) -> Vec<Kind> {
    let whole: f64 = profile.ops.iter().map(Duration::as_secs_f64).sum();
    let rows: Vec<_> = program.ops().zip(&profile.ops).zip(&work.ops).collect();
    let kind = |name: &'static str| {
        let of_kind = || rows.iter().filter(move |((op, _), _)| op.name() == name);
        let seconds: f64 = of_kind().map(|((_, time), _)| time.as_secs_f64()).sum();
        let cost = of_kind().fold(Cost::default(), |sum, (_, cost)| sum + **cost);
        let compute = of_kind().map(|((op, _), cost)| work::compute_seconds(op, **cost, peaks));
        let share_of = |ideal: f64| if seconds > 0.0 { ideal / seconds } else { 0.0 };
        of_kind().next()?;
        Some(Kind {
            name,
            time: Duration::from_secs_f64(seconds / work.tokens),
            cost: Cost { bytes: cost.bytes / work.tokens, flops: cost.flops / work.tokens },
            share: if whole > 0.0 { seconds / whole } else { 0.0 },
            bandwidth_share: share_of(work::memory_seconds(cost, peaks)),
            compute_share: share_of(compute.sum()),
        })
    };
    let mut kinds: Vec<Kind> = Op::NAMES.iter().filter_map(|name| kind(name)).collect();
    kinds.sort_by_key(|kind| Reverse(kind.time));
    kinds
}

/// The kinds as a table in Markdown.
pub fn table(name: &str, kinds: &[Kind]) -> String {
    let mut text = format!("\n{name}, for one token:\n\n");
    text.push_str(
        "| operation  |    µs | share |      bytes |       FLOP |  GB/s | bandwidth | peak |\n",
    );
    text.push_str(
        "| ---------- | ----: | ----: | ---------: | ---------: | ----: | --------: | ---: |\n",
    );
    for kind in kinds {
        let seconds = kind.time.as_secs_f64();
        let rate = if seconds > 0.0 { kind.cost.bytes / seconds * 1e-9 } else { 0.0 };
        let _ = writeln!(
            text,
            "| {:<10} | {:>5} | {:>5} | {:>10} | {:>10} | {:>5} | {:>9} | {:>4} |",
            kind.name,
            significant(seconds * 1e6),
            percent(kind.share),
            bytes(kind.cost.bytes),
            count(kind.cost.flops),
            significant(rate),
            percent(kind.bandwidth_share),
            percent(kind.compute_share),
        );
    }
    text
}
