//! The tensors of one model, whichever files they lie in.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use blocks::{Bytes, Kind, Misshapen, Tensor};
use model::WeightSpec;

use crate::WeightError;
use crate::canon::Change;
use crate::gguf::GgufTensor;
use crate::heads::Heads;
use crate::packing::{Packed, Packing};
use crate::safetensors::SafeTensor;

/// What a model's files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// One GGUF file or a split set of them.
    Gguf {
        /// The format's version.
        version: u32,
    },
    /// A Hugging Face directory.
    Safetensors,
    /// A directory quantized by MLX.
    Mlx,
}

/// One tensor of a model's files.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// Its name in the file.
    pub name: String,
    /// How its weights are stored; `None` for numbers that are no weights.
    pub kind: Option<Kind>,
    /// How it is stored, in the container's own words.
    pub dtype: String,
    /// Its shape in weights, outermost first.
    pub shape: Vec<u64>,
    /// Bytes, scales and biases included.
    pub bytes: u64,
    data: Place,
    apart: Option<Apart>,
}

/// Where the numbers lie that a kind keeps apart from its blocks.
#[derive(Clone, Debug)]
struct Apart {
    scales: Place,
    /// Biases, zero points or the scale of the whole matrix.
    biases: Option<Place>,
    /// The group of every column.
    index: Option<Place>,
    /// How integers are packed that must be repacked.
    packing: Option<Packing>,
    /// How scales are stored that must be repacked.
    scale: Option<Kind>,
}

/// A part that a model demands, and the tensor that holds it.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The part.
    pub spec: WeightSpec,
    /// How it is stored.
    pub kind: Kind,
    /// The tensor's name in the file.
    pub name: String,
    pub(crate) tensor: usize,
    pub(crate) share: Share,
    /// What is done to its numbers.
    pub(crate) change: Change,
    /// The adapter whose tensor it is; the model's own if none.
    pub(crate) adapter: Option<usize>,
}

/// How much of a tensor a part is; files fuse parts that share their input.
#[derive(Clone, Debug)]
pub(crate) enum Share {
    /// All of it.
    Whole,
    /// Some rows of a matrix.
    Rows(Range<usize>),
    /// Some numbers of a vector of plain ones.
    Cols(Range<usize>),
    /// All of its numbers, as a vector.
    Flat,
    /// All of its whole numbers as f32, each a row.
    Numbers,
    /// Some columns of one of the tensor's matrices of plain numbers, as rows.
    Transposed(usize, Range<usize>),
    /// Some rows of a matrix, in another order.
    Reordered(Range<usize>, Heads),
}

/// Where bytes lie.
#[derive(Clone, Debug)]
struct Place {
    file: usize,
    range: Range<usize>,
}

const SAMPLES: usize = 64;
const SAMPLE_BYTES: usize = 256;

/// The files of a model and the tensors in them.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    files: Vec<(String, Bytes)>,
    tensors: Vec<TensorInfo>,
    index: HashMap<String, usize>,
}

impl Directory {
    /// Adds a file; the tensors added next lie in it.
    pub fn add_file(&mut self, name: &str, bytes: Bytes) {
        self.files.push((name.to_owned(), bytes));
    }

    pub fn add_gguf(&mut self, tensors: &[GgufTensor]) -> Result<(), WeightError> {
        tensors
            .iter()
            .try_for_each(|t| self.add(&t.name, t.kind, &t.dtype, t.shape.clone(), t.range.clone()))
    }

    pub fn add_safe(&mut self, tensors: &[SafeTensor]) -> Result<(), WeightError> {
        tensors.iter().try_for_each(|t| {
            self.add(&t.name, t.dtype.kind(), t.dtype.name(), t.shape.clone(), t.range.clone())
        })
    }

