//! What differs between files of one model, settled: fused rows, biases by presence, tied heads.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use blocks::Kind;
use model::{Meta, Part, Value, WeightSpec};

use crate::directory::{Bound, Directory, Share, flat, matrix};
use crate::names::{self, Style};
use crate::{TensorInfo, WeightError};

/// Whose files they are: how they name tensors, and which family's.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    pub style: Style,
    /// The family, as GGUF spells it.
    pub family: &'a str,
    /// Whether MLX wrote them.
    pub mlx: bool,
}

/// Finds every wanted part, and nothing besides what `ignored` names.
pub fn bind(
    directory: &Directory,
    origin: Origin<'_>,
    ignored: &BTreeSet<String>,
    wanted: &[WeightSpec],
) -> Result<Vec<Bound>, WeightError> {
    let mut used = vec![false; directory.tensors().len()];
    let mut bound = Vec::with_capacity(wanted.len());
    let shapes = wanted.iter().map(|w| ((w.part, w.layer), (w.rows as usize, w.cols as usize)));
    let shapes = shapes.collect();
    for spec in wanted {
        let part = Search { directory, origin, shapes: &shapes, spec }.find()?;
        used[part.tensor] = true;
        bound.push(part);
    }
    let unused = directory.tensors().iter().zip(used).filter(|(_, used)| !used);
    let mut surplus = unused.map(|(t, _)| t).filter(|t| !ignored.contains(&t.name));
    match surplus.next() {
        None => Ok(bound),
        Some(tensor) => Err(WeightError::Surplus {
            file: directory.file_of(tensor).to_owned(),
            tensor: tensor.name.clone(),
            count: 1 + surplus.count(),
        }),
    }
}

/// What is done to a vector's values when it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is read where it lies.
    None,
    /// One is added.
    AddOne,
    /// The exponential's negative is taken.
    MinusExp,
}

impl Change {
    /// Applies it.
    pub fn apply(self, value: f32) -> f32 {
        match self {
            Change::None => value,
            Change::AddOne => 1.0 + value,
            Change::MinusExp => -value.exp(),
        }
    }
}

/// What is done to a part of these files.
fn change(origin: Origin<'_>, part: Part) -> Change {
    match origin.style {
        Style::HuggingFace if part == Part::DeltaRate => Change::MinusExp,
        Style::HuggingFace if names::is_shifted(origin.family, origin.mlx, part) => Change::AddOne,
        _ => Change::None,
    }
}

/// The flags that show in which tensors a model has; those that its configuration gives are kept.
pub fn flags(meta: &mut Meta, directory: &Directory, origin: Origin<'_>) {
    let style = origin.style;
    let in_first_layer = |parts: &[Part]| {
        let names = parts.iter().flat_map(|&part| {
            let fused = names::fused(style, part, Some(0)).map(|(name, _)| name);
            fused.chain(names::names(style, part, Some(0)))
        });
        names.into_iter().find(|name| directory.find(name).is_some())
    };
    let reads = |flag| model::family(origin.family).is_ok_and(|f| f.reads.contains(&flag));
    for (flag, parts, there) in [
        ("qkv_bias", &[Part::QBias, Part::KBias, Part::VBias][..], true),
        ("out_bias", &[Part::OBias], true),
        ("mlp_bias", &[Part::GateBias, Part::UpBias, Part::DownBias], true),
        ("qk_norm", &[Part::QNorm], reads("qk_norm")),
        ("gate_up_paired", &[Part::ExpertGateUp], names::PAIRED.contains(&origin.family)),
    ] {
        if let (true, None, Some(name)) = (there, meta.get(flag), in_first_layer(parts)) {
            meta.set(flag, &name, Value::Bool(true));
        }
    }
    let of_part = |t: &&TensorInfo, part| {
        let layer = names::layer_of(style, &t.name);
        layer.is_some() && names::names(style, part, layer).any(|name| name == t.name)
    };
    for (flag, part) in [
        ("delta.joint", Part::DeltaAll),
        ("delta.joint_gates", Part::DeltaGates),
        ("memory.bias", Part::MemoryKeyBias),
        ("latent.split", Part::KUp),
    ] {
        if let Some(tensor) = directory.tensors().iter().find(|t| of_part(t, part)) {
            meta.set(flag, &tensor.name, Value::Bool(true));
        }
    }
    if reads("k_eq_v") && meta.get("k_eq_v").is_none() {
        // Layers whose values are their keys have no projection of values.
        let has = |part, layer| {
            names::names(style, part, Some(layer)).any(|name| directory.find(&name).is_some())
        };
        let alone = |layer: &u32| has(Part::K, *layer) && !has(Part::V, *layer);
        if let Some(layer) = (0..).take_while(|layer| has(Part::Q, *layer)).find(alone) {
            let name = names::name(style, Part::K, Some(layer));
            meta.set("k_eq_v", &name, Value::Bool(true));
        }
    }
    let find = |part| names::names(style, part, None).find_map(|name| directory.find(&name));
    let tied = match (find(Part::Embed), find(Part::Head)) {
        // A head that is not the embedding is used, whatever the configuration says.
        (Some(embed), Some(head)) => {
            meta.get("tied") == Some(&Value::Bool(true)) && directory.looks_same(embed, head)
        }
        (_, Some(_)) => false,
        (_, None) if meta.get("tied").is_none() => true,
        (_, None) => return,
    };
    let spelled = meta.spelled("tied");
    meta.set("tied", &spelled, Value::Bool(tied));
}

