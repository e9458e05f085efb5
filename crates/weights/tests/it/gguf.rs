//! GGUF files: versions, key types, split sets, conventions, and what is refused.

use std::time::{Duration, Instant};

use blocks::{Bytes, Kind};
use model::{Mixer, Pairing, Part, Scaling, Spec};
use weights::{Container, Gguf, GgufValue, Source, WeightError};

use crate::writer::{self, Dir, Tensor, array, string, values};

fn source(gguf: &writer::Gguf) -> Result<Source, WeightError> {
    Source::from_bytes("test.gguf", gguf.bytes().leak())
}

fn spec(source: &Source) -> Spec {
    model::describe(source.meta()).unwrap()
}

/// Opens, describes, binds and loads; the first error as text.
pub fn whole(source: Result<Source, WeightError>) -> Result<Source, String> {
    let source = source.map_err(|e| e.to_string())?;
    let spec = model::describe(source.meta()).map_err(|e| e.to_string())?;
    for bound in source.bind(&spec.weights()).map_err(|e| e.to_string())? {
        let tensor = source.load(&bound).map_err(|e| e.to_string())?;
        assert_eq!(
            (tensor.rows, tensor.cols),
            (bound.spec.rows as usize, bound.spec.cols as usize)
        );
    }
    Ok(source)
}

#[track_caller]
pub fn refused(source: Result<Source, WeightError>, words: &[&str]) {
    let error = whole(source).map(|_| ()).expect_err("this should be refused");
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[track_caller]
fn holds_its_values(source: &Source) {
    for bound in source.bind(&spec(source).weights()).unwrap() {
        let tensor = source.load(&bound).unwrap();
        let n = tensor.rows * tensor.cols;
        assert_eq!(tensor.to_f32(), values(&bound.name, n), "{}", bound.name);
    }
}

#[test]
fn both_versions_at_any_alignment_hold_what_was_written() {
    for (version, alignment) in [(2, 32), (3, 32), (3, 8), (3, 64), (3, 4096)] {
        let mut gguf = writer::Gguf::llama();
        (gguf.version, gguf.alignment) = (version, alignment);
        if alignment != 32 {
            gguf.u32("general.alignment", alignment as u32);
        }
        let source = source(&gguf).unwrap();
        assert_eq!(source.container(), Container::Gguf { version });
        assert_eq!(source.file_bytes(), gguf.bytes().len() as u64);
        holds_its_values(&source);
        let names: Vec<&str> = source.tensors().map(|t| t.name.as_str()).collect();
        let written: Vec<&str> = gguf.tensors.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, written);
    }
}

#[test]
fn every_type_of_value_is_read_back() {
    let mut gguf = writer::Gguf::llama();
    gguf.key("a.u8", 0, vec![200]);
    gguf.key("a.i8", 1, vec![0xff]);
    gguf.key("a.u16", 2, 65_535u16.to_le_bytes().to_vec());
    gguf.key("a.i16", 3, (-2i16).to_le_bytes().to_vec());
    gguf.key("a.i32", 5, (-3i32).to_le_bytes().to_vec());
    gguf.key("a.bool", 7, vec![1]);
    gguf.key("a.u64", 10, (1u64 << 40).to_le_bytes().to_vec());
    gguf.key("a.i64", 11, (-4i64).to_le_bytes().to_vec());
    gguf.key("a.f64", 12, 0.1f64.to_le_bytes().to_vec());
    gguf.key("a.bytes", 8, string([0xf0, 0x9f]));
    gguf.key("a.strings", 9, array(8, &[string("x"), string([0xff]), string("")]));
    let floats = [1.5f32, -2.0].map(|f| f.to_le_bytes().to_vec());
    gguf.key("a.floats", 9, array(6, &floats));
    let inner = [array(0, &[vec![1], vec![2]]), array(8, &[string("y")])];
    gguf.key("a.nested", 9, array(9, &inner));
    let source = source(&gguf).unwrap();
    let gguf = source.gguf().unwrap();

    let ints = [("u8", 200), ("i8", -1), ("u16", 65_535), ("i16", -2), ("i32", -3)];
    for (key, value) in ints.into_iter().chain([("u64", 1 << 40), ("i64", -4)]) {
        assert_eq!(gguf.int(&format!("a.{key}")), Some(value), "{key}");
    }
    assert!(matches!(gguf.get("a.bool"), Some(GgufValue::Bool(true))));
    assert!(matches!(gguf.get("a.f64"), Some(GgufValue::F64(0.1))));
    assert_eq!(gguf.get("a.bytes").unwrap().bytes(), Some(&[0xf0, 0x9f][..]));
    assert_eq!(gguf.text("a.bytes"), None);
    let strings: Vec<&[u8]> =
        gguf.get("a.strings").unwrap().array().unwrap().strings().unwrap().collect();
    assert_eq!(strings, [&b"x"[..], &[0xff], b""]);
    assert_eq!(gguf.get("a.floats").unwrap().array().unwrap().floats(), Some(vec![1.5, -2.0]));
    let nested: Vec<GgufValue<'_>> =
        gguf.get("a.nested").unwrap().array().unwrap().items().collect();
    assert_eq!(nested[0].array().unwrap().ints(), Some(vec![1, 2]));
    assert_eq!(nested[1].array().unwrap().items().next().unwrap().text(), Some("y"));
}

