//! MLX's quantized directories: a matrix is three tensors, its parameters stand in config.json.

use blocks::{Affine, Plain};
use serde_json::Value;

use crate::directory::{Directory, Fold};
use crate::hf::Config;
use crate::{TensorInfo, WeightError};

/// Turns every quantized matrix into one tensor; whether there is any.
pub fn fold(config: &Config, directory: &mut Directory) -> Result<bool, WeightError> {
    let Some(settings) = config.quantization()? else { return Ok(false) };
    let mut folds = Vec::new();
    for (words, tensor) in directory.tensors().iter().enumerate() {
        let Some(module) = tensor.name.strip_suffix(".weight") else { continue };
        let apart = |what: &str| directory.find(&format!("{module}.{what}"));
        let (scales, biases) = match (apart("scales"), apart("biases")) {
            (Some(scales), Some(biases)) => (scales, biases),
            (None, None) => continue,
            (scales, _) => {
                let lacks = if scales.is_some() { "biases" } else { "scales" };
                let file = directory.file_of(tensor).to_owned();
                return Err(WeightError::Missing { file, tensor: format!("{module}.{lacks}") });
            }
        };
        let Settings { bits, group } = settings_of(config, settings, module)?;
        let scale = plain(directory, &directory.tensors()[scales])?;
        let affine = Affine { bits, group, scale };
        if tensor.dtype != "U32" {
            return Err(directory.no_weights(tensor));
        }
        let cols = cols(directory, tensor, bits)?;
        for i in [scales, biases] {
            let part = &directory.tensors()[i];
            let mut expected = tensor.shape.clone();
            if let Some(last) = expected.last_mut() {
                *last = cols / u64::from(group);
            }
            if part.shape != expected || cols % u64::from(group) != 0 {
                let expected = format!("{expected:?}, {cols} in groups of {group}");
                return Err(directory.misshapen(part, expected));
            }
            if plain(directory, part)? != scale {
                return Err(directory.no_weights(part));
            }
        }
        folds.push(Fold { words, scales, biases, affine, cols });
    }
    let found = !folds.is_empty();
    directory.fold_affine(folds);
    Ok(found)
}

#[derive(Clone, Copy)]
struct Settings {
    bits: u8,
    group: u8,
}

/// The parameters of a module: its own where the config names it, else those of all.
fn settings_of(config: &Config, all: &Value, module: &str) -> Result<Settings, WeightError> {
    let own = all.get(module).filter(|own| own.is_object());
    let get = |key: &'static str| own.and_then(|own| own.get(key)).or_else(|| all.get(key));
    let number = |key: &'static str, known: &[u64], expected| {
        let value = get(key).unwrap_or(&Value::Null);
        match value.as_u64().filter(|n| known.contains(n)) {
            Some(n) => Ok(n as u8),
            None => Err(config.invalid(&format!("quantization.{key}"), value, expected)),
        }
    };
    if let Some(mode) = get("mode").filter(|mode| *mode != "affine") {
        return Err(config.unsupported("quantization.mode", mode, "use an affine one"));
    }
    Ok(Settings {
        bits: number("bits", &[2, 3, 4, 5, 6, 8], "2, 3, 4, 5, 6 or 8")?,
        group: number("group_size", &[32, 64, 128], "32, 64 or 128")?,
    })
}

fn plain(directory: &Directory, tensor: &TensorInfo) -> Result<Plain, WeightError> {
    match tensor.dtype.as_str() {
        "F32" => Ok(Plain::F32),
        "F16" => Ok(Plain::F16),
        "BF16" => Ok(Plain::BF16),
        _ => Err(directory.no_weights(tensor)),
    }
}

/// Weights per row, from the number of packed words.
fn cols(directory: &Directory, tensor: &TensorInfo, bits: u8) -> Result<u64, WeightError> {
    let words = tensor.shape.last().copied().unwrap_or(0);
    match words.checked_mul(32) {
        Some(total) if total > 0 && total % u64::from(bits) == 0 => Ok(total / u64::from(bits)),
        _ => Err(directory.misshapen(tensor, format!("whole rows of {bits}-bit weights"))),
    }
}
