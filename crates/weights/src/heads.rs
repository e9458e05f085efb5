//! The order of rows within attention's heads, of which there are two.
//!
//! Rotary positions turn pairs of a head's values. In files of Hugging Face's a pair is a value of
//! the first half and its like in the second one; the converter of some families to GGUF lays the
//! two beside each other. Row `2j + p` of a head there is row `p * width / 2 + j` here.

use blocks::{Bytes, Tensor};

use crate::names::Style;

/// How the rows of a matrix are put into another order, head by head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Rows of a head, an even number.
    pub width: usize,
    /// Whose order they are put into.
    pub to: Style,
}

impl Heads {
    /// The matrix, (heads * width, cols), with its rows in the other order: a copy.
    pub fn reorder(self, matrix: &Tensor) -> Tensor {
        let data = matrix.data.as_slice();
        let row = data.len() / matrix.rows.max(1);
        let rows = (0..matrix.rows).map(|to| self.source(to));
        let bytes: Vec<u8> = rows.flat_map(|from| &data[from * row..][..row]).copied().collect();
        let tensor = Tensor::new(matrix.kind, matrix.rows, matrix.cols, Bytes::from_vec(bytes));
        tensor.expect("the same rows in another order")
    }

    /// Where the row comes from that is to lie at `to`.
    fn source(self, to: usize) -> usize {
        let (half, at) = (self.width / 2, to % self.width);
        let from = match self.to {
            Style::Gguf => at % 2 * half + at / 2,
            Style::HuggingFace => at % half * 2 + at / half,
        };
        to - at + from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_order_undoes_the_other() {
        for width in [2, 6, 8, 128] {
            let [gguf, hugging_face] =
                [Style::Gguf, Style::HuggingFace].map(|to| Heads { width, to });
            for row in 0..3 * width {
                assert_eq!(gguf.source(hugging_face.source(row)), row);
                assert_eq!(gguf.source(row) / width, row / width, "rows stay in their head");
            }
        }
    }
}
