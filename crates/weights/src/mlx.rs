//! MLX's quantized directories: a matrix is two or three tensors, its parameters stand in
//! config.json.

use blocks::{Affine, Kind, Scaled};
use serde_json::Value;

use crate::directory::{Directory, Fold};
use crate::hf::Config;
use crate::quant::plain;
use crate::{TensorInfo, WeightError};

/// Turns every quantized matrix into one tensor; whether there is any.
pub fn fold(
    config: &Config,
    settings: &Value,
    directory: &mut Directory,
) -> Result<bool, WeightError> {
    let mut folds = Vec::new();
    for (words, tensor) in directory.tensors().iter().enumerate() {
        let Some(module) = tensor.name.strip_suffix(".weight") else { continue };
        let apart = |what: &str| directory.find(&format!("{module}.{what}"));
        let missing = |what: &str| {
            let file = directory.file_of(tensor).to_owned();
            WeightError::Missing { file, tensor: format!("{module}.{what}") }
        };
        let (scales, biases) = (apart("scales"), apart("biases"));
        if scales.is_none() && biases.is_none() {
            continue;
        }
        let scales = scales.ok_or_else(|| missing("scales"))?;
        let form = form_of(config, settings, module)?;
        let (bits, group) = form.sizes();
        if tensor.dtype != "U32" {
            return Err(directory.no_weights(tensor));
        }
        let cols = cols(directory, tensor, bits)?;
        let mut shape = tensor.shape.clone();
        *shape.last_mut().expect("a tensor with columns has a dimension") = cols;
        let biases = match form {
            Form::Affine { .. } => Some(biases.ok_or_else(|| missing("biases"))?),
            Form::Scaled(_) => None,
        };
        for part in [Some(scales), biases].into_iter().flatten() {
            let mut expected = shape.clone();
            *expected.last_mut().expect("it has a dimension") = cols / group;
            let part = &directory.tensors()[part];
            if part.shape != expected || cols % group != 0 {
                let expected = format!("{expected:?}, {cols} in groups of {group}");
                return Err(directory.misshapen(part, expected));
            }
        }
        let kind = kind_of(directory, form, scales, biases)?;
        folds.push(Fold { biases, ..Fold::new(&tensor.name, words, kind, shape, scales) });
    }
    let found = !folds.is_empty();
    directory.fold(folds);
    Ok(found)
}

/// The kind of a matrix with these scales and biases.
fn kind_of(
    directory: &Directory,
    form: Form,
    scales: usize,
    biases: Option<usize>,
) -> Result<Kind, WeightError> {
    let scales = &directory.tensors()[scales];
    match form {
        Form::Affine { bits, group } => {
            let scale = plain(directory, scales)?;
            match biases.map(|biases| &directory.tensors()[biases]) {
                Some(biases) if plain(directory, biases)? != scale => {
                    return Err(directory.no_weights(biases));
                }
                _ => {}
            }
            Ok(Kind::Affine(Affine { bits, group, scale }))
        }
        Form::Scaled(_) if scales.dtype != "U8" => Err(directory.no_weights(scales)),
        Form::Scaled(scaled) => Ok(Kind::Scaled(scaled)),
    }
}

/// How a module is quantized.
#[derive(Clone, Copy)]
enum Form {
    /// Integers with scales and biases.
    Affine { bits: u8, group: u8 },
    /// Small floats with scales.
    Scaled(Scaled),
}

impl Form {
    /// Bits of a weight and weights of a group.
    fn sizes(self) -> (u8, u64) {
        match self {
            Form::Affine { bits, group } => (bits, group.into()),
            Form::Scaled(scaled) => (scaled.element.bits() as u8, scaled.tile.cols.into()),
        }
    }
}

/// The parameters of a module: its own where the config names it, else those of all. A module of
/// its own parameters is affine unless they say otherwise.
fn form_of(config: &Config, all: &Value, module: &str) -> Result<Form, WeightError> {
    let own = all.get(module).filter(|own| own.is_object());
    let get = |key: &'static str| own.and_then(|own| own.get(key)).or_else(|| all.get(key));
    let number = |key: &'static str, known: &[u64], expected| {
        let value = get(key).unwrap_or(&Value::Null);
        match value.as_u64().filter(|n| known.contains(n)) {
            Some(n) => Ok(n as u8),
            None => Err(config.invalid(&format!("quantization.{key}"), value, expected)),
        }
    };
    let affine = Value::from("affine");
    let mode = own.unwrap_or(all).get("mode").unwrap_or(&affine);
    let scaled = match mode.as_str() {
        Some("affine") => {
            return Ok(Form::Affine {
                bits: number("bits", &[2, 3, 4, 5, 6, 8], "2, 3, 4, 5, 6 or 8")?,
                group: number("group_size", &[32, 64, 128], "32, 64 or 128")?,
            });
        }
        Some("mxfp4") => Scaled::MXFP4,
        Some("mxfp8") => Scaled::MXFP8,
        Some("nvfp4") => Scaled::NVFP4,
        _ => return Err(config.unsupported("quantization.mode", mode, "use an affine one")),
    };
    let form = Form::Scaled(scaled);
    let (bits, group) = form.sizes();
    for (key, only) in [("bits", u64::from(bits)), ("group_size", group)] {
        if let Some(value) = get(key).filter(|value| value.as_u64() != Some(only)) {
            let expected = "what its mode has: 4 and 32, 8 and 32 or 4 and 16";
            return Err(config.invalid(&format!("quantization.{key}"), value, expected));
        }
    }
    Ok(form)
}

/// Weights per row, from the number of packed words.
fn cols(directory: &Directory, tensor: &TensorInfo, bits: u8) -> Result<u64, WeightError> {
    let words = tensor.shape.last().copied().unwrap_or(0);
    match words.checked_mul(32) {
        Some(total) if total > 0 && total % u64::from(bits) == 0 => Ok(total / u64::from(bits)),
        _ => Err(directory.misshapen(tensor, format!("whole rows of {bits}-bit weights"))),
    }
}
