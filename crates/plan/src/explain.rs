//! A program as text: what a reviewer reads, and `russet explain` prints.

use ops::{
    Attend, Columns, DeltaNet, Embed, ExpertPart, Form, GatedAct, HeadLinear, Key, KvWrite,
    LayerNorm, LinearAt, Op, Part, Program, Reach, Recall, RmsNorm, Rope, Route, Score, ShortConv,
    Slot, Up, WeightId,
};
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
    let name = |slot| name(program, slot);
    let text = match op {
        Op::Embed(op) => embed(program, op),
        Op::Recall(op) => recall(program, op),
        Op::RmsNorm(op) => rms_norm(program, op),
        Op::LayerNorm(op) => layer_norm(program, op),
        Op::Dot(op) => {
            format!("{} <- {} . {}{}", name(op.y), name(op.a), name(op.b), factor(op.scale))
        }
        Op::Scale(op) => format!("{} * {}", name(op.x), program.weight(op.w).name),
        Op::SoftCap(op) => format!("{} within {}", name(op.x), op.cap),
        Op::Linear(op) => {
            let parts: Vec<_> = op.parts.iter().map(|p| part(program, p)).collect();
            format!("{} <- {}", parts.join(", "), name(op.x))
        }
        Op::Rope(op) => rope(program, op),
        Op::KvWrite(op) => kv_write(program, op),
        Op::Attend(op) => attend(program, op),
        Op::GatedAct(op) => gated_act(program, op),
        Op::Route(op) => route(program, op),
        Op::LinearAt(op) => linear_at(program, op),
        Op::Combine(op) => {
            let count = program.slot(op.x).width / program.slot(op.y).width;
            let scale = factor(op.scale);
            format!("{}{} <- sum of {count} of {}{scale}", plus(op.add), name(op.y), name(op.x))
        }
        Op::Columns(op) => columns(program, op),
        Op::ShortConv(op) => short_conv(program, op),
        Op::HeadLinear(op) => head_linear(program, op),
        Op::DeltaNet(op) => delta_net(program, op),
        Op::Pick(op) => format!("{} <- wanted rows of {}", name(op.y), name(op.x)),
        Op::Argmax(op) => format!("sampled <- {}", name(op.logits)),
    };
    format!("{:<10} {text}", op.name())
}

/// A slot's name.
fn name(program: &Program, slot: Slot) -> &'static str {
    program.slot(slot).name
}

fn embed(program: &Program, op: &Embed) -> String {
    let name = |slot| name(program, slot);
    let table = program.weight(op.table);
    let scale = factor(op.scale);
    let (by, add) = match op.key {
        Key::Id => ("", plus(op.add)),
        Key::Position => (" by position", plus(op.add)),
    };
    let (rows, cols, kind) = (table.rows, table.cols, table.kind);
    format!("{add}{} <- {rows}x{cols} {kind}{scale}{by}", name(op.y))
}

fn recall(program: &Program, op: &Recall) -> String {
    let (table, heads) = (program.weight(op.table), op.hashing.heads.len());
    let longest = op.hashing.multipliers.len();
    let (y, rows, cols, kind) = (name(program, op.y), table.rows, table.cols, table.kind);
    format!("{y} <- {heads} of {rows}x{cols} {kind} by hashes of up to {longest} ids")
}

fn rms_norm(program: &Program, op: &RmsNorm) -> String {
    let name = |slot| name(program, slot);
    let width = program.slot(op.x).width;
    let heads = if width == op.dim as usize { String::new() } else { format!(" per {}", op.dim) };
    let gains = if op.w.is_some() { "" } else { ", no gains" };
    let (add, eps) = (plus(op.add), op.eps);
    format!("{add}{} <- {}{heads}, eps {eps:e}{gains}", name(op.y), name(op.x))
}

fn layer_norm(program: &Program, op: &LayerNorm) -> String {
    let name = |slot| name(program, slot);
    let width = program.slot(op.x).width;
    let heads = if width == op.dim as usize { String::new() } else { format!(" per {}", op.dim) };
    let bias = if op.bias.is_some() { "+b" } else { "" };
    format!("{} <- {}{heads}{bias}, eps {:e}", name(op.y), name(op.x), op.eps)
}