    fn add(
        &mut self,
        name: &str,
        kind: Option<Kind>,
        dtype: &str,
        shape: Vec<u64>,
        range: Range<usize>,
    ) -> Result<(), WeightError> {
        let file = self.files.len() - 1;
        if self.index.insert(name.to_owned(), self.tensors.len()).is_some() {
            let what = format!("tensor `{name}` is in another file of the model too");
            return Err(WeightError::damaged(&self.files[file].0, what));
        }
        self.tensors.push(TensorInfo {
            name: name.to_owned(),
            kind,
            dtype: dtype.to_owned(),
            shape,
            bytes: range.len() as u64,
            data: Place { file, range },
            apart: None,
        });
        Ok(())
    }

    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        self.find(name).map(|i| &self.tensors[i])
    }

    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// The name of the file that a tensor lies in.
    pub fn file_of(&self, tensor: &TensorInfo) -> &str {
        &self.files[tensor.data.file].0
    }

    /// A name for the model's files as a whole.
    pub fn file(&self) -> String {
        match self.files.as_slice() {
            [] => String::new(),
            [(name, _)] => name.clone(),
            [(name, _), ..] => format!("{name} and the files beside it"),
        }
    }

    /// Turns the tensors of each matrix into one.
    pub fn fold(&mut self, folds: Vec<Fold>) {
        let mut gone = vec![false; self.tensors.len()];
        for fold in folds {
            let place = |i: usize| self.tensors[i].data.clone();
            let apart = Apart {
                scales: place(fold.scales),
                biases: fold.biases.map(place),
                index: fold.index.map(place),
                packing: fold.packing,
                scale: self.tensors[fold.scales].kind,
            };
            let parts = [Some(fold.scales), fold.biases, fold.index, fold.gone];
            for part in parts.into_iter().flatten() {
                gone[part] = true;
            }
            let bytes: u64 = parts[..3].iter().flatten().map(|i| self.tensors[*i].bytes).sum();
            let tensor = &mut self.tensors[fold.data];
            tensor.name = fold.name;
            tensor.kind = Some(fold.kind);
            tensor.dtype = fold.kind.to_string();
            tensor.shape = fold.shape;
            tensor.bytes += bytes;
            tensor.apart = Some(apart);
        }
        let mut gone = gone.into_iter();
        self.tensors.retain(|_| !gone.next().expect("one flag for each tensor"));
        let names = self.tensors.iter().enumerate().map(|(i, t)| (t.name.clone(), i));
        self.index = names.collect();
    }

    /// A share of a tensor.
    pub fn load(&self, bound: &Bound) -> Result<Tensor, WeightError> {
        let tensor = self.share(bound)?;
        if bound.change == Change::None {
            return Ok(tensor);
        }
        let values = tensor.to_f32().into_iter().map(|v| bound.change.apply(v));
        Ok(Tensor::from_f32(tensor.rows, tensor.cols, &values.collect::<Vec<_>>()))
    }

    fn share(&self, bound: &Bound) -> Result<Tensor, WeightError> {
        let index = bound.tensor;
        match &bound.share {
            Share::Whole => self.load_whole(index),
            Share::Rows(rows) => self.load_rows(index, rows.clone()),
            Share::Numbers => self.numbers(index),
            Share::Reordered(rows, heads) => {
                Ok(heads.reorder(&self.load_rows(index, rows.clone())?))
            }
            Share::Cols(cols) => Ok(self.load_whole(index)?.columns(cols.clone())),
            Share::Flat => {
                let mut vector = self.load_whole(index)?;
                (vector.rows, vector.cols) = (1, vector.rows * vector.cols);
                Ok(vector)
            }
            Share::Transposed(nth, columns) => {
                let shape = &self.tensors[index].shape;
                let height = shape[shape.len() - 2] as usize;
                let matrix = self.load_rows(index, nth * height..(nth + 1) * height)?;
                Ok(transposed(&matrix, columns))
            }
        }
    }

    /// Whole numbers of four or eight bytes as f32, which holds all below 2^24.
    fn numbers(&self, index: usize) -> Result<Tensor, WeightError> {
        let (info, bytes) = (&self.tensors[index], self.bytes(index));
        let numbers: Vec<i64> = match info.dtype.as_str() {
            "I32" => {
                let words = bytes.as_slice().as_chunks().0.iter();
                words.map(|word| i64::from(i32::from_le_bytes(*word))).collect()
            }
            _ => {
                let words = bytes.as_slice().as_chunks().0.iter();
                words.map(|word| i64::from_le_bytes(*word)).collect()
            }
        };
        if let Some(number) = numbers.iter().find(|number| !(0..1 << 24).contains(*number)) {
            let what = format!("tensor `{}` holds {number}, which is no token's id", info.name);
            return Err(WeightError::damaged(self.file_of(info), what));
        }
        let numbers: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
        Ok(Tensor::from_f32(numbers.len(), 1, &numbers))
    }

    /// The whole of a tensor as a matrix; a vector has one row.
    pub fn load_whole(&self, index: usize) -> Result<Tensor, WeightError> {
        let info = &self.tensors[index];
        let (rows, _) = flat(&info.shape)
            .ok_or_else(|| self.misshapen(info, "whole numbers of rows".to_owned()))?;
        self.load_rows(index, 0..rows)
    }

    /// Some rows of a matrix, or of a stack, whose rows count on through all: of one of its
    /// matrices, or of several where rows have nothing in common.
    pub fn load_rows(&self, index: usize, rows: Range<usize>) -> Result<Tensor, WeightError> {
        let info = &self.tensors[index];
        let kind = info.kind.ok_or_else(|| self.no_weights(info))?;
        let (count, height, cols) = matrix(&info.shape)
            .map(|(rows, cols)| (1, rows, cols))
            .or_else(|| stack(&info.shape))
            .ok_or_else(|| self.misshapen(info, "whole numbers of rows".to_owned()))?;
        let alone = info.apart.as_ref().is_none_or(|apart| apart.by_row(kind));
        let (count, height) = match alone && rows.len() > height {
            true => (1, count * height),
            false => (count, height),
        };
        let nth = rows.start / height.max(1);
        let first = nth * height;
        let rows = rows.start - first..rows.end - first;
        if nth >= count || rows.end > height {
            return Err(self.misshapen(info, format!("row {} in one matrix", rows.end)));
        }
        // Of a stack every range holds as much for each matrix.
        let bytes = |place: &Place| {
            let each = place.range.len() / count;
            let start = place.range.start + nth * each;
            let slice = self.files[place.file].1.slice(start..start + each);
            slice.expect("places are checked when a file is opened")
        };
        let data = bytes(&info.data);
        let tensor = match &info.apart {
            Some(apart) => apart.tensor(kind, height, cols, data, rows, bytes),
            None => Tensor::new(kind, height, cols, data).map(|tensor| tensor.rows(rows)),
        };
        tensor.map_err(|e| {
            WeightError::damaged(self.file_of(info), format!("tensor `{}`: {e}", info.name))
        })
    }

    /// The bytes of a tensor, without what lies apart.
    pub fn bytes(&self, index: usize) -> Bytes {
        let place = &self.tensors[index].data;
        let slice = self.files[place.file].1.slice(place.range.clone());
        slice.expect("places are checked when a file is opened")
    }

    /// Why some matrices are repacked when they are loaded, and the bytes of memory that they take.
    pub fn repacked(&self) -> Option<(&'static str, u64)> {
        let each = |t: &TensorInfo| {
            let packing = t.apart.as_ref()?.packing?;
            let [rows, cols] = t.shape[..] else { return None };
            Some((packing.reason(), packing.bytes(t.kind?, rows, cols)))
        };
        let all = self.tensors.iter().filter_map(each);
        all.reduce(|(reason, sum), (_, bytes)| (reason, sum + bytes))
    }

    /// Whether two tensors hold the same, as far as samples of their bytes say: reading all of an
    /// embedding would take longer than opening the file.
    pub fn looks_same(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.tensors[a], &self.tensors[b]);
        if (&a.shape, &a.dtype, a.data.range.len()) != (&b.shape, &b.dtype, b.data.range.len()) {
            return false;
        }
        let bytes = |t: &TensorInfo| self.files[t.data.file].1.slice(t.data.range.clone());
        let (Some(a), Some(b)) = (bytes(a), bytes(b)) else { return false };
        let (a, b) = (a.as_slice(), b.as_slice());
        let step = (a.len() / SAMPLES).max(SAMPLE_BYTES);
        let mut at = (0..a.len()).step_by(step);
        at.all(|i| {
            let sample = i..(i + SAMPLE_BYTES).min(a.len());
            a[sample.clone()] == b[sample]
        })
    }

    pub fn misshapen(&self, tensor: &TensorInfo, expected: String) -> WeightError {
        WeightError::Misshapen {
            file: self.file_of(tensor).to_owned(),
            tensor: tensor.name.clone(),
            found: format!("{:?}", tensor.shape),
            expected,
        }
    }

    pub fn no_weights(&self, tensor: &TensorInfo) -> WeightError {
        WeightError::Dtype {
            file: self.file_of(tensor).to_owned(),
            tensor: tensor.name.clone(),
            dtype: tensor.dtype.clone(),
        }
    }
}

