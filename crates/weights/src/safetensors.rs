//! The safetensors container: a JSON header that names tensors, then their bytes.
//!
//! Source: the format's description by Hugging Face. The header is read entry by entry and never
//! held as a JSON tree, so memory is bounded by the file's size.

mod header;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use blocks::{Bytes, Kind};

use crate::{WeightError, mmap};
pub use header::SafeHeader;

/// A tensor of a safetensors file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeTensor {
    /// Its name.
    pub name: String,
    /// How its numbers are stored.
    pub dtype: Dtype,
    /// Its shape, outermost first.
    pub shape: Vec<u64>,
    /// Where its bytes lie in the file.
    pub range: Range<usize>,
}

/// An opened safetensors file, mapped.
#[derive(Clone, Debug)]
pub struct SafeFile {
    header: SafeHeader,
    bytes: Bytes,
}

impl SafeFile {
    /// Maps a file and reads its header.
    ///
    /// # Errors
    /// Where the file cannot be read or contradicts itself.
    pub fn open(path: &Path) -> Result<SafeFile, WeightError> {
        let bytes = mmap::map(path)?;
        let header = SafeHeader::parse(&path.display().to_string(), bytes.as_slice())?;
        Ok(SafeFile { header, bytes })
    }

    /// The type, shape and bytes of a tensor.
    pub fn tensor(&self, name: &str) -> Option<(Dtype, &[u64], Bytes)> {
        let tensor = self.header.tensors().iter().find(|tensor| tensor.name == name)?;
        Some((tensor.dtype, &tensor.shape, self.bytes.slice(tensor.range.clone())?))
    }

    /// The names of the tensors, in the order of their bytes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.header.tensors().iter().map(|tensor| tensor.name.as_str())
    }

    /// The tensors, in the order of their bytes.
    pub fn tensors(&self) -> &[SafeTensor] {
        self.header.tensors()
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Declares each type once: its name, its bits and the kind of weights that it is.
macro_rules! dtypes {
    ($($dtype:ident = $name:literal, $bits:literal, $kind:expr;)*) => {
        /// How a safetensors file stores numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, missing_docs)] // each is named as in the format
        pub enum Dtype { $($dtype,)* }

        impl Dtype {
            /// The type of that name.
            pub fn from_name(name: &str) -> Option<Dtype> {
                match name {
                    $($name => Some(Dtype::$dtype),)*
                    _ => None,
                }
            }

            /// Its name in files.
            pub fn name(self) -> &'static str {
                match self { $(Dtype::$dtype => $name,)* }
            }

            /// Bits per number.
            pub fn bits(self) -> usize {
                match self { $(Dtype::$dtype => $bits,)* }
            }

            /// The kind of weights that it is, if any.
            pub fn kind(self) -> Option<Kind> {
                match self { $(Dtype::$dtype => $kind,)* }
            }
        }
    };
}

dtypes! {
    Bool = "BOOL", 8, None;
    U8 = "U8", 8, None;
    I8 = "I8", 8, None;
    I16 = "I16", 16, None;
    U16 = "U16", 16, None;
    I32 = "I32", 32, None;
    U32 = "U32", 32, None;
    I64 = "I64", 64, None;
    U64 = "U64", 64, None;
    F16 = "F16", 16, Some(Kind::F16);
    BF16 = "BF16", 16, Some(Kind::BF16);
    F32 = "F32", 32, Some(Kind::F32);
    F64 = "F64", 64, None;
    C64 = "C64", 64, None;
    F4 = "F4", 4, None;
    F6_E2M3 = "F6_E2M3", 6, None;
    F6_E3M2 = "F6_E3M2", 6, None;
    F8_E5M2 = "F8_E5M2", 8, None;
    F8_E4M3 = "F8_E4M3", 8, None;
    F8_E8M0 = "F8_E8M0", 8, None;
    F8_E4M3Fnuz = "F8_E4M3FNUZ", 8, None;
    F8_E5M2Fnuz = "F8_E5M2FNUZ", 8, None;
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
