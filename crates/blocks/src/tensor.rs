//! A matrix in its file's own layout.

use std::ops::Range;

use crate::{Affine, Bytes, Indexed, Kind, Scaled};

/// A matrix of `rows` x `cols` weights in its file's own layout. A vector has one row.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// How the weights are stored.
    pub kind: Kind,
    /// Rows, one after another in each of the ranges of bytes.
    pub rows: usize,
    /// Weights per row.
    pub cols: usize,
    /// The blocks.
    pub data: Bytes,
    /// Of affine kinds: (rows, groups). Of scaled ones: a number for each tile. Otherwise empty.
    pub scales: Bytes,
    /// Of affine kinds: (rows, groups). Of scaled ones the whole matrix's scale, if it has one.
    /// Otherwise empty.
    pub biases: Bytes,
    /// Of indexed kinds: the group of every column, as `i32`. Otherwise empty.
    pub index: Bytes,
    /// Rows of the first tile that lie before this view.
    before: usize,
}

/// One row's bytes; what a kind does not have is empty.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The blocks.
    pub data: &'a [u8],
    /// One number per group or tile.
    pub scales: &'a [u8],
    /// One number per group, or the matrix's scale.
    pub biases: &'a [u8],
    /// The group of every column.
    pub index: &'a [u8],
}

/// A matrix's bytes, found once for many rows.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [u8],
    /// Bytes of a row's blocks.
    data_line: usize,
    scales: &'a [u8],
    /// Bytes of a row's scales.
    scale_line: usize,
    /// Rows that share scales.
    height: usize,
    /// Rows of the first such that lie before the matrix.
    before: usize,
    biases: &'a [u8],
    /// Bytes of a row's biases, and how far the next row's are from them.
    bias: (usize, usize),
    index: &'a [u8],
}

impl<'a> View<'a> {
    /// The bytes of row `r`.
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline(always)]
    pub fn row(&self, r: usize) -> Row<'a> {
        let tile = if self.height == 1 { r } else { (self.before + r) / self.height };
        Row {
            data: &self.data[r * self.data_line..][..self.data_line],
            scales: &self.scales[tile * self.scale_line..][..self.scale_line],
            biases: &self.biases[r * self.bias.1..][..self.bias.0],
            index: self.index,
        }
    }

    /// The blocks of all rows.
    #[inline(always)]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The blocks of some rows, as many as there are.
    #[inline]
    pub fn blocks(&self, rows: Range<usize>) -> &'a [u8] {
        let end = (rows.end * self.data_line).min(self.data.len());
        &self.data[(rows.start * self.data_line).min(end)..end]
    }
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
        /// `data`, `scales`, `biases` or `index`.
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
    /// No format of small floats has these parameters.
    #[error(
        "{kind} is no known format: scales of FP4 must hold for 16, 32, 64 or 128 weights of a row"
    )]
    Scaled {
        /// The kind claimed.
        kind: Kind,
    },
    /// An index names a group that is not there.
    #[error("column {col} is said to be of group {group}, but there are {groups} groups")]
    Index {
        /// The column.
        col: usize,
        /// Its group.
        group: i32,
        /// Groups of a row.
        groups: usize,
    },
}

impl Tensor {
    /// A matrix of `rows` x `cols` weights whose blocks are `data`.
    ///
    /// # Errors
    /// Where the blocks do not fill the rows, or `data` has another length. An affine kind lacks
    /// its scales here: see [`Tensor::affine`].
    pub fn new(kind: Kind, rows: usize, cols: usize, data: Bytes) -> Result<Tensor, Misshapen> {
        Tensor::bare(kind, rows, cols, data).checked()
    }

    fn bare(kind: Kind, rows: usize, cols: usize, data: Bytes) -> Tensor {
        let [scales, biases, index] = [(); 3].map(|()| Bytes::empty());
        Tensor { kind, rows, cols, data, scales, biases, index, before: 0 }
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
        let bare = Tensor::bare(Kind::Affine(affine), rows, cols, data);
        Tensor { scales, biases, ..bare }.checked()
    }