fn rope(program: &Program, op: &Rope) -> String {
    let name = |slot| name(program, slot);
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

fn kv_write(program: &Program, op: &KvWrite) -> String {
    let name = |slot| name(program, slot);
    let cache = program.cache(op.cache);
    let (heads, dim, kind) = (cache.kv_heads, cache.head_dim, cache.kind);
    let values = op.v.map_or(String::new(), |v| format!(", {}", name(v)));
    format!("cache {} <- {}{values} {heads}x{dim} {kind:?}", op.cache.group, name(op.k))
}

fn attend(program: &Program, op: &Attend) -> String {
    let name = |slot| name(program, slot);
    let cache = program.cache(op.cache);
    let mut more = match op.reach {
        Reach::All => String::new(),
        Reach::Window(n) => format!(", window {n}"),
        Reach::Chunk(n) => format!(", chunk {n}"),
    };
    if let Some(cap) = op.cap {
        let _ = write!(more, ", cap {cap}");
    }
    if op.sinks.is_some() {
        more.push_str(", sinks");
    }
    if let Some(temperature) = op.temperature {
        let _ = write!(more, ", growing every {}", temperature.length);
    }
    let (y, q, heads) = (name(op.y), name(op.q), op.heads);
    format!("{y} <- {q} {heads}/{} heads{more}", cache.kv_heads)
}

fn gated_act(program: &Program, op: &GatedAct) -> String {
    let name = |slot| name(program, slot);
    let act = format!("{:?}", op.act).to_lowercase();
    let act = act.split_whitespace().next().unwrap_or_default();
    let up = match op.up {
        Up::None => String::new(),
        Up::Slot(up, 0) => format!(" * {}", name(up)),
        Up::Slot(up, first) => format!(" * {} from {first}", name(up)),
        Up::Neighbour => " * its neighbours".to_owned(),
    };
    format!("{} <- {act}({}){up}", name(op.y), name(op.gate))
}

fn linear_at(program: &Program, op: &LinearAt) -> String {
    let name = |slot| name(program, slot);
    let part = |part: &ExpertPart| {
        let weight = program.weight(part.first);
        let bias = if part.bias.is_some() { "+b" } else { "" };
        let form = if part.form == Form::Fast { " int8" } else { "" };
        let (rows, cols, kind) = (weight.rows, weight.cols, weight.kind);
        format!("{} {rows}x{cols}{bias} {kind}{form}", name(part.y))
    };
    let parts: Vec<_> = op.parts.iter().map(part).collect();
    let active = program.slot(op.routes).width / 2;
    let weighted = if op.weighted { ", weighted" } else { "" };
    let (parts, x, all) = (parts.join(", "), name(op.x), op.experts);
    format!("{parts} <- {x}, {active} of {all}{weighted}")
}

fn columns(program: &Program, op: &Columns) -> String {
    let name = |slot| name(program, slot);
    let (count, take) = (op.count, op.take);
    format!("{}[{}] <- {}[{}], {count} runs of {take}", name(op.y), op.at, name(op.x), op.start)
}

fn short_conv(program: &Program, op: &ShortConv) -> String {
    let name = |slot| name(program, slot);
    let (w, act) = (program.weight(op.w), format!("{:?}", op.act).to_lowercase());
    let apart = if op.dilation == 1 { String::new() } else { format!(" by {}", op.dilation) };
    format!("{} <- {act} of {} over {}{apart}", name(op.y), name(op.x), w.cols)
}

fn head_linear(program: &Program, op: &HeadLinear) -> String {
    let name = |slot| name(program, slot);
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

fn delta_net(program: &Program, op: &DeltaNet) -> String {
    let name = |slot| name(program, slot);
    format!(
        "{} <- {} {}x{} to {}x{}",
        name(op.y),
        name(op.qkv),
        op.k_heads,
        op.k_dim,
        op.v_heads,
        op.v_dim
    )
}

fn part(program: &Program, part: &Part) -> String {
    let weight = program.weight(part.weight);
    let add = plus(part.add);
    let bias = if part.bias.is_some() { "+b" } else { "" };
    let form = if part.form == Form::Fast { " int8" } else { "" };
    let shape = format!("{}x{}", weight.rows, weight.cols);
    let tied = if is_embedding(program, part.weight) { " (embedding)" } else { "" };
    let scale = factor(part.scale);
    format!("{add}{} {shape}{bias}{scale} {}{form}{tied}", program.slot(part.y).name, weight.kind)
}

fn route(program: &Program, op: &Route) -> String {
    let name = |slot: Slot| program.slot(slot).name;
    let score = match op.routing.score {
        Score::Softmax => "softmax",
        Score::SoftmaxChosen => "softmax of the chosen",
        Score::Sigmoid => "sigmoid",
    };
    let (active, all) = (op.routing.active, program.slot(op.logits).width);
    let mut text = format!("{} <- {active} of {all} by {score}", name(op.y));
    let mut also = |there: bool, what: &str| text.push_str(if there { what } else { "" });
    also(op.correction.is_some(), ", corrected");
    also(op.routing.normalized, ", normalized");
    also(op.expert_scale.is_some(), ", scaled each");
    if let Some(groups) = op.routing.groups {
        let _ = write!(text, ", {} of {} groups", groups.kept, groups.count);
    }
    text + &factor(op.routing.scale)
}

fn plus(add: bool) -> &'static str {
    if add { "+" } else { "" }
}

fn factor(scale: f32) -> String {
    if scale == 1.0 { String::new() } else { format!(" * {scale}") }
}

fn is_embedding(program: &Program, weight: WeightId) -> bool {
    program.ops().any(|op| matches!(op, Op::Embed(embed) if embed.table == weight))
}
