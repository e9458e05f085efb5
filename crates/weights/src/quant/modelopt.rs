//! NVIDIA ModelOpt's NVFP4 and FP8.
//!
//! A scale of the whole matrix, `weight_scale_2`, multiplies the FP8 scales of NVFP4.

use blocks::{Global, Scaled};

use super::{OTHER_FILE, Settings, beside, floats, typed};
use crate::WeightError;
use crate::directory::{Directory, Fold};

/// Keys of the method.
pub const KEYS: &[&str] = &[
    "config_groups",
    "exclude_modules",
    "group_size",
    "ignore",
    "kv_cache_quant_algo",
    "kv_cache_scheme",
    "producer",
    "quant_algo",
];

/// Every matrix of the method.
pub fn modelopt(settings: &Settings<'_>, directory: &Directory) -> Result<Vec<Fold>, WeightError> {
    settings.modules("ignore")?;
    settings.modules("exclude_modules")?;
    settings.only("quant_algo", &["NVFP4", "W4A16_NVFP4", "FP8"])?;
    if let Some(size) = settings.get("group_size").filter(|size| **size != 16) {
        return Err(settings.unsupported("group_size", size, OTHER_FILE));
    }
    let mut folds = floats::fp8_matrices(directory, None)?;
    let scaled = Scaled { global: Some(Global::Times), ..Scaled::NVFP4 };
    for (data, tensor) in directory.tensors().iter().enumerate() {
        if tensor.dtype != "U8" || !tensor.name.ends_with(".weight") {
            continue;
        }
        let scales = beside(directory, tensor, format!("{}_scale", tensor.name))?;
        let global = beside(directory, tensor, format!("{}_scale_2", tensor.name))?;
        typed(directory, global, &["F32"])?;
        let fold = floats::fp4(directory, &tensor.name, data, scales, scaled)?;
        folds.push(Fold { biases: Some(global), ..fold });
    }
    Ok(folds)
}
