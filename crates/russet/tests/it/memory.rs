//! Conditional memory: models of our own with tables of n-grams compute what `fixtures/make.py`
//! did, and however large a table is, nothing but the file grows.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cpu::{Cpu, Isa};
use engine::{Class, Engine, Event, Request};
use ops::{Op, Sizes};
use plan::cost::{self, Load};
use russet::{Form, KvKind, Opened};
use serde_json::{Map, Value, json};
use weights::SafeFile;

use crate::{fails, ok, text};

const TABLE: &str = "model.layers.0.engram.multi_head_embedding.embedding.weight";

/// The models with all that a memory may have, and with the least.
pub fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    ["memory", "memory-plain"].map(|name| root.join(name)).into()
}

fn verified(model: &Path, reference: &Path) -> String {
    let reference = reference.join("reference.safetensors");
    ok(&["verify", text(model), "--reference", text(&reference)])
}

#[test]
fn memory_computes_what_its_description_does() {
    for model in models() {
        let out = verified(&model, &model);
        assert!(out.contains("holds") && out.contains("16 of 16 agree"), "{model:?}: {out}");
    }
}

/// A tensor of a copy, with zeros after its bytes that the file has as a hole.
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    bytes: Vec<u8>,
    hole: u64,
}

/// A copy of a model with its configuration and its tensors changed; the table comes last.
fn changed(
    model: &Path,
    name: &str,
    configure: impl Fn(&mut Value),
    change: impl Fn(&str, &mut Tensor),
) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).expect("a directory");
    let config = fs::read(model.join("config.json")).expect("a configuration");
    let mut config: Value = serde_json::from_slice(&config).expect("JSON");
    configure(&mut config);
    fs::write(dir.join("config.json"), config.to_string()).expect("it is written");

    let file = SafeFile::open(&model.join("model.safetensors")).expect("a model");
    let mut names: Vec<_> = file.names().collect();
    names.sort_by_key(|name| *name == TABLE);
    let (mut header, mut data, mut hole) = (Map::new(), Vec::new(), 0);
    for name in names {
        let (dtype, shape, bytes) = file.tensor(name).expect("it is named");
        let (dtype, bytes) = (dtype.to_string(), bytes.as_slice().to_vec());
        let mut tensor = Tensor { dtype, shape: shape.to_vec(), bytes, hole: 0 };
        change(name, &mut tensor);
        let begin = data.len() as u64;
        data.extend(tensor.bytes);
        hole = tensor.hole;
        let offsets = [begin, data.len() as u64 + hole];
        let (dtype, shape) = (tensor.dtype, tensor.shape);
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        header.insert(name.to_owned(), entry);
    }
    let header = Value::Object(header).to_string();
    let all = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    let path = dir.join("model.safetensors");
    fs::write(&path, &all).expect("it is written");
    let file = File::options().write(true).open(path).expect("it is there");
    file.set_len(all.len() as u64 + hole).expect("it grows");
    dir
}

/// The model with the least, whose table has so many rows, zeros after its own.
fn grown(name: &str, rows: u64) -> PathBuf {
    let configure = |config: &mut Value| config["engram_num_embeddings"] = json!([rows]);
    changed(&models()[1], name, configure, |name, tensor| {
        if name == TABLE {
            tensor.hole = (rows - tensor.shape[0]) * tensor.shape[1] * size_of::<f32>() as u64;
            tensor.shape[0] = rows;
        }
    })
}

/// What a model takes besides its mapped file, what its mapped weights have, and what a token of it
/// reads, in bytes.
fn sizes(model: &Path) -> (usize, usize, usize, f64) {
    let open = || Opened::open(text(model), Form::Fast, KvKind::F16).expect("a model");
    let opened = open();
    let read = cost::total(&opened.plan.program, Load::decode(1.0)).bytes;
    let weights = opened.weights().expect("weights");
    let (cpu, pages) = (Cpu::new(Isa::best(), 2), vec![1; opened.plan.program.caches.len()]);
    let sizes = Sizes { rows: 8, outputs: 1, pages, sampled: 2, states: 4 };
    let backend: &dyn ops::Backend = &cpu;
    let loaded = backend.load(Arc::new(opened.plan.program), weights, sizes).expect("it loads");
    let runtime = engine::Runtime::new(vec![Arc::new(cpu)], 1 << 30);
    let opened = open();
    let weights = opened.weights().expect("weights");
    let options = engine::Options { context: 64, ..engine::Options::default() };
    let program = Arc::new(opened.plan.program);
    let engine = runtime.load(0, program, weights, options).expect("it loads");
    let ledger = runtime.ledger();
    let held = (ledger.used(), ledger.total(Class::Weights));
    drop(engine);
    (loaded.bytes(), held.0, held.1, read)
}