#[test]
fn split_sets_open_from_any_part() {
    let dir = Dir::new("split");
    let all = writer::Gguf::llama();
    let cuts = [0, 5, 5, all.tensors.len()];
    let name = |part: usize| format!("m-{part:05}-of-00003.gguf");
    for part in 0..3 {
        let tensors = all.tensors[cuts[part]..cuts[part + 1]].to_vec();
        let mut file = writer::Gguf { tensors, ..all.clone() };
        if part > 0 {
            file.keys.clear();
        }
        file.key("split.no", 2, (part as u16).to_le_bytes().to_vec());
        file.key("split.count", 2, 3u16.to_le_bytes().to_vec());
        let total = all.tensors.len() as i32;
        file.key("split.tensors.count", 5, total.to_le_bytes().to_vec());
        dir.write(&name(part + 1), file.bytes());
    }
    for part in 1..=3 {
        let source = Source::open(&dir.path().join(name(part))).unwrap();
        holds_its_values(&source);
    }
    holds_its_values(&Source::open(dir.path()).unwrap());

    let (second, third) = (dir.path().join(name(2)), dir.path().join(name(3)));
    std::fs::copy(&third, dir.path().join("other.gguf")).unwrap();
    refused(Source::open(&dir.path().join("other.gguf")), &["other.gguf", "-00001-of-00003.gguf"]);
    std::fs::copy(&third, &second).unwrap();
    refused(Source::open(&third), &["00002-of-00003", "part 2 of 3"]);
    std::fs::remove_file(&second).unwrap();
    refused(Source::open(&third), &["m-00002-of-00003.gguf is missing"]);
}