impl Apart {
    /// Whether a row shares no scale with another.
    fn by_row(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Affine(_)) && self.packing.is_none()
    }

    /// Some rows of a matrix of `height` rows; `bytes` finds the numbers of a place.
    fn tensor(
        &self,
        kind: Kind,
        height: usize,
        cols: usize,
        data: Bytes,
        rows: Range<usize>,
        bytes: impl Fn(&Place) -> Bytes,
    ) -> Result<Tensor, Misshapen> {
        let or_none = |place: &Option<Place>| place.as_ref().map_or_else(Bytes::empty, &bytes);
        let (scales, biases) = (bytes(&self.scales), or_none(&self.biases));
        if let (Some(packing), Some(plain)) = (self.packing, self.scale) {
            let number = plain.block_bytes();
            let lines = packing.scale_rows(kind, height, cols);
            let scales = Tensor::new(plain, lines, scales.len() / number / lines.max(1), scales)?;
            let index = or_none(&self.index);
            let packed = Packed { kind, rows: height, cols, data, scales, zeros: biases, index };
            return packing.rows(&packed, rows);
        }
        let whole = match kind {
            Kind::Affine(affine) => Tensor::affine(affine, height, cols, data, scales, biases),
            Kind::Scaled(scaled) => Tensor::scaled(scaled, height, cols, data, scales, biases),
            _ => Tensor::new(kind, height, cols, data),
        };
        Ok(whole?.rows(rows))
    }
}

