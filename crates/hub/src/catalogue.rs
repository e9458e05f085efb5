//! The names that Russet knows by itself: `catalogue.tsv`, read.

use std::sync::LazyLock;

use crate::HubError;
use crate::name::{HubName, LATEST, Short};
use crate::variants::is_quant;

/// A line of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The family.
    pub name: &'static str,
    /// The size or variant.
    pub tag: &'static str,
    /// The repository of the hub.
    pub repo: &'static str,
    /// The file that is taken where no other quantization is.
    pub file: &'static str,
    /// Its bytes, to three digits.
    pub bytes: u64,
}

static ALL: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let lines = include_str!("../catalogue.tsv").lines();
    let rows = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| read(line).expect("a test reads every line")).collect()
});

fn read(line: &'static str) -> Option<Known> {
    let [name, tag, repo, file, bytes] = line.split('\t').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some(Known { name, tag, repo, file, bytes: bytes.parse().ok()? })
}

/// Every line.
pub fn all() -> &'static [Known] {
    &ALL
}

/// Whether a family is known.
pub fn knows(name: &str) -> bool {
    all().iter().any(|known| known.name == name)
}

/// The line that a name means, and the repository with the quantization that it asks for: as a
/// third part (`qwen3:0.6b:Q6_K`) or after a dash (`qwen3:0.6b-q6_k`).
pub fn find(short: &Short) -> Option<(Known, HubName)> {
    let (tag, quant) = match (short.tag(), &short.quant) {
        (tag, Some(quant)) => (tag, Some(quant.clone())),
        (tag, None) => match tag.rsplit_once('-') {
            Some((tag, quant)) if is_quant(quant) => (tag, Some(quant.to_owned())),
            _ if is_quant(tag) => (LATEST, Some(tag.to_owned())),
            _ => (tag, None),
        },
    };
    let of_family = || all().iter().filter(|known| known.name == short.name);
    let known = match tag {
        LATEST => of_family().next(),
        tag => of_family().find(|known| known.tag == tag),
    }?;
    Some((*known, HubName { repo: known.repo.to_owned(), quant, revision: None }))
}

/// What to say of a name that nothing knows.
pub fn unknown(short: &Short) -> HubError {
    let of_family: Vec<_> = all()
        .iter()
        .filter(|k| k.name == short.name)
        .map(|k| format!("{}:{}", k.name, k.tag))
        .collect();
    let start: String = short.name.chars().take(4).collect();
    let mut near: Vec<&str> =
        all().iter().map(|k| k.name).filter(|name| name.starts_with(&start)).collect();
    near.dedup();
    let which = match (&of_family[..], &near[..]) {
        ([], []) => "`russet list --catalogue` shows the names that Russet knows".to_owned(),
        ([], near) => format!("there are {}", near.join(", ")),
        (tags, _) => format!("there are {}", tags.join(", ")),
    };
    let hint = format!(
        "{which}; user/repository:QUANT names one of the hub's, ollama://{short} one of Ollama's"
    );
    HubError::Unknown { name: short.to_string(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::is_part;

    #[test]
    fn every_line_is_a_name_and_a_file() {
        let lines = include_str!("../catalogue.tsv").lines();
        let count = lines.filter(|line| !line.starts_with('#')).count();
        assert_eq!(all().len(), count);
        for known in all() {
            assert!(is_part(known.name) && is_part(known.tag), "{known:?}");
            assert!(HubName::parse(known.repo).is_some(), "{known:?}");
            assert!(known.file.ends_with(".gguf") && known.bytes > 100_000_000, "{known:?}");
            let name = format!("{}:{}", known.name, known.tag);
            let found = find(&Short::parse(&name).expect("a name")).expect("a line").0;
            assert_eq!(found, *known, "a name stands for one line");
        }
    }

    #[test]
    fn models_that_people_name_are_known() {
        let families = "qwen3:0.6b 4b 8b 14b 30b-a3b 235b-a22b 4b-instruct; qwen3.5:9b 27b 35b-a3b \
                        122b-a10b; qwen2.5:72b; qwen2.5-coder:14b 32b; llama3.2:3b; llama3.1:8b \
                        70b 405b; llama3.3:70b; llama2:7b; gemma3:12b; gemma4:26b-a4b; \
                        mistral-small:22b; mistral-large:123b; codestral:22b; devstral:24b; \
                        mixtral:8x7b 8x22b; phi4:14b; phi3:3.8b; gpt-oss:20b 120b; \
                        deepseek-r1:14b 671b; deepseek-v3:671b; deepseek-v3.1:671b; \
                        deepseek-coder-v2:16b; kimi-k2:1t; kimi-k2.5:1t; minimax-m2:230b; \
                        command-a:111b; llava:7b; qwen2-vl:7b";
        for family in families.split("; ") {
            let (name, tags) = family.split_once(':').expect("a family");
            for tag in tags.split_whitespace() {
                let short = Short::parse(&format!("{name}:{tag}")).expect("a name");
                assert!(find(&short).is_some(), "{name}:{tag}");
            }
        }
    }

    #[test]
    fn sizes_are_near_what_the_parameters_make() {
        // 4 to 6.3 bits a weight; a tag of one number says how many billions there are.
        for known in all() {
            let Some(billions) = known.tag.strip_suffix('b').and_then(|n| n.parse::<f64>().ok())
            else {
                continue;
            };
            let bits = known.bytes as f64 * 8.0 / (billions * 1e9);
            assert!((4.0..6.7).contains(&bits), "{}:{}: {bits}", known.name, known.tag);
        }
    }

    #[test]
    fn a_quantization_may_follow() {
        let find = |name: &str| find(&Short::parse(name).expect("a name"));
        let (known, hub) = find("qwen3:0.6b-q6_k").expect("a line");
        assert_eq!((known.tag, hub.quant.as_deref()), ("0.6b", Some("q6_k")));
        assert_eq!(find("qwen3:0.6b:Q8_0").expect("a line").1.quant.as_deref(), Some("Q8_0"));
        assert_eq!(find("qwen3").expect("a line").0.tag, "0.6b");
        assert_eq!(find("qwen3:30b-a3b").expect("a line").0.tag, "30b-a3b");
        assert_eq!(find("qwen3:99b"), None);
        assert!(unknown(&Short::parse("qwen:9b").expect("a name")).to_string().contains("qwen3"));
    }
}