    /// A matrix of `rows` x `cols` weights in affine groups of which `index`, (cols) of `i32`,
    /// names each column's. `parts` are the blocks, the scales and the biases.
    ///
    /// # Errors
    /// As [`Tensor::affine`], and where the index names a group that is not there.
    pub fn indexed(
        indexed: Indexed,
        rows: usize,
        cols: usize,
        parts: [Bytes; 3],
        index: Bytes,
    ) -> Result<Tensor, Misshapen> {
        let [data, scales, biases] = parts;
        let bare = Tensor::bare(Kind::Indexed(indexed), rows, cols, data);
        let tensor = Tensor { scales, biases, index, ..bare }.checked()?;
        crate::indexed::check(indexed, cols, tensor.index.as_slice())?;
        Ok(tensor)
    }

    /// A matrix of `rows` x `cols` small floats; `scales` holds one number for each tile, row by
    /// row, and `global` the `f32` of a format that has one.
    ///
    /// # Errors
    /// Where there is no such format, the blocks do not fill the rows, or a length is another.
    pub fn scaled(
        scaled: Scaled,
        rows: usize,
        cols: usize,
        data: Bytes,
        scales: Bytes,
        global: Bytes,
    ) -> Result<Tensor, Misshapen> {
        let bare = Tensor::bare(Kind::Scaled(scaled), rows, cols, data);
        Tensor { scales, biases: global, ..bare }.checked()
    }

    /// A matrix of `rows` x `cols` plain floats.
    ///
    /// # Panics
    /// Where `weights` has another length.
    pub fn from_f32(rows: usize, cols: usize, weights: &[f32]) -> Tensor {
        assert_eq!(Some(weights.len()), rows.checked_mul(cols), "{rows} x {cols} weights");
        let bytes = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
        Tensor::bare(Kind::F32, rows, cols, Bytes::from_vec(bytes))
    }

