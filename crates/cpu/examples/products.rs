//! Multiplies a matrix of one format with rows of activations, on one thread: what an emulator
//! counts the instructions of.
//!
//!     products FORMAT ROWS STEPS
//!
//! FORMAT is named as GGUF names it, or `affine4`. Prints how many weights a step multiplies.

use blocks::{Affine, Kind, Plain, Tensor};
use cpu::{Cpu, Isa};
use ops::conformance::random_tensor;
use ops::{
    Backend, Domain, Embed, Form, Input, Key, Linear, Mask, Output, Part, Program, Row, Sequence,
    Sizes, Slot, SlotInfo, Stage, States, Step, WeightId, WeightInfo,
};
use std::error::Error;
use std::sync::Arc;

/// Width of the matrix; its height is large enough that the activations' rounding hardly counts.
const COLS: usize = 2048;
const HEIGHT: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [format, rows, steps] = &args[..] else { return Err("FORMAT ROWS STEPS".into()) };
    let kind = kind(format).ok_or_else(|| format!("no format {format}"))?;
    let (rows, steps): (usize, usize) = (rows.parse()?, steps.parse()?);
    let (program, weights) = program(kind);
    let sizes = Sizes { rows, outputs: 1, pages: Vec::new(), sampled: 1, states: 0 };
    let mut executor = Cpu::new(Isa::best(), 1).load(Arc::new(program), weights, sizes)?;
    let row = |position| Row {
        input: Input::Token(0),
        position: [position, 0, 0],
        sequence: 0,
        adapter: 0,
        output: Output::None,
    };
    let batch: Vec<Row> = (0..rows as u32).map(row).collect();
    let sequences = [Sequence {
        tables: &[],
        length: rows as u32,
        mask: Mask::default(),
        states: States::default(),
    }];
    for _ in 0..steps {
        let step = Step { rows: &batch, sequences: &sequences, embeddings: &[], cancel: None };
        let ticket = executor.submit(&step)?;
        executor.wait(ticket)?;
    }
    println!("{}", COLS * HEIGHT);
    Ok(())
}

fn kind(name: &str) -> Option<Kind> {
    let affine = Kind::Affine(Affine { bits: 4, group: 64, scale: Plain::F16 });
    let gguf = || Kind::GGUF.iter().copied().find(|kind| kind.name() == name);
    if name == "affine4" { Some(affine) } else { gguf() }
}

/// A row of random activations, and its product with the matrix.
fn program(kind: Kind) -> (Program, Vec<Tensor>) {
    let slot = |name, width, offset| SlotInfo { name, width, domain: Domain::Rows, offset };
    let weight = |kind, rows| WeightInfo { name: "random".to_owned(), kind, rows, cols: COLS };
    let (table, x, y) = (WeightId(0), Slot(0), Slot(1));
    let form = if kind.int_shape().is_some() { Form::Fast } else { Form::Exact };
    let part = Part { weight: WeightId(1), bias: None, y, scale: 1.0, add: false, form };
    let ops = [
        Embed { table, y: x, scale: 1.0, key: Key::Id, add: false }.into(),
        Linear { x, parts: vec![part] }.into(),
    ];
    let program = Program {
        name: "main",
        stages: ops.map(|op| Stage { layer: None, ops: vec![op] }).into(),
        slots: vec![slot("x", COLS, 0), slot("y", HEIGHT, COLS)],
        row_width: COLS + HEIGHT,
        weights: vec![weight(Kind::F32, 1), weight(kind, HEIGHT)],
        ..Program::default()
    };
    let tensor = |info: &WeightInfo| random_tensor(info.kind, info.rows, COLS, 1);
    let weights = program.weights.iter().map(tensor).collect();
    (program, weights)
}
