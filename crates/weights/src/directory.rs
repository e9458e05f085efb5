//! The tensors of one model, whichever files they lie in.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use blocks::{Affine, Bytes, Kind, Tensor};
use model::WeightSpec;

use crate::WeightError;
use crate::canon::Change;
use crate::gguf::GgufTensor;
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
    /// Of affine kinds: where scales and biases lie.
    groups: Option<(Place, Place)>,
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
    pub(crate) change: Change,
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
            groups: None,
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

    /// Turns packed words, scales and biases into one tensor of an affine kind.
    pub fn fold_affine(&mut self, folds: Vec<Fold>) {
        let mut gone = vec![false; self.tensors.len()];
        for Fold { words, scales, biases, affine, cols } in folds {
            let apart = (self.tensors[scales].data.clone(), self.tensors[biases].data.clone());
            let bytes = self.tensors[scales].bytes + self.tensors[biases].bytes;
            let tensor = &mut self.tensors[words];
            tensor.kind = Some(Kind::Affine(affine));
            tensor.dtype = Kind::Affine(affine).to_string();
            tensor.bytes += bytes;
            tensor.groups = Some(apart);
            if let Some(last) = tensor.shape.last_mut() {
                *last = cols;
            }
            (gone[scales], gone[biases]) = (true, true);
        }
        let mut gone = gone.into_iter();
        self.tensors.retain(|_| !gone.next().expect("one flag for each tensor"));
        let names = self.tensors.iter().enumerate().map(|(i, t)| (t.name.clone(), i));
        self.index = names.collect();
    }

    /// A share of a tensor.
    pub fn load(&self, bound: &Bound) -> Result<Tensor, WeightError> {
        let tensor = self.load_share(bound)?;
        if bound.change == Change::None {
            return Ok(tensor);
        }
        let values = tensor.to_f32().into_iter().map(|v| bound.change.apply(v));
        Ok(Tensor::from_f32(tensor.rows, tensor.cols, &values.collect::<Vec<_>>()))
    }

    fn load_share(&self, bound: &Bound) -> Result<Tensor, WeightError> {
        let whole = self.load_whole(bound.tensor)?;
        let part = match &bound.share {
            Share::Whole => return Ok(whole),
            Share::Rows(rows) => return Ok(whole.rows(rows.clone())),
            Share::Cols(cols) => cols,
        };
        let number = whole.kind.block_bytes();
        let bytes = whole.data.slice(part.start * number..part.end * number);
        let bytes = bytes.expect("a share lies within the tensor that it was bound to");
        Ok(Tensor { cols: part.len(), data: bytes, ..whole })
    }

    /// The whole of a tensor as a matrix; a vector has one row.
    pub fn load_whole(&self, index: usize) -> Result<Tensor, WeightError> {
        let info = &self.tensors[index];
        let kind = info.kind.ok_or_else(|| self.no_weights(info))?;
        let (rows, cols) = matrix(&info.shape)
            .ok_or_else(|| self.misshapen(info, "a matrix or a vector".to_owned()))?;
        let bytes = |place: &Place| {
            let slice = self.files[place.file].1.slice(place.range.clone());
            slice.expect("places are checked when a file is opened")
        };
        let data = bytes(&info.data);
        let tensor = match (kind, &info.groups) {
            (Kind::Affine(affine), Some((scales, biases))) => {
                Tensor::affine(affine, rows, cols, data, bytes(scales), bytes(biases))
            }
            _ => Tensor::new(kind, rows, cols, data),
        };
        tensor.map_err(|e| {
            WeightError::damaged(self.file_of(info), format!("tensor `{}`: {e}", info.name))
        })
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

/// Three tensors that are one matrix.
pub struct Fold {
    pub words: usize,
    pub scales: usize,
    pub biases: usize,
    pub affine: Affine,
    pub cols: u64,
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
