//! Every format against values that other programs computed, and what all formats have in common.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use blocks::{
    Affine, Bytes, Element, Global, Indexed, Ints, Kind, Misshapen, Plain, Scale, Scaled, Tensor,
    Tile,
};
use safetensors::SafeTensors;

#[test]
fn blocks_decode_as_in_gguf() {
    agree_with_gguf(include_bytes!("fixtures/gguf.safetensors"), |kind, part| {
        format!("{kind}.{part}")
    });
}

#[test]
fn more_blocks_decode_as_in_gguf() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/blocks");
    if !Path::new(folder).exists() {
        eprintln!("SKIPPED: no reference blocks in {folder}");
        return;
    }
    for kind in packed() {
        let path = format!("{folder}/{kind}.safetensors");
        let file = fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let tensors = SafeTensors::deserialize(&file).unwrap();
        check_gguf(kind, &tensors, "blocks", "values");
    }
}

#[test]
fn affine_groups_decode_as_in_mlx() {
    let file = include_bytes!("fixtures/mlx.safetensors");
    let tensors = SafeTensors::deserialize(file).unwrap();
    let mut seen = 0;
    for affine in affines() {
        let name = |part| format!("{}.{}.{:?}.{part}", affine.bits, affine.group, affine.scale);
        // The widths and groups are all there with halves as scales, the other scales with 64.
        let Ok(values) = tensors.tensor(&name("values")) else { continue };
        let bytes = |part| Bytes::from_vec(tensors.tensor(&name(part)).unwrap().data().to_vec());
        let [rows, cols] = values.shape() else { panic!("a matrix") };
        let [data, scales, biases] = ["data", "scales", "biases"].map(bytes);
        let ours = Tensor::affine(affine, *rows, *cols, data, scales, biases).unwrap();
        assert_same(&ours.to_f32(), &floats(values.data()), &name("values"));
        check_ints(&ours);
        seen += 1;
    }
    assert_eq!(seen, 6 * 3 + 6 * 2);
}

#[test]
fn scaled_floats_decode_as_in_mlx_and_ml_dtypes() {
    let file = include_bytes!("fixtures/scaled.safetensors");
    let tensors = SafeTensors::deserialize(file).unwrap();
    let fp8 = |rows, cols, scale| {
        let tile = Tile { rows, cols };
        Scaled { element: Element::E4M3, scale, tile, global: None }
    };
    for scaled in [
        Scaled::MXFP4,
        Scaled::MXFP8,
        Scaled::NVFP4,
        fp8(8, 16, Scale::Plain(Plain::F32)),
        fp8(16, 32, Scale::Plain(Plain::BF16)),
        fp8(1, Tile::ALL, Scale::Plain(Plain::F16)),
        fp8(Tile::ALL, Tile::ALL, Scale::Plain(Plain::F32)),
        fp8(4, 24, Scale::E8M0),
    ] {
        let name = |part: &str| format!("{}.{part}", Kind::Scaled(scaled));
        let bytes = |part| Bytes::from_vec(tensors.tensor(&name(part)).unwrap().data().to_vec());
        let values = tensors.tensor(&name("values")).unwrap();
        let [rows, cols] = values.shape() else { panic!("a matrix") };
        let (data, scales) = (bytes("data"), bytes("scales"));
        let ours = Tensor::scaled(scaled, *rows, *cols, data, scales, Bytes::empty()).unwrap();
        assert_equal(&ours.to_f32(), &floats(values.data()), &name("values"));
        for first in 0..*rows {
            let values = &floats(values.data())[first * cols..];
            assert_equal(&ours.rows(first..*rows).to_f32(), values, &name("rows"));
            let one = ours.rows(first / 2..*rows).rows(first - first / 2..first - first / 2 + 1);
            assert_equal(&one.to_f32(), &values[..*cols], &name("row"));
        }
    }
}

#[test]
fn a_scale_of_the_whole_matrix_multiplies_or_divides() {
    let plain = random(Kind::Scaled(Scaled::NVFP4), 4, 64);
    for (global, factor) in [(Global::Times, 3.0f32), (Global::Per, 1.0 / 4.0)] {
        let number = if global == Global::Times { 3.0f32 } else { 4.0 };
        let with = Tensor::scaled(
            Scaled { global: Some(global), ..Scaled::NVFP4 },
            4,
            64,
            plain.data.clone(),
            plain.scales.clone(),
            Bytes::from_vec(number.to_le_bytes().to_vec()),
        );
        // A small factor and few bits in each number: every product is exact.
        let expected: Vec<f32> = plain.to_f32().iter().map(|w| w * factor).collect();
        assert_equal(&with.unwrap().rows(1..3).to_f32(), &expected[64..192], "nvfp4");
    }
}

