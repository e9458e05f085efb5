//! What differs between files of one model, settled: fused rows, biases by presence, tied heads.

use std::collections::BTreeSet;
use std::ops::Range;

use blocks::Kind;
use model::{Meta, Part, Value, WeightSpec};

use crate::directory::{Bound, Directory, Share, matrix};
use crate::names::{self, Style};
use crate::{Container, TensorInfo, WeightError};

/// Finds every wanted part, and nothing besides what `ignored` names.
pub fn bind(
    directory: &Directory,
    style: Style,
    ignored: &BTreeSet<String>,
    wanted: &[WeightSpec],
    change: impl Fn(Part) -> Change,
) -> Result<Vec<Bound>, WeightError> {
    let mut used = vec![false; directory.tensors().len()];
    let mut bound = Vec::with_capacity(wanted.len());
    for spec in wanted {
        let mut part = find(directory, style, wanted, spec)?;
        part.change = change(spec.part);
        if part.change != Change::None {
            part.kind = Kind::F32;
        }
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

/// How the files of a model differ from what is computed with.
pub fn change(meta: &Meta, style: Style, container: Container, part: Part) -> Change {
    let family = match meta.get("family") {
        Some(Value::Text(name)) => model::family(name).map_or("", |family| family.gguf),
        _ => "",
    };
    let centred = names::CENTRED.contains(&family) && names::CENTRED_PARTS.contains(&part);
    match style {
        // MLX's programs add the one when they convert.
        Style::HuggingFace if centred && container != Container::Mlx => Change::AddOne,
        Style::HuggingFace if part == Part::DeltaRate => Change::MinusExp,
        _ => Change::None,
    }
}

/// The flags that show in which tensors a model has; those that its configuration gives are kept.
pub fn flags(meta: &mut Meta, directory: &Directory, style: Style) {
    let in_first_layer = |parts: &[Part]| {
        let names = parts.iter().flat_map(|&part| {
            let fused = names::fused(style, part, Some(0)).map(|(name, _)| name);
            fused.into_iter().chain([names::name(style, part, Some(0))])
        });
        names.into_iter().find(|name| directory.find(name).is_some())
    };
    for (flag, parts) in [
        ("qkv_bias", &[Part::QBias, Part::KBias, Part::VBias][..]),
        ("out_bias", &[Part::OBias]),
        ("mlp_bias", &[Part::GateBias, Part::UpBias, Part::DownBias]),
    ] {
        if let (None, Some(name)) = (meta.get(flag), in_first_layer(parts)) {
            meta.set(flag, &name, Value::Bool(true));
        }
    }
    for (flag, part) in [("delta.joint", Part::DeltaAll), ("delta.joint_gates", Part::DeltaGates)] {
        let tail = names::tail(style, part);
        if let Some(tensor) = directory.tensors().iter().find(|t| t.name.ends_with(&tail)) {
            meta.set(flag, &tensor.name, Value::Bool(true));
        }
    }
    let (embed, head) =
        (names::name(style, Part::Embed, None), names::name(style, Part::Head, None));
    let tied = match (directory.find(&embed), directory.find(&head)) {
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

/// The tensors that a model of this metadata does not need although its file may hold them.
pub fn ignored(meta: &Meta, directory: &Directory, style: Style) -> BTreeSet<String> {
    let tied = meta.get("tied") == Some(&Value::Bool(true));
    let head = names::name(style, Part::Head, None);
    let spare = |t: &&TensorInfo| names::is_redundant(style, &t.name) || (tied && t.name == head);
    directory.tensors().iter().filter(spare).map(|t| t.name.clone()).collect()
}

fn find(
    directory: &Directory,
    style: Style,
    wanted: &[WeightSpec],
    spec: &WeightSpec,
) -> Result<Bound, WeightError> {
    let own = names::name(style, spec.part, spec.layer);
    let fused = names::fused(style, spec.part, spec.layer).and_then(|(name, parts)| {
        // A tensor of that name is the fused one only where the first part is not stored alone.
        let alone = directory.find(&names::name(style, parts[0], spec.layer)).is_some();
        Some((directory.find(&name).filter(|_| !alone)?, parts))
    });
    let (rows, cols) = (spec.rows as usize, spec.cols as usize);
    let (tensor, part, expected) = match fused {
        Some((tensor, parts)) => {
            // Every part of a fused bias is a vector, so its share is one of columns.
            let is_bias = directory.tensors()[tensor].name.ends_with(".bias");
            let (share, total) =
                share(wanted, spec, parts, |w| if is_bias { w.cols } else { w.rows });
            let expected = if is_bias { (rows, total) } else { (total, cols) };
            (tensor, if is_bias { Share::Cols(share) } else { Share::Rows(share) }, expected)
        }
        None => {
            let alias = || directory.find(&names::alias(style, spec.part, spec.layer)?);
            let tensor = directory.find(&own).or_else(alias);
            let file = directory.file();
            let tensor = tensor.ok_or(WeightError::Missing { file, tensor: own })?;
            (tensor, Share::Whole, (rows, cols))
        }
    };
    let info = &directory.tensors()[tensor];
    if matrix(&info.shape) != Some(expected) {
        let (rows, cols) = expected;
        return Err(directory.misshapen(info, format!("[{rows}, {cols}]")));
    }
    let kind = info.kind.ok_or_else(|| directory.no_weights(info))?;
    if matches!(part, Share::Cols(_)) && kind.block_len() != 1 {
        return Err(directory.no_weights(info));
    }
    let (name, change) = (info.name.clone(), Change::None);
    Ok(Bound { spec: *spec, kind, name, tensor, share: part, change })
}

/// Where a part's share begins and ends in the tensor that holds `parts`, and the size of all.
fn share(
    wanted: &[WeightSpec],
    spec: &WeightSpec,
    parts: &[Part],
    size: impl Fn(&WeightSpec) -> u32,
) -> (Range<usize>, usize) {
    let (mut share, mut total) = (0..0, 0);
    for &part in parts {
        let other = wanted.iter().find(|w| w.part == part && w.layer == spec.layer);
        let size = other.map_or(0, &size) as usize;
        if part == spec.part {
            share = total..total + size;
        }
        total += size;
    }
    (share, total)
}