    /// The bytes of row `r`.
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline(always)]
    pub fn row(&self, r: usize) -> Row<'_> {
        assert!(r < self.rows, "row {r} of {}", self.rows);
        self.view().row(r)
    }

    /// The matrix as slices, of which rows are found at once.
    pub fn view(&self) -> View<'_> {
        let line = |bytes: &Bytes| bytes.len() / self.rows.max(1);
        let (data, index) = (self.data.as_slice(), self.index.as_slice());
        let (scales, biases) = (self.scales.as_slice(), self.biases.as_slice());
        let (data_line, before) = (line(&self.data), self.before);
        if let Kind::Scaled(scaled) = self.kind {
            let (height, scale_line) = (scaled.tile.rows as usize, self.tile_row_bytes(scaled));
            let bias = (biases.len(), 0);
            return View {
                data,
                data_line,
                scales,
                scale_line,
                height,
                before,
                biases,
                bias,
                index,
            };
        }
        let (scale_line, bias) = (line(&self.scales), (line(&self.biases), line(&self.biases)));
        View { data, data_line, scales, scale_line, height: 1, before, biases, bias, index }
    }

    /// Of a scaled kind: where the scales of some rows lie.
    #[inline]
    fn tiles(&self, rows: Range<usize>) -> Range<usize> {
        let Kind::Scaled(scaled) = self.kind else { return 0..0 };
        let (height, line) = (scaled.tile.rows as usize, self.tile_row_bytes(scaled));
        let (first, end) = (self.before + rows.start, self.before + rows.end);
        first / height * line..end.div_ceil(height) * line
    }

    fn tile_row_bytes(&self, scaled: Scaled) -> usize {
        scaled.tiles(self.cols) * scaled.scale.bytes()
    }

    /// A view of some rows.
    ///
    /// # Panics
    /// Where there are no such rows.
    pub fn rows(&self, range: Range<usize>) -> Tensor {
        assert!(range.start <= range.end && range.end <= self.rows, "{range:?} of {}", self.rows);
        let part = |bytes: &Bytes| {
            let len = bytes.len() / self.rows.max(1);
            bytes.slice(range.start * len..range.end * len).expect("rows lie inside their matrix")
        };
        let view = Tensor { rows: range.len(), data: part(&self.data), ..self.clone() };
        if let Kind::Scaled(scaled) = self.kind {
            let scales = self.scales.slice(self.tiles(range.clone()));
            let scales = scales.expect("rows lie inside their tiles");
            let before = (self.before + range.start) % scaled.tile.rows as usize;
            return Tensor { scales, before, ..view };
        }
        Tensor { scales: part(&self.scales), biases: part(&self.biases), ..view }
    }

    /// A view of some columns of plain floats in one row.
    ///
    /// # Panics
    /// Where there are no such columns, more rows than one, or the numbers are packed.
    pub fn columns(&self, range: Range<usize>) -> Tensor {
        let plain = matches!(self.kind, Kind::F32 | Kind::F16 | Kind::BF16);
        assert!(self.rows == 1 && plain, "columns of one plain row");
        let (each, cols) = (self.kind.block_bytes(), range.len());
        let data = self.data.slice(range.start * each..range.end * each);
        Tensor { cols, data: data.expect("columns lie inside their row"), ..self.clone() }
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

    /// Bytes of data, scales, biases and index.
    pub fn bytes(&self) -> usize {
        [&self.data, &self.scales, &self.biases, &self.index].map(Bytes::len).iter().sum()
    }

    /// Of those, the bytes that do not lie in a mapped file.
    pub fn owned_bytes(&self) -> usize {
        let parts = [&self.data, &self.scales, &self.biases, &self.index];
        parts.iter().filter(|part| part.is_owned()).map(|part| part.len()).sum()
    }

    fn checked(self) -> Result<Tensor, Misshapen> {
        let Tensor { kind, rows, cols, .. } = self;
        if !kind.is_valid() {
            return Err(match kind {
                Kind::Scaled(_) => Misshapen::Scaled { kind },
                _ => Misshapen::Affine { kind },
            });
        }
        let block = kind.block_len();
        if !cols.is_multiple_of(block) {
            return Err(Misshapen::Cols { kind, cols, block });
        }
        let too_large = Misshapen::TooLarge { kind, rows, cols };
        // Weights are counted too, so that decoding a matrix cannot overflow either.
        let Some(weights) = rows.checked_mul(cols) else { return Err(too_large) };
        let blocks = weights / block;
        // How many numbers each range holds, and how long one is.
        let [scales, biases, index] = match kind {
            Kind::Affine(affine) => {
                let each = (blocks, affine.scale.bytes());
                [each, each, (0, 0)]
            }
            Kind::Indexed(indexed) => {
                let numbers = rows.saturating_mul(indexed.groups(cols));
                let each = (numbers, indexed.scale.bytes());
                [each, each, (cols, size_of::<i32>())]
            }
            Kind::Scaled(scaled) => {
                let lines = rows.div_ceil(scaled.tile.rows as usize);
                let global = usize::from(scaled.global.is_some());
                let tiles = lines.saturating_mul(scaled.tiles(cols));
                [(tiles, scaled.scale.bytes()), (global, size_of::<f32>()), (0, 0)]
            }
            _ => [(0, 0); 3],
        };
        let parts = [
            ("data", &self.data, (blocks, kind.block_bytes())),
            ("scales", &self.scales, scales),
            ("biases", &self.biases, biases),
            ("index", &self.index, index),
        ];
        for (part, bytes, (numbers, each)) in parts {
            let Some(needed) = numbers.checked_mul(each) else { return Err(too_large) };
            let found = bytes.len();
            if found != needed {
                return Err(Misshapen::Length { kind, rows, cols, part, needed, found });
            }
        }
        Ok(self)
    }
}
