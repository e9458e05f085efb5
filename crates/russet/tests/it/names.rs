//! Models by name, as users meet them: the program against a hub on this machine.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::loopback::noise;

use crate::user::{User, wait_until};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/russet-guide.gguf");

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

    user.ok(&["bench", "u/guide-GGUF", "-p", "8", "-n", "2", "-r", "1", "-t", "1"]);

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
        "FROM ./guide.gguf\nPARAMETER temperature 0\nPARAMETER num_predict 3\n\
         PARAMETER num_ctx 128\n\
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

    let adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters");
    for file in ["base.gguf", "one.gguf", "one.reference.safetensors"] {
        fs::copy(adapters.join(file), user.home.join(file)).expect("a copy");
    }
    user.write("Modelfile", "FROM ./base.gguf\nADAPTER ./one.gguf\n");
    user.ok(&["create", "adapted", "-f", "Modelfile"]);
    let verify = |model| user.ok(&["verify", model, "--reference", "one.reference.safetensors"]).0;
    assert!(verify("adapted").contains("holds"));
    assert!(user.ok(&["show", "adapted"]).0.contains("one.gguf: LoRA of rank 4, alpha 8"));
    assert!(user.ok(&["explain", "adapted"]).0.contains("+q 32x4"));
    for (file, said) in [("one.gguf", "has the shape [4, 32]"), ("absent", "cannot be opened")] {
        user.write("Modelfile", &format!("FROM ./guide.gguf\n\nADAPTER ./{file}\n"));
        let error = user.fails(&["create", "x"]);
        let place = format!("Modelfile, line 3: ADAPTER ./{file}");
        assert!(error.contains(&place) && error.contains(said), "{error}");
    }
    let [base, adapter] =
        ["base.gguf", "one.gguf"].map(|name| fs::read(adapters.join(name)).expect("a file"));
    user.server.add_ollama("adapted", "latest", &[("model", &base), ("adapter", &adapter)]);
    let registry = format!("ollama://{}/library/adapted", user.server.host);
    let adapted = "LoRA of rank 4, alpha 8, beside 15 matrices";
    assert!(user.ok(&["show", &registry]).0.contains(adapted), "of a model that is not here");
    assert!(user.ok(&["list"]).0.lines().all(|line| !line.contains("ollama://")));
    assert!(verify(&registry).contains("holds"), "an adapter in Ollama's registry");
    assert!(user.ok(&["show", &registry]).0.contains(adapted));

    for (line, word) in [
        ("ADAPTER", "names no file"),
        ("PARAMETER num_gpu 1", "num_gpu"),
        ("TEMPLATE {{ .Promt }}", "`.Promt` is not known"),
        ("TEMPLATE {% if %}", "TEMPLATE"),
        ("FROM ./absent.gguf", "absent.gguf"),
    ] {
        let from = if line.starts_with("FROM") { "# a comment" } else { "FROM ./guide.gguf" };
        user.write("Modelfile", &format!("{from}\n{line}\n"));
        let error = user.fails(&["create", "x"]);
        assert!(error.contains(word) && error.contains("line 2"), "{error}");
    }
}

