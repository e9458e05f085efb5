//! A program as text: what a reviewer reads, and `russet explain` prints.

use ops::{Form, Op, Part, Program, Slot, WeightId};
use std::fmt::Write;

/// The first and the last layer that print the same lines, and the lines.
type Block = (Option<(u32, u32)>, Vec<String>);

/// The program, one operation a line; runs of layers with the same lines are folded.
pub fn explain(program: &Program) -> String {
    let mut blocks: Vec<Block> = Vec::new();
    for stage in &program.stages {
        let lines = stage.ops.iter().map(|op| line(program, op));
        match (stage.layer, blocks.last_mut()) {
            (Some(layer), Some((Some((_, last)), known))) if *last == layer => known.extend(lines),
            (None, Some((None, known))) => known.extend(lines),
            (layer, _) => blocks.push((layer.map(|l| (l, l)), lines.collect())),
        }
    }
    blocks.dedup_by(|next, kept| match (&mut kept.0, next.0) {
        (Some((_, last)), Some((layer, _))) if kept.1 == next.1 => {
            *last = layer;
            true
        }
        _ => false,
    });
    let mut text = String::new();
    for (layers, lines) in blocks {
        let label = match layers {
            None => String::new(),
            Some((first, last)) if first == last => format!("L{first}"),
            Some((first, last)) => format!("L{first}-{last}"),
        };
        for (i, line) in lines.iter().enumerate() {
            let label = if i == 0 { label.as_str() } else { "" };
            let _ = writeln!(text, "{}", format!("{label:<8}{line}").trim_end());
        }
    }
    text
}

fn line(program: &Program, op: &Op) -> String {
    let name = |slot: Slot| program.slot(slot).name;
    let text = match op {
        Op::Embed(op) => {
            let table = program.weight(op.table);
            let scale = if op.scale == 1.0 { String::new() } else { format!(" * {}", op.scale) };
            format!("{} <- {}x{} {}{scale}", name(op.y), table.rows, table.cols, table.kind)
        }
        Op::RmsNorm(op) => {
            let width = program.slot(op.x).width;
            let heads =
                if width == op.dim as usize { String::new() } else { format!(" per {}", op.dim) };
            format!("{} <- {}{heads}, eps {:e}", name(op.y), name(op.x), op.eps)
        }
        Op::Linear(op) => {
            let parts: Vec<_> = op.parts.iter().map(|p| part(program, p)).collect();
            format!("{} <- {}", parts.join(", "), name(op.x))
        }
        Op::Rope(op) => {
            let rotation = program.rotation(op.rotation);
            let pairs = if rotation.interleaved { "neighbours" } else { "halves" };
            let dims = 2 * rotation.frequencies.len();
            let mut text = format!("{} {dims} of {}, {pairs}", name(op.x), op.head_dim);
            match &rotation.long {
                Some(ops::Long::Switch { above, .. } | ops::Long::Grow { above, .. }) => {
                    let _ = write!(text, ", other frequencies above {above}");
                }
                None => {}
            }
            text
        }
        Op::KvWrite(op) => {
            let cache = program.cache(op.cache);
            let (heads, dim, kind) = (cache.kv_heads, cache.head_dim, cache.kind);
            let values = op.v.map_or(String::new(), |v| format!(", {}", name(v)));
            format!("cache {} <- {}{values} {heads}x{dim} {kind:?}", op.cache.group, name(op.k))
        }
        Op::Attend(op) => {
            let cache = program.cache(op.cache);
            let window = op.window.map_or(String::new(), |w| format!(", window {w}"));
            format!(
                "{} <- {} {}/{} heads{window}",
                name(op.y),
                name(op.q),
                op.heads,
                cache.kv_heads
            )
        }
        Op::GatedAct(op) => {
            let act = format!("{:?}", op.act).to_lowercase();
            format!("{} <- {act}({}) * {}", name(op.y), name(op.gate), name(op.up))
        }
        Op::Columns(op) => {
            let (count, take) = (op.count, op.take);
            format!(
                "{}[{}] <- {}[{}], {count} runs of {take}",
                name(op.y),
                op.at,
                name(op.x),
                op.start
            )
        }
        Op::ShortConv(op) => {
            let (w, act) = (program.weight(op.w), format!("{:?}", op.act).to_lowercase());
            let apart =
                if op.dilation == 1 { String::new() } else { format!(" by {}", op.dilation) };
            format!("{} <- {act} of {} over {}{apart}", name(op.y), name(op.x), w.cols)
        }
        Op::HeadLinear(op) => {
            let turned = if op.transposed { "transposed " } else { "" };
            let w = program.weight(op.w);
            format!(
                "{} <- {} {turned}{}x{} {} of {} heads",
                name(op.y),
                name(op.x),
                op.take,
                w.cols,
                w.kind,
                op.heads
            )
        }
        Op::DeltaNet(op) => format!(
            "{} <- {} {}x{} to {}x{}",
            name(op.y),
            name(op.qkv),
            op.k_heads,
            op.k_dim,
            op.v_heads,
            op.v_dim
        ),
        Op::Pick(op) => format!("{} <- wanted rows of {}", name(op.y), name(op.x)),
        Op::Argmax(op) => format!("sampled <- {}", name(op.logits)),
    };
    format!("{:<10} {text}", op.name())
}

fn part(program: &Program, part: &Part) -> String {
    let weight = program.weight(part.weight);
    let add = if part.add { "+" } else { "" };
    let bias = if part.bias.is_some() { "+b" } else { "" };
    let form = if part.form == Form::Fast { " int8" } else { "" };
    let shape = format!("{}x{}", weight.rows, weight.cols);
    let tied = if is_embedding(program, part.weight) { " (embedding)" } else { "" };
    format!("{add}{} {shape}{bias} {}{form}{tied}", program.slot(part.y).name, weight.kind)
}

fn is_embedding(program: &Program, weight: WeightId) -> bool {
    program.ops().any(|op| matches!(op, Op::Embed(embed) if embed.table == weight))
}
