//! A tiny writer of the three containers, made from their descriptions and not from our readers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own, gone with the value.
pub struct Dir(pub PathBuf);

/// Directories made by this process: tests run side by side and may give the same name.
static MADE: AtomicU32 = AtomicU32::new(0);

impl Dir {
    pub fn new(test: &str) -> Dir {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("russet-weights-{}-{number}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A tensor to be written: rows first.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<u64>,
    /// ggml's id and safetensors' name.
    pub kind: (u32, &'static str),
    pub data: Vec<u8>,
}

impl Tensor {
    pub fn f32(name: &str, shape: &[u64]) -> Tensor {
        let n = shape.iter().product::<u64>() as usize;
        let data = values(name, n).into_iter().flat_map(f32::to_le_bytes).collect();
        Tensor { name: name.into(), shape: shape.to_vec(), kind: (0, "F32"), data }
    }
}

/// Numbers that follow from a tensor's name.
pub fn values(name: &str, n: usize) -> Vec<f32> {
    let seed = name.bytes().fold(1u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
    (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) ^ seed) as f32 / 1e9 - 2.0).collect()
}

pub const VOCAB: u64 = 24;
pub const DIM: u64 = 16;
pub const FFN: u64 = 40;
pub const LAYERS: u64 = 2;

/// The tensors of a small llama: 4 heads of 4, 2 of them for keys and values.
pub fn llama(gguf: bool) -> Vec<Tensor> {
    let pick = |gguf_name: &str, hf_name: &str| {
        if gguf { gguf_name.to_owned() } else { hf_name.to_owned() }
    };
    let mut list = vec![
        Tensor::f32(&pick("token_embd.weight", "model.embed_tokens.weight"), &[VOCAB, DIM]),
        Tensor::f32(&pick("output_norm.weight", "model.norm.weight"), &[DIM]),
        Tensor::f32(&pick("output.weight", "lm_head.weight"), &[VOCAB, DIM]),
    ];
    for layer in 0..LAYERS {
        for (gguf_name, hf_name, shape) in [
            ("attn_norm", "input_layernorm", &[DIM][..]),
            ("attn_q", "self_attn.q_proj", &[16, DIM]),
            ("attn_k", "self_attn.k_proj", &[8, DIM]),
            ("attn_v", "self_attn.v_proj", &[8, DIM]),
            ("attn_output", "self_attn.o_proj", &[DIM, 16]),
            ("ffn_norm", "post_attention_layernorm", &[DIM]),
            ("ffn_gate", "mlp.gate_proj", &[FFN, DIM]),
            ("ffn_up", "mlp.up_proj", &[FFN, DIM]),
            ("ffn_down", "mlp.down_proj", &[DIM, FFN]),
        ] {
            let name = pick(
                &format!("blk.{layer}.{gguf_name}.weight"),
                &format!("model.layers.{layer}.{hf_name}.weight"),
            );
            list.push(Tensor::f32(&name, shape));
        }
    }
    list
}

/// The config.json of that llama.
pub fn config() -> serde_json::Value {
    serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "vocab_size": VOCAB, "hidden_size": DIM, "intermediate_size": FFN,
        "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "tie_word_embeddings": false, "torch_dtype": "float32"
    })
}

/// A GGUF file in the making.
#[derive(Clone)]
pub struct Gguf {
    pub version: u32,
    pub alignment: usize,
    /// Key, type and the bytes of the value.
    pub keys: Vec<(String, u32, Vec<u8>)>,
    pub tensors: Vec<Tensor>,
}

pub fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [&(text.len() as u64).to_le_bytes()[..], text].concat()
}

pub fn array(tag: u32, items: &[Vec<u8>]) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &(items.len() as u64).to_le_bytes(), &items.concat()].concat()
}

impl Gguf {
    /// That llama.
    pub fn llama() -> Gguf {
        let mut gguf = Gguf { version: 3, alignment: 32, keys: vec![], tensors: llama(true) };
        gguf.text("general.architecture", "llama");
        for (key, value) in [
            ("vocab_size", VOCAB),
            ("embedding_length", DIM),
            ("feed_forward_length", FFN),
            ("block_count", LAYERS),
            ("attention.head_count", 4),
            ("attention.head_count_kv", 2),
            ("context_length", 64),
        ] {
            gguf.u32(&format!("llama.{key}"), value as u32);
        }
        gguf.f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
        gguf
    }

    pub fn key(&mut self, key: &str, tag: u32, value: Vec<u8>) {
        self.keys.retain(|(old, ..)| old != key);
        self.keys.push((key.to_owned(), tag, value));
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key, 8, string(value));
    }

    pub fn u32(&mut self, key: &str, value: u32) {
        self.key(key, 4, value.to_le_bytes().to_vec());
    }

    pub fn f32(&mut self, key: &str, value: f32) {
        self.key(key, 6, value.to_le_bytes().to_vec());
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (key, tag, value) in &self.keys {
            out.extend(string(key));
            out.extend(tag.to_le_bytes());
            out.extend(value);
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            out.extend(string(&tensor.name));
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor.shape.iter().rev().for_each(|dim| out.extend(dim.to_le_bytes()));
            out.extend(tensor.kind.0.to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(&tensor.data);
            data.resize(data.len().next_multiple_of(self.alignment), 0);
        }
        out.resize(out.len().next_multiple_of(self.alignment), 0);
        out.extend(data);
        out
    }
}

/// A safetensors file.
pub fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for tensor in tensors {
        let (from, dtype, shape) = (data.len(), tensor.kind.1, &tensor.shape);
        data.extend(&tensor.data);
        entries.push(format!(
            r#""{}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{}]}}"#,
            tensor.name,
            data.len()
        ));
    }
    with_header(&format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}"#, entries.join(",")), &data)
}

pub fn with_header(json: &str, data: &[u8]) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), data].concat()
}

/// Writes that llama as a Hugging Face directory.
pub fn directory(dir: &Dir, config: &serde_json::Value, tensors: &[Tensor]) {
    dir.write("config.json", config.to_string());
    dir.write("model.safetensors", safetensors(tensors));
}