/// The tensors that a model of this metadata does not need although its file may hold them: a head
/// that is the embedding, tables that follow from the configuration, keys and values of layers that
/// see those of others, and layers above the last, which draft further tokens.
pub fn ignored(meta: &Meta, directory: &Directory, style: Style) -> BTreeSet<String> {
    let tied = meta.get("tied") == Some(&Value::Bool(true));
    let head: Vec<_> = names::names(style, Part::Head, None).collect();
    let layers = match (meta.get("layers"), meta.get("draft_layers")) {
        (Some(Value::Int(layers)), Some(Value::Int(drafts))) if *drafts > 0 => *layers,
        _ => i64::MAX,
    };
    // Layers that see the keys and values of earlier ones may come with projections of their own.
    let shared = match (meta.get("layers"), meta.get("kv_shared")) {
        (Some(Value::Int(layers)), Some(Value::Int(shared))) => *layers - *shared,
        _ => i64::MAX,
    };
    let of_shared = |t: &TensorInfo| {
        let layer = names::layer_of(style, &t.name).filter(|layer| i64::from(*layer) >= shared);
        let keys = [Part::K, Part::V, Part::KNorm];
        let named = |part| names::names(style, part, layer).any(|name| name == t.name);
        layer.is_some() && keys.into_iter().any(named)
    };
    let spare = |t: &&TensorInfo| {
        of_shared(t)
            || names::is_redundant(style, &t.name)
            || (tied && head.contains(&t.name))
            || names::layer_of(style, &t.name).is_some_and(|layer| i64::from(layer) >= layers)
    };
    directory.tensors().iter().filter(spare).map(|t| t.name.clone()).collect()
}

/// Rows and columns of each part of each layer.
type Shapes = HashMap<(Part, Option<u32>), (usize, usize)>;

/// The search for one part.
struct Search<'a> {
    directory: &'a Directory,
    origin: Origin<'a>,
    shapes: &'a Shapes,
    spec: &'a WeightSpec,
}