#[test]
fn columns_by_index_take_their_groups_scale() {
    let indexed = Indexed { bits: 4, group: 32, scale: Plain::F32 };
    let f32s = |numbers: &[f32]| {
        Bytes::from_vec(numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
    };
    let group = |col: usize| (col * 7 % 64) as i32 / 32;
    let index: Vec<u8> = (0..64).flat_map(|col| group(col).to_le_bytes()).collect();
    let with = |index: Vec<u8>| {
        let data = Bytes::from_vec((0..64).map(|i| (i * 37) as u8).collect());
        let parts = [data, f32s(&[1.0, 0.5, 3.0, 0.25]), f32s(&[-8.0, 2.0, 0.0, -1.0])];
        Tensor::indexed(indexed, 2, 64, parts, Bytes::from_vec(index))
    };
    let tensor = with(index.clone()).unwrap();
    let expected = |row: usize, col: usize| {
        let byte = ((row * 32 + col / 2) * 37) as u8;
        let q = if col.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
        let (scale, bias) =
            [(1.0, -8.0), (0.5, 2.0), (3.0, 0.0), (0.25, -1.0)][2 * row + group(col) as usize];
        scale * f32::from(q) + bias
    };
    let all: Vec<f32> = (0..128).map(|i| expected(i / 64, i % 64)).collect();
    assert_same(&tensor.to_f32(), &all, "by index");
    assert_same(&tensor.rows(1..2).to_f32(), &all[64..], "by index");
    let mut half = [0.0; 32];
    tensor.kind.decode(tensor.row(1), 32, &mut half);
    assert_same(&half, &all[96..], "by index");
    for group in [2i32, -1, i32::MIN] {
        let mut wrong = index.clone();
        wrong[4 * 9..4 * 10].copy_from_slice(&group.to_le_bytes());
        let error = with(wrong).unwrap_err();
        assert_eq!(error, Misshapen::Index { col: 9, group, groups: 2 });
    }
    let error = with(index[4..].to_vec()).unwrap_err();
    assert!(matches!(error, Misshapen::Length { part: "index", .. }), "{error}");
}

#[test]
fn plain_floats_decode_as_in_the_half_crate() {
    let bits: Vec<u16> = (0..1000).map(|i| i * 65).collect();
    // One byte into a buffer, no number is aligned.
    let bytes: Vec<u8> = [0].into_iter().chain(bits.iter().flat_map(|b| b.to_le_bytes())).collect();
    let len = bytes.len();
    let data = Bytes::new(Arc::new(bytes), 1..len).unwrap();
    let f16: Vec<f32> = bits.iter().map(|&b| half::f16::from_bits(b).to_f32()).collect();
    let bf16: Vec<f32> = bits.iter().map(|&b| half::bf16::from_bits(b).to_f32()).collect();
    let decoded = |kind| Tensor::new(kind, 4, 250, data.clone()).unwrap().to_f32();
    assert_same(&decoded(Kind::F16), &f16, "F16");
    assert_same(&decoded(Kind::BF16), &bf16, "BF16");
    assert_same(&Tensor::from_f32(4, 250, &f16).to_f32(), &f16, "F32");
}

#[test]
fn integers_are_the_weights() {
    for kind in packed() {
        check_ints(&random(kind, 3, 512));
    }
    for affine in affines() {
        check_ints(&random(Kind::Affine(affine), 3, 512));
    }
    for kind in scaled() {
        check_ints(&random(kind, 3, 512));
    }
}

#[test]
fn any_columns_and_rows_decode_alike() {
    for kind in every() {
        let (rows, cols) = (5, 1024);
        let tensor = random(kind, rows, cols);
        let all = tensor.to_f32();
        let view = tensor.rows(1..4).rows(1..3);
        assert_eq!((view.rows, view.cols), (2, cols));
        assert_same(&view.to_f32(), &all[2 * cols..4 * cols], &kind.name());
        let mut middle = [0.0; 512];
        kind.decode(tensor.row(2), 256, &mut middle);
        assert_same(&middle, &all[2 * cols + 256..][..512], &kind.name());
        assert!(tensor.rows(0..0).to_f32().is_empty());
    }
}

#[test]
fn wrong_lengths_are_errors() {
    for kind in every() {
        let Tensor { data, scales, biases, .. } = random(kind, 2, 256);
        let with = |rows, cols, data: &Bytes, scales: &Bytes, biases: &Bytes| match kind {
            Kind::Affine(affine) => {
                Tensor::affine(affine, rows, cols, data.clone(), scales.clone(), biases.clone())
            }
            Kind::Scaled(scaled) => {
                Tensor::scaled(scaled, rows, cols, data.clone(), scales.clone(), biases.clone())
            }
            _ => Tensor::new(kind, rows, cols, data.clone()),
        };
        assert!(with(2, 256, &data, &scales, &biases).is_ok());
        let wrong_length = |result: Result<Tensor, Misshapen>, wanted: &str| {
            let error = result.expect_err("a wrong length");
            assert!(matches!(error, Misshapen::Length { part, .. } if part == wanted), "{error}");
        };
        let shorter = |bytes: &Bytes| bytes.slice(0..bytes.len() - 1).unwrap();
        wrong_length(with(2, 256, &shorter(&data), &scales, &biases), "data");
        wrong_length(with(1, 256, &data, &scales, &biases), "data");
        wrong_length(with(2, 256, &Bytes::empty(), &scales, &biases), "data");
        if let Kind::Affine(_) = kind {
            wrong_length(with(2, 256, &data, &shorter(&scales), &biases), "scales");
            wrong_length(with(2, 256, &data, &scales, &Bytes::empty()), "biases");
            wrong_length(Tensor::new(kind, 2, 256, data.clone()), "scales");
        }
        if let Kind::Scaled(_) = kind {
            wrong_length(with(2, 256, &data, &shorter(&scales), &biases), "scales");
            wrong_length(with(2, 256, &data, &scales, &Bytes::from_vec(vec![0; 5])), "biases");
            wrong_length(Tensor::new(kind, 2, 256, data.clone()), "scales");
        }
        if kind.block_len() > 1 {
            let error = with(2, 257, &data, &scales, &biases).unwrap_err();
            assert!(matches!(error, Misshapen::Cols { cols: 257, .. }), "{error}");
            assert_eq!(kind.row_bytes(257), None);
        }
        let huge = usize::MAX / 1024 * 1024;
        for (rows, cols) in [(huge, 256), (1 << 20, huge)] {
            let error = with(rows, cols, &data, &scales, &biases).unwrap_err();
            assert!(matches!(error, Misshapen::TooLarge { .. }), "{error}");
        }
    }
}

#[test]
fn unknown_affine_formats_are_errors() {
    for (bits, group) in [(0, 32), (1, 32), (7, 32), (9, 64), (255, 128), (4, 0), (4, 16), (4, 96)]
    {
        let affine = Affine { bits, group, scale: Plain::F16 };
        let [data, scales, biases] = [256, 16, 16].map(|len| Bytes::from_vec(vec![0; len]));
        let error = Tensor::affine(affine, 1, 256, data, scales, biases).unwrap_err();
        assert!(matches!(error, Misshapen::Affine { .. }), "{error}");
        assert_eq!(Kind::Affine(affine).row_bytes(256), None);
    }
}

#[test]
fn ids_are_ggmls() {
    // ggml's numbering leaves holes for types that are no longer or never in files.
    let ids: Vec<u32> = (0..1000).filter(|&id| Kind::from_ggml(id).is_some()).collect();
    let expected: Vec<u32> =
        [0..4, 6..9, 10..15, 16..24, 29..31, 34..36, 39..41].into_iter().flatten().collect();
    assert_eq!(ids, expected);
    assert_eq!(Kind::GGUF.len(), ids.len());
    for &kind in Kind::GGUF {
        assert_eq!(Kind::from_ggml(kind.ggml_id().unwrap()), Some(kind));
    }
    let named = [(12, "Q4_K"), (14, "Q6_K"), (18, "IQ3_XXS"), (21, "IQ3_S"), (30, "BF16")];
    for (id, name) in named {
        assert_eq!(Kind::from_ggml(id).unwrap().name(), name);
    }
}

#[test]
fn sizes_count_scales_and_biases() {
    assert_eq!(Kind::Q4_K.bits_per_weight(), 4.5);
    assert_eq!(Kind::Q6_K.bits_per_weight(), 6.5625);
    assert_eq!(Kind::BF16.bits_per_weight(), 16.0);
    let affine = Kind::Affine(Affine { bits: 4, group: 64, scale: Plain::BF16 });
    assert_eq!(affine.bits_per_weight(), 4.5);
    assert_eq!(affine.name(), "affine4/64");
    assert_eq!(affine.row_bytes(128), Some(64));
    assert_eq!(Kind::Scaled(Scaled::MXFP4).bits_per_weight(), 4.25);
    assert_eq!(Kind::Scaled(Scaled::NVFP4).bits_per_weight(), 4.5);
    for kind in every() {
        let tensor = random(kind, 128, 256);
        let counted = kind.bits_per_weight();
        let found = 8.0 * tensor.bytes() as f64 / (128.0 * 256.0);
        // A scale of a row or a matrix does not count; here is one for 256 or 32768 weights.
        let few = matches!(kind, Kind::Scaled(Scaled { tile: Tile { cols: Tile::ALL, .. }, .. }));
        let global = matches!(kind, Kind::Scaled(Scaled { global: Some(_), .. }));
        let bound = if few {
            32.0 / 256.0
        } else if global {
            32.0 / 32768.0
        } else {
            0.0
        };
        assert!((0.0..=bound).contains(&(found - counted)), "{kind}: {found} and {counted}");
    }
}

#[test]
fn bytes_stay_inside_their_owner() {
    let owner = Arc::new(vec![0, 1, 2, 3, 4, 5]);
    assert_eq!(Bytes::new(owner.clone(), 2..6).unwrap().as_slice(), [2, 3, 4, 5]);
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..7, 7..7, 3..2, 1..usize::MAX] {
        assert!(Bytes::new(owner.clone(), range.clone()).is_none(), "{range:?}");
        assert!(Bytes::new(owner.clone(), 0..6).unwrap().slice(range).is_none());
    }
    let inner = Bytes::new(owner, 1..5).unwrap();
    assert_eq!(inner.slice(1..3).unwrap().as_slice(), [2, 3]);
    assert!(inner.slice(0..5).is_none(), "a slice cannot leave what it slices");
    assert!(inner.slice(4..4).unwrap().is_empty());
}

