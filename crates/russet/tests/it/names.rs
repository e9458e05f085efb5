//! Models by name, as users meet them: the program against a hub on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use testkit::loopback::{Server, noise};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/russet-guide.gguf");

/// A user with a home and a hub.
struct User {
    home: PathBuf,
    server: Server,
}

impl User {
    fn new(name: &str) -> User {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("user-{name}"));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).expect("a directory");
        User { home, server: Server::start() }
    }

    /// The environment that a program sees.
    fn environment(&self) -> BTreeMap<&str, PathBuf> {
        let below = |name: &str| self.home.join(name);
        let hf = PathBuf::from(&self.server.url);
        [
            ("HOME", below("")),
            ("XDG_CACHE_HOME", below("cache")),
            ("XDG_DATA_HOME", below("data")),
            ("HF_HOME", below("hf")),
            ("HF_ENDPOINT", hf),
            ("OLLAMA_MODELS", below("ollama")),
        ]
        .into()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for name in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN_PATH", "LLAMA_CACHE"] {
            command.env_remove(name);
        }
        command.envs(self.environment()).env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
        command.current_dir(&self.home);
        command
    }

    /// Output, errors and exit code of a run.
    fn run(&self, args: &[&str]) -> (String, String, i32) {
        let output = self.command(env!("CARGO_BIN_EXE_russet")).args(args).output();
        let Output { status, stdout, stderr } = output.expect("the program ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (text(stdout), text(stderr), status.code().unwrap_or(-1))
    }

    fn ok(&self, args: &[&str]) -> (String, String) {
        let (out, err, code) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {err}");
        (out, err)
    }

    fn fails(&self, args: &[&str]) -> String {
        let (out, err, code) = self.run(args);
        assert_eq!(code, 1, "{args:?}: {out}{err}");
        err
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.home.join(name), text).expect("a file");
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

const ASK: [&str; 5] = ["What is Russet?", "-q", "--temp", "0", "-n16"];

#[test]
fn a_name_is_all_it_takes() {
    let user = User::new("name");
    let guide = fs::read(GUIDE).expect("the built-in model");
    user.server.add("u/guide-GGUF", &[("guide-Q8_0.gguf", &guide)]);
    user.server.add_ollama("guide", "latest", &[("model", &guide), ("system", b"Be brief.")]);
    let ask = |model: &str| user.ok(&[&["run", model], &ASK[..]].concat());
    let (expected, _) = ask("russet-guide");

    // Headers are enough for what reads no weights, and nothing of them stays.
    let (shown, note) = user.ok(&["show", "hf.co/u/guide-GGUF"]);
    assert!(shown.contains("parameters    6886656"), "{shown}");
    assert!(note.contains("not on this machine"), "{note}");
    assert!(user.ok(&["explain", "u/guide-GGUF"]).0.contains("rms_norm"));
    assert!(user.ok(&["list"]).0.contains("no model yet"));

    let (answer, said) = ask("u/guide-GGUF");
    assert_eq!(answer, expected);
    let size = "pulling u/guide-GGUF (u/guide-GGUF:Q8_0): 7.";
    assert!(said.contains(size) && said.contains("in 1 file"), "{said}");
    user.server.asked();
    assert_eq!(ask("hf.co/u/guide-GGUF:Q8_0"), (expected.clone(), String::new()));
    assert!(user.server.asked().is_empty(), "what is here is used without a question");
    assert!(user.ok(&["show", "u/guide-GGUF"]).0.contains("6886656"));

    let registry = format!("ollama://{}/library/guide", user.server.host);
    let (_, said) = ask(&registry);
    assert!(said.contains("pulling ollama://"), "{said}");
    let (table, _) = user.ok(&["ls"]);
    for part in ["NAME", "u/guide-GGUF:Q8_0", "GGUF Q8_0", "Hugging Face", "Ollama", "yes"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let listed: Value = serde_json::from_str(&user.ok(&["list", "--json"]).0).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    for model in listed.as_array().expect("a list") {
        user.ok(&["rm", model["name"].as_str().expect("a name")]);
    }
    assert!(user.ok(&["list"]).0.contains("no model yet"));
}

#[test]
fn a_modelfile_makes_a_model_of_ones_own() {
    let user = User::new("modelfile");
    fs::copy(GUIDE, user.home.join("guide.gguf")).expect("a copy");
    user.write(
        "Modelfile",
        "FROM ./guide.gguf\nPARAMETER temperature 0\nPARAMETER num_predict 3\nPARAMETER num_ctx 128\n\
         TEMPLATE \"\"\"{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}\"\"\"\n\
         SYSTEM Be brief.\nMESSAGE user Hi\nMESSAGE assistant Hello\n",
    );
    user.ok(&["create", "mine", "-f", "Modelfile"]);
    let (_, about) = user.ok(&["run", "mine", "hello", "-v"]);
    for part in ["context   128", "temp 0", "Modelfile: temperature", "template  yours"] {
        assert!(about.contains(part), "{part}: {about}");
    }
    let generated = |model: &str| user.ok(&["run", model, "hello", "-q"]).0;
    assert!(generated("mine").split_whitespace().count() <= 3);
    user.ok(&["cp", "mine", "other:v1"]);
    assert_eq!(generated("other:v1"), generated("mine"));
    assert!(user.fails(&["rm", "guide.gguf"]).contains("other:v1"));
    user.ok(&["rm", "mine", "other:v1"]);
    assert!(user.home.join("guide.gguf").exists());

    for (line, word) in [("ADAPTER a.gguf", "LoRA"), ("PARAMETER num_gpu 1", "num_gpu")] {
        user.write("Modelfile", &format!("FROM ./guide.gguf\n{line}\n"));
        let error = user.fails(&["create", "x"]);
        assert!(error.contains(word) && error.contains("line 2"), "{error}");
    }
    user.write("Modelfile", "FROM ./guide.gguf\nTEMPLATE {{ .Prompt }}\n");
    let (_, said) = user.ok(&["create", "go"]);
    assert!(said.contains("Go's language"), "{said}");
    assert!(user.ok(&["run", "go", "hello", "-q", "-n", "1"]).1.contains("Go's language"));
}

#[test]
fn a_pull_that_is_killed_at_any_moment_leaves_nothing_wrong() {
    const MOMENTS: u64 = 20;
    let user = User::new("killed");
    let weights = noise(9, (24 << 20) + 11);
    user.server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    let slow = Some((64 << 10, Duration::from_millis(6)));
    user.server.faults(|faults| faults.slow = slow);
    let mut killed = 0;
    let seed = u64::from(std::process::id());
    let moments = noise(seed, MOMENTS as usize);
    for moment in moments {
        let mut pull = user.command(env!("CARGO_BIN_EXE_russet"));
        let pull = pull.args(["pull", "u/m"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut pull = pull.spawn().expect("the program starts");
        sleep(Duration::from_millis(20 + u64::from(moment)));
        killed += usize::from(pull.try_wait().expect("a child").is_none());
        let _ = pull.kill();
        let _ = pull.wait();
        let found = user.run(&["pull", "u/m", "--offline"]);
        assert_eq!(found.2, 1, "offline nothing is pulled");
        for blob in blobs(&user) {
            let whole = fs::read(&blob).expect("a blob") == weights;
            assert!(whole || blob.to_string_lossy().ends_with(".russet.incomplete"), "seed {seed}");
        }
    }
    assert!(killed >= 3, "{killed} of {MOMENTS} were in time, seed {seed}");
    // What is asked for at last is what is missing, to the byte.
    let (plan, _) = user.ok(&["pull", "u/m", "--dry-run"]);
    let words: Vec<&str> = plan.split_whitespace().collect();
    let missing: usize = words[2].parse().expect("a number");
    user.server.faults(|faults| faults.slow = None);
    sleep(Duration::from_millis(100));
    user.server.sent();
    let (path, _) = user.ok(&["pull", "u/m"]);
    assert_eq!(fs::read(path.trim()).expect("a model"), weights);
    assert_eq!(user.server.sent(), missing, "seed {seed}");
    assert_eq!(blobs(&user).len(), 1, "nothing is left over");
    eprintln!("{killed} of {MOMENTS} killed in time, {missing} bytes missing at last");
}

fn blobs(user: &User) -> Vec<PathBuf> {
    let dir = user.home.join("hf/hub/models--u--m/blobs");
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[test]
fn offline_opens_no_socket() {
    let user = User::new("offline");
    let guide = fs::read(GUIDE).expect("the built-in model");
    user.server.add("u/guide-GGUF", &[("guide-Q8_0.gguf", &guide)]);
    user.ok(&["pull", "u/guide-GGUF"]);
    user.server.asked();
    let trace = user.home.join("trace");
    let traced = |args: &[&str]| {
        let mut command = user.command("strace");
        command.args(["-f", "-e", "trace=network", "-o"]).arg(&trace);
        command.arg(env!("CARGO_BIN_EXE_russet")).args(args);
        let output = command.output().ok()?;
        let trace = fs::read_to_string(&trace).unwrap_or_default();
        Some((output.status.code(), trace))
    };
    // That a trace shows a connection where there is one.
    match traced(&["pull", "u/guide-GGUF"]) {
        Some((Some(0), trace)) if trace.contains("connect(") => {}
        _ => return eprintln!("SKIPPED: strace is not there or may not trace"),
    }
    for (args, code) in [
        (&["run", "u/guide-GGUF", "hello", "-n1", "--offline"][..], 0),
        (&["show", "u/guide-GGUF", "--offline"], 0),
        (&["list"], 0),
        (&["gc"], 0),
        (&["pull", "u/guide-GGUF", "--offline"], 1),
        (&["run", "qwen3:0.6b", "hello", "--offline"], 1),
        (&["show", "ollama://nothing", "--offline"], 1),
        (&["create", "x", "--offline"], 1),
    ] {
        let (status, trace) = traced(args).expect("strace");
        assert_eq!(status, Some(code), "{args:?}");
        assert!(!trace.contains("connect(") && !trace.contains("socket("), "{args:?}: {trace}");
    }
    assert_eq!(user.server.asked().len(), 1, "the first pull's question alone");
}
