//! The reference models: two containers of one model hold the same weights.

use std::path::{Path, PathBuf};

use blocks::Tensor;
use model::{Part, Spec};
use weights::{Bound, Container, SafeFile, Source};

/// The folder beside the repository that holds reference data, if this machine has it.
pub fn shared() -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference"));
    if !path.is_dir() {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    }
    Some(path.to_owned())
}

fn open(path: &Path) -> (Source, Spec, Vec<(Bound, Tensor)>) {
    let source = Source::open(path).unwrap_or_else(|e| panic!("{e}"));
    let spec = model::describe(source.meta()).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let bound = source.bind(&spec.weights()).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let load = |b: Bound| {
        let tensor = source.load(&b).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        assert_eq!((tensor.rows, tensor.cols), (b.spec.rows as usize, b.spec.cols as usize));
        (b, tensor)
    };
    let tensors = bound.into_iter().map(load).collect();
    (source, spec, tensors)
}

/// Rows in Hugging Face's order of rows in the order of a rotation of neighbours: within a head,
/// value `2i + h` comes from value `i + h * half`.
fn unpermuted(weights: &[f32], cols: usize, head_dim: usize) -> Vec<f32> {
    let half = head_dim / 2;
    let from = |row: usize| {
        let (head, i) = (row / head_dim, row % head_dim);
        head * head_dim + 2 * (i % half) + i / half
    };
    let rows = weights.len() / cols;
    (0..rows).flat_map(|row| &weights[from(row) * cols..][..cols]).copied().collect()
}

fn same(directory: &Path, gguf: &Path) {
    let (hf, hf_spec, hf_tensors) = open(directory);
    let (file, spec, tensors) = open(gguf);
    assert_eq!(hf.container(), Container::Safetensors);
    assert_eq!(file.container(), Container::Gguf { version: 3 });
    assert_eq!(spec.parameters(), hf_spec.parameters(), "{gguf:?}");
    assert_eq!(tensors.len(), hf_tensors.len(), "{gguf:?}");
    let permuted = file.meta().flag("rope_interleaved").unwrap();
    for ((a, ours), (b, theirs)) in tensors.iter().zip(&hf_tensors) {
        assert_eq!(a.spec, b.spec);
        let mut ours = ours.to_f32();
        if permuted && matches!(a.spec.part, Part::Q | Part::K) {
            let attention = spec.layers[0].attention().unwrap();
            ours = unpermuted(&ours, a.spec.cols as usize, attention.head_dim as usize);
        }
        assert!(ours == theirs.to_f32(), "{gguf:?}: {} is not {}", a.name, b.name);
    }
    // The rotation is the same one, whether by parameters or by a list of divisors.
    for (a, b) in spec.layers.iter().zip(&hf_spec.layers) {
        let (a, b) = (a.attention().unwrap(), b.attention().unwrap());
        let table = |rope: &Option<model::Rope>| rope.as_ref().unwrap().table(512);
        let (a, b) = (table(&a.rope), table(&b.rope));
        for (a, b) in a.frequencies.iter().zip(&b.frequencies) {
            assert!((a / b - 1.0).abs() < 1e-6, "{gguf:?}: {a} {b}");
        }
    }
}

#[test]
fn gguf_and_safetensors_hold_the_same_weights() {
    let Some(shared) = shared() else { return };
    for family in ["llama", "mistral", "qwen2", "qwen3", "phi3"] {
        let directory = shared.join("models").join(family);
        let gguf = directory.join("model.gguf");
        if gguf.is_file() { same(&directory, &gguf) } else { drop(open(&directory)) }
    }
    let stories = shared.join("stories260K");
    same(&stories.join("stories260K-hf"), &stories.join("stories260K-f32.gguf"));
    open(&stories.join("stories260K-q8_0.gguf"));
}

#[test]
fn fused_rows_are_shares_of_the_fused_tensor() {
    let Some(shared) = shared() else { return };
    let directory = shared.join("models/phi3");
    let (_, _, tensors) = open(&directory);
    let file = SafeFile::open(&directory.join("model.safetensors")).unwrap();
    for (name, parts) in [
        ("model.layers.1.self_attn.qkv_proj.weight", &[Part::Q, Part::K, Part::V][..]),
        ("model.layers.1.mlp.gate_up_proj.weight", &[Part::Gate, Part::Up]),
    ] {
        let (_, _, bytes) = file.tensor(name).unwrap();
        let share = |part: &Part| {
            let mine = |(b, _): &&(Bound, Tensor)| b.spec.part == *part && b.spec.layer == Some(1);
            tensors.iter().find(mine).unwrap().1.data.as_slice().to_vec()
        };
        let whole: Vec<u8> = parts.iter().flat_map(share).collect();
        assert!(whole == bytes.as_slice(), "{name}");
    }
}

#[test]
fn mlx_directories_bind() {
    let Some(shared) = shared() else { return };
    for name in [
        "llama-4bit-g32",
        "llama-8bit-g64",
        "qwen2-2bit-g32",
        "qwen3-3bit-g32",
        "qwen3-4bit-g64",
        "qwen3-6bit-g32",
    ] {
        let (source, _, tensors) = open(&shared.join("mlx").join(name));
        assert_eq!(source.container(), Container::Mlx);
        let family = name.split('-').next().unwrap();
        let (_, _, plain) = open(&shared.join("models").join(family));
        // The family's plain model is what was quantized, so the weights lie close to its own.
        for ((a, ours), (b, theirs)) in tensors.iter().zip(&plain) {
            assert_eq!(a.spec, b.spec, "{name}");
            let largest = largest(theirs.to_f32().into_iter());
            let off = ours.to_f32().into_iter().zip(theirs.to_f32()).map(|(a, b)| a - b);
            let step = match a.kind {
                blocks::Kind::Affine(affine) => {
                    2.0 * largest / (f32::from(affine.bits).exp2() - 1.0)
                }
                _ => 0.0,
            };
            // Half a step of the widest group, and what rounding the scale adds to it.
            assert!(self::largest(off) <= 0.8 * step, "{name}: {}", a.name);
        }
    }
}

fn largest(numbers: impl Iterator<Item = f32>) -> f32 {
    numbers.map(f32::abs).fold(0.0, f32::max)
}