impl Search<'_> {
    fn find(&self) -> Result<Bound, WeightError> {
        let spec = self.spec;
        let (tensor, rows, total) = self.tensor()?;
        let (directory, info) = (self.directory, &self.directory.tensors()[tensor]);
        if spec.part == Part::MemoryIds {
            return self.numbers(tensor);
        }
        let kind = info.kind.ok_or_else(|| directory.no_weights(info))?;
        let cols = spec.cols as usize;
        let plain = kind.block_len() == 1;
        let transposed = plain && self.is_transposed(&info.name);
        let (expected, share) = match (spec.expert, spec.rows) {
            (Some(expert), _) => self.of_expert(info, expert as usize, rows, total, transposed),
            (None, 1) => {
                let flat = (1, if rows.is_empty() { cols } else { total });
                let share = if rows.is_empty() { Share::Flat } else { Share::Cols(rows) };
                let there = count(&info.shape) == Some(flat.1) && (plain || one_row(&info.shape));
                (Some(flat).filter(|_| there), share)
            }
            _ if transposed => {
                let there = matrix(&info.shape) == Some((cols, total));
                (Some((total, cols)).filter(|_| there), Share::Transposed(0, rows))
            }
            _ => {
                let there = flat(&info.shape) == Some((total, cols));
                let share = if rows.len() == total { Share::Whole } else { Share::Rows(rows) };
                (Some((total, cols)).filter(|_| there), share)
            }
        };
        if expected.is_none() {
            return Err(directory.misshapen(info, format!("[{total}, {cols}]")));
        }
        if matches!(share, Share::Cols(_)) && !plain {
            return Err(directory.no_weights(info));
        }
        let change = change(self.origin, spec.part);
        let kind = if change == Change::None { kind } else { Kind::F32 };
        let (spec, name, adapter) = (*spec, info.name.clone(), None);
        Ok(Bound { spec, kind, name, tensor, share, change, adapter })
    }

    /// Whole numbers, which no kernel reads: they become f32 when they are loaded.
    fn numbers(&self, tensor: usize) -> Result<Bound, WeightError> {
        let (spec, info) = (*self.spec, &self.directory.tensors()[tensor]);
        if count(&info.shape) != Some(spec.rows as usize) {
            return Err(self.directory.misshapen(info, format!("[{}]", spec.rows)));
        }
        if !["I32", "I64"].contains(&info.dtype.as_str()) {
            return Err(self.directory.no_weights(info));
        }
        let (name, share, change) = (info.name.clone(), Share::Numbers, Change::None);
        Ok(Bound { spec, kind: Kind::F32, name, tensor, share, change, adapter: None })
    }

    /// The tensor that holds the part, the rows in it that are the part's (of a vector, numbers;
    /// none for all), and how many it has (of one expert).
    fn tensor(&self) -> Result<(usize, Range<usize>, usize), WeightError> {
        let (style, WeightSpec { part, layer, rows, .. }) = (self.origin.style, *self.spec);
        for (name, parts) in names::fused(style, part, layer) {
            let Some(tensor) = self.directory.find(&name) else { continue };
            // A tensor of that name is the fused one only where the first part is not stored
            // alone.
            if self.alone(parts[0]).is_none() {
                let (share, total) = self.share(parts);
                return Ok((tensor, share, total));
            }
        }
        let tensor = self.alone(part).ok_or_else(|| {
            let present = |prefix: &str| {
                self.directory.tensors().iter().any(|tensor| tensor.name.starts_with(prefix))
            };
            let tensor = self.spelled(names::spelling(style, part, layer, present));
            WeightError::Missing { file: self.directory.file(), tensor }
        })?;
        let rows = rows as usize;
        Ok((tensor, if self.spec.rows == 1 { 0..0 } else { 0..rows }, rows))
    }

    /// The tensor of a part alone, or of all experts' parts of that kind.
    fn alone(&self, part: Part) -> Option<usize> {
        let names = names::names(self.origin.style, part, self.spec.layer);
        names.map(|name| self.spelled(name)).find_map(|name| self.directory.find(&name))
    }

    fn spelled(&self, name: String) -> String {
        match self.spec.expert {
            Some(expert) => name.replace("{e}", &expert.to_string()),
            None => name,
        }
    }

    fn is_transposed(&self, name: &str) -> bool {
        names::is_transposed(self.origin.style, self.origin.family, name)
    }

    /// An expert's rows of a tensor: its own, or one that holds those of all.
    fn of_expert(
        &self,
        info: &TensorInfo,
        expert: usize,
        rows: Range<usize>,
        total: usize,
        transposed: bool,
    ) -> (Option<(usize, usize)>, Share) {
        let cols = self.spec.cols as usize;
        let rows = if rows.is_empty() { 0..total } else { rows };
        let last: Option<[usize; 2]> = match info.shape[..] {
            [.., a, b] => a.try_into().ok().zip(b.try_into().ok()).map(|(a, b)| [a, b]),
            _ => None,
        };
        let matrices = count(&info.shape).zip(total.checked_mul(cols).filter(|n| *n > 0));
        let matrices = matrices.filter(|(all, one)| all % one == 0).map(|(all, one)| all / one);
        let (expected, share) = if transposed {
            ([cols, total], Share::Transposed(expert, rows))
        } else if matrices == Some(1) && rows.len() == total {
            ([total, cols], Share::Whole)
        } else {
            let first = if matrices == Some(1) { 0 } else { expert * total };
            ([total, cols], Share::Rows(first + rows.start..first + rows.end))
        };
        let enough = matrices.is_some_and(|n| n == 1 || n > expert);
        ((last == Some(expected) && enough).then_some((total, cols)), share)
    }

    /// Where the part's share begins and ends in the tensor that holds `parts`, and the size of
    /// all: rows, or numbers of vectors.
    fn share(&self, parts: &[Part]) -> (Range<usize>, usize) {
        let (mut share, mut total) = (0..0, 0);
        let is_vector = self.spec.rows == 1 && self.spec.expert.is_none();
        for &part in parts {
            let shape = self.shapes.get(&(part, self.spec.layer));
            let size = shape.map_or(0, |(rows, cols)| if is_vector { *cols } else { *rows });
            if part == self.spec.part {
                share = total..total + size;
            }
            total += size;
        }
        (share, total)
    }
}

/// Whether a shape has one row.
fn one_row(shape: &[u64]) -> bool {
    shape.split_last().is_some_and(|(_, rows)| rows.iter().all(|n| *n == 1))
}

/// How many numbers a tensor of a shape has.
fn count(shape: &[u64]) -> Option<usize> {
    shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n))?.try_into().ok()
}
