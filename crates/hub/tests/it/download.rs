//! What arrives is right or absent, and nothing is fetched twice.

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hub::Event;
use testkit::loopback::{COMMIT, Server, noise, sha256};

use crate::{Home, path};

const MIB: usize = 1 << 20;

#[test]
fn a_model_arrives_in_the_layout_of_the_hugging_face_cache() {
    let server = Server::start();
    let weights = noise(1, 3 * MIB + 17);
    server.add(
        "u/m-GGUF",
        &[("m-Q4_K_M.gguf", &weights), ("sub/m-Q8_0.gguf", b"GGUF 8"), ("README.md", b"hello")],
    );
    let mut home = Home::new(&server);
    home.places.hf_token = Some("secret".to_owned());
    let found = home.pull("u/m-GGUF").expect("a model");
    assert_eq!(fs::read(path(&found)).expect("a file"), weights);
    let repo = home.dir.join("hf/models--u--m-GGUF");
    let link = repo.join("snapshots").join(COMMIT).join("m-Q4_K_M.gguf");
    assert_eq!(path(&found), link);
    let target = format!("../../blobs/{}", sha256(&weights));
    assert_eq!(fs::read_link(&link).expect("a link").to_str(), Some(target.as_str()));
    assert_eq!(fs::read_to_string(repo.join("refs/main")).expect("a ref"), COMMIT);
    // The token is for the hub; the storage that it leads to has another address.
    let asked = server.asked();
    assert!(asked.iter().any(|asked| asked.storage && !asked.token), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.token != asked.storage), "{asked:?}");

    let below = home.pull("hf.co/u/m-GGUF:q8_0").expect("another variant");
    assert_eq!(fs::read(path(&below)).expect("a file"), b"GGUF 8");
    server.asked();
    home.pull("u/m-GGUF").expect("it is here");
    assert_eq!(server.asked().len(), 1, "the listing alone");
    assert_eq!(home.hub().find("u/m-GGUF:Q8_0").expect("here").at, below.at);
    assert!(server.asked().is_empty(), "what is here is found without a question");
}

#[test]
fn parts_of_a_file_arrive_side_by_side_and_cut_ones_go_on() {
    let server = Server::start();
    let weights = noise(2, 20 * MIB + 3);
    server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    server.faults(|faults| faults.cut_after = [MIB, 5, 3 * MIB, 70_000].into());
    let home = Home::new(&server);
    let found = home.pull("u/m").expect("a model");
    assert_eq!(fs::read(path(&found)).expect("a file"), weights);
    assert_eq!(server.sent(), weights.len(), "no byte is asked for twice");
    let ranges = server.asked().into_iter().filter(|asked| asked.storage);
    assert!(ranges.filter(|asked| asked.range.is_some()).count() >= 3 + 4);
}

#[test]
fn a_download_that_broke_off_goes_on_with_what_is_missing() {
    let server = Server::start();
    let weights = noise(3, 5 * MIB);
    server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    let home = Home::new(&server);
    let plan = home.hub().plan("u/m", &|_| {}).expect("a plan");
    server.faults(|faults| {
        faults.cut_after = [2 * MIB].into();
        faults.statuses = [(0, String::new()), (0, String::new()), (404, String::new())].into();
    });
    home.hub().pull(&plan, &|_| {}).expect_err("the server says no");
    assert_eq!(server.sent(), 2 * MIB);
    assert!(home.hub().find("u/m").is_err(), "half a model is none");
    let plan = home.hub().plan("u/m", &|_| {}).expect("a plan");
    assert_eq!(plan.missing(), 3 * MIB as u64);
    let found = home.hub().pull(&plan, &|_| {}).expect("a model");
    assert_eq!(server.sent(), 3 * MIB, "only what was missing");
    assert_eq!(fs::read(path(&found)).expect("a file"), weights);
}

#[test]
fn wrong_bytes_are_never_taken_for_a_model() {
    let server = Server::start();
    let weights = noise(4, 5 * MIB);
    server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    let home = Home::new(&server);
    server.faults(|faults| faults.wrong = true);
    let error = home.pull("u/m").expect_err("wrong bytes").to_string();
    assert!(error.contains("SHA-256") && error.contains(&sha256(&weights)), "{error}");
    assert_eq!(home.files(), Vec::<String>::new(), "nothing of it stays");

    // Half of it wrong from an earlier attempt: it comes again as a whole.
    let plan = home.hub().plan("u/m", &|_| {}).expect("a plan");
    server.faults(|faults| {
        faults.cut_after = [2 * MIB].into();
        faults.statuses = [(0, String::new()), (0, String::new()), (404, String::new())].into();
    });
    home.hub().pull(&plan, &|_| {}).expect_err("the server says no");
    server.faults(|faults| faults.wrong = false);
    let found = home.pull("u/m").expect("a model");
    assert_eq!(fs::read(path(&found)).expect("a file"), weights);
}

