//! Every name compiles, and cuts where the models' authors cut.

use super::*;

/// The names that llama.cpp's `llama-vocab.cpp` reads (2026-11).
const NAMES: &str = "\
    default llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano \
    minicpm5 deepseek-llm deepseek-coder deepseek-v3 spark2_5 youtu falcon mpt starcoder gpt-2 \
    phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jais-2 \
    gemma4 granite-embed-multi-311m sarvam-moe jina-v1-en jina-v2-code roberta-bpe whitespace \
    refact command-r qwen2 deepseek-r1-qwen kormo f2llmv2 qwen35 stablelm2 olmo dbrx smaug-bpe \
    poro-chat glm4 chatglm-bpe viking jais tekken smollm codeshell bloom gpt3-finnish exaone \
    exaone4 exaone-moe chameleon minerva-7b megrez gpt-4o llama4 kanana2 talkie \
    granite-embed-multi-97m tiny_aya cohere2moe superbpe trillion granite-docling bailingmoe \
    bailingmoe2 llada-moe seed-coder hunyuan hunyuan-dense hy_v4 joyai-llm kimi-k2 ufakzeka \
    grok-2 afmoe laguna minimax-m2 solar-open mellum2";

fn cut(name: &str, text: &str) -> Vec<String> {
    let splits = lookup(name).unwrap().splits().unwrap();
    let mut parts = vec![text];
    for split in &splits {
        let mut finer = Vec::new();
        parts.iter().for_each(|part| split.cut(part, &mut finer));
        parts = finer;
    }
    parts.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_name_cuts_text_without_losing_any() {
    let text = "I'LL say: 12345 naïve ΑΒΓ 日本語の  x\r\n\n\tfoo()  \
        \u{1F642}e\u{308} ½ 한국어 ภาษา \u{3000}。 ";
    for name in NAMES.split_whitespace() {
        assert_eq!(cut(name, text).concat(), text, "{name}");
    }
}

#[test]
fn an_unknown_name_is_an_error_that_names_it() {
    let error = lookup("no-such-model").unwrap_err();
    assert!(error.to_string().contains("no-such-model"));
}

/// Expected parts follow from the expression by hand.
#[test]
fn words_are_cut_where_the_expressions_say() {
    let check = |name, text, parts: &[&str]| assert_eq!(cut(name, text), parts, "{name} {text:?}");
    check("gpt-2", "a  b", &["a", " ", " b"]);
    check("gpt-2", "a \tb ", &["a", " ", "\t", "b", " "]);
    check("llama3", "don'T 1234", &["don", "'T", " ", "123", "4"]);
    check("llama3", "x \n\n y", &["x", " \n\n", " y"]);
    check("qwen2", "12 a", &["1", "2", " a"]);
    check("gpt-4o", "camelCase", &["camel", "Case"]);
    check("superbpe", "1234567", &["1", "234", "567"]);
    check("afmoe", "a12345", &["a", "12", "345"]);
    check("tiny_aya", "1234567 12345a", &["1", "234", "567", " ", "123", "45", "a"]);
    check("kimi-k2", "ab日本cd", &["ab", "日本", "cd"]);
    check("deepseek-v3", "日本1234x", &["日本", "123", "4", "x"]);
    check("starcoder", "ab 12", &["ab", " ", "1", "2"]);
    check("gemma4", "a b\n\nc", &["a b", "\n\n", "c"]);
}

/// The long character class must be the one that was published: sorted, and cased letters only.
#[test]
fn deepseek_letters_are_cased_letters() {
    let class = DEEPSEEK_LLM[1].trim_start_matches(r"\s?").trim_end_matches('+');
    let ours = regex_automata::meta::Regex::new(&format!("^{class}$")).unwrap();
    let cased = regex_automata::meta::Regex::new(r"^[\p{Lu}\p{Ll}\p{Lt}]$").unwrap();
    for c in (0..=0x10FFFF).filter_map(char::from_u32) {
        let text = c.to_string();
        assert!(!ours.is_match(&text) || cased.is_match(&text), "{c:?} {:x}", c as u32);
    }
    assert!(ours.is_match("\u{2126}") && ours.is_match("\u{212A}") && ours.is_match("\u{1FBE}"));
}

#[test]
fn no_name_takes_quadratic_time() {
    for unit in ["a", " ", "1", "\n", "!", "aA", "日", "\u{301}", "a1 ."] {
        let text = unit.repeat((1 << 16) / unit.len());
        for name in NAMES.split_whitespace() {
            let start = std::time::Instant::now();
            cut(name, &text);
            assert!(start.elapsed().as_secs() < 5, "{name} {unit:?} {:?}", start.elapsed());
        }
    }
}
