//! compressed-tensors: FP8, NVFP4, MXFP4 and symmetric integers of 4 and 8 bits.

use blocks::{Affine, Global, Indexed, Kind, Scaled};
use serde_json::Value;

use super::integers::{grouped, trivial};
use super::{OTHER_FILE, Settings, beside, floats, plain, shaped, typed};
use crate::WeightError;
use crate::directory::{Directory, Fold};
use crate::packing::Packing;

/// Keys of the method.
pub const KEYS: &[&str] = &[
    "config_groups",
    "format",
    "global_compression_ratio",
    "ignore",
    "kv_cache_scheme",
    "quantization_status",
    "sparsity_config",
    "transform_config",
    "version",
];

const FLOAT: &str = "float-quantized";
const NVFP4: &str = "nvfp4-pack-quantized";
const MXFP4: &str = "mxfp4-pack-quantized";
const INTEGERS: &str = "pack-quantized";

/// Every matrix of the method.
pub fn compressed(
    settings: &Settings<'_>,
    directory: &Directory,
) -> Result<Vec<Fold>, WeightError> {
    settings.modules("ignore")?;
    settings.only("quantization_status", &["compressed"])?;
    settings.nothing("transform_config")?;
    let sparsity = settings.get("sparsity_config").and_then(|sparse| sparse.get("format"));
    if let Some(format) = sparsity.filter(|format| *format != "dense") {
        return Err(settings.unsupported("sparsity_config.format", format, OTHER_FILE));
    }
    let groups = settings.get("config_groups").and_then(Value::as_object);
    let groups = groups.filter(|groups| groups.len() == 1).and_then(|groups| groups.iter().next());
    let Some((name, group)) = groups else {
        let found = settings.get("config_groups").unwrap_or(&Value::Null);
        return Err(settings.unsupported("config_groups", found, "use a file with one group"));
    };
    let format = settings.get("format").or_else(|| group.get("format")).unwrap_or(&Value::Null);
    let weights = group.get("weights").unwrap_or(&Value::Null);
    let at = |key: &str| format!("config_groups.{name}.weights.{key}");
    match format.as_str() {
        Some(FLOAT) => floats::fp8_matrices(directory, fp8_block(settings, weights, &at)?),
        Some(NVFP4) => nvfp4(directory),
        Some(MXFP4) => mxfp4(directory),
        Some(INTEGERS) => {
            let bits = match weights.get("num_bits").and_then(Value::as_u64) {
                Some(bits @ (4 | 8)) => bits as u8,
                _ => {
                    let found = weights.get("num_bits").unwrap_or(&Value::Null);
                    return Err(settings.unsupported(&at("num_bits"), found, OTHER_FILE));
                }
            };
            if let Some(flag) = weights.get("symmetric").filter(|flag| **flag != true) {
                return Err(settings.unsupported(&at("symmetric"), flag, OTHER_FILE));
            }
            integers(directory, bits)
        }
        _ => Err(settings.unsupported("format", format, OTHER_FILE)),
    }
}

/// The blocks of FP8 weights, where scales are neither of rows nor of matrices.
fn fp8_block(
    settings: &Settings<'_>,
    weights: &Value,
    at: &dyn Fn(&str) -> String,
) -> Result<Option<blocks::Tile>, WeightError> {
    match weights.get("strategy").and_then(Value::as_str) {
        Some("tensor" | "channel") | None => Ok(None),
        Some("block") => {
            let found = weights.get("block_structure").unwrap_or(&Value::Null);
            let size = |i: usize| u32::try_from(found.get(i)?.as_u64()?).ok().filter(|&n| n > 0);
            match size(0).zip(size(1)) {
                Some((rows, cols)) => Ok(Some(blocks::Tile { rows, cols })),
                None => Err(settings.invalid(&at("block_structure"), found, "[rows, columns]")),
            }
        }
        Some(_) => Err(settings.unsupported(&at("strategy"), &weights["strategy"], OTHER_FILE)),
    }
}

/// The packed tensors, their names as unpacked ones and their scales.
fn packed(directory: &Directory) -> Result<Vec<(usize, String, usize)>, WeightError> {
    let mut found = Vec::new();
    for (data, tensor) in directory.tensors().iter().enumerate() {
        let Some(module) = tensor.name.strip_suffix(".weight_packed") else { continue };
        let scales = beside(directory, tensor, format!("{module}.weight_scale"))?;
        found.push((data, format!("{module}.weight"), scales));
    }
    Ok(found)
}

/// FP8 scales are divided by that of the whole matrix.
fn nvfp4(directory: &Directory) -> Result<Vec<Fold>, WeightError> {
    let scaled = Scaled { global: Some(Global::Per), ..Scaled::NVFP4 };
    let with = |(data, name, scales): (usize, String, usize)| {
        let tensor = &directory.tensors()[data];
        let global = beside(directory, tensor, format!("{name}_global_scale"))?;
        typed(directory, global, &["F32"])?;
        let fold = floats::fp4(directory, &name, data, scales, scaled)?;
        Ok(Fold { biases: Some(global), ..fold })
    };
    packed(directory)?.into_iter().map(with).collect()
}

fn mxfp4(directory: &Directory) -> Result<Vec<Fold>, WeightError> {
    let with = |(data, name, scales): (usize, String, usize)| {
        floats::fp4(directory, &name, data, scales, Scaled::MXFP4)
    };
    packed(directory)?.into_iter().map(with).collect()
}

/// Integers that are stored with half of their range added, in words along the rows.
fn integers(directory: &Directory, bits: u8) -> Result<Vec<Fold>, WeightError> {
    let with = |(data, name, scales): (usize, String, usize)| {
        typed(directory, data, &["I32"])?;
        let tensor = &directory.tensors()[data];
        let scale = &directory.tensors()[scales];
        let (&[rows, words], &[_, groups]) = (&tensor.shape[..], &scale.shape[..]) else {
            return Err(directory.misshapen(tensor, "a matrix with scales of groups".to_owned()));
        };
        shaped(directory, scales, &[rows, groups])?;
        let cols = words.saturating_mul(32 / u64::from(bits));
        let index = directory.find(&format!("{}_g_idx", name));
        let size = if groups > 0 { cols.div_ceil(groups) } else { 0 };
        let scale = plain(directory, scale)?;
        let by_index = match index {
            Some(index) => !trivial(directory, index, cols, size)?,
            None => false,
        };
        let kind = if by_index {
            Kind::Indexed(Indexed { bits, group: size as u32, scale })
        } else {
            let group = grouped(directory, tensor, cols, size)?;
            Kind::Affine(Affine { bits, group, scale })
        };
        let fold = Fold::new(&name, data, kind, vec![rows, cols], scales);
        let packing = Some(Packing::Symmetric { group: size as usize });
        Ok(Fold { index: index.filter(|_| by_index), gone: index, packing, ..fold })
    };
    packed(directory)?.into_iter().map(with).collect()
}