#[test]
fn a_busy_server_is_waited_for_as_long_as_it_asks() {
    let server = Server::start();
    server.add("u/m", &[("m-Q4_K_M.gguf", b"GGUF")]);
    server.faults(|faults| {
        let after = |seconds: &str| (429, format!("Retry-After: {seconds}"));
        faults.statuses = [after("1"), after("0"), (503, String::new())].into();
    });
    let home = Home::new(&server);
    let pauses = Mutex::new(Vec::new());
    let plan = home.hub().plan("u/m", &|event| {
        if let Event::Waiting { pause, .. } = event {
            pauses.lock().expect("a list").push(pause);
        }
    });
    assert_eq!(plan.expect("a plan").files.len(), 1);
    assert!(pauses.lock().expect("a list").contains(&Duration::from_secs(1)));
    server.faults(|faults| faults.statuses = [(429, "Retry-After: 86400".to_owned())].into());
    let error = home.hub().plan("u/m", &|_| {}).expect_err("too long").to_string();
    assert!(error.contains("86400 seconds"), "{error}");
}

#[test]
fn a_gated_model_says_how_to_get_in() {
    let server = Server::start();
    server.add("u/m", &[("m-Q4_K_M.gguf", b"GGUF")]);
    server.gate("u/m", "right");
    let mut home = Home::new(&server);
    let error = |home: &Home| home.pull("u/m").expect_err("gated").to_string();
    let closed = error(&home);
    let page = format!("{}/u/m", server.url);
    assert!(closed.contains("HF_TOKEN") && closed.contains(&page), "{closed}");
    home.places.hf_token = Some("wrong".to_owned());
    assert!(error(&home).contains("your token's owner"), "{}", error(&home));
    home.places.hf_token = Some("right".to_owned());
    assert!(home.pull("u/m").is_ok());
    let missing = home.pull("u/none").expect_err("no such repository").to_string();
    assert!(missing.contains("check the name"), "{missing}");
}

#[test]
fn two_pulls_at_once_download_once() {
    let server = Server::start();
    let weights = noise(5, 12 * MIB);
    server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    server.faults(|faults| faults.slow = Some((256 << 10, Duration::from_millis(5))));
    let home = Home::new(&server);
    thread::scope(|scope| {
        let pulls: Vec<_> = (0..3).map(|_| scope.spawn(|| home.pull("u/m"))).collect();
        for pull in pulls {
            let found = pull.join().expect("no panic").expect("a model");
            assert_eq!(sha256(&fs::read(path(&found)).expect("a file")), sha256(&weights));
        }
    });
    assert_eq!(server.sent(), weights.len());
}

#[test]
fn what_belongs_to_a_model_comes_with_it() {
    let server = Server::start();
    server.add(
        "u/m-GGUF",
        &[
            ("Q4_K_M/m-Q4_K_M-00001-of-00002.gguf", b"GGUF one"),
            ("Q4_K_M/m-Q4_K_M-00002-of-00002.gguf", b"GGUF two"),
            ("m-Q2_K.gguf", b"GGUF"),
            ("mmproj-F16.gguf", b"GGUF eyes"),
            ("mmproj-F32.gguf", b"GGUF better eyes"),
        ],
    );
    server.add(
        "mlx-community/m-4bit",
        &[
            ("config.json", b"{}"),
            ("model-00001-of-00002.safetensors", b"a"),
            ("model-00002-of-00002.safetensors", b"b"),
            ("model.safetensors.index.json", b"{}"),
            ("tokenizer.json", b"{}"),
            ("chat_template.jinja", b"x"),
            ("pytorch_model.bin", b"never"),
        ],
    );
    let home = Home::new(&server);
    let found = home.pull("u/m-GGUF").expect("a model");
    assert!(path(&found).ends_with("Q4_K_M/m-Q4_K_M-00001-of-00002.gguf"));
    let dir = path(&found).parent().expect("a directory");
    assert!(dir.join("m-Q4_K_M-00002-of-00002.gguf").is_file());
    assert!(dir.join("../mmproj-F16.gguf").is_file() && !dir.join("../mmproj-F32.gguf").exists());

    let found = home.pull("mlx-community/m-4bit").expect("a directory");
    let names = fs::read_dir(path(&found)).expect("a directory").count();
    assert_eq!(names, 6, "all but the program");
    assert!(!path(&found).join("pytorch_model.bin").exists());
}

