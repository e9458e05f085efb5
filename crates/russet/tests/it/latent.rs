//! Models over latents whose files hold the projections to keys and to values apart, as MLX's do:
//! the reference models with that tensor split.

use std::path::Path;

use serde_json::{Map, Value, json};

/// Heads of the reference models, and the widths of their keys, values and latents.
const HEADS: usize = 4;
const K: usize = 16;
const V: usize = 16;
const RANK: usize = 32;
/// Bytes of a number.
const BF16: usize = 2;

/// The rows of keys of all heads, each head's transposed, and those of values.
fn split(joint: &[u8]) -> [Vec<u8>; 2] {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for head in joint.chunks((K + V) * RANK * BF16) {
        let number = |row: usize, col: usize| &head[(row * RANK + col) * BF16..][..BF16];
        for col in 0..RANK {
            (0..K).for_each(|row| keys.extend(number(row, col)));
        }
        values.extend(&head[K * RANK * BF16..]);
    }
    [keys, values]
}

/// A safetensors file with every joint projection in two.
fn tensors(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let old: Map<String, Value> = serde_json::from_slice(header).expect("a header");
    let (mut header, mut out) = (Map::new(), Vec::new());
    let mut add = |name: &str, dtype: &Value, shape: Value, bytes: &[u8]| {
        let offsets = [out.len(), out.len() + bytes.len()];
        out.extend(bytes);
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        header.insert(name.to_owned(), entry);
    };
    for (name, entry) in old.iter().filter(|(name, _)| *name != "__metadata__") {
        let at = [0, 1].map(|i| entry["data_offsets"][i].as_u64().expect("an offset") as usize);
        let (dtype, bytes) = (&entry["dtype"], &data[at[0]..at[1]]);
        match name.strip_suffix("kv_b_proj.weight") {
            Some(module) => {
                let [keys, values] = split(bytes);
                add(&format!("{module}embed_q.weight"), dtype, json!([HEADS, RANK, K]), &keys);
                add(
                    &format!("{module}unembed_out.weight"),
                    dtype,
                    json!([HEADS, V, RANK]),
                    &values,
                );
            }
            None => add(name, dtype, entry["shape"].clone(), bytes),
        }
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &out].concat()
}

#[test]
fn projections_to_keys_and_values_may_lie_apart() {
    let Some(models) = crate::reference("models") else { return };
    for model in ["deepseek_v2", "deepseek_v3"] {
        let (from, name) = (models.join(model), format!("apart-{model}"));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        std::fs::create_dir_all(&dir).expect("a directory");
        let read = |file: &str| std::fs::read(from.join(file)).expect(file);
        crate::scratch(&format!("{name}/config.json"), &read("config.json"));
        crate::scratch(&format!("{name}/model.safetensors"), &tensors(&read("model.safetensors")));
        let reference = from.join("reference.safetensors");
        let [dir, reference] = [&dir, &reference].map(|path| crate::text(path));
        let out = crate::ok(&["verify", dir, "--reference", reference]);
        assert!(out.contains("holds"), "{model}: {out}");
    }
}