#[test]
fn what_is_missing_surplus_or_misshapen_is_named() {
    let change = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut gguf = writer::Gguf::llama();
        change(&mut gguf.tensors);
        source(&gguf)
    };
    let up = "blk.1.ffn_up.weight";
    refused(change(&|list| list.retain(|t| t.name != up)), &["test.gguf", up, "missing"]);
    refused(
        change(&|list| list.push(Tensor::f32("blk.1.extra", &[4]))),
        &["`blk.1.extra`", "1 such"],
    );
    let reshape = |shape: &'static [u64]| {
        change(&|list| *list.iter_mut().find(|t| t.name == up).unwrap() = Tensor::f32(up, shape))
    };
    refused(reshape(&[16, 40]), &[up, "[16, 40]", "[40, 16]"]);
    refused(reshape(&[40, 4, 4]), &[up, "[40, 4, 4]"]);
    refused(reshape(&[40, 0]), &[up]);
    let typed = |tag: u32, data: usize| {
        change(&|list| {
            let tensor = list.iter_mut().find(|t| t.name == up).unwrap();
            (tensor.kind.0, tensor.data) = (tag, vec![0; data]);
        })
    };
    refused(typed(26, 2560), &[up, "I32", "weights"]);
    refused(typed(99, 2560), &[up, "type 99"]);
    refused(typed(12, 2560), &[up, "16", "Q4_K"]);
    refused(change(&|list| list.push(list[0].clone())), &["token_embd.weight", "twice"]);
    // Tensors of experts are no part of a llama, but can be listed.
    let with_experts = change(&|list| list.push(Tensor::f32("blk.0.exps", &[2, 3, 4]))).unwrap();
    let experts = with_experts.tensors().last().unwrap();
    assert_eq!((&experts.shape[..], experts.kind), (&[2, 3, 4][..], Some(Kind::F32)));
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let good = writer::Gguf::llama().bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        Gguf::parse("test.gguf", Bytes::from_vec(file)).unwrap_err().to_string()
    };
    assert!(with(0, b"FUGG").contains("big-endian"));
    assert!(with(4, &3u32.to_be_bytes()).contains("big-endian"));
    assert!(with(4, &1u32.to_le_bytes()).contains("version 1"));
    assert!(with(4, &9u32.to_le_bytes()).contains("version 9"));
    assert!(with(0, b"PK\x03\x04").contains("no GGUF file"));
    for at in [8, 16, 24] {
        for count in [u64::MAX, 1 << 63, 1 << 40, 1 << 20] {
            with(at, &count.to_le_bytes());
        }
    }
    let key = |key: &str, tag: u32, value: Vec<u8>| {
        let mut gguf = writer::Gguf::llama();
        gguf.key(key, tag, value);
        source(&gguf)
    };
    refused(key("x", 13, vec![]), &["`x`", "type 13"]);
    refused(key("x", 7, vec![2]), &["`x`"]);
    refused(key("general.alignment", 4, 3u32.to_le_bytes().to_vec()), &["alignment"]);
    refused(key("x", 9, [&4u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat()), &["claims"]);
    let deep = (0..8).fold(vec![], |inner: Vec<u8>, _| {
        let items = if inner.is_empty() { vec![] } else { vec![inner] };
        array(9, &items)
    });
    refused(key("x", 9, deep), &["deeper"]);
    let mut twice = writer::Gguf::llama();
    twice.keys.push(twice.keys[0].clone());
    refused(source(&twice), &["general.architecture", "twice"]);
    // Two tensors over the same bytes.
    let overlap = writer::Gguf::llama();
    let mut bytes = overlap.bytes();
    let name = b"output_norm.weight";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    let offset = at + 4 + 8 + 4;
    bytes[offset..offset + 8].copy_from_slice(&32u64.to_le_bytes());
    let error = Gguf::parse("test.gguf", Bytes::from_vec(bytes)).unwrap_err().to_string();
    assert!(error.contains("overlap"), "{error}");
}

#[test]
fn a_list_has_a_number_for_each_layer() {
    let with = |items: &[u32]| {
        let mut gguf = writer::Gguf::llama();
        let items: Vec<_> = items.iter().map(|n| n.to_le_bytes().to_vec()).collect();
        gguf.key("llama.attention.head_count_kv", 9, array(5, &items));
        source(&gguf)
    };
    whole(with(&[2, 2])).unwrap();
    refused(with(&[2, 4]), &["blk.1.attn_k.weight", "[16, 16]"]);
    refused(with(&[2, 2, 4]), &["llama.attention.head_count_kv", "for each layer"]);
}

#[test]
fn biases_heads_and_sizes_follow_from_the_tensors() {
    let mut gguf = writer::Gguf::llama();
    gguf.keys.retain(|(key, ..)| key != "llama.vocab_size");
    gguf.tensors.retain(|t| t.name != "output.weight");
    for layer in 0..2 {
        for (name, n) in [("attn_q", 16), ("attn_k", 8), ("attn_v", 8), ("attn_output", 16)] {
            gguf.tensors.push(Tensor::f32(&format!("blk.{layer}.{name}.bias"), &[n]));
        }
    }
    gguf.tensors.push(Tensor::f32("rope_freqs.weight", &[2]));
    let source = whole(source(&gguf)).unwrap();
    assert_eq!(source.ignored(), ["rope_freqs.weight"]);
    let spec = spec(&source);
    let attention = spec.layers[1].attention().unwrap();
    assert!(spec.tied && attention.qkv_bias && attention.out_bias);
    assert_eq!(spec.vocab, 24);
    assert!(matches!(&attention.rope.as_ref().unwrap().scaling, Scaling::Divisors(list)
        if *list == values("rope_freqs.weight", 2)));
    holds_its_values(&source);
}

