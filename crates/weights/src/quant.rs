//! Quantized safetensors: which tensors are one matrix, as `quantization_config` says.
//!
//! Forms whose bytes can be multiplied where they lie become one tensor of several parts; those of
//! GPTQ and AWQ lie transposed and are repacked when they are loaded (`packing`).

mod compressed;
mod floats;
mod integers;
mod modelopt;

use std::collections::BTreeSet;

use blocks::{Plain, Scale};
use serde_json::Value;

use crate::directory::Directory;
use crate::hf::{Config, Quantization};
use crate::{TensorInfo, WeightError, mlx};

/// What was found.
#[derive(Default)]
pub struct Quantized {
    /// Whether MLX quantized the model.
    pub mlx: bool,
    /// Tensors that belong to quantized activations and caches, which Russet does not quantize so.
    pub spare: BTreeSet<String>,
    /// Keys of the settings that mean nothing to this version.
    pub unknown_keys: Vec<String>,
}

/// Turns the tensors of every quantized matrix into one. `aside` is the file in which ModelOpt
/// keeps settings that config.json lacks.
pub fn fold(
    config: &Config,
    aside: Option<&Config>,
    directory: &mut Directory,
) -> Result<Quantized, WeightError> {
    let (method, settings) = match (config.quantization()?, aside) {
        (Quantization::None, None) => return Ok(Quantized::default()),
        (Quantization::None, Some(config)) => {
            let json = config.get("quantization").unwrap_or(&Value::Null);
            if !json.is_object() {
                return Err(config.invalid("quantization", json, "an object"));
            }
            ("modelopt", Settings { config, key: "quantization", json })
        }
        (Quantization::Mlx(settings), _) => {
            let mlx = mlx::fold(config, settings, directory)?;
            return Ok(Quantized { mlx, ..Quantized::default() });
        }
        (Quantization::Method(key, method, json), _) => (method, Settings { config, key, json }),
    };
    let (folds, known) = match method {
        "fp8" => (floats::fp8(&settings, directory)?, floats::FP8_KEYS),
        "mxfp4" => (floats::mxfp4(&settings, directory)?, floats::MXFP4_KEYS),
        "gptq" => (integers::gptq(&settings, directory)?, integers::GPTQ_KEYS),
        "awq" => (integers::awq(&settings, directory)?, integers::AWQ_KEYS),
        "modelopt" => (modelopt::modelopt(&settings, directory)?, modelopt::KEYS),
        "compressed-tensors" => (compressed::compressed(&settings, directory)?, compressed::KEYS),
        _ => {
            let instead = "use a GGUF or MLX file of the model, or its unquantized weights";
            return Err(settings.unsupported("quant_method", &Value::from(method), instead));
        }
    };
    let keys = settings.json.as_object().into_iter().flat_map(|settings| settings.keys());
    let unknown = keys.filter(|key| *key != "quant_method" && !known.contains(&key.as_str()));
    let unknown_keys = unknown.map(|key| settings.name(key)).collect();
    directory.fold(folds);
    let spare = directory.tensors().iter().filter(|tensor| is_spare(&tensor.name));
    let spare = spare.map(|tensor| tensor.name.clone()).collect();
    Ok(Quantized { mlx: false, spare, unknown_keys })
}

/// Scales of activations and caches, and shapes that the tensors have anyway.
fn is_spare(name: &str) -> bool {
    let ends = [".input_scale", ".input_global_scale", ".activation_scale", ".weight_shape"];
    ends.into_iter().chain([".k_scale", ".v_scale"]).any(|end| name.ends_with(end))
}

/// The settings of one method.
struct Settings<'a> {
    config: &'a Config,
    /// The key that they stand under.
    key: &'static str,
    json: &'a Value,
}

const OTHER_FILE: &str = "use a file that is quantized in a known way, or unquantized weights";

impl<'a> Settings<'a> {
    /// The value of a key; one that is null counts as absent.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    /// A key as it stands in the file.
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.key)
    }

    fn unsupported(&self, key: &str, value: &Value, instead: &'static str) -> WeightError {
        self.config.unsupported(&self.name(key), value, instead)
    }

    fn invalid(&self, key: &str, value: &Value, expected: &'static str) -> WeightError {
        self.config.invalid(&self.name(key), value, expected)
    }

    /// Refuses a value of a key that is none of those known.
    fn only(&self, key: &str, known: &[&str]) -> Result<(), WeightError> {
        match self.get(key) {
            Some(value) if !value.as_str().is_some_and(|text| known.contains(&text)) => {
                Err(self.unsupported(key, value, OTHER_FILE))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a key that says anything.
    fn nothing(&self, key: &str) -> Result<(), WeightError> {
        let says = |value: &&Value| match value {
            Value::Bool(on) => *on,
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => true,
        };
        match self.get(key).filter(says) {
            Some(value) => Err(self.unsupported(key, value, OTHER_FILE)),
            None => Ok(()),
        }
    }

    /// Checks a list of modules that are not quantized. Which they are, the tensors say.
    fn modules(&self, key: &str) -> Result<(), WeightError> {
        match self.get(key) {
            Some(Value::Array(names)) if names.iter().all(Value::is_string) => Ok(()),
            Some(value) => Err(self.invalid(key, value, "a list of names of modules")),
            None => Ok(()),
        }
    }

    /// The first of some keys that is there, a whole number.
    fn number(&self, keys: &[&'static str]) -> Result<(&'static str, i64), WeightError> {
        let found = keys.iter().find_map(|&key| Some((key, self.get(key)?)));
        let (key, value) = found.unwrap_or((keys[0], &Value::Null));
        let number = value.as_i64().ok_or_else(|| self.invalid(key, value, "a whole number"))?;
        Ok((key, number))
    }
}

/// The tensor of that name beside `tensor`, or an error that says that it is missing.
fn beside(directory: &Directory, tensor: &TensorInfo, name: String) -> Result<usize, WeightError> {
    let file = directory.file_of(tensor).to_owned();
    directory.find(&name).ok_or(WeightError::Missing { file, tensor: name })
}

/// Refuses a tensor of another shape.
fn shaped(directory: &Directory, index: usize, expected: &[u64]) -> Result<(), WeightError> {
    let tensor = &directory.tensors()[index];
    if tensor.shape == expected {
        return Ok(());
    }
    Err(directory.misshapen(tensor, format!("{expected:?}")))
}

/// Refuses a tensor of another type.
fn typed(directory: &Directory, index: usize, dtypes: &[&str]) -> Result<(), WeightError> {
    let tensor = &directory.tensors()[index];
    if dtypes.contains(&tensor.dtype.as_str()) {
        return Ok(());
    }
    Err(directory.no_weights(tensor))
}

/// How the numbers of a tensor of scales are stored.
fn scale_of(directory: &Directory, index: usize) -> Result<Scale, WeightError> {
    let tensor = &directory.tensors()[index];
    Ok(match tensor.dtype.as_str() {
        "F8_E4M3" => Scale::E4M3,
        "F8_E8M0" | "U8" => Scale::E8M0,
        _ => Scale::Plain(plain(directory, tensor)?),
    })
}

/// How plain numbers are stored.
pub fn plain(directory: &Directory, tensor: &TensorInfo) -> Result<Plain, WeightError> {
    match tensor.dtype.as_str() {
        "F32" => Ok(Plain::F32),
        "F16" => Ok(Plain::F16),
        "BF16" => Ok(Plain::BF16),
        _ => Err(directory.no_weights(tensor)),
    }
}
