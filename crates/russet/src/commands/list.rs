//! `russet list`: every model on this machine, whoever brought it here.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use hub::{Model, catalogue};
use serde_json::{Value, json};

use crate::flags::{HubArgs, TableArgs};
use crate::terminal::bytes;

/// List the models on this machine
///
/// Those in the Hugging Face cache, in Ollama's store, LM Studio's and llama.cpp's, and names of
/// your own, each by a name that every command takes. FITS says whether memory suffices with a
/// modest context, OURS whether Russet downloaded it and `russet rm` removes it.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The names that Russet knows and can download, with their sizes
    #[arg(long)]
    catalogue: bool,
    #[command(flatten)]
    table: TableArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let hub = HubArgs { offline: true }.hub();
    let memory = hub.places().memory_bytes;
    let (rows, json): (Vec<Row>, Vec<Value>) = if args.catalogue {
        let all = catalogue::all();
        (
            all.iter().map(|known| known_row(known, memory)).collect(),
            all.iter().map(known_json).collect(),
        )
    } else {
        let models = hub.list()?;
        (models.iter().map(row).collect(), models.iter().map(model_json).collect())
    };
    let text = match args.table.json() {
        true => format!("{:#}\n", Value::Array(json)),
        false if args.catalogue => table(&["NAME", "SIZE", "FITS", "REPOSITORY"], &rows),
        false if rows.is_empty() => {
            "no model yet; `russet pull qwen3:0.6b` downloads one, `russet list --catalogue` lists \
             more\n"
                .to_owned()
        }
        false => table(&["NAME", "SIZE", "FORMAT", "FITS", "OURS", "STORE"], &rows),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

type Row = Vec<String>;

fn row(model: &Model) -> Row {
    let store = match &model.from {
        Some(from) => format!("{}, of {from}", model.store),
        None => model.store.to_string(),
    };
    let (size, format) = (bytes(model.bytes as f64), model.format.clone());
    vec![model.name.clone(), size, format, yes(model.fits), yes(model.ours), store]
}

fn known_row(known: &catalogue::Known, memory: u64) -> Row {
    let name = format!("{}:{}", known.name, known.tag);
    let fits = yes(hub::fits(known.bytes, memory));
    vec![name, bytes(known.bytes as f64), fits, known.repo.to_owned()]
}

fn model_json(model: &Model) -> Value {
    let modified = model.modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    json!({
        "name": model.name,
        "store": model.store.to_string(),
        "path": model.path,
        "bytes": model.bytes,
        "format": model.format,
        "fits": model.fits,
        "ours": model.ours,
        "from": model.from,
        "modified": modified.map(|since| since.as_secs()),
    })
}

fn known_json(known: &catalogue::Known) -> Value {
    json!({
        "name": format!("{}:{}", known.name, known.tag),
        "repository": known.repo,
        "file": known.file,
        "bytes": known.bytes,
    })
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// Columns as wide as what they hold; sizes stand to the right.
fn table(head: &[&str], rows: &[Row]) -> String {
    let head: Row = head.iter().map(|name| (*name).to_owned()).collect();
    let width = |column: usize| {
        let of_row = |row: &Row| row[column].chars().count();
        rows.iter().chain([&head]).map(of_row).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in [&head].into_iter().chain(rows) {
        let mut line = String::new();
        for ((cell, &width), name) in row.iter().zip(&widths).zip(&head) {
            let _ = match name.as_str() {
                "SIZE" => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
