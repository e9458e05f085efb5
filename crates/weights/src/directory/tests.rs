//! Stacks of matrices: every matrix has its own scales, wherever its rows are cut.

use super::{Directory, Fold};
use crate::safetensors::{Dtype, SafeTensor};
use blocks::{Bytes, Element, Kind, Plain, Scale, Scaled, Tile};

/// Tensors of a name, a type, a shape and bytes in one file.
fn directory(tensors: &[(&str, Dtype, &[u64], Vec<u8>)]) -> Directory {
    let (mut list, mut bytes) = (Vec::new(), Vec::new());
    for (name, dtype, shape, data) in tensors {
        let range = bytes.len()..bytes.len() + data.len();
        bytes.extend(data);
        let (name, shape) = (name.to_string(), shape.to_vec());
        list.push(SafeTensor { name, dtype: *dtype, shape, range });
    }
    let mut directory = Directory::default();
    directory.add_file("model.safetensors", Bytes::from_vec(bytes));
    directory.add_safe(&list).unwrap();
    directory
}

#[test]
fn tiles_begin_anew_in_every_matrix_of_a_stack() {
    const MATRICES: usize = 3;
    const ROWS: usize = 5;
    const COLS: usize = 8;
    // 1, 2, -1 and 0.5 in FP8.
    let codes = [(0x38, 1.0), (0x40, 2.0), (0xb8, -1.0), (0x30, 0.5)];
    let code = |i: usize| codes[i * 7 / 3 % 4];
    let scale = |matrix: usize, row: usize, col: usize| {
        (100 * matrix + 10 * (row / 2) + col / 3 + 1) as f32
    };
    let data = (0..MATRICES * ROWS * COLS).map(|i| code(i).0).collect();
    let tiles = (0..MATRICES * 9).flat_map(|i| {
        let (matrix, row, col) = (i / 9, i / 3 % 3 * 2, i % 3 * 3);
        scale(matrix, row, col).to_le_bytes()
    });
    let mut directory = directory(&[
        ("w", Dtype::F8_E4M3, &[3, 5, 8], data),
        ("w_scale_inv", Dtype::F32, &[3, 3, 3], tiles.collect()),
    ]);
    let kind = Kind::Scaled(Scaled {
        element: Element::E4M3,
        scale: Scale::Plain(Plain::F32),
        tile: Tile { rows: 2, cols: 3 },
        global: None,
    });
    directory.fold(vec![Fold::new("w", 0, kind, vec![3, 5, 8], 1)]);
    assert_eq!(directory.tensors().len(), 1);
    for matrix in 0..MATRICES {
        for rows in [0..ROWS, 1..4, 3..3, 4..5] {
            let from = matrix * ROWS;
            let found = directory.load_rows(0, from + rows.start..from + rows.end).unwrap();
            let expected: Vec<f32> = rows
                .flat_map(|row| (0..COLS).map(move |col| (row, col)))
                .map(|(row, col)| code((from + row) * COLS + col).1 * scale(matrix, row, col))
                .collect();
            assert_eq!(found.to_f32(), expected, "matrix {matrix}");
        }
    }
    assert!(directory.load_rows(0, 3..7).is_err(), "rows of two matrices are no view");
    assert!(directory.load_rows(0, 15..16).is_err(), "there is no fourth matrix");
}

#[test]
fn an_expert_of_mxfp4_is_read_where_it_lies() {
    // Two experts of three rows of 32: byte 0x52 is 1 and 3, the scales are 2^1 and 2^2.
    let mut directory = directory(&[
        ("e", Dtype::U8, &[2, 3, 1, 16], vec![0x52; 96]),
        ("s", Dtype::U8, &[2, 3, 1], vec![128, 128, 128, 129, 129, 129]),
    ]);
    let kind = Kind::Scaled(Scaled::MXFP4);
    directory.fold(vec![Fold::new("experts", 0, kind, vec![2, 3, 32], 1)]);
    let second = directory.load_rows(0, 4..6).unwrap();
    assert_eq!(second.to_f32(), [4.0, 12.0].repeat(32));
    assert_eq!(second.data.len() + second.scales.len(), 2 * 17);
    assert_eq!(directory.load_rows(0, 0..3).unwrap().to_f32(), [2.0, 6.0].repeat(48));
}