/// The kinds whose numbers are packed: all but the plain floats.
fn packed() -> impl Iterator<Item = Kind> {
    Kind::GGUF.iter().copied().filter(|kind| kind.block_len() > 1)
}

fn affines() -> impl Iterator<Item = Affine> {
    let scales = [Plain::F32, Plain::F16, Plain::BF16];
    let with = move |bits| {
        [32, 64, 128].into_iter().flat_map(move |group| {
            scales.into_iter().map(move |scale| Affine { bits, group, scale })
        })
    };
    [2, 3, 4, 5, 6, 8].into_iter().flat_map(with)
}

fn every() -> impl Iterator<Item = Kind> {
    Kind::GGUF.iter().copied().chain(affines().map(Kind::Affine)).chain(scaled())
}

fn scaled() -> impl Iterator<Item = Kind> {
    let fp8 = |rows, cols, plain| Scaled {
        element: Element::E4M3,
        scale: Scale::Plain(plain),
        tile: Tile { rows, cols },
        global: None,
    };
    let kinds = [
        Scaled::MXFP4,
        Scaled::MXFP8,
        Scaled::NVFP4,
        Scaled { global: Some(Global::Times), ..Scaled::NVFP4 },
        fp8(128, 128, Plain::F32),
        fp8(2, 64, Plain::BF16),
        fp8(1, Tile::ALL, Plain::F32),
        fp8(Tile::ALL, Tile::ALL, Plain::F32),
    ];
    kinds.into_iter().map(Kind::Scaled)
}

