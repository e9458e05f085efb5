//! The program as its users see it: arguments in, text and exit codes out.
//!
//! What is compared with other programs' results lies in `../shared`, outside the repository; those
//! tests say so loudly and do nothing where it is absent.

mod adapters;
mod agree;
mod inside;
mod latent;
mod memory;
mod names;
mod tls;
mod user;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use weights::SafeFile;

/// What the program printed, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: i32,
}

fn russet(args: &[&str]) -> Ran {
    piped(args, "")
}

fn piped(args: &[&str], stdin: &str) -> Ran {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
    let mut child = Command::new(env!("CARGO_BIN_EXE_russet"))
        .args(args)
        .env("XDG_CACHE_HOME", kept.join("cache"))
        .env("XDG_DATA_HOME", kept.join("data"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that fails early reads nothing, which is its right.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(stdin.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the program ends");
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ran { out: text(stdout), err: text(stderr), code: status.code().unwrap_or(-1) }
}

/// The standard output of a run that succeeds.
fn ok(args: &[&str]) -> String {
    let ran = russet(args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    ran.out
}

/// The error of a run that fails with `code`.
fn fails(args: &[&str], code: i32) -> String {
    let ran = russet(args);
    assert_eq!(ran.code, code, "{args:?}: {}{}", ran.out, ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran.err
}

/// A file or directory of the reference data; `None`, loudly, where there is none.
fn reference(path: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference");
    let found = Path::new(root).join(path);
    if !found.exists() {
        eprintln!("SKIPPED: {} is not there", found.display());
        return None;
    }
    Some(found)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A file of its own for a test.
fn scratch(name: &str, bytes: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("a file can be written");
    text(&path).to_owned()
}

#[test]
fn the_built_in_model_answers_about_itself() {
    let ran = russet(&["run", "What is Russet?"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("Russet"), "{}", ran.out);
    for part in ["prompt", "generation", "effective", "tok/s", "GB/s"] {
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    assert_eq!(ok(&["run", "russet-guide", "What is Russet?", "-q"]), ran.out);
    assert_eq!(ok(&["run", "-m", "russet-guide", "What is Russet?", "-q"]), ran.out);
    assert_eq!(piped(&["run", "-q"], "What is Russet?\n").out, ran.out);
}

#[test]
fn the_text_of_stories260k_is_that_of_its_author() {
    let Some(dir) = reference("stories260K") else { return };
    let expected = std::fs::read_to_string(dir.join("stories260K-greedy.txt")).expect("a text");
    for model in ["stories260K-f32.gguf", "stories260K-hf"] {
        let model = dir.join(model);
        let run = |n| ok(&["run", text(&model), "--raw", "--temp", "0", "-n", n, "", "-q"]);
        assert_eq!(run("256"), expected, "{}", model.display());
        assert!(expected.starts_with(run("255").trim_end_matches('\n')));
    }
}

/// The families whose reference models are tried.
const FAMILIES: &[&str] = &[
    "cohere",
    "cohere2",
    "deepseek_v2",
    "deepseek_v3",
    "gemma2",
    "gemma3",
    "gemma4",
    "gemma4_moe",
    "glm4_moe",
    "gpt2",
    "gpt_oss",
    "granite",
    "llama",
    "llama4",
    "minimax_m2",
    "ministral3",
    "mistral",
    "mixtral",
    "olmo2",
    "phi3",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "qwen3_5",
    "qwen3_5_moe",
    "qwen3_moe",
    "qwen3_next",
    "smollm3",
];

#[test]
fn logits_and_greedy_ids_are_those_of_transformers_and_mlx() {
    let (Some(models), Some(mlx)) = (reference("models"), reference("mlx")) else { return };
    let mut cases = Vec::new();
    for family in FAMILIES {
        let dir = models.join(family);
        let gguf = dir.join("model.gguf");
        if gguf.exists() {
            cases.push((gguf, dir.clone()));
        }
        cases.push((dir.clone(), dir));
    }
    for entry in mlx.read_dir().expect("a directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if FAMILIES.iter().any(|family| name.split('-').next() == Some(family)) {
            cases.push((entry.path(), entry.path()));
        }
    }
    for (model, dir) in cases {
        let file = dir.join("reference.safetensors");
        let out = ok(&["verify", text(&model), "--reference", text(&file)]);
        assert!(out.contains("holds"), "{}: {out}", model.display());
    }
}

/// A safetensors file of tensors given as name, type, shape and bytes.
fn safetensors(name: &str, tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> String {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (tensor, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        data.extend_from_slice(bytes);
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        header.insert((*tensor).to_owned(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    scratch(name, &file)
}

/// A model in each quantized form of safetensors, which lies with the tests of `weights`.
fn quantized() -> Vec<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../weights/tests/fixtures");
    let entries = std::fs::read_dir(root).expect("fixtures");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.join("config.json").is_file()).collect()
}

#[test]
fn every_quantized_form_computes_what_its_weights_do() {
    let forms = quantized();
    assert!(forms.len() > 10, "{forms:?}");
    for model in forms {
        let reference = model.join("reference.safetensors");
        let out = ok(&["verify", text(&model), "--reference", text(&reference)]);
        assert!(out.contains("holds"), "{model:?}: {out}");
    }
}

#[test]
fn quantized_forms_are_shown_with_their_bits() {
    for (form, kind, says) in [
        ("fp8-blocks", "fp8/24x40", ""),
        ("mxfp4", "mxfp4", ""),
        ("nvfp4-modelopt", "nvfp4", "input_scale"),
        ("mlx-mxfp8", "mxfp8", "quantized by MLX"),
        ("awq", "affine4/32", "lie transposed"),
        ("int4-compressed", "affine4/32", "no zero points"),
    ] {
        let model = quantized().into_iter().find(|path| path.ends_with(form)).expect(form);
        let shown = ok(&["show", text(&model)]);
        assert!(shown.contains(kind) && shown.contains(says), "{form}: {shown}");
        assert_eq!(shown.contains("repacked"), kind.starts_with("affine"), "{form}: {shown}");
    }
}

#[test]
fn verify_refuses_what_is_no_reference() {
    const VOCAB: usize = 2304;
    let ids = |ids: &[i64]| ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>();
    let zeros = |rows: usize, vocab: usize| vec![0u8; 4 * rows * vocab];
    let verify = |file: &str| fails(&["verify", "russet-guide", "--reference", file], 1);
    let of = |name, tensors: &[(&str, &str, &[usize], Vec<u8>)]| safetensors(name, tensors);

    let missing = of("a.safetensors", &[("input_ids", "I64", &[1], ids(&[5]))]);
    assert!(verify(&missing).contains("`logits` is missing"));
    let rows = of(
        "b.safetensors",
        &[
            ("input_ids", "I64", &[2], ids(&[5, 6])),
            ("logits", "F32", &[1, VOCAB], zeros(1, VOCAB)),
        ],
    );
    assert!(verify(&rows).contains("2 input_ids"));
    let vocab = of(
        "c.safetensors",
        &[("input_ids", "I64", &[1], ids(&[5])), ("logits", "F32", &[1, 7], zeros(1, 7))],
    );
    assert!(verify(&vocab).contains("another model"));
    let negative = of("d.safetensors", &[("input_ids", "I64", &[1], ids(&[-5]))]);
    assert!(verify(&negative).contains("-5"));
    let dtype = of("e.safetensors", &[("input_ids", "F32", &[2], ids(&[5]))]);
    assert!(verify(&dtype).contains("I64"));
    assert!(verify("nowhere.safetensors").contains("nowhere.safetensors"));
}

#[test]
fn verify_tells_other_numbers_by_its_exit_code() {
    let ids = [5i64, 6].iter().flat_map(|id| id.to_le_bytes()).collect();
    let file = safetensors(
        "zeros.safetensors",
        &[("input_ids", "I64", &[2], ids), ("logits", "F32", &[2, 2304], vec![0; 4 * 2 * 2304])],
    );
    let ran = russet(&["verify", "russet-guide", "--reference", &file]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.out.contains("largest difference") && ran.out.contains("differs"), "{}", ran.out);
    let args = ["verify", "russet-guide", "--reference", &file, "--tolerance", "1e6"];
    assert!(ok(&args).contains("holds"));
}

#[test]
fn seeded_answers_repeat_at_any_number_of_threads_and_chunks() {
    let prompt = "The command that measures this machine is called russet doctor, and";
    let run = |more: &[&str]| {
        let args =
            ["run", "russet-guide", "--raw", "--temp", "1.5", "--seed", "7", "-n", "24", "-q"];
        ok(&[&args, more, &[prompt]].concat())
    };
    let expected = run(&[]);
    for more in [["-t", "1"], ["-t", "2"], ["-ub", "1"], ["-ub", "7"]] {
        assert_eq!(run(&more), expected, "{more:?}");
    }
    assert_ne!(run(&["--seed", "8"]), expected);
}

#[test]
fn raw_prints_the_continuation_and_echo_the_prompt_before_it() {
    let run = |more: &[&str]| {
        let args = ["run", "russet-guide", "Russet is", "--raw", "--temp", "0", "-n", "8", "-q"];
        ok(&[&args, more].concat())
    };
    let continuation = run(&[]);
    assert!(continuation.ends_with('\n') && !continuation.contains("Russet is"));
    assert_eq!(run(&["--echo"]), format!("Russet is{continuation}"));
    let empty = ok(&["run", "russet-guide", "", "--raw", "-n", "4", "-q", "--temp", "0"]);
    assert!(empty.ends_with('\n'));
}

#[test]
fn the_scalar_backend_says_the_same_as_the_fast_one() {
    let run = |backend: &str| {
        let prompt = "Russet is";
        ok(&[
            "run",
            "russet-guide",
            prompt,
            "--raw",
            "--temp",
            "0",
            "-n",
            "4",
            "-q",
            "--backend",
            backend,
        ])
    };
    assert_eq!(run("reference"), run("cpu"));
}

#[test]
fn a_stop_string_ends_an_answer_and_is_no_part_of_it() {
    let run =
        |more: &[&str]| ok(&[&["run", "What is Russet?", "-q", "--temp", "0"], more].concat());
    let whole = run(&[]);
    let stop = whole.split_whitespace().nth(3).expect("four words");
    let cut = run(&["--stop", stop]);
    assert_eq!(cut.trim_end_matches('\n'), &whole[..whole.find(stop).expect("a word")]);
}

#[test]
fn show_and_explain_read_headers() {
    let shown = ok(&["show", "russet-guide"]);
    for part in
        ["parameters    6886656", "Q8_0", "bits a weight", "bytes a token", "template", "temp 0"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(ok(&["show", "russet-guide", "--template"]).contains("messages"));
    let plan = ok(&["explain", "russet-guide"]);
    for part in ["embed", "rms_norm", "attend", "L0-7", "int8", "argmax"] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert!(!ok(&["explain", "russet-guide", "--numerics", "exact"]).contains("int8"));
}

#[test]
fn bench_has_the_fields_of_llama_bench() {
    let args = ["bench", "russet-guide", "-p", "8", "-n", "2", "-d", "0,70", "-r", "2", "-t", "1"];
    let out = ok(&[&args[..], &["-o", "json", "--explain"]].concat());
    let results: Value = serde_json::from_str(&out).expect("JSON");
    let results = results.as_array().expect("a list");
    let of = |key: &str| results.iter().map(|r| r[key].as_u64().expect(key)).collect::<Vec<_>>();
    assert_eq!(of("n_prompt"), [8, 0, 8, 0]);
    assert_eq!(of("n_gen"), [0, 2, 0, 2]);
    assert_eq!(of("n_depth"), [0, 0, 70, 70]);
    for result in results {
        for key in
            ["avg_ts", "bytes_per_token", "flops_per_token", "bandwidth_share", "compute_share"]
        {
            assert!(result[key].as_f64().expect(key) > 0.0, "{key}: {result}");
        }
        let shares = result["explain"].as_array().expect("a list").iter();
        let sum: f64 = shares.map(|kind| kind["share"].as_f64().expect("a share")).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    }
    let several = ["bench", "russet-guide", "-npl", "1,3", "-p", "0", "-n", "2", "-d", "70"];
    let out = ok(&[&several[..], &["-ub", "64", "-r", "1", "-t", "1", "-o", "json"]].concat());
    let results: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&results[0]["n_parallel"], &results[1]["n_parallel"]), (&1.into(), &3.into()));
    // The weights are read once for all three.
    let bytes = |i: usize| results[i]["bytes_per_token"].as_f64().expect("bytes");
    assert!(bytes(1) < bytes(0) && bytes(1) > bytes(0) / 3.0, "{out}");
    let table = ok(&args);
    assert!(table.contains("pp8 @ d70") && table.contains("tg2"), "{table}");
    let csv = ok(&[&args[..], &["-o", "csv"]].concat());
    assert_eq!(csv.lines().count(), 5, "{csv}");
}

#[test]
fn more_threads_than_can_run_are_clamped_with_a_note() {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let note = format!("1024 threads asked for, using {available}:");
    let commands: [&[&str]; 4] = [
        &["run", "russet-guide", "hi", "-n", "1"],
        &["bench", "russet-guide", "-p", "1", "-n", "0", "-r", "1"],
        &["perplexity", "russet-guide", "--ids", &scratch("two.json", b"[1,2,3,4]"), "-c", "4"],
        &["doctor", "--json"],
    ];
    for command in commands {
        let Ran { err, code, .. } = russet(&[command, &["--threads", "1024"]].concat());
        assert_eq!(code, 0, "{command:?}: {err}");
        assert_eq!(err.matches(&note).count(), 1, "{command:?}: {err}");
    }
}

#[test]
fn a_model_is_at_no_distance_from_itself() {
    let ids: Vec<u32> = (0..200).map(|i| (i * 37 + 11) % 2304).collect();
    let file = scratch("ids.json", Value::from(ids).to_string().as_bytes());
    let args = ["perplexity", "russet-guide", "--ids", &file, "-c", "64", "--json"];
    let alone: Value = serde_json::from_str(&ok(&args)).expect("JSON");
    assert_eq!((&alone["chunks"], &alone["tokens"]), (&3.into(), &200.into()));
    let with_base = ok(&[&args[..], &["--kl", "russet-guide"]].concat());
    let with_base: Value = serde_json::from_str(&with_base).expect("JSON");
    assert_eq!(with_base["perplexity"], alone["perplexity"]);
    assert_eq!(with_base["base_perplexity"], alone["perplexity"]);
    assert_eq!(with_base["maximum KL"], 0.0);
    assert_eq!(with_base["same top"], 1.0);
}

#[test]
fn perplexity_is_what_the_logits_of_transformers_say() {
    let Some(dir) = reference("models/llama") else { return };
    let file = SafeFile::open(&dir.join("reference.safetensors")).expect("a reference");
    let bytes = |name| file.tensor(name).expect(name).2;
    let ids = bytes("input_ids");
    let ids = ids.as_slice().as_chunks::<8>().0.iter().map(|id| i64::from_le_bytes(*id));
    let ids: Vec<usize> = ids.map(|id| id as usize).collect();
    let logits = bytes("logits");
    let logits = logits.as_slice().as_chunks::<4>().0.iter();
    let logits: Vec<f64> = logits.map(|x| f64::from(f32::from_le_bytes(*x))).collect();
    let vocab = logits.len() / ids.len();
    let loss = |position: usize| {
        let row = &logits[position * vocab..][..vocab];
        row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[ids[position + 1]]
    };
    let scored = ids.len() / 2..ids.len() - 1;
    let count = scored.len() as f64;
    let expected = (scored.map(loss).sum::<f64>() / count).exp();

    let list = scratch("llama-ids.json", Value::from(ids.clone()).to_string().as_bytes());
    let context = ids.len().to_string();
    let args = ["perplexity", text(&dir), "--ids", &list, "-c", &context, "--json"];
    let precise = ["--numerics", "exact", "--kv-type", "f32"];
    let found: Value = serde_json::from_str(&ok(&[&args[..], &precise].concat())).expect("JSON");
    let found = found["perplexity"].as_f64().expect("a number");
    assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
}

#[test]
fn errors_say_what_to_do() {
    assert!(fails(&["run", "no.gguf", "hi"], 1).contains("no.gguf"));
    assert!(fails(&["run", "qwen3:0.6b", "hi", "--offline"], 1).contains("offline"));
    assert!(fails(&["run", "qwen3:99b", "hi"], 1).contains("qwen3:0.6b"));
    assert!(fails(&["show", "Cargo.toml"], 1).contains("GGUF"));
    assert!(fails(&["run", "-ngl", "99", "hi"], 2).contains("-ngl"));
    assert!(fails(&["run", "hi", "--kv-type", "q5_1"], 2).contains("q8_0"));
    assert!(fails(&["run", "hi", "--temp=-1"], 1).contains("temperature"));
    assert!(fails(&["run", "hi", "--logit-bias", "x"], 1).contains("--logit-bias"));
    assert!(fails(&["run", "hi", "--stop", ""], 1).contains("stop string"));
    assert!(fails(&["run", "hi", "-c", "4"], 1).contains("context"));
    assert!(fails(&["run"], 1).contains("no prompt"));
    assert!(fails(&["bench", "russet-guide", "-p", "0", "-n", "0"], 1).contains("-p or -n"));
    let many = ["bench", "russet-guide", "-npl", "9", "-ub", "8", "-t", "1"];
    assert!(fails(&many, 1).contains("-npl"));
    assert!(fails(&["nonsense"], 2).contains("nonsense"));
    assert!(ok(&["--help"]).contains("130"));
}