#[test]
fn a_larger_table_takes_no_memory_and_no_bandwidth() {
    let (few, many) = (512, 512 << 14);
    let [small, large] = [few, many].map(|rows| grown(&format!("table-of-{rows}"), rows));
    let plain = &models()[1];
    assert_eq!(verified(&large, plain), verified(&small, plain));
    let (s, l) = (sizes(&small), sizes(&large));
    assert_eq!((s.0, s.1, s.3), (l.0, l.1, l.3), "arena, ledger and traffic");
    assert_eq!(l.2 - s.2, (many - few) as usize * 4 * size_of::<f32>(), "what is mapped");
    let parameters = |model: &PathBuf| {
        let shown = ok(&["show", text(model)]);
        let line = shown.lines().find(|line| line.starts_with("parameters")).expect("a line");
        let numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        numbers.map(|word| word.parse().expect("a number")).collect::<Vec<u64>>()
    };
    let (s, l) = (parameters(&small), parameters(&large));
    assert_eq!((l[0] - s[0], l[1]), (4 * (many - few), s[1]), "all, and active");
}

/// An id, and the bits of its log probability if that was asked for.
type Said = (u32, Option<u32>);

/// What the engine says after a prompt, and how many of its ids it had kept.
fn answer(engine: &mut Engine, ids: &[u32], logprobs: bool) -> (Vec<Said>, usize) {
    engine.add(Request { logprobs, ..Request::new(ids.to_vec(), 24) }).expect("it is fine");
    let (mut said, mut cached, mut events) = (Vec::new(), 0, Vec::new());
    while !engine.is_idle() {
        engine.step(&mut events).expect("the step succeeds");
        for event in events.drain(..) {
            match event {
                Event::Token { token, logprob, .. } => {
                    said.push((token, logprob.map(f32::to_bits)));
                }
                Event::Done { usage, .. } => cached = usage.cached,
                Event::Prompt { .. } => {}
            }
        }
    }
    (said, cached)
}

#[test]
fn what_was_kept_and_ids_that_no_plan_knows_change_no_bit() {
    let ids: Vec<u32> = (0..90).map(|i| i * i % 47).collect();
    for model in models() {
        let engine = |kept, pipelined| {
            let opened = Opened::open(text(&model), Form::Fast, KvKind::F16).expect("a model");
            let weights = opened.weights().expect("weights");
            let cpu: Arc<dyn ops::Backend> = Arc::new(Cpu::new(Isa::best(), 2));
            let runtime = engine::Runtime::new(vec![cpu], 1 << 30);
            let (context, chunk) = (128, 7);
            let options =
                engine::Options { context, chunk, kept, pipelined, ..engine::Options::default() };
            runtime.load(0, Arc::new(opened.plan.program), weights, options).expect("it loads")
        };
        let expected = answer(&mut engine(0, false), &ids, true).0;
        // Ids without their probabilities stay on the device, and a step is planned before the
        // previous one has given its own. The state is kept at the last boundary of 64.
        let alone: Vec<Said> = expected.iter().map(|(id, _)| (*id, None)).collect();
        let mut engine = engine(2, true);
        for (logprobs, expected, cached) in
            [(true, &expected, 0), (true, &expected, 64), (false, &alone, 64)]
        {
            let (said, kept) = answer(&mut engine, &ids, logprobs);
            assert_eq!((&said, kept), (expected, cached), "{model:?}");
        }
    }
}

#[test]
fn a_table_is_read_where_it_lies() {
    for model in models() {
        let opened = Opened::open(text(&model), Form::Fast, KvKind::F16).expect("a model");
        let weights = opened.weights().expect("weights");
        let file = SafeFile::open(&model.join("model.safetensors")).expect("a model");
        let offset = |name: &str| {
            let tensor = file.tensors().iter().find(|tensor| tensor.name == name);
            tensor.expect("a tensor of the file").range.start
        };
        let program = &opened.plan.program;
        let address = |i: usize| weights[i].data.as_slice().as_ptr() as usize;
        // Where the file is mapped, if the embedding is read where it lies.
        let start = address(0) - offset(&program.weights[0].name);
        let mut tables = 0;
        for op in program.ops() {
            let Op::Recall(op) = op else { continue };
            let (table, name) = (op.table.0 as usize, &program.weight(op.table).name);
            assert_eq!(address(table) - start, offset(name), "{name}");
            assert_eq!(weights[table].owned_bytes(), 0, "{name}");
            tables += 1;
        }
        assert!(tables > 0, "{model:?}");
    }
}

