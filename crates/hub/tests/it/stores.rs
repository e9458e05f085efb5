//! Stores as other programs lay them out, read in place.

use std::fs;
use std::os::unix::fs::symlink;

use hub::StoreKind;
use serde_json::json;
use testkit::loopback::{Server, sha256};

use crate::{Home, path};

/// Writes files below a home.
fn write(home: &Home, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        let at = home.dir.join(name);
        fs::create_dir_all(at.parent().expect("a directory")).expect("a directory");
        fs::write(at, bytes).expect("a file");
    }
}

/// Lays out a model as Ollama does.
fn lay_out(home: &Home, name: &str, layers: &[(&str, &[u8])]) {
    let layer = |(kind, bytes): &(&str, &[u8])| {
        let hex = sha256(bytes);
        write(home, &[(&format!("ollama/blobs/sha256-{hex}"), bytes)]);
        let media = format!("application/vnd.ollama.image.{kind}");
        json!({"mediaType": media, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    };
    let layers: Vec<_> = layers.iter().map(layer).collect();
    let manifest = json!({"schemaVersion": 2, "layers": layers}).to_string();
    let at = format!("ollama/manifests/registry.ollama.ai/{name}");
    write(home, &[(&at, manifest.as_bytes())]);
}

#[test]
fn a_model_of_ollama_is_used_in_place_with_its_layers() {
    let server = Server::start();
    let home = Home::new(&server);
    lay_out(
        &home,
        "library/mine/7b",
        &[
            ("model", b"GGUF weights"),
            ("template", b"{{ .Prompt }}"),
            ("system", b"Be brief."),
            ("params", br#"{"temperature": 0.5, "stop": ["a", "b"], "num_gpu": 1}"#),
            ("messages", br#"[{"role": "user", "content": "Hi"}]"#),
            ("license", b"MIT"),
        ],
    );
    lay_out(&home, "someone/theirs/latest", &[("model", b"GGUF weights")]);
    lay_out(&home, "library/adapted/latest", &[("model", b"GGUF"), ("adapter", b"GGUF")]);
    for name in ["mine:7b", "ollama://mine:7b"] {
        let found = home.hub().find(name).expect(name);
        assert_eq!(fs::read(path(&found)).expect("a file"), b"GGUF weights");
        assert_eq!(found.recipe.number("temperature"), Some(0.5));
        assert_eq!(found.recipe.stops(), ["a", "b"]);
        assert_eq!(found.recipe.system.as_deref(), Some("Be brief."));
        assert_eq!(found.recipe.messages, [("user".to_owned(), "Hi".to_owned())]);
        assert!(found.notes.iter().any(|note| note.contains("num_gpu")), "{:?}", found.notes);
    }
    assert!(home.hub().find("ollama://someone/theirs").is_ok());
    let adapted = home.hub().find("adapted").expect("an adapter").recipe.adapters;
    let [adapter] = &adapted[..] else { panic!("{adapted:?}") };
    assert_eq!((fs::read(&adapter.path).expect("a blob"), adapter.scale), (b"GGUF".to_vec(), 1.0));
    for model in home.hub().list().expect("a list") {
        assert!(home.hub().find(&model.name).is_ok(), "{}", model.name);
        assert!(!model.ours && model.store == StoreKind::Ollama);
        let error = home.hub().remove(&model.name).expect_err("Ollama's").to_string();
        assert!(error.contains("ollama rm"), "{error}");
    }
    for (bytes, is_needed) in [(&b"MIT"[..], false), (b"{{ .Prompt }}", true)] {
        let blob = home.dir.join(format!("ollama/blobs/sha256-{}", sha256(bytes)));
        fs::remove_file(blob).expect("a blob");
        assert_eq!(home.hub().find("mine:7b").is_err(), is_needed, "without its template");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn every_store_is_listed_by_names_that_are_found() {
    let server = Server::start();
    let home = Home::new(&server);
    write(
        &home,
        &[
            ("lm-studio/publisher/model-GGUF/model-Q4_K_M.gguf", b"GGUF 1"),
            ("lm-studio/publisher/mlx-4bit/config.json", br#"{"quantization": {"bits": 4}}"#),
            ("lm-studio/publisher/mlx-4bit/model.safetensors", b"2"),
            ("llama.cpp/ggml-org_m-GGUF_m-Q8_0.gguf", b"GGUF 3"),
            ("llama.cpp/ggml-org_m-GGUF_m-Q8_0.gguf.json", b"{}"),
            ("hf/models--u--m/blobs/abc", b"GGUF 4"),
            ("hf/models--u--m/refs/main", b"c0ffee"),
            ("hf/models--u--m/snapshots/c0ffee/m-Q6_K-00001-of-00002.gguf", b"GGUF 5"),
            ("hf/datasets--u--d/refs/main", b"c0ffee"),
        ],
    );
    let snapshot = home.dir.join("hf/models--u--m/snapshots/c0ffee");
    symlink("../../blobs/abc", snapshot.join("m-Q4_0.gguf")).expect("a link");
    let models = home.hub().list().expect("a list");
    let listed: Vec<_> =
        models.iter().map(|m| (m.store, m.format.as_str(), m.bytes, m.ours)).collect();
    assert_eq!(
        listed,
        [
            (StoreKind::HuggingFace, "GGUF Q4_0", 6, false),
            (StoreKind::HuggingFace, "GGUF Q6_K, incomplete", 6, false),
            (StoreKind::LmStudio, "MLX", 30, false),
            (StoreKind::LmStudio, "GGUF Q4_K_M", 6, false),
            (StoreKind::LlamaCpp, "GGUF Q8_0", 6, false),
        ]
    );
    for model in models.iter().filter(|model| !model.format.contains("incomplete")) {
        assert_eq!(path(&home.hub().find(&model.name).expect("it is listed")), model.path);
        let error = home.hub().remove(&model.name).expect_err("not ours").to_string();
        assert!(error.contains("stays"), "{error}");
    }
    assert!(home.hub().find("u/m:Q6_K").is_err(), "a part is missing");
    assert!(home.hub().find("ggml-org/m-GGUF").is_ok());
    assert_eq!(home.files().len(), 10, "all is still there");
}

#[test]
fn what_was_pulled_from_a_registry_is_a_model_of_ollama() {
    let server = Server::start();
    let layers: [(&str, &[u8]); 3] =
        [("model", b"GGUF weights"), ("system", b"Be brief."), ("license", b"MIT")];
    let manifest = server.add_ollama("m", "latest", &layers);
    server.add_ollama("n", "latest", &[("model", b"GGUF weights"), ("system", b"Be long.")]);
    let home = Home::new(&server);
    let name = format!("ollama://{}/library/m", server.host);
    let found = home.pull(&name).expect("a model");
    assert_eq!(found.recipe.system.as_deref(), Some("Be brief."));
    assert_eq!(
        path(&found).file_name().and_then(|f| f.to_str()),
        Some(&*format!("sha256-{}", sha256(b"GGUF weights")))
    );
    let at = home.dir.join(format!("ollama/manifests/{}/library/m/latest", server.host));
    assert_eq!(fs::read_to_string(at).expect("a manifest"), manifest);
    // What Ollama asks of its store: a blob of the right name and bytes for each digest.
    let parsed: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let all = parsed["layers"].as_array().expect("layers").iter().chain([&parsed["config"]]);
    for digest in all.map(|layer| layer["digest"].as_str().expect("a digest")) {
        let blob = home.dir.join("ollama/blobs").join(digest.replace(':', "-"));
        assert_eq!(format!("sha256:{}", sha256(&fs::read(blob).expect("a blob"))), digest);
    }

    let other = format!("ollama://{}/library/n", server.host);
    home.pull(&other).expect("another model");
    let removed = home.hub().remove(&name).expect("ours");
    assert!(removed.stays.iter().any(|what| what.contains("another model needs")));
    assert!(home.hub().find(&name).is_err() && home.hub().find(&other).is_ok());
    home.hub().remove(&other).expect("ours");
    assert_eq!(home.files(), Vec::<String>::new());
}