/// Tensors that are one matrix, or a stack of them.
pub struct Fold {
    /// What the matrix is called.
    pub name: String,
    /// The blocks.
    pub data: usize,
    pub kind: Kind,
    /// The shape in weights.
    pub shape: Vec<u64>,
    pub scales: usize,
    /// Biases, zero points or the scale of the whole matrix.
    pub biases: Option<usize>,
    /// The group of every column.
    pub index: Option<usize>,
    /// A tensor that says nothing more.
    pub gone: Option<usize>,
    pub packing: Option<Packing>,
}

impl Fold {
    /// Blocks and scales.
    pub fn new(name: &str, data: usize, kind: Kind, shape: Vec<u64>, scales: usize) -> Fold {
        let (biases, index, gone, packing) = (None, None, None, None);
        Fold { name: name.to_owned(), data, kind, shape, scales, biases, index, gone, packing }
    }
}

/// Matrices, rows and columns of a shape.
fn stack(shape: &[u64]) -> Option<(usize, usize, usize)> {
    let (outer, rows, cols) = match shape {
        [cols] => (&[][..], 1, *cols),
        [outer @ .., rows, cols] => (outer, *rows, *cols),
        [] => return None,
    };
    let count = outer.iter().try_fold(1u64, |count, n| count.checked_mul(*n))?;
    Some((count.try_into().ok()?, rows.try_into().ok()?, cols.try_into().ok()?))
}

/// Rows and columns of a matrix, or of a stack of them below each other.
pub fn flat(shape: &[u64]) -> Option<(usize, usize)> {
    let below = |(count, rows, cols): (usize, usize, usize)| Some((count.checked_mul(rows)?, cols));
    matrix(shape).or_else(|| stack(shape).and_then(below))
}

/// Some columns of plain numbers, as rows: a copy, since no kernel reads columns.
fn transposed(matrix: &Tensor, columns: &Range<usize>) -> Tensor {
    let (height, number) = (matrix.rows, matrix.kind.block_bytes());
    let mut bytes = Vec::with_capacity(height * columns.len() * number);
    for column in columns.clone() {
        for row in 0..height {
            let at = (row * matrix.cols + column) * number;
            bytes.extend_from_slice(&matrix.data.as_slice()[at..at + number]);
        }
    }
    let tensor = Tensor::new(matrix.kind, columns.len(), height, Bytes::from_vec(bytes));
    tensor.expect("as many plain numbers as the columns hold")
}

/// Rows and columns of a shape with at most two dimensions other than one.
pub fn matrix(shape: &[u64]) -> Option<(usize, usize)> {
    let mut shape = shape.to_vec();
    while let Some(one) = (shape.len() > 2).then(|| shape.iter().position(|&n| n == 1)).flatten() {
        shape.remove(one);
    }
    let (rows, cols) = match shape.as_slice() {
        [cols] => (1, *cols),
        [rows, cols] => (*rows, *cols),
        _ => return None,
    };
    Some((rows.try_into().ok()?, cols.try_into().ok()?))
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Container::Gguf { version } => write!(f, "GGUF v{version}"),
            Container::Safetensors => f.write_str("safetensors"),
            Container::Mlx => f.write_str("MLX safetensors"),
        }
    }
}

#[cfg(test)]
mod tests;