#[test]
fn memory_is_shown_and_explained() {
    let [full, plain] = [&models()[0], &models()[1]]
        .map(|model| (ok(&["show", text(model)]), ok(&["explain", text(model)])));
    let says = |text: &str, line: &str| assert!(text.contains(line), "{line}: {text}");
    says(&full.0, "4 of 310 rows of 6 by hashes of up to 3 ids");
    says(&plain.0, "9 of 512 rows of 4 by hashes of up to 4 ids");
    says(&full.1, "found <- 4 of 310x6 BF16 by hashes of up to 3 ids");
    says(&full.1, "rootsigmoid");
    says(&plain.1, "L0      recall");
}

#[test]
fn settings_that_make_no_sense_are_errors_that_name_them() {
    for (key, value, says) in [
        ("engram_layer_ids", json!([3]), "engram_layer_ids"),
        ("engram_layer_ids", json!([0, 0]), "engram_layer_ids"),
        ("engram_max_ngram_size", json!(1), "engram_max_ngram_size"),
        ("engram_max_ngram_size", Value::Null, "engram_max_ngram_size"),
        ("engram_vocab_size", json!([31, 31]), "engram_vocab_size"),
        ("engram_vocab_size", json!(1u64 << 40), "engram_vocab_size"),
        ("engram_num_embeddings", json!([300]), "engram_num_embeddings"),
        ("engram_n_heads", json!(1 << 20), "engram_n_heads"),
        ("engram_head_dim", json!(0), "engram_head_dim"),
        ("engram_pad_token_id", json!(48), "engram_pad_token_id"),
        ("engram_compressed_vocab_size", json!(40), "model.engram_token_map"),
        ("engram_kernel_size", json!(4), "engram.short_conv"),
        ("hc_mult", json!(4), "hc_mult"),
    ] {
        let configure = |config: &mut Value| config[key] = value.clone();
        let dir = changed(&models()[1], "memory-wrong", configure, |_, _| {});
        let error = fails(&["show", text(&dir)], 1);
        assert!(error.contains(says), "{key} {value}: {error}");
    }
}

/// The model with all, with another tensor that says which ids count as one.
fn merging(name: &str, dtype: &str, numbers: &[i64]) -> PathBuf {
    changed(
        &models()[0],
        name,
        |_| {},
        |name, tensor| {
            if name == "model.engram_token_map" {
                let bytes = |number: &i64| match dtype {
                    "I64" => number.to_le_bytes().to_vec(),
                    _ => (*number as i32).to_le_bytes().to_vec(),
                };
                tensor.bytes = numbers.iter().flat_map(bytes).collect();
                (tensor.dtype, tensor.shape) = (dtype.to_owned(), vec![numbers.len() as u64]);
            }
        },
    )
}

#[test]
fn ids_that_count_as_one_are_whole_numbers_of_either_size() {
    let model = &models()[0];
    let file = SafeFile::open(&model.join("model.safetensors")).expect("a model");
    let bytes = file.tensor("model.engram_token_map").expect("a map").2;
    let words = bytes.as_slice().as_chunks::<8>().0.iter();
    let numbers: Vec<i64> = words.map(|word| i64::from_le_bytes(*word)).collect();
    let shorter = merging("merging-i32", "I32", &numbers);
    assert_eq!(verified(&shorter, model), verified(model, model));

    let reference = model.join("reference.safetensors");
    let mut wrong = numbers.clone();
    for number in [-1, 1 << 24] {
        wrong[3] = number;
        let dir = merging("merging-wrong", "I64", &wrong);
        let error = fails(&["verify", text(&dir), "--reference", text(&reference)], 1);
        assert!(error.contains(&format!("holds {number}")), "{error}");
    }
    for (dtype, numbers, says) in [("F32", &numbers[..], "F32"), ("I64", &numbers[1..], "[47]")] {
        let error = fails(&["show", text(&merging("merging-strange", dtype, numbers))], 1);
        assert!(error.contains("engram_token_map") && error.contains(says), "{error}");
    }
}
