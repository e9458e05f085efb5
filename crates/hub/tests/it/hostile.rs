//! What a server or a store must not be able to do.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::loopback::{COMMIT, Server, noise, sha256};

use crate::{Home, path};

#[test]
fn a_listing_cannot_name_a_path_outside() {
    let server = Server::start();
    server.add("u/m", &[("m-Q4_K_M.gguf", b"GGUF")]);
    let home = Home::new(&server);
    for path in [
        "../../../../x.gguf",
        "/etc/x.gguf",
        "a/../../x.gguf",
        "a//x.gguf",
        "./x.gguf",
        "..",
        "C:\\x.gguf",
        "a\0.gguf",
        "",
    ] {
        server.faults(|faults| faults.path = Some(path.to_owned()));
        let error = home.pull("u/m").expect_err(path).to_string();
        assert!(error.contains("leaves its directory"), "{path}: {error}");
    }
    assert_eq!(home.files(), Vec::<String>::new());
}

#[test]
fn a_link_in_the_cache_cannot_lead_a_download_outside() {
    let server = Server::start();
    server.add("u/m", &[("sub/deeper/m-Q4_K_M.gguf", b"GGUF")]);
    let home = Home::new(&server);
    let outside = home.dir.join("outside");
    let snapshot = home.dir.join("hf/models--u--m/snapshots").join(COMMIT);
    fs::create_dir_all(&outside).expect("a directory");
    fs::create_dir_all(&snapshot).expect("a directory");
    symlink(&outside, snapshot.join("sub")).expect("a link");
    let error = home.pull("u/m").expect_err("a link that leads out").to_string();
    assert!(error.contains("out of the cache"), "{error}");
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 0);

    // Nor one that stands where the bytes would arrive.
    server.add("u/n", &[("m-Q4_K_M.gguf", b"GGUF")]);
    let blob = home.hub().plan("u/n", &|_| {}).expect("a plan").files[0].to.clone();
    let mut arriving = blob.clone().into_os_string();
    arriving.push(".russet.incomplete");
    fs::create_dir_all(blob.parent().expect("a directory")).expect("a directory");
    symlink(outside.join("x"), arriving).expect("a link");
    assert!(home.pull("u/n").is_err());
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 0);
}

#[test]
fn an_announced_length_is_bounded() {
    let server = Server::start();
    server.add("u/m", &[("m-Q4_K_M.gguf", b"GGUF"), ("m-Q8_0.gguf", b"GGUF 8")]);
    let home = Home::new(&server);
    for size in [u64::MAX, u64::MAX / 2, 5 << 40] {
        server.faults(|faults| faults.size = Some(size));
        let error = home.pull("u/m").expect_err("too long").to_string();
        assert!(error.contains(&format!("{size} bytes")), "{error}");
        let layer = format!(
            "{{\"mediaType\":\"application/vnd.ollama.image.model\",\"size\":{size},\
             \"digest\":\"sha256:{}\"}}",
            sha256(b"x")
        );
        server.add_manifest("m", "latest", &format!("{{\"layers\":[{layer},{layer}]}}"));
        let error = home.pull(&format!("ollama://{}/library/m", server.host));
        let error = error.expect_err("too long").to_string();
        assert!(error.contains(&format!("{size} bytes")), "{error}");
    }
    assert_eq!(home.files(), Vec::<String>::new());
}

#[test]
fn a_server_cannot_send_more_than_it_announced() {
    let server = Server::start();
    let weights = noise(1, 100_000);
    server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    server.faults(|faults| faults.surplus = 1 << 20);
    let home = Home::new(&server);
    let error = home.pull("u/m").expect_err("more than announced").to_string();
    assert!(error.contains("more bytes than it announced"), "{error}");
    let kept: Vec<String> = home.files();
    let most = kept.iter().map(|file| fs::metadata(home.dir.join(file)).expect("a file").len());
    assert!(most.sum::<u64>() < weights.len() as u64 + 1000, "{kept:?}");
    assert!(home.hub().find("u/m").is_err());
}

#[test]
fn a_server_without_ranges_serves_files_of_one_part_only() {
    let server = Server::start();
    let small = noise(2, 100_000);
    server.add("u/small", &[("m-Q4_K_M.gguf", &small)]);
    server.add("u/large", &[("m-Q4_K_M.gguf", &noise(3, 9 << 20))]);
    server.faults(|faults| {
        faults.whole_only = true;
        faults.cut_after = [40_000, 70_000].into();
    });
    let home = Home::new(&server);
    let found = home.pull("u/small").expect("a model");
    assert_eq!(fs::read(path(&found)).expect("a file"), small, "what broke off is passed over");
    let error = home.pull("u/large").expect_err("no ranges").to_string();
    assert!(error.contains("whole files only"), "{error}");
}

#[test]
fn a_manifest_cannot_name_a_path() {
    let server = Server::start();
    for (tag, digest) in [("a", "sha256:../../../x"), ("b", "../x"), ("c", "sha256:ABC")] {
        let layer = format!(
            "{{\"mediaType\":\"application/vnd.ollama.image.model\",\"digest\":\"{digest}\",\
             \"size\":4}}"
        );
        server.add_manifest("m", tag, &format!("{{\"layers\":[{layer}]}}"));
        let home = Home::new(&server);
        let error = home.pull(&format!("ollama://{}/library/m:{tag}", server.host));
        let error = error.expect_err(digest).to_string();
        assert!(error.contains("no SHA-256"), "{error}");
        assert_eq!(home.files(), Vec::<String>::new());
    }
}

#[test]
fn an_answer_that_is_no_listing_is_refused() {
    let server = Server::start();
    server.add("u/m", &[("m-Q4_K_M.gguf", b"GGUF")]);
    let home = Home::new(&server);
    server.add_manifest("", "", "");
    server.faults(|faults| faults.statuses = [(418, String::new())].into());
    let error = home.pull("u/m").expect_err("a teapot").to_string();
    assert!(error.contains("418") && error.contains("HF_ENDPOINT"), "{error}");
    server.faults(|faults| {
        faults.statuses = [(302, "Location: /api/models/u/m".to_owned()); 1].into()
    });
    assert!(home.pull("u/m").is_ok(), "a redirect within the hub is followed");
}