fn agree_with_gguf(file: &[u8], name: fn(Kind, &str) -> String) {
    let tensors = SafeTensors::deserialize(file).unwrap();
    for kind in packed() {
        check_gguf(kind, &tensors, &name(kind, "blocks"), &name(kind, "values"));
    }
}

fn check_gguf(kind: Kind, tensors: &SafeTensors<'_>, blocks: &str, values: &str) {
    let values = tensors.tensor(values).unwrap();
    let [rows, cols] = values.shape() else { panic!("{kind}: a matrix") };
    let data = Bytes::from_vec(tensors.tensor(blocks).unwrap().data().to_vec());
    assert_eq!(*cols, kind.block_len());
    let ours = Tensor::new(kind, *rows, *cols, data).unwrap();
    assert_same(&ours.to_f32(), &floats(values.data()), &kind.name());
    check_ints(&ours);
}

/// Whether integers, scales and minimums, multiplied in `f64`, are the decoded weights.
fn check_ints(tensor: &Tensor) {
    let kind = tensor.kind;
    let Some(shape) = kind.int_shape() else {
        let fp4 = matches!(kind, Kind::Scaled(scaled) if scaled == Scaled::MXFP4);
        let scaled = matches!(kind, Kind::Scaled(_));
        assert!(kind == Kind::NVFP4 || scaled && !fp4, "{kind} has integers");
        return;
    };
    // What an earlier block left behind must not show.
    let mut ints = Ints { q: [77; 256], scale: [5; 16], min: [3; 16], d: 2.0, dmin: 9.0 };
    let mut decoded = vec![0.0; tensor.cols];
    let mut weights = vec![0.0; shape.n];
    for r in 0..tensor.rows {
        tensor.decode_row(r, &mut decoded);
        for (block, decoded) in decoded.chunks_exact(shape.n).enumerate() {
            kind.ints(tensor.row(r), block, &mut ints);
            ints.weights(shape, &mut weights);
            assert_same(&weights, decoded, &kind.name());
            assert!(ints.q[..shape.n].iter().all(|&q| q <= shape.max), "{kind}: {:?}", ints.q);
            for (k, &w) in decoded.iter().enumerate() {
                let (scale, min) = (ints.scale[k / shape.sub], ints.min[k / shape.sub]);
                let product = f64::from(ints.d)
                    * f64::from(i32::from(scale) * (i32::from(ints.q[k]) - shape.off));
                let subtracted = f64::from(ints.dmin) * f64::from(min);
                let error = (product - subtracted - f64::from(w)).abs();
                let bound = 2.0 * f64::from(f32::EPSILON) * (product.abs() + subtracted.abs());
                assert!(!w.is_finite() || error <= bound, "{kind} weight {k}: {w}, off by {error}");
            }
        }
    }
}

