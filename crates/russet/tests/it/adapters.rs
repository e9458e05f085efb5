//! Low-rank adapters: what a model and adapters compute together is what PEFT computed
//! (`fixtures/adapters.py` and `fixtures/reordered.py`), whichever form they come in.

use std::fs;
use std::path::{Path, PathBuf};

use hub::{Adapter, At, Found, Recipe};
use russet::{Form, KvKind, Opened};

use crate::{agree, fails, ok, russet, text};

/// The folder with the model, the adapters and what they compute.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters")
}

/// The folder with a model whose GGUF files have rows of queries and keys in another order.
fn reordered() -> PathBuf {
    root().with_file_name("reordered")
}

/// The command line that verifies a model with adapters.
fn verify<'a>(model: &'a Path, reference: &'a Path, flags: &[&'a str]) -> Vec<&'a str> {
    [&["verify", text(model), "--reference", text(reference)], flags].concat()
}

#[test]
fn adapters_of_either_form_compute_what_peft_does() {
    let root = root();
    let [one, two, gguf] = ["one", "two", "one.gguf"].map(|name| root.join(name));
    let [one, two, gguf] = [text(&one), text(&two), text(&gguf)];
    let cases: [(&str, &[&str]); 4] = [
        ("one", &["--lora", one]),
        ("one", &["--lora", gguf]),
        ("two", &["--lora", two]),
        ("both", &["--lora", gguf, "--lora", two]),
    ];
    for model in [root.clone(), root.join("base.gguf")] {
        for (name, flags) in cases {
            let reference = root.join(format!("{name}.reference.safetensors"));
            let out = ok(&verify(&model, &reference, flags));
            assert!(out.contains("holds") && out.contains("12 of 12 agree"), "{flags:?}: {out}");
            let alone = russet(&verify(&model, &reference, &[])).out;
            assert!(alone.contains("differs"), "the model alone is another: {alone}");
        }
    }
}

#[test]
fn an_adapter_of_either_form_fits_rows_in_either_order() {
    let root = reordered();
    for model in [root.clone(), root.join("base.gguf")] {
        for adapter in ["one", "one.gguf"].map(|name| root.join(name)) {
            let reference = root.join("one.reference.safetensors");
            let out = ok(&verify(&model, &reference, &["--lora", text(&adapter)]));
            assert!(out.contains("holds") && out.contains("12 of 12 agree"), "{model:?}: {out}");
        }
        let reference = root.join("one.reference.safetensors");
        assert!(russet(&verify(&model, &reference, &[])).out.contains("differs"));
    }
}

#[test]
fn quantized_weights_under_an_adapter_compute_what_peft_does_with_them_decoded() {
    let root = reordered();
    for base in ["q8_0", "q4_0"] {
        let model = root.join(format!("{base}.gguf"));
        let reference = root.join(format!("{base}.reference.safetensors"));
        for adapter in ["one", "one.gguf"].map(|name| root.join(name)) {
            let out = ok(&verify(&model, &reference, &["--lora", text(&adapter)]));
            assert!(out.contains("holds") && out.contains("12 of 12 agree"), "{base}: {out}");
        }
        assert!(russet(&verify(&model, &reference, &[])).out.contains("differs"));
    }
}

#[test]
fn chunks_and_company_change_no_bit_under_adapters() {
    let [adapters, reordered] = [root(), reordered()];
    for (name, model, laid, reference) in [
        ("adapters", adapters.clone(), &["one", "two"][..], adapters.join("both")),
        ("quantized", reordered.join("q4_0.gguf"), &["one"], reordered.join("q4_0")),
    ] {
        let adapter = |name: &&str| Adapter { path: reference.with_file_name(name), scale: 1.0 };
        let recipe = Recipe { adapters: laid.iter().map(adapter).collect(), ..Recipe::default() };
        let open = || {
            let (at, recipe) = (At::Path(model.clone()), recipe.clone());
            let found = Found { name: name.to_owned(), at, recipe, notes: Vec::new() };
            Opened::of(found, Form::Fast, KvKind::F16).expect("a model with adapters")
        };
        let ids = agree::ids(&reference.with_extension("reference.safetensors"));
        agree::no_bit_changes(name, &ids, open);
    }
}

