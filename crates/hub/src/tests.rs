//! Names, and what an error says.

use super::*;

fn hub() -> Hub {
    let nowhere = |name: &str| std::env::temp_dir().join("russet-nowhere").join(name);
    Hub::new(Places {
        hf_cache: nowhere("hf"),
        ollama: nowhere("ollama"),
        own: nowhere("own"),
        offline: true,
        ..Places::default()
    })
}

#[test]
fn a_prompt_is_no_model() {
    let prompts = ["What is Russet?", "Hello", "", "yes/no questions", "Note: be brief", "a / b"];
    for prompt in prompts {
        assert!(!is_meant_as_model(prompt), "{prompt}");
    }
}

#[test]
fn paths_and_names_are_models() {
    let names = [
        "qwen3:0.6b",
        "qwen3",
        "user/repo",
        "hf.co/user/repo:Q4_K_M",
        "ollama://phi4",
        "a.gguf",
        "./a",
        "/a/b",
        ".",
        BUILTIN,
    ];
    for name in names {
        assert!(is_meant_as_model(name), "{name}");
    }
}

#[test]
fn names_have_forms() {
    let parse = |word: &str| Name::parse(word).ok();
    let hub = |repo: &str, quant: Option<&str>, revision: Option<&str>| {
        let (quant, revision) = (quant.map(str::to_owned), revision.map(str::to_owned));
        Some(Name::Hub(HubName { repo: repo.to_owned(), quant, revision }))
    };
    assert_eq!(parse("hf.co/u/r:Q4_K_M"), hub("u/r", Some("Q4_K_M"), None));
    assert_eq!(parse("https://huggingface.co/u/r"), hub("u/r", None, None));
    assert_eq!(parse("mlx-community/r-4bit"), hub("mlx-community/r-4bit", None, None));
    assert_eq!(parse("u/r@abc:Q8_0"), hub("u/r", Some("Q8_0"), Some("abc")));
    let ollama = |word: &str| match parse(word) {
        Some(Name::Ollama(name)) => (name.host.clone(), name.short()),
        other => panic!("{word} is {other:?}"),
    };
    assert_eq!(ollama("ollama://a:b"), ("registry.ollama.ai".to_owned(), "a:b".to_owned()));
    assert_eq!(ollama("ollama://u/a").1, "u/a:latest");
    let own = "127.0.0.1:80/library/a:latest";
    assert_eq!(ollama("ollama://127.0.0.1:80/library/a").1, own);
}

#[test]
fn no_name_leaves_its_directory() {
    for name in [
        "hf.co/../x",
        "u/..",
        "../r/x:y/..",
        "u/r:../../x",
        "u/r@../x",
        "ollama://../a",
        "ollama://a:../b",
        "ollama://h/../a:b",
        "a:..",
        "..:a",
        "a:b:c:d",
        "u--x/r",
        "hf.co/u/r/s/t",
        "ollama://a/b/c/d",
        "hf.co/",
        "u/r:a/b",
        "ollama://h:99999/a/b:c",
    ] {
        let path = matches!(Name::parse(name), Ok(Name::Path(_)));
        assert!(path || Name::parse(name).is_err(), "{name}: {:?}", Name::parse(name));
    }
}

#[test]
fn errors_say_what_to_do() {
    let error = |name: &str| hub().find(name).expect_err(name).to_string();
    assert!(error("qwen3:0.6b").contains("russet pull qwen3:0.6b"));
    assert!(error("user/repo").contains("russet pull"));
    assert!(error("qwen3:99b").contains("qwen3:0.6b"));
    assert!(error("src/no.gguf").contains("src holds no model"));
    assert!(error("./none/no.gguf").contains("none"));
    assert!(error("").contains("empty"));
    assert_eq!(hub().find(BUILTIN).expect("it is there").at, At::Builtin);
    assert_eq!(hub().find("src").expect("a directory").at, At::Path("src".into()));
    let offline = hub().plan("user/repo", &|_| {}).expect_err("offline").to_string();
    assert!(offline.contains("offline"), "{offline}");
}