#[test]
fn a_full_disk_is_said_before_and_survived_within() {
    let server = Server::start();
    let weights = noise(6, 5 * MIB);
    server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    server.add("u/large", &[("m-Q4_K_M.gguf", &noise(7, 9 * MIB))]);
    let disk = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("small-disk");
    fs::create_dir_all(&disk).expect("a directory");
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).arg(&disk).status();
        status.is_ok_and(|status| status.success())
    };
    if !run("mount", &["-t", "tmpfs", "-o", "size=8m", "tmpfs"]) {
        eprintln!("SKIPPED: no small disk can be mounted here");
        return;
    }
    let home = Home::within(&disk.join("home"), &server);
    let error = home.pull("u/large").expect_err("too large").to_string();
    assert!(error.contains("9437184 bytes") && error.contains("make room"), "{error}");
    assert_eq!(server.sent(), 0, "nothing was asked for in vain");

    // Somebody else takes the room while the download goes on.
    let plan = home.hub().plan("u/m", &|_| {}).expect("a plan");
    server.faults(|faults| faults.slow = Some((64 << 10, Duration::from_millis(2))));
    let other = disk.join("other");
    let first = Mutex::new(true);
    let outcome = home.hub().pull(&plan, &|event| {
        if matches!(event, Event::Bytes(_)) && std::mem::take(&mut *first.lock().expect("one")) {
            let _ = fs::write(&other, vec![1; 8 * MIB]);
        }
    });
    let error = outcome.expect_err("the disk is full").to_string();
    assert!(error.contains("No space left"), "{error}");
    assert!(home.hub().find("u/m").is_err());
    fs::remove_file(&other).expect("the other file");
    let found = home.pull("u/m").expect("a model");
    let right = fs::read(path(&found)).expect("a file") == weights;
    drop(home);
    assert!(run("umount", &[]) && right);
}

#[test]
fn headers_come_without_weights() {
    let server = Server::start();
    let whole = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/russet-guide.gguf"));
    let mut whole = whole.expect("the built-in model");
    // Longer than what is asked for at first; a GGUF file may end in anything.
    whole.extend(vec![0; 24 * MIB]);
    server.add("u/m", &[("m-Q8_0.gguf", &whole)]);
    let home = Home::new(&server);
    let plan = home.hub().plan("u/m", &|_| {}).expect("a plan");
    let dir = home.dir.join("headers");
    let headers = home.hub().headers(&plan, &dir, &|_| {}).expect("headers");
    assert!(server.sent() <= 8 * MIB);
    let source = weights::Source::open(path(&headers.found)).expect("a model");
    assert_eq!(source.file_bytes(), whole.len() as u64);
    let original = weights::Source::from_bytes("whole", whole.leak()).expect("a model");
    let tensors = |source: &weights::Source| {
        source.tensors().map(|t| (t.name.clone(), t.shape.clone(), t.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(tensors(&source), tensors(&original));
    drop(headers);
    assert!(!dir.exists(), "nothing is kept");
}

#[test]
fn headers_of_safetensors_come_without_weights() {
    let server = Server::start();
    let header = br#"{"a":{"dtype":"U8","shape":[5000000],"data_offsets":[0,5000000]}}"#;
    let mut whole = (header.len() as u64).to_le_bytes().to_vec();
    whole.extend(header);
    whole.extend(noise(8, 5_000_000));
    let config = br#"{"model_type": "llama"}"#;
    server.add("u/m", &[("config.json", config), ("model.safetensors", &whole)]);
    let home = Home::new(&server);
    let plan = home.hub().plan("u/m", &|_| {}).expect("a plan");
    let headers = home.hub().headers(&plan, &home.dir.join("headers"), &|_| {}).expect("headers");
    assert_eq!(server.sent(), 8 + header.len(), "not a byte of the weights");
    assert_eq!(headers.bytes as usize, 8 + header.len() + config.len());
    let file = path(&headers.found).join("model.safetensors");
    assert_eq!(fs::metadata(&file).expect("a file").len(), whole.len() as u64);
    assert_eq!(weights::SafeFile::open(&file).expect("a header").tensors().len(), 1);
}
