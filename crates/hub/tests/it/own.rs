//! Names of one's own, removal and what nobody uses.

use std::fs;

use hub::{BUILTIN, Modelfile, Recipe};
use testkit::loopback::{Server, noise};

use crate::{Home, path};

#[test]
fn a_name_lays_its_modelfile_over_a_model() {
    let server = Server::start();
    server.add("u/m", &[("m-Q4_K_M.gguf", b"GGUF")]);
    let home = Home::new(&server);
    let found = home.pull("u/m").expect("a model");
    let text = "FROM u/m\nPARAMETER temperature 0.1\nSYSTEM Be brief.";
    let file = Modelfile::parse("Modelfile", text).expect("a Modelfile");
    let hub = home.hub();
    hub.create("mine", &file.from, file.recipe).expect("a name");
    let mine = hub.find("mine:latest").expect("a model");
    assert_eq!((&mine.at, mine.recipe.number("temperature")), (&found.at, Some(0.1)));
    let mut top = Recipe::default();
    top.set("temperature", "0.9").expect("a setting");
    hub.create("top", "mine", top).expect("a name");
    hub.copy("mine", "other:v1").expect("a name");
    let top = hub.find("top").expect("a model").recipe;
    assert_eq!((top.number("temperature"), top.system.as_deref()), (Some(0.9), Some("Be brief.")));

    let error = hub.remove("u/m").expect_err("it is used").to_string();
    assert!(error.contains("mine") && error.contains("builds on it"), "{error}");
    hub.remove("mine").expect("a copy needs it not");
    assert_eq!(hub.find("other:v1").expect("a model").at, found.at);
    for wrong in ["a/b", "hf.co/a/b", BUILTIN, "ollama://x", "../x", "a:b:c", ".", ""] {
        assert!(hub.copy("u/m", wrong).is_err(), "{wrong}");
    }
    assert!(hub.copy("nothing:here", "x").is_err());
}

#[test]
fn only_what_russet_brought_is_removed() {
    let server = Server::start();
    server.add(
        "u/m",
        &[("m-Q4_K_M.gguf", b"GGUF 4"), ("m-Q8_0.gguf", b"GGUF 8"), ("mmproj-F16.gguf", b"GGUF p")],
    );
    let home = Home::new(&server);
    home.pull("u/m:Q4_K_M").expect("a model");
    let found = home.pull("u/m:Q8_0").expect("a model");
    let hub = home.hub();
    assert!(hub.list().expect("a list").iter().all(|model| model.ours));
    let removed = hub.remove("u/m:Q8_0").expect("ours");
    assert_eq!(removed.what, ["m-Q8_0.gguf"]);
    assert!(!path(&found).exists() && hub.find("u/m:Q4_K_M").is_ok());
    hub.remove("u/m").expect("ours");
    assert_eq!(home.files(), Vec::<String>::new(), "the projector goes with the last model");

    let file = home.dir.join("user.gguf");
    fs::write(&file, b"GGUF").expect("a file");
    let error = hub.remove(file.to_str().expect("UTF-8")).expect_err("the user's").to_string();
    assert!(error.contains("a file of yours") && file.exists(), "{error}");
    assert!(hub.remove(BUILTIN).is_err());
}

#[test]
fn who_uses_what_is_known_and_what_nobody_does_goes() {
    let server = Server::start();
    let weights = noise(1, 1 << 20);
    server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    server.add("u/half", &[("m-Q4_K_M.gguf", &noise(2, 1 << 20))]);
    let home = Home::new(&server);
    let hub = home.hub();
    home.pull("u/m").expect("a model");
    hub.copy("u/m", "mine").expect("a name");
    let plan = hub.plan("u/half", &|_| {}).expect("a plan");
    server.faults(|faults| {
        faults.cut_after = [500_000].into();
        faults.statuses = [(0, String::new()), (0, String::new()), (404, String::new())].into();
    });
    hub.pull(&plan, &|_| {}).expect_err("cut");
    let (kept, garbage) = hub.usage().expect("an answer");
    assert_eq!(kept[0].users, ["u/m (m-Q4_K_M.gguf)", "mine:latest"]);
    assert_eq!((kept.len(), garbage.len()), (1, 1));
    assert!(garbage[0].why.contains("interrupted") && garbage[0].bytes >= 400_000);
    hub.collect(&garbage).expect("it goes");
    assert!(hub.find("mine").is_ok());
    let (kept, garbage) = hub.usage().expect("an answer");
    assert_eq!((kept.len(), garbage.len()), (1, 0));
}