#[test]
fn fused_rows_of_gguf_files_are_shared_out() {
    let mut gguf = writer::Gguf::llama();
    for (key, ..) in &mut gguf.keys {
        *key = key.replace("llama.", "phi3.");
    }
    gguf.text("general.architecture", "phi3");
    let apart = |t: &Tensor| {
        ["attn_q.", "attn_k.", "attn_v.", "ffn_gate.", "ffn_up."]
            .iter()
            .any(|part| t.name.contains(part))
    };
    gguf.tensors.retain(|t| !apart(t));
    for layer in 0..2 {
        gguf.tensors.push(Tensor::f32(&format!("blk.{layer}.attn_qkv.weight"), &[32, 16]));
        gguf.tensors.push(Tensor::f32(&format!("blk.{layer}.attn_qkv.bias"), &[32]));
        gguf.tensors.push(Tensor::f32(&format!("blk.{layer}.ffn_up.weight"), &[80, 16]));
    }
    let source = whole(source(&gguf)).unwrap();
    for bound in source.bind(&spec(&source).weights()).unwrap() {
        let first_row = match bound.spec.part {
            Part::K | Part::KBias => 16,
            Part::V | Part::VBias => 24,
            Part::Up => 40,
            _ => 0,
        };
        let tensor = source.load(&bound).unwrap();
        let whole = values(&bound.name, 80 * 16);
        let width = if bound.name.ends_with(".bias") { 1 } else { 16 };
        assert_eq!(tensor.to_f32(), whole[first_row * width..][..tensor.rows * tensor.cols]);
    }
    assert_eq!(source.meta().flag("rope_interleaved"), Ok(false));
    gguf.tensors.last_mut().unwrap().shape[0] = 79;
    gguf.tensors.last_mut().unwrap().data.truncate(79 * 64);
    refused(self::source(&gguf), &["blk.1.ffn_up.weight", "[79, 16]", "[80, 16]"]);
}

/// A model over latents: 3 heads, a latent 16 wide, keys of 8 and 4 more rotated, values of 6.
fn latent(apart: bool) -> writer::Gguf {
    let mut gguf = writer::Gguf::llama();
    for (key, ..) in &mut gguf.keys {
        *key = key.replace("llama.", "deepseek2.");
    }
    gguf.text("general.architecture", "deepseek2");
    let widths = if apart { [20, 16] } else { [12, 6] };
    for (key, value) in [
        ("head_count", 3),
        ("head_count_kv", if apart { 1 } else { 3 }),
        ("kv_lora_rank", 16),
        ("key_length", widths[0]),
        ("value_length", widths[1]),
    ] {
        gguf.u32(&format!("deepseek2.attention.{key}"), value);
    }
    if apart {
        gguf.u32("deepseek2.attention.key_length_mla", 12);
        gguf.u32("deepseek2.attention.value_length_mla", 6);
    }
    gguf.u32("deepseek2.rope.dimension_count", 4);
    gguf.text("deepseek2.rope.scaling.type", "yarn");
    gguf.f32("deepseek2.rope.scaling.factor", 4.0);
    gguf.f32("deepseek2.rope.scaling.yarn_log_multiplier", 0.07);
    gguf.tensors.retain(|t| {
        !["attn_q.", "attn_k.", "attn_v.", "attn_o"].iter().any(|part| t.name.contains(part))
    });
    for layer in 0..2 {
        let up: &[(&str, &[u64])] = match apart {
            true => &[("attn_k_b", &[3, 16, 8]), ("attn_v_b", &[3, 6, 16])],
            false => &[("attn_kv_b", &[42, 16])],
        };
        let rest: &[(&str, &[u64])] = &[
            ("attn_q", &[36, 16]),
            ("attn_kv_a_mqa", &[20, 16]),
            ("attn_kv_a_norm", &[16]),
            ("attn_output", &[16, 18]),
        ];
        for (name, shape) in rest.iter().chain(up) {
            gguf.tensors.push(Tensor::f32(&format!("blk.{layer}.{name}.weight"), shape));
        }
    }
    gguf
}

