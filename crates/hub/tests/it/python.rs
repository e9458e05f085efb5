//! The cache is shared with the Python package `huggingface_hub`: each finds what the other wrote.
//! Where the package is not installed this says so and does nothing. `RUSSET_TEST_PYTHON` names a
//! Python that has it.

use std::fs;
use std::process::Command;

use testkit::loopback::{COMMIT, Server, noise};

use crate::{Home, path};

/// What a Python program prints; `None` where the package is not there.
fn python(home: &Home, program: &str) -> Option<String> {
    let python = std::env::var("RUSSET_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = |program: &str| {
        let mut command = Command::new(&python);
        command.args(["-c", program]);
        command.env("HF_HUB_CACHE", &home.places.hf_cache).env("HF_HOME", home.dir.join("home"));
        command.env("HF_ENDPOINT", &home.places.hf_endpoint).env("HF_HUB_DISABLE_TELEMETRY", "1");
        command.output().ok()
    };
    if !run("import huggingface_hub").is_some_and(|output| output.status.success()) {
        eprintln!("SKIPPED: {python} has no package huggingface_hub");
        return None;
    }
    let output = run(program).expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn server() -> (Server, Vec<u8>) {
    let server = Server::start();
    let weights = noise(1, (9 << 20) + 5);
    server.add("u/m", &[("sub/m-Q4_K_M.gguf", &weights)]);
    server.add(
        "u/hf",
        &[("config.json", b"{}"), ("model.safetensors", &weights), ("tokenizer.json", b"[]")],
    );
    (server, weights)
}

#[test]
fn python_finds_what_russet_wrote() {
    let (server, weights) = server();
    let home = Home::new(&server);
    home.pull("u/m").expect("a model");
    home.pull("u/hf").expect("a directory");
    server.asked();
    let program = "import huggingface_hub as h\n\
        print(h.hf_hub_download('u/m', 'sub/m-Q4_K_M.gguf', local_files_only=True))\n\
        print(h.hf_hub_download('u/hf', 'config.json'))\n\
        print(h.hf_hub_download('u/hf', 'model.safetensors'))\n\
        c = h.scan_cache_dir()\n\
        print(sorted((r.repo_id, r.nb_files) for r in c.repos), len(c.warnings))";
    let Some(printed) = python(&home, program) else { return };
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(fs::read(lines[0]).expect("a file"), weights);
    assert_eq!(fs::read(lines[1]).expect("a file"), b"{}");
    assert_eq!(fs::read(lines[2]).expect("a file"), weights);
    assert_eq!(lines[3], "[('u/hf', 3), ('u/m', 1)] 0", "no warning about the cache");
    assert!(server.asked().iter().all(|asked| !asked.storage), "nothing came a second time");
}

#[test]
fn russet_finds_what_python_wrote() {
    let (server, weights) = server();
    let home = Home::new(&server);
    let program = "import huggingface_hub as h\n\
        h.hf_hub_download('u/m', 'sub/m-Q4_K_M.gguf')\n\
        for f in ['config.json', 'model.safetensors', 'tokenizer.json']:\n\
        \x20   h.hf_hub_download('u/hf', f)";
    if python(&home, program).is_none() {
        return;
    }
    server.asked();
    let found = home.hub().find("u/m").expect("a model");
    assert_eq!(fs::read(path(&found)).expect("a file"), weights);
    assert!(path(&found).to_string_lossy().contains(COMMIT));
    assert!(path(&home.hub().find("u/hf").expect("a directory")).join("config.json").is_file());
    assert!(server.asked().is_empty());
    home.pull("u/m").expect("it is here");
    home.pull("u/hf").expect("it is here");
    assert!(server.asked().iter().all(|asked| !asked.storage), "nothing came a second time");
    let error = home.hub().remove("u/m").expect_err("it is Python's").to_string();
    assert!(error.contains("another program downloaded"), "{error}");
}
