//! `russet explain`: a model's program as text.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use ops::{Domain, Program};
use plan::cost::{self, Load};

use crate::flags::{ModelArgs, PrecisionArgs};
use crate::load;
use crate::terminal::{bytes, count};

/// Show the plan of a model
///
/// One operation a line; layers with the same lines are folded. Then what a token costs, and what
/// the caches take. Of a model that is not on this machine only the headers are read.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (opened, _headers) = load::headers(&args.model, &args.precision)?;
    let program = &opened.plan.program;
    let mut text = plan::explain(program);
    text.push('\n');
    costs(program, opened.plan.spec.context as usize, &mut text);
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What a step moves, computes and holds.
fn costs(program: &Program, context: usize, text: &mut String) {
    let mut line = |name: &str, load: Load| {
        let cost = cost::total(program, load);
        let (read, flops) = (bytes(cost.bytes / load.rows), count(cost.flops / load.rows));
        let _ = writeln!(text, "{name:<34}{read:>12} and {flops:>9}FLOP a token");
    };
    line("a token at the start", Load::decode(1.0));
    line(&format!("a token at the end of {context}"), Load::decode(context as f64));
    let batch = Load { rows: 16.0, outputs: 16.0, context: 1.0, reads: 16.0 };
    line("one of 16 sequences at the start", batch);
    line("a prompt of 512", Load::prompt(512.0, 0.0));
    for group in &program.caches {
        let kept = group.window.map_or_else(|| "all".to_owned(), |window| window.to_string());
        let (layers, size) = (group.layers, bytes(group.bytes_per_token() as f64));
        let _ = writeln!(text, "cache of {layers} layers, {kept} positions seen: {size} a token");
    }
    let stages = program.stages.len();
    let width = |domain| match domain {
        Domain::Rows => program.row_width,
        Domain::Outputs => program.output_width,
    };
    let of = |domain| bytes((size_of::<f32>() * width(domain)) as f64);
    let (row, output) = (of(Domain::Rows), of(Domain::Outputs));
    let _ = writeln!(text, "{stages} stages; buffers of {row} a row and {output} an output");
}
