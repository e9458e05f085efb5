//! FP8 with scales of blocks (DeepSeek), and the MXFP4 of gpt-oss.

use blocks::{Element, Kind, Scaled, Tile};
use serde_json::Value;

use super::{Settings, beside, scale_of, shaped, typed};
use crate::WeightError;
use crate::directory::{Directory, Fold};

/// Keys of the method `fp8`.
pub const FP8_KEYS: &[&str] = &[
    "activation_scheme",
    "fmt",
    "ignored_layers",
    "modules_to_not_convert",
    "scale_fmt",
    "weight_block_size",
];

/// Keys of the method `mxfp4`.
pub const MXFP4_KEYS: &[&str] = &["dequantize", "modules_to_not_convert"];

/// Every matrix of the method `fp8`.
pub fn fp8(settings: &Settings<'_>, directory: &Directory) -> Result<Vec<Fold>, WeightError> {
    settings.only("fmt", &["e4m3", "float8_e4m3fn"])?;
    settings.only("activation_scheme", &["dynamic", "static"])?;
    settings.modules("modules_to_not_convert")?;
    settings.modules("ignored_layers")?;
    let size = |value: &Value| u32::try_from(value.as_u64()?).ok().filter(|&size| size > 0);
    let block = match settings.get("weight_block_size") {
        None => None,
        Some(value) => match value.as_array().map(Vec::as_slice) {
            Some([rows, cols]) if size(rows).is_some() && size(cols).is_some() => {
                size(rows).zip(size(cols)).map(|(rows, cols)| Tile { rows, cols })
            }
            _ => return Err(settings.invalid("weight_block_size", value, "[rows, columns]")),
        },
    };
    fp8_matrices(directory, block)
}

/// Every FP8 tensor with its scales; a file that names no block has one for a row or a matrix.
pub fn fp8_matrices(directory: &Directory, block: Option<Tile>) -> Result<Vec<Fold>, WeightError> {
    let mut folds = Vec::new();
    for (data, tensor) in directory.tensors().iter().enumerate() {
        if tensor.dtype != "F8_E4M3" || is_scale(&tensor.name) {
            continue;
        }
        let scales = match directory.find(&format!("{}_scale_inv", tensor.name)) {
            Some(scales) => scales,
            None => beside(directory, tensor, format!("{}_scale", tensor.name))?,
        };
        let tile = tile_of(directory, data, scales, block)?;
        let scale = scale_of(directory, scales)?;
        let kind = Kind::Scaled(Scaled { element: Element::E4M3, scale, tile, global: None });
        folds.push(Fold::new(&tensor.name, data, kind, tensor.shape.clone(), scales));
    }
    Ok(folds)
}

/// FP8 tensors that are no weights themselves.
fn is_scale(name: &str) -> bool {
    ["_scale", "_scale_inv"].iter().any(|end| name.ends_with(end))
}

/// The weights that share a scale, from the shape of the scales.
fn tile_of(
    directory: &Directory,
    data: usize,
    scales: usize,
    block: Option<Tile>,
) -> Result<Tile, WeightError> {
    let (shape, found) = (&directory.tensors()[data].shape, &directory.tensors()[scales].shape);
    let [outer @ .., rows, cols] = shape.as_slice() else {
        return Err(directory.misshapen(&directory.tensors()[data], "a matrix".to_owned()));
    };
    let with = |last: &[u64]| [outer, last].concat();
    if let Some(Tile { rows: height, cols: width }) = block {
        let tiles = with(&[rows.div_ceil(u64::from(height)), cols.div_ceil(u64::from(width))]);
        // A matrix in one tile may have its scale as a bare number.
        let one = tiles.iter().all(|&n| n == 1) && found.iter().all(|&n| n == 1);
        if !one {
            shaped(directory, scales, &tiles)?;
        }
        return Ok(Tile { rows: height, cols: width });
    }
    if *found == with(&[*rows, 1]) || (*rows > 1 && *found == with(&[*rows])) {
        return Ok(Tile { rows: 1, cols: Tile::ALL });
    }
    let one = outer.is_empty() && found.iter().all(|&n| n == 1);
    if one || *found == with(&[1, 1]) || (!outer.is_empty() && found == outer) {
        return Ok(Tile { rows: Tile::ALL, cols: Tile::ALL });
    }
    let expected = format!("{:?} or [1]", with(&[*rows, 1]));
    Err(directory.misshapen(&directory.tensors()[scales], expected))
}

/// Every matrix of the method `mxfp4`: `NAME_blocks`, (.., cols / 32, 16), and `NAME_scales`.
pub fn mxfp4(settings: &Settings<'_>, directory: &Directory) -> Result<Vec<Fold>, WeightError> {
    settings.modules("modules_to_not_convert")?;
    let mut folds = Vec::new();
    for (data, tensor) in directory.tensors().iter().enumerate() {
        let Some(name) = tensor.name.strip_suffix("_blocks") else { continue };
        typed(directory, data, &["U8"])?;
        let scales = beside(directory, tensor, format!("{name}_scales"))?;
        typed(directory, scales, &["U8", "F8_E8M0"])?;
        let [outer @ .., groups, 16] = tensor.shape.as_slice() else {
            return Err(directory.misshapen(tensor, "[.., columns / 32, 16]".to_owned()));
        };
        shaped(directory, scales, &[outer, &[*groups]].concat())?;
        let shape = [outer, &[groups.saturating_mul(32)]].concat();
        folds.push(Fold::new(name, data, Kind::Scaled(Scaled::MXFP4), shape, scales));
    }
    Ok(folds)
}

/// Two-dimensional FP4: bytes of two weights with scales for so many columns.
pub fn fp4(
    directory: &Directory,
    name: &str,
    data: usize,
    scales: usize,
    scaled: Scaled,
) -> Result<Fold, WeightError> {
    typed(directory, data, &["U8"])?;
    typed(
        directory,
        scales,
        if scaled.tile.cols == 16 { &["F8_E4M3"] } else { &["U8", "F8_E8M0"] },
    )?;
    let tensor = &directory.tensors()[data];
    let [outer @ .., bytes] = tensor.shape.as_slice() else {
        return Err(directory.misshapen(tensor, "a matrix".to_owned()));
    };
    let cols = bytes.saturating_mul(2);
    shaped(directory, scales, &[outer, &[cols / u64::from(scaled.tile.cols)]].concat())?;
    let shape = [outer, &[cols]].concat();
    Ok(Fold::new(name, data, Kind::Scaled(scaled), shape, scales))
}