#[test]
fn a_factor_scales_an_adapter() {
    let root = root();
    let reference = root.join("one.reference.safetensors");
    let one = root.join("one");
    let [half, all] = [0.5, 1.0].map(|scale| format!("{}:{scale}", text(&one)));
    let twice = ["--lora-scaled", &half, "--lora-scaled", &half];
    assert!(ok(&verify(&root, &reference, &twice)).contains("holds"));
    assert!(ok(&verify(&root, &reference, &["--lora-scaled", &all])).contains("holds"));
    assert!(russet(&verify(&root, &reference, &twice[..2])).out.contains("differs"));
}

#[test]
fn an_adapter_is_shown_and_explained() {
    let (root, one) = (root(), root().join("one"));
    let shown = ok(&["show", text(&root), "--lora", text(&one)]);
    assert!(shown.contains("LoRA of rank 4, alpha 8, beside 15 matrices"), "{shown}");
    assert!(!ok(&["show", text(&root)]).contains("LoRA"));
    assert!(ok(&["explain", text(&root), "--lora", text(&one)]).contains("+q 32x4 * 2"));
}

/// A copy of an adapter of PEFT's with its configuration or the names of its tensors changed.
fn changed(name: &str, config: (&str, &str), tensors: (&str, &str)) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("adapter-{name}"));
    fs::create_dir_all(&dir).expect("a directory");
    let of = |file: &str| fs::read(root().join("two").join(file)).expect("a file");
    let text = String::from_utf8(of("adapter_config.json")).expect("text");
    fs::write(dir.join("adapter_config.json"), text.replace(config.0, config.1)).expect("written");
    let mut bytes = of("adapter_model.safetensors");
    let (from, to) = (tensors.0.as_bytes(), tensors.1.as_bytes());
    assert_eq!(from.len(), to.len(), "the header keeps its length");
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    fs::write(dir.join("adapter_model.safetensors"), bytes).expect("written");
    dir
}

#[test]
fn what_is_no_adapter_of_the_model_is_refused_by_name() {
    let root = root();
    let none = ("", "");
    let cases = [
        ("dora", ("\"use_dora\": false", "\"use_dora\": true"), none, "`use_dora` is true"),
        ("bias", ("\"bias\": \"none\"", "\"bias\": \"all\""), none, "`bias` is \"all\""),
        ("ranks", ("\"rank_pattern\": {}", "\"rank_pattern\": {\"a\": 1}"), none, "rank_pattern"),
        ("new", ("\"r\": 2", "\"r\": 2, \"new\": 1"), none, "`new` is 1"),
        ("rank", ("\"r\": 2", "\"r\": 3"), none, "has the shape [2, 32]"),
        ("layer", none, ("layers.1.mlp.down_proj", "layers.7.mlp.down_proj"), "layers.7"),
        ("half", none, ("q_proj.lora_B", "q_proj.lora_C"), "q_proj.lora_B.weight` is missing"),
    ];
    for (name, config, tensors, said) in cases {
        let dir = changed(name, config, tensors);
        let error = fails(&["show", text(&root), "--lora", text(&dir)], 1);
        assert!(error.contains(said), "{name}: {error}");
    }
    for (path, said) in [
        ("base.gguf", "general.type"),
        ("absent.gguf", "absent.gguf"),
        ("model.safetensors", "give a GGUF adapter"),
    ] {
        let error = fails(&["show", text(&root), "--lora", text(&root.join(path))], 1);
        assert!(error.contains(said), "{path}: {error}");
    }
    let mut bytes = fs::read(root.join("one.gguf")).expect("a file");
    let at = bytes.windows(5).position(|word| word == b"qwen3").expect("an architecture");
    bytes[at + 4] = b'2';
    let other = Path::new(env!("CARGO_TARGET_TMPDIR")).join("adapter-of-qwen2.gguf");
    fs::write(&other, bytes).expect("written");
    for model in [root.clone(), root.join("base.gguf")] {
        let error = fails(&["show", text(&model), "--lora", text(&other)], 1);
        assert!(error.contains("made for the architecture `qwen2`"), "{error}");
    }
}
