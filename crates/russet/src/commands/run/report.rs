//! The last line of an answer: how fast, and how near to what the machine allows.

use std::time::Duration;

use plan::cost::{self, Load};
use russet::{Finish, Finished, Model};

use crate::terminal::{self, percent, significant};

/// The statistics of an answer that took `wall`.
pub fn line(model: &Model, answer: &Finished, wall: Duration) -> String {
    let (usage, timings) = (answer.usage, answer.timings);
    let read = usage.prompt - usage.cached.min(usage.prompt);
    let mut parts = Vec::new();
    let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64();
    let cached =
        if usage.cached > 0 { format!(" + {} cached", usage.cached) } else { String::new() };
    let show = |tokens, time: Duration| match rate(tokens, time) {
        rate if rate.is_finite() => format!("{} tok/s", significant(rate)),
        _ => "-".to_owned(),
    };
    parts.push(format!("prompt {read}{cached} tokens, {}", show(read, timings.prompt)));
    let steps = usage.generated.saturating_sub(1);
    parts.push(format!(
        "generation {} tokens, {}",
        usage.generated,
        show(steps, timings.generation)
    ));
    parts.push(format!("effective {}", show(usage.generated, wall)));
    if steps > 0 && timings.generation > Duration::ZERO {
        let depth = usage.prompt as f64 + usage.generated as f64 / 2.0;
        parts.push(roofline(model, depth, rate(steps, timings.generation)));
    }
    match answer.finish {
        Finish::Length => parts.push("stopped at the limit".to_owned()),
        Finish::Cancelled => parts.push("interrupted".to_owned()),
        Finish::End | Finish::Stop => {}
    }
    format!("[{}]", parts.join(" | "))
}

/// The share of the speed that memory allows; measured now if it never was.
fn roofline(model: &Model, depth: f64, tokens_per_second: f64) -> String {
    let runtime = model.runtime();
    let peaks = terminal::peaks(runtime.isa(), runtime.threads());
    let bytes = cost::total(model.program(), Load::decode(depth)).bytes;
    let share = bytes * tokens_per_second / (peaks.read_gb_s * 1e9);
    format!("{} of {} GB/s", percent(share), significant(peaks.read_gb_s))
}