#[test]
fn latents_are_read_from_both_generations_of_files() {
    for apart in [true, false] {
        let source = whole(source(&latent(apart))).unwrap();
        let spec = spec(&source);
        let Mixer::Latent(l) = &spec.layers[1].mixer else { panic!("no latent") };
        assert_eq!((l.heads, l.q_rank, l.kv_rank), (3, None, 16));
        assert_eq!((l.plain_dim, l.rope.dims, l.v_dim, l.split), (8, 4, 6, apart));
        assert_eq!(l.rope.pairing, Pairing::Interleaved);
        // The scores are scaled by what grows with 0.7, the rotated values are not.
        let growth = 1.0 + 0.1 * 0.7 * 4f32.ln();
        assert!((l.scale - 12f32.powf(-0.5) * growth * growth).abs() < 1e-6);
        assert!((l.rope.table(8).magnitude - 1.0).abs() < 1e-6);
        holds_its_values(&source);
    }
    let mut gguf = latent(true);
    gguf.tensors.last_mut().unwrap().shape = vec![6, 3, 15];
    gguf.tensors.last_mut().unwrap().data.truncate(6 * 3 * 15 * 4);
    refused(source(&gguf), &["blk.1.attn_v_b.weight", "[6, 3, 15]", "[18, 16]"]);
}

#[test]
fn scalings_are_read_from_keys_and_tensors() {
    let rope = |change: &dyn Fn(&mut writer::Gguf)| {
        let mut gguf = writer::Gguf::llama();
        change(&mut gguf);
        let source = source(&gguf).unwrap();
        let attention = spec(&source).layers[0].attention().unwrap().clone();
        attention.rope.unwrap()
    };
    // A factor without a type is linear.
    let linear = rope(&|g| g.f32("llama.rope.scaling.factor", 4.0));
    assert_eq!(linear.scaling, Scaling::Linear { factor: 4.0 });
    let yarn = rope(&|g| {
        g.text("llama.rope.scaling.type", "yarn");
        g.f32("llama.rope.scaling.factor", 4.0);
        g.u32("llama.rope.scaling.original_context_length", 16);
        g.f32("llama.rope.scaling.attn_factor", 0.5);
    });
    let expected = 0.5 * (1.0 + 0.1 * 4f32.ln());
    assert!((yarn.table(8).magnitude - expected).abs() < 1e-6);
    let long = rope(&|g| {
        g.u32("llama.rope.scaling.original_context_length", 16);
        g.f32("llama.rope.scaling.attn_factor", 1.25);
        g.tensors.push(Tensor::f32("rope_factors_long.weight", &[2]));
        g.tensors.push(Tensor::f32("rope_factors_short.weight", &[2]));
    });
    let expected = Scaling::LongRope {
        short: values("rope_factors_short.weight", 2),
        long: values("rope_factors_long.weight", 2),
        original: 16,
        attention: 1.25,
    };
    assert_eq!(long.scaling, expected);
}

#[test]
fn sampling_defaults_are_read_from_keys() {
    let mut gguf = writer::Gguf::llama();
    gguf.f32("general.sampling.temp", 0.75);
    gguf.key("general.sampling.top_k", 5, 20i32.to_le_bytes().to_vec());
    gguf.f32("general.sampling.penalty_repeat", 1.5);
    let source = source(&gguf).unwrap();
    let defaults = source.sampling_defaults();
    assert_eq!((defaults.temperature, defaults.top_k), (Some(0.75), Some(20)));
    assert_eq!((defaults.repeat_penalty, defaults.top_p), (Some(1.5), None));
    assert_eq!(defaults.sources.len(), 3);
    assert_eq!(defaults.sources[0], "general.sampling.temp");
}

#[test]
fn opening_takes_the_time_of_the_header_only() {
    let dir = Dir::new("large");
    let mut gguf = writer::Gguf::llama();
    let tokens: Vec<_> = (0..150_000).map(|i| string(format!("token {i}"))).collect();
    gguf.key("tokenizer.ggml.tokens", 9, array(8, &tokens));
    let rows = 1u64 << 24;
    let large =
        Tensor { name: "large".into(), shape: vec![rows, 16], kind: (0, "F32"), data: Vec::new() };
    gguf.tensors.push(large);
    let bytes = gguf.bytes();
    let path = dir.write("large.gguf", &bytes);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(bytes.len() as u64 + rows * 64).unwrap();
    let start = Instant::now();
    let source = Source::open(&path).unwrap();
    let took = start.elapsed();
    assert!(source.file_bytes() > 1 << 30);
    // Milliseconds on an idle machine; reading the data would take far longer than this.
    assert!(took < Duration::from_millis(250), "{took:?}");
    eprintln!("opened {} bytes in {took:?}", source.file_bytes());
}