fn assert_same(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (k, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let same = a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(same, "{what}: weight {k} is {a:e} instead of {b:e}");
    }
}

/// The same numbers, whatever the sign of a zero.
fn assert_equal(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (k, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!(a == b || a.is_nan() && b.is_nan(), "{what}: weight {k} is {a:e} instead of {b:e}");
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// A matrix of random bytes, every one of which is a valid block of every kind.
fn random(kind: Kind, rows: usize, cols: usize) -> Tensor {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ cols as u64;
    let mut bytes = |len: usize| {
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        };
        Bytes::from_vec(std::iter::repeat_with(next).take(len).collect())
    };
    let data = bytes(rows * kind.row_bytes(cols).unwrap());
    match kind {
        Kind::Affine(affine) => {
            let len = rows * cols / usize::from(affine.group) * affine.scale.bytes();
            let (scales, biases) = (bytes(len), bytes(len));
            Tensor::affine(affine, rows, cols, data, scales, biases).unwrap()
        }
        Kind::Scaled(scaled) => {
            let tiles = rows.div_ceil(scaled.tile.rows as usize) * scaled.tiles(cols);
            let scales = bytes(tiles * scaled.scale.bytes());
            let global = bytes(if scaled.global.is_some() { 4 } else { 0 });
            Tensor::scaled(scaled, rows, cols, data, scales, global).unwrap()
        }
        _ => Tensor::new(kind, rows, cols, data).unwrap(),
    }
}

#[test]
fn numbers_are_packed_as_in_gguf() {
    let tensors = SafeTensors::deserialize(include_bytes!("fixtures/encode.safetensors")).unwrap();
    let bytes = |name| tensors.tensor(name).unwrap().data();
    let numbers = floats(bytes("numbers"));
    let blocks = numbers.as_chunks::<32>().0;
    assert_eq!(blocks.len(), 80);
    for (i, block) in blocks.iter().enumerate() {
        let (long, short) = (&bytes("Q8_0")[34 * i..][..34], &bytes("Q4_0")[18 * i..][..18]);
        assert_eq!(blocks::encode_q8_0(block), long, "Q8_0 of {block:?}");
        assert_eq!(blocks::encode_q4_0(block), short, "Q4_0 of {block:?}");
    }
}
