//! Everything that can be wrong with a model's files.

use std::io;
use std::path::PathBuf;

/// Why a file is not a model that can be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}; check the name and the permissions")]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// A path that is neither of the containers.
    #[error(
        "{path} is no model that Russet can read: {found}; give a GGUF file or a directory with \
         config.json and *.safetensors"
    )]
    NotAModel {
        /// The path given.
        path: PathBuf,
        /// What was found there.
        found: &'static str,
    },
    /// A file whose bytes contradict each other or end too soon.
    #[error("{file}: {what}; the file is damaged or cut short, download it again")]
    Damaged {
        /// The file's name.
        file: String,
        /// What contradicts what.
        what: String,
    },
    /// A file that is as it should be, in a form that this version does not read.
    #[error("{file}: {what}")]
    Foreign {
        /// The file's name.
        file: String,
        /// What it is and what to do instead.
        what: String,
    },
    /// A file that belongs to the model is not there.
    #[error("{file} is missing: {named_by} names it; download it into the same directory")]
    MissingFile {
        /// The file that is not there.
        file: PathBuf,
        /// The file that says it should be.
        named_by: String,
    },
    /// The model needs a tensor that the file lacks.
    #[error("{file}: tensor `{tensor}` is missing; the file is incomplete, download it again")]
    Missing {
        /// The file's name.
        file: String,
        /// The tensor's name in it.
        tensor: String,
    },
    /// The file has tensors that the model has no use for.
    #[error(
        "{file}: tensor `{tensor}` has no place in a model of this architecture ({count} such in \
         all); the file was made for another program, or its metadata is wrong"
    )]
    Surplus {
        /// The file's name.
        file: String,
        /// The first such tensor.
        tensor: String,
        /// How many there are.
        count: usize,
    },
    /// An adapter has tensors that stand beside no matrix of the model.
    #[error(
        "{file}: tensor `{tensor}` stands beside no matrix of the model that an adapter can be \
         laid over ({count} such in all); use the model that it was made for, and where it belongs \
         to an embedding, a norm or an expert, merge it into that"
    )]
    Unfit {
        /// The file's name.
        file: String,
        /// The first such tensor.
        tensor: String,
        /// How many there are.
        count: usize,
    },
    /// A tensor of another shape than the metadata says.
    #[error(
        "{file}: tensor `{tensor}` has the shape {found}, the metadata asks for {expected}; the \
         file is inconsistent, download it again"
    )]
    Misshapen {
        /// The file's name.
        file: String,
        /// The tensor's name in it.
        tensor: String,
        /// Its shape, outermost first.
        found: String,
        /// The shape that the model needs.
        expected: String,
    },
    /// A tensor whose numbers are stored in a way that weights are not.
    #[error("{file}: tensor `{tensor}` is stored as {dtype}, which cannot be used as weights")]
    Dtype {
        /// The file's name.
        file: String,
        /// The tensor's name in it.
        tensor: String,
        /// How it is stored.
        dtype: String,
    },
    /// A key of the configuration with a value of the wrong type or out of range.
    #[error("{file}: `{key}` is {found}, expected {expected}; correct it or download it again")]
    Config {
        /// The file's name.
        file: String,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A key of the configuration asks for something that this version cannot do.
    #[error("{file}: `{key}` is {value}, which this version does not support; {instead}")]
    Unsupported {
        /// The file's name.
        file: String,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What to do instead.
        instead: &'static str,
    },
}

impl WeightError {
    pub(crate) fn damaged(file: &str, what: impl Into<String>) -> WeightError {
        WeightError::Damaged { file: file.to_owned(), what: what.into() }
    }

    pub(crate) fn foreign(file: &str, what: impl Into<String>) -> WeightError {
        WeightError::Foreign { file: file.to_owned(), what: what.into() }
    }
}
