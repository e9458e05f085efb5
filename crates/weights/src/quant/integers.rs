//! GPTQ's and AWQ's integers with scales and zero points of groups.
//!
//! Both store a matrix transposed, `qweight` (columns, rows), in words that hold neighbouring
//! columns (GPTQ) or rows (AWQ).

use blocks::{Affine, Indexed, Kind, Plain};
use serde_json::Value;

use super::{OTHER_FILE, Settings, beside, plain, shaped, typed};
use crate::directory::{Directory, Fold};
use crate::packing::Packing;
use crate::{TensorInfo, WeightError};

/// Keys of the method `gptq`.
pub const GPTQ_KEYS: &[&str] = &[
    "backend",
    "batch_size",
    "block_name_to_quantize",
    "bits",
    "cache_block_outputs",
    "checkpoint_format",
    "damp_percent",
    "dataset",
    "desc_act",
    "dynamic",
    "exllama_config",
    "group_size",
    "is_marlin_format",
    "lm_head",
    "max_input_length",
    "meta",
    "model_file_base_name",
    "model_name_or_path",
    "model_seqlen",
    "module_name_preceding_first_block",
    "modules_in_block_to_quantize",
    "pack_dtype",
    "pad_token_id",
    "static_groups",
    "sym",
    "tokenizer",
    "true_sequential",
    "use_cuda_fp16",
    "use_exllama",
];

/// Keys of the method `awq`.
pub const AWQ_KEYS: &[&str] = &[
    "backend",
    "bits",
    "do_fuse",
    "exllama_config",
    "fuse_max_seq_len",
    "group_size",
    "modules_to_fuse",
    "modules_to_not_convert",
    "q_group_size",
    "version",
    "w_bit",
    "zero_point",
];

/// Every matrix of the method `gptq`.
pub fn gptq(settings: &Settings<'_>, directory: &Directory) -> Result<Vec<Fold>, WeightError> {
    settings.only("checkpoint_format", &["gptq", "gptq_v2"])?;
    settings.only("pack_dtype", &["int32"])?;
    settings.nothing("dynamic")?;
    settings.nothing("is_marlin_format")?;
    let bits = bits(settings, &["bits"], &[2, 3, 4, 8])?;
    let (_, size) = settings.number(&["group_size"])?;
    // The first version of the format stores zero points less one.
    let second = settings.get("checkpoint_format").is_some_and(|format| *format == "gptq_v2");
    let less = u8::from(!second);
    let mut folds = Vec::new();
    for (data, name) in qweights(directory) {
        let tensor = &directory.tensors()[data];
        let &[words, rows] = tensor.shape.as_slice() else {
            return Err(directory.misshapen(tensor, "a matrix".to_owned()));
        };
        let cols = words.saturating_mul(32) / u64::from(bits);
        let matrix = Matrix { bits, rows, cols, size: group_size(settings, size, cols)? };
        let (scales, zeros) = matrix.parts(directory, tensor, &name)?;
        let index = directory.find(&format!("{name}.g_idx"));
        let by_index = match index {
            Some(index) => !trivial(directory, index, cols, matrix.size)?,
            None => false,
        };
        let scale = Plain::F32;
        let kind = if by_index {
            Kind::Indexed(Indexed { bits, group: matrix.size as u32, scale })
        } else {
            let group = grouped(directory, tensor, cols, matrix.size)?;
            Kind::Affine(Affine { bits, group, scale })
        };
        let weight = format!("{name}.weight");
        folds.push(Fold {
            biases: Some(zeros),
            index: index.filter(|_| by_index),
            gone: index,
            packing: Some(Packing::Gptq { less, group: matrix.size as usize }),
            ..Fold::new(&weight, data, kind, vec![rows, cols], scales)
        });
    }
    Ok(folds)
}