#[test]
fn templates_of_ollamas_take_effect() {
    let user = User::new("go");
    let guide = fs::read(GUIDE).expect("the built-in model");
    let ask = |model: &str| user.ok(&["run", model, "hello", "-q", "--temp", "0", "-n", "8"]);
    let go = "{{ if .System }}[{{ .System }}] {{ end }}{{ .Prompt }} ->{{ .Response }}";
    let jinja = "{% for m in messages %}{% if m.role == 'system' %}[{{ m.content }}] {% else %}\
                 {{ m.content }} ->{% endif %}{% endfor %}";
    fs::copy(GUIDE, user.home.join("guide.gguf")).expect("a copy");
    for (name, template) in [("go", go), ("jinja", jinja)] {
        let text = format!("FROM ./guide.gguf\nSYSTEM Be.\nTEMPLATE \"\"\"{template}\"\"\"\n");
        user.write("Modelfile", &text);
        user.ok(&["create", name]);
    }
    let (expected, _) = ask("jinja");
    assert_eq!(ask("go"), (expected.clone(), String::new()), "nothing is to be noted");
    assert_eq!(user.ok(&["show", "go", "--template"]).0.trim_end(), go);
    user.write("chat.json", r#"{"messages": [{"role": "user", "content": "x"}]}"#);
    let chat = fs::File::open(user.home.join("chat.json")).expect("a chat");
    let mut render = user.command(env!("CARGO_BIN_EXE_russet"));
    let rendered = render.args(["render", "go"]).stdin(chat).output().expect("the program ends");
    assert_eq!(String::from_utf8_lossy(&rendered.stdout), "x ->");

    // The same from a registry, before a pull and after it.
    let layers: [(&str, &[u8]); 4] = [
        ("model", &guide),
        ("template", go.as_bytes()),
        ("system", b"Be."),
        ("params", br#"{"stop": ["<x>"], "temperature": 0.5}"#),
    ];
    user.server.add_ollama("go", "latest", &layers);
    let registry = format!("ollama://{}/library/go", user.server.host);
    let shows = |said: &str| {
        let (shown, _) = user.ok(&["show", &registry]);
        assert!(shown.contains(said), "{said}: {shown}");
    };
    let laid = format!("laid over the model, {} characters", go.len());
    for said in [&laid[..], "system        Be.", "stop <x>, temperature 0.5"] {
        shows(said);
    }
    assert_eq!(ask(&registry).0, expected);
    shows(&laid);

    // What is not read is told, and the file's own template serves.
    let unread = b"{{ define \"a\" }}{{ end }}{{ .Prompt }}";
    user.server.add_ollama("unread", "latest", &[("model", &guide), ("template", unread)]);
    let unread = format!("ollama://{}/library/unread", user.server.host);
    let (answer, said) = ask(&unread);
    assert!(said.contains("`define` is not known") && said.contains("own file serves"), "{said}");
    assert_eq!(answer, ask("guide.gguf").0);
    let config = br#"{"model_format": "gguf", "renderer": "some-renderer"}"#;
    let layers: [(&str, &[u8]); 3] =
        [("model", &guide), ("template", b"{{ .Prompt }}"), ("config", config)];
    user.server.add_ollama("rendered", "latest", &layers);
    let rendered = format!("ollama://{}/library/rendered", user.server.host);
    let (answer, said) = ask(&rendered);
    assert!(said.contains("`some-renderer`"), "{said}");
    assert_eq!(answer, ask("guide.gguf").0);
}

#[test]
fn a_pull_that_is_killed_at_any_moment_leaves_nothing_wrong() {
    const MOMENTS: usize = 20;
    let user = User::new("killed");
    let weights = noise(9, (24 << 20) + 11);
    user.server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    // Seconds for the whole, so that it is never done when it is killed.
    user.server.faults(|faults| faults.slow = Some((64 << 10, Duration::from_millis(50))));
    let seed = u64::from(std::process::id());
    for (number, moment) in noise(seed, MOMENTS).into_iter().enumerate() {
        let mut pull = user.pulling("u/m");
        if number % 2 == 0 {
            wait_until(|| user.server.asked().iter().any(|asked| asked.storage));
        }
        sleep(Duration::from_millis(u64::from(moment)));
        assert!(pull.try_wait().expect("a child").is_none(), "it still runs, seed {seed}");
        pull.kill().expect("killed");
        pull.wait().expect("gone");
        let names = user.blobs("u/m");
        let arriving = |name: &PathBuf| name.to_string_lossy().ends_with(".russet.incomplete");
        assert!(names.iter().all(arriving), "{names:?}, seed {seed}");
        assert!(user.ok(&["list"]).0.contains("no model yet"), "half a model is none");
        user.server.asked();
    }
    // What is asked for at last is what is missing, to the byte.
    let (plan, _) = user.ok(&["pull", "u/m", "--dry-run"]);
    let words: Vec<&str> = plan.split_whitespace().collect();
    let missing: usize = words[2].parse().expect("a number");
    assert!((1..weights.len()).contains(&missing), "{plan}, seed {seed}");
    user.server.faults(|faults| faults.slow = None);
    sleep(Duration::from_millis(200));
    user.server.sent();
    let (path, _) = user.ok(&["pull", "u/m"]);
    assert_eq!(fs::read(path.trim()).expect("a model"), weights);
    assert_eq!(user.server.sent(), missing, "seed {seed}");
    assert_eq!(user.blobs("u/m").len(), 1, "nothing is left over");
    eprintln!("killed {MOMENTS} times, {missing} of {} bytes missing at last", weights.len());
}

#[test]
fn a_pull_that_is_killed_at_its_end_is_whole_or_absent() {
    const MOMENTS: usize = 20;
    let user = User::new("killed-late");
    let weights = noise(10, 1 << 20);
    for number in 0..=MOMENTS {
        user.server.add(&format!("u/m{number}"), &[("m-Q4_K_M.gguf", &weights)]);
    }
    // From the last byte on: sum, name, link, ref. First how long that takes here.
    let all_sent = || {
        let sent = Cell::new(0);
        wait_until(|| {
            sent.set(sent.get() + user.server.sent());
            sent.get() >= weights.len()
        });
    };
    let mut pull = user.pulling(&format!("u/m{MOMENTS}"));
    all_sent();
    let start = Instant::now();
    assert!(pull.wait().expect("it ends").success());
    let span = start.elapsed();
    let seed = u64::from(std::process::id());
    let (mut in_time, mut named) = (0, 0);
    for (number, moment) in noise(seed, MOMENTS).into_iter().enumerate() {
        let repo = format!("u/m{number}");
        let mut pull = user.pulling(&repo);
        all_sent();
        sleep(span * u32::from(moment) / 255);
        in_time += usize::from(pull.try_wait().expect("a child").is_none());
        let _ = pull.kill();
        pull.wait().expect("gone");
        for blob in user.blobs(&repo) {
            let whole = fs::read(&blob).expect("a blob") == weights;
            assert!(whole || blob.to_string_lossy().ends_with(".russet.incomplete"), "seed {seed}");
        }
        let listed = user.ok(&["list"]).0.contains(&format!("{repo}:"));
        named += usize::from(listed);
        let (path, _) = user.ok(&["pull", &repo]);
        assert_eq!(fs::read(path.trim()).expect("a model"), weights, "seed {seed}");
        user.server.sent();
    }
    eprintln!("{in_time} of {MOMENTS} killed before they ended, {named} had their name");
}

#[test]
fn two_programs_that_pull_the_same_download_it_once() {
    let user = User::new("two");
    let weights = noise(11, (16 << 20) + 5);
    user.server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    user.server.faults(|faults| faults.slow = Some((256 << 10, Duration::from_millis(5))));
    let pulls = [user.pulling("u/m"), user.pulling("u/m"), user.pulling("u/m")];
    for mut pull in pulls {
        assert!(pull.wait().expect("it ends").success());
    }
    assert_eq!(user.server.sent(), weights.len());
    let (path, _) = user.ok(&["pull", "u/m"]);
    assert_eq!(fs::read(path.trim()).expect("a model"), weights);
}

#[test]
fn the_environment_says_where_and_whether() {
    let user = User::new("environment");
    user.server.add("u/m", &[("m-Q4_K_M.gguf", b"GGUF")]);
    user.server.gate("u/m", "secret");
    let cache = user.home.join("elsewhere");
    let pull = |environment: &[(&str, &str)]| {
        let mut command = user.command(env!("CARGO_BIN_EXE_russet"));
        command.args(["pull", "u/m"]).env("HF_HUB_CACHE", &cache);
        let output = command.envs(environment.iter().copied()).output().expect("the program ends");
        (output.status.success(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (done, said) = pull(&[]);
    assert!(!done && said.contains("HF_TOKEN"), "{said}");
    user.server.asked();
    let (done, said) = pull(&[("HF_TOKEN", "secret"), ("HF_HUB_OFFLINE", "1")]);
    assert!(!done && said.contains("offline") && user.server.asked().is_empty(), "{said}");
    assert!(pull(&[("HF_TOKEN", "secret")]).0);
    assert!(cache.join("models--u--m/refs/main").is_file());
    assert!(!user.home.join("hf").exists(), "HF_HUB_CACHE is stronger than HF_HOME");
}

#[test]
fn headers_alone_say_what_the_files_would() {
    let user = User::new("headers");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights/tests/fixtures");
    let mut shown = 0;
    for fixture in fs::read_dir(&fixtures).expect("a directory").flatten() {
        let dir = fixture.path();
        let name = fixture.file_name().into_string().expect("UTF-8");
        if !dir.is_dir() {
            continue;
        }
        let names = ["config.json", "hf_quant_config.json", "model.safetensors"];
        let read = |name| Some((name, fs::read(dir.join(name)).ok()?));
        let files: Vec<(&str, Vec<u8>)> = names.into_iter().filter_map(read).collect();
        let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        let repo = format!("u/{name}");
        user.server.add(&repo, &files);
        let here = user.ok(&["show", dir.to_str().expect("UTF-8")]).0;
        let there = user.ok(&["show", &repo]).0;
        assert_eq!(there, here, "{name}");
        shown += 1;
    }
    assert!(shown > 10, "{shown}");
    assert!(user.ok(&["list"]).0.contains("no model yet"), "nothing is kept");
    for name in ["nvfp4-modelopt", "mlx-mxfp4"] {
        let reference = fixtures.join(name).join("reference.safetensors");
        let reference = reference.to_str().expect("UTF-8");
        let (out, said) = user.ok(&["verify", &format!("u/{name}"), "--reference", reference]);
        assert!(out.contains("holds") && said.contains("pulling"), "{name}: {out}{said}");
    }
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
