//! A matrix in its file's own layout.

use std::ops::Range;

use crate::{Affine, Bytes, Kind};

/// A matrix of `rows` x `cols` weights in its file's own layout. A vector has one row.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// How the weights are stored.
    pub kind: Kind,
    /// Rows, one after another in each of the three ranges of bytes.
    pub rows: usize,
    /// Weights per row.
    pub cols: usize,
    /// The blocks.
    pub data: Bytes,
    /// Of affine kinds: (rows, cols / group). Otherwise empty.
    pub scales: Bytes,
    /// Of affine kinds: (rows, cols / group). Otherwise empty.
    pub biases: Bytes,
}

/// One row's bytes. Scales and biases are empty except for affine kinds.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The blocks.
    pub data: &'a [u8],
    /// One number per group.
    pub scales: &'a [u8],
    /// One number per group.
    pub biases: &'a [u8],
}

/// Why bytes are no matrix of the shape that they are said to have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Misshapen {
    /// The blocks do not fill the rows.
    #[error("rows of {cols} weights cannot be stored as {kind}, whose blocks hold {block}")]
    Cols {
        /// The kind claimed.
        kind: Kind,
        /// Weights per row.
        cols: usize,
        /// Weights per block.
        block: usize,
    },
    /// A range of bytes is too short or too long.
    #[error(
        "{rows} x {cols} weights as {kind} have {needed} bytes of {part}, but {found} are given; \
         the file may be cut short"
    )]
    Length {
        /// The kind claimed.
        kind: Kind,
        /// Rows claimed.
        rows: usize,
        /// Weights per row claimed.
        cols: usize,
        /// `data`, `scales` or `biases`.
        part: &'static str,
        /// Bytes that the shape asks for.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// More bytes than an address can count.
    #[error("{rows} x {cols} weights as {kind} are more bytes than this machine can address")]
    TooLarge {
        /// The kind claimed.
        kind: Kind,
        /// Rows claimed.
        rows: usize,
        /// Weights per row claimed.
        cols: usize,
    },
    /// No affine format has these parameters.
    #[error(
        "{kind} is no known format: bits must be 2, 3, 4, 5, 6 or 8, and groups 32, 64 or 128 long"
    )]
    Affine {
        /// The kind claimed.
        kind: Kind,
    },
}

impl Tensor {
    /// A matrix of `rows` x `cols` weights whose blocks are `data`.
    ///
    /// # Errors
    /// Where the blocks do not fill the rows, or `data` has another length. An affine kind lacks
    /// its scales here: see [`Tensor::affine`].
    pub fn new(kind: Kind, rows: usize, cols: usize, data: Bytes) -> Result<Tensor, Misshapen> {
        Tensor { kind, rows, cols, data, scales: Bytes::empty(), biases: Bytes::empty() }.checked()
    }

    /// A matrix of `rows` x `cols` weights in affine groups.
    ///
    /// # Errors
    /// Where there is no such format, the groups do not fill the rows, or a length is another.
    pub fn affine(
        affine: Affine,
        rows: usize,
        cols: usize,
        data: Bytes,
        scales: Bytes,
        biases: Bytes,
    ) -> Result<Tensor, Misshapen> {
        Tensor { kind: Kind::Affine(affine), rows, cols, data, scales, biases }.checked()
    }

    /// A matrix of `rows` x `cols` plain floats.
    ///
    /// # Panics
    /// Where `weights` has another length.
    pub fn from_f32(rows: usize, cols: usize, weights: &[f32]) -> Tensor {
        assert_eq!(Some(weights.len()), rows.checked_mul(cols), "{rows} x {cols} weights");
        let bytes = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
        let (data, scales, biases) = (Bytes::from_vec(bytes), Bytes::empty(), Bytes::empty());
        Tensor { kind: Kind::F32, rows, cols, data, scales, biases }
    }

    /// The bytes of row `r`.
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline]
    pub fn row(&self, r: usize) -> Row<'_> {
        assert!(r < self.rows, "row {r} of {}", self.rows);
        let part = |bytes: &'_ Bytes| {
            let len = bytes.len() / self.rows;
            r * len..(r + 1) * len
        };
        Row {
            data: &self.data.as_slice()[part(&self.data)],
            scales: &self.scales.as_slice()[part(&self.scales)],
            biases: &self.biases.as_slice()[part(&self.biases)],
        }
    }

    /// A view of some rows.
    ///
    /// # Panics
    /// Where there are no such rows.
    pub fn rows(&self, range: Range<usize>) -> Tensor {
        let part = |bytes: &Bytes| {
            let len = bytes.len() / self.rows.max(1);
            bytes.slice(range.start * len..range.end * len)
        };
        assert!(range.start <= range.end && range.end <= self.rows, "{range:?} of {}", self.rows);
        let inside = "rows of a matrix lie inside it";
        Tensor {
            kind: self.kind,
            rows: range.len(),
            cols: self.cols,
            data: part(&self.data).expect(inside),
            scales: part(&self.scales).expect(inside),
            biases: part(&self.biases).expect(inside),
        }
    }

    /// Decodes row `r`; `out` holds `cols` weights.
    pub fn decode_row(&self, r: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.cols, "weights in a row");
        self.kind.decode(self.row(r), 0, out);
    }

    /// All weights: (rows, cols).
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.rows * self.cols];
        if self.cols > 0 {
            for (r, out) in out.chunks_exact_mut(self.cols).enumerate() {
                self.decode_row(r, out);
            }
        }
        out
    }

    /// Bytes of data, scales and biases.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.scales.len() + self.biases.len()
    }

    fn checked(self) -> Result<Tensor, Misshapen> {
        let Tensor { kind, rows, cols, .. } = self;
        let scale_bytes = match kind {
            Kind::Affine(affine) if !affine.is_valid() => return Err(Misshapen::Affine { kind }),
            Kind::Affine(affine) => affine.scale.bytes(),
            _ => 0,
        };
        let block = kind.block_len();
        if !cols.is_multiple_of(block) {
            return Err(Misshapen::Cols { kind, cols, block });
        }
        let too_large = Misshapen::TooLarge { kind, rows, cols };
        // Weights are counted too, so that decoding a matrix cannot overflow either.
        let Some(weights) = rows.checked_mul(cols) else { return Err(too_large) };
        let blocks = weights / block;
        let parts = [
            ("data", &self.data, kind.block_bytes()),
            ("scales", &self.scales, scale_bytes),
            ("biases", &self.biases, scale_bytes),
        ];
        for (part, bytes, block_bytes) in parts {
            let Some(needed) = blocks.checked_mul(block_bytes) else { return Err(too_large) };
            let found = bytes.len();
            if found != needed {
                return Err(Misshapen::Length { kind, rows, cols, part, needed, found });
            }
        }
        Ok(self)
    }
}