/// Every matrix of the method `awq`.
pub fn awq(settings: &Settings<'_>, directory: &Directory) -> Result<Vec<Fold>, WeightError> {
    settings.modules("modules_to_not_convert")?;
    let version = settings.get("version").and_then(Value::as_str).unwrap_or("gemm");
    if !version.eq_ignore_ascii_case("gemm") {
        return Err(settings.unsupported("version", &Value::from(version), OTHER_FILE));
    }
    let bits = bits(settings, &["bits", "w_bit"], &[4])?;
    let (_, size) = settings.number(&["group_size", "q_group_size"])?;
    let mut folds = Vec::new();
    for (data, name) in qweights(directory) {
        let tensor = &directory.tensors()[data];
        let &[cols, words] = tensor.shape.as_slice() else {
            return Err(directory.misshapen(tensor, "a matrix".to_owned()));
        };
        let rows = words.saturating_mul(8);
        let matrix = Matrix { bits, rows, cols, size: group_size(settings, size, cols)? };
        let (scales, zeros) = matrix.parts(directory, tensor, &name)?;
        let group = grouped(directory, tensor, cols, matrix.size)?;
        let kind = Kind::Affine(Affine { bits, group, scale: Plain::F32 });
        let weight = format!("{name}.weight");
        folds.push(Fold {
            biases: Some(zeros),
            packing: Some(Packing::Awq { group: matrix.size as usize }),
            ..Fold::new(&weight, data, kind, vec![rows, cols], scales)
        });
    }
    Ok(folds)
}

/// A matrix in groups of `size` columns.
struct Matrix {
    bits: u8,
    rows: u64,
    cols: u64,
    size: u64,
}

impl Matrix {
    /// Its scales, (groups, rows), and its packed zero points.
    fn parts(
        &self,
        directory: &Directory,
        tensor: &TensorInfo,
        name: &str,
    ) -> Result<(usize, usize), WeightError> {
        if tensor.dtype != "I32" {
            return Err(directory.no_weights(tensor));
        }
        let [scales, zeros] = ["scales", "qzeros"].map(|what| format!("{name}.{what}"));
        let (scales, zeros) =
            (beside(directory, tensor, scales)?, beside(directory, tensor, zeros)?);
        let (groups, bits) = (self.cols.div_ceil(self.size), u64::from(self.bits));
        let whole = |weights: u64| weights.is_multiple_of(32);
        if !whole(self.rows.saturating_mul(bits)) || !whole(self.cols) {
            let expected = format!("whole words of {bits}-bit integers in both directions");
            return Err(directory.misshapen(tensor, expected));
        }
        shaped(directory, scales, &[groups, self.rows])?;
        plain(directory, &directory.tensors()[scales])?;
        shaped(directory, zeros, &[groups, self.rows * bits / 32])?;
        typed(directory, zeros, &["I32"])?;
        Ok((scales, zeros))
    }
}

/// The packed tensors and the names of their modules.
fn qweights(directory: &Directory) -> impl Iterator<Item = (usize, String)> {
    let tensors = directory.tensors().iter().enumerate();
    tensors.filter_map(|(data, t)| Some((data, t.name.strip_suffix(".qweight")?.to_owned())))
}

fn bits(settings: &Settings<'_>, keys: &[&'static str], known: &[i64]) -> Result<u8, WeightError> {
    let (key, bits) = settings.number(keys)?;
    match known.contains(&bits) {
        true => Ok(bits as u8),
        false => Err(settings.unsupported(key, &Value::from(bits), OTHER_FILE)),
    }
}

/// Columns of a group; -1 means all.
fn group_size(settings: &Settings<'_>, size: i64, cols: u64) -> Result<u64, WeightError> {
    match u64::try_from(size) {
        // A group holds no more columns than there are, and no more than a format can say.
        Ok(size) if size > 0 => Ok(size.min(cols).clamp(1, u32::MAX.into())),
        _ if size == -1 && cols > 0 => Ok(cols),
        _ => Err(settings.invalid("group_size", &Value::from(size), "-1 or at least 1")),
    }
}

/// The affine group that groups of `size` columns are written as.
pub fn grouped(
    directory: &Directory,
    tensor: &TensorInfo,
    cols: u64,
    size: u64,
) -> Result<u8, WeightError> {
    let fits = |group: &u8| {
        size > 0 && size.is_multiple_of(u64::from(*group)) && cols.is_multiple_of(size)
    };
    let group = [128, 64, 32].into_iter().find(fits);
    group.ok_or_else(|| {
        let expected = format!("{cols} columns in groups of a multiple of 32, not of {size}");
        directory.misshapen(tensor, expected)
    })
}

/// Whether an index says that groups are neighbouring columns.
pub fn trivial(
    directory: &Directory,
    index: usize,
    cols: u64,
    size: u64,
) -> Result<bool, WeightError> {
    typed(directory, index, &["I32"])?;
    shaped(directory, index, &[cols])?;
    let bytes = directory.bytes(index);
    let groups =
        bytes.as_slice().as_chunks::<4>().0.iter().map(|b| i64::from(i32::from_le_bytes(*b)));
    Ok(groups.zip(0..).all(|(group, col): (i64, u64)| group == (col / size.max(1)) as i64))
}
