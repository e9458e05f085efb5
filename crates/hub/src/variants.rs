//! The variants of a model among a directory's or a repository's files: one for each quantization,
//! of one GGUF file or several parts, or the tensors of a Hugging Face directory.

use std::collections::BTreeMap;

/// A file: its path with forward slashes, and its bytes.
pub type Entry = (String, u64);

/// One way to have a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The quantization, in capitals; empty where the files' names do not say.
    pub quant: String,
    /// Paths of its files, in order; a split set has several.
    pub files: Vec<String>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Whether every part is there.
    pub whole: bool,
}

/// The GGUF variants, the smallest first. Projectors are none.
pub fn gguf(files: &[Entry]) -> Vec<Variant> {
    let mut sets: BTreeMap<String, (Option<u32>, Vec<&Entry>)> = BTreeMap::new();
    for entry in files.iter().filter(|(path, _)| is_model(path)) {
        let (stem, count) = match part_of(&entry.0) {
            Some((stem, _, count)) => (stem.to_owned(), Some(count)),
            None => (stem(&entry.0).to_owned(), None),
        };
        let set = sets.entry(stem).or_insert((count, Vec::new()));
        set.1.push(entry);
    }
    let variant = |(stem, (count, mut parts)): (String, (Option<u32>, Vec<&Entry>))| {
        parts.sort();
        Variant {
            quant: quant(&stem).unwrap_or_default(),
            bytes: parts.iter().map(|(_, bytes)| bytes).sum(),
            whole: count.is_none_or(|count| parts.len() == count as usize),
            files: parts.into_iter().map(|(path, _)| path.clone()).collect(),
        }
    };
    let mut variants: Vec<Variant> = sets.into_iter().map(variant).collect();
    variants.sort_by(|a, b| (a.bytes, &a.files).cmp(&(b.bytes, &b.files)));
    variants
}

/// The files of a Hugging Face directory that a model needs; none where it has no safetensors.
pub fn safetensors(files: &[Entry]) -> Option<Variant> {
    let has = |name: &str| files.iter().any(|(path, _)| path == name);
    let is_weights = |path: &str| {
        !path.contains('/') && path.starts_with("model") && path.ends_with(".safetensors")
    };
    if !has("config.json") || !files.iter().any(|(path, _)| is_weights(path)) {
        return None;
    }
    let wanted = |path: &str| is_weights(path) || is_side_file(path);
    let chosen: Vec<&Entry> = files.iter().filter(|(path, _)| wanted(path)).collect();
    let shards: Vec<&str> =
        chosen.iter().map(|(path, _)| path.as_str()).filter(|path| is_weights(path)).collect();
    let expected = shards.iter().find_map(|path| shard_count(path)).unwrap_or(1);
    Some(Variant {
        quant: String::new(),
        bytes: chosen.iter().map(|(_, bytes)| bytes).sum(),
        whole: shards.len() >= expected,
        files: chosen.into_iter().map(|(path, _)| path.clone()).collect(),
    })
}

/// The projector that lets a GGUF model see, if there is one: f16 where there are several.
pub fn projector(files: &[Entry]) -> Option<&Entry> {
    let rank = |path: &str| match quant(stem(path)).as_deref() {
        Some("F16") => 0,
        Some("BF16") => 1,
        _ => 2,
    };
    let all = files.iter().filter(|(path, _)| is_projector(path));
    all.min_by_key(|(path, bytes)| (rank(path), *bytes))
}

/// Files beside the weights of a Hugging Face directory: configuration, tokenizer, templates.
fn is_side_file(path: &str) -> bool {
    const NAMES: [&str; 13] = [
        "config.json",
        "hf_quant_config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "chat_template.jinja",
        "chat_template.json",
        "model.safetensors.index.json",
    ];
    const MORE: [&str; 2] = ["preprocessor_config.json", "processor_config.json"];
    let template = path
        .strip_prefix("additional_chat_templates/")
        .is_some_and(|name| !name.contains('/') && name.ends_with(".jinja"));
    NAMES.contains(&path) || MORE.contains(&path) || template
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_gguf(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".gguf")
}

/// Whether a file is a projector and no model of its own.
pub fn is_projector(path: &str) -> bool {
    is_gguf(path) && file_name(path).to_ascii_lowercase().contains("mmproj")
}

fn is_model(path: &str) -> bool {
    // Tables of importance share the ending and are no models either.
    is_gguf(path)
        && !is_projector(path)
        && !file_name(path).to_ascii_lowercase().contains("imatrix")
}

fn stem(path: &str) -> &str {
    let end = path.len() - ".gguf".len().min(path.len());
    if is_gguf(path) { &path[..end] } else { path }
}

/// The common beginning, number and count of a part named `...-00001-of-00003.gguf`.
fn part_of(path: &str) -> Option<(&str, u32, u32)> {
    let (rest, count) = stem(path).rsplit_once("-of-")?;
    let (rest, number) = rest.rsplit_once('-')?;
    let number_of = |text: &str| (text.len() == 5).then(|| text.parse().ok()).flatten();
    Some((rest, number_of(number)?, number_of(count)?))
}

/// The count in `model-00001-of-00003.safetensors`.
fn shard_count(path: &str) -> Option<usize> {
    let (_, count) = path.strip_suffix(".safetensors")?.rsplit_once("-of-")?;
    count.parse().ok()
}

/// The quantization that a file's name ends in, as `Q4_K_M`, `UD-Q4_K_XL` or `F16`. Where the name
/// has none, the directory's name may.
fn quant(stem: &str) -> Option<String> {
    stem.rsplit('/').find_map(|part| {
        let words: Vec<&str> = part.split(['-', '.']).collect();
        let at = words.iter().rposition(|word| is_quant(word))?;
        let unsloth = at > 0 && words[at - 1].eq_ignore_ascii_case("UD");
        let word = words[at].to_ascii_uppercase();
        Some(if unsloth { format!("UD-{word}") } else { word })
    })
}

/// Whether a word names a quantization.
pub fn is_quant(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    let of_bits = |rest: &str| {
        let mut chars = rest.chars();
        let digit = chars.next().is_some_and(|c| c.is_ascii_digit());
        let rest = chars.as_str();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        digit && (rest.is_empty() || rest.starts_with('_')) && rest.chars().all(plain)
    };
    ["F32", "F16", "BF16", "FP16", "MXFP4", "MXFP4_MOE", "NVFP4"].contains(&word.as_str())
        || ["IQ", "TQ", "Q"].iter().any(|start| word.strip_prefix(start).is_some_and(of_bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(&str, u64)]) -> Vec<Entry> {
        list.iter().map(|(path, bytes)| ((*path).to_owned(), *bytes)).collect()
    }

    #[test]
    fn names_of_files_say_their_quantization() {
        for (file, expected) in [
            ("Qwen3-0.6B-Q4_K_M", Some("Q4_K_M")),
            ("Qwen3-0.6B-UD-Q4_K_XL", Some("UD-Q4_K_XL")),
            ("mixtral-8x7b-instruct-v0.1.Q4_K_M", Some("Q4_K_M")),
            ("qwen3-0.6b-iq2_xxs", Some("IQ2_XXS")),
            ("gpt-oss-20b-mxfp4", Some("MXFP4")),
            ("model-BF16", Some("BF16")),
            ("Q8_0/DeepSeek-R1", Some("Q8_0")),
            ("Qwen3-8B", None),
            ("quite-a-model", None),
        ] {
            assert_eq!(quant(file).as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn parts_are_one_variant_and_projectors_are_none() {
        let files = entries(&[
            ("Q8_0/big-Q8_0-00002-of-00002.gguf", 5),
            ("Q8_0/big-Q8_0-00001-of-00002.gguf", 7),
            ("big-Q4_K_M.gguf", 6),
            ("big-Q2_K-00001-of-00003.gguf", 1),
            ("mmproj-F32.gguf", 2),
            ("mmproj-F16.gguf", 3),
            ("imatrix_unsloth.gguf", 1),
            ("README.md", 1),
        ]);
        let variants = gguf(&files);
        let quants: Vec<_> = variants.iter().map(|v| (v.quant.as_str(), v.bytes)).collect();
        assert_eq!(quants, [("Q2_K", 1), ("Q4_K_M", 6), ("Q8_0", 12)]);
        assert!(variants[2].whole && !variants[0].whole);
        assert!(variants[2].files[0].ends_with("00001-of-00002.gguf"));
        assert_eq!(projector(&files).map(|(path, _)| path.as_str()), Some("mmproj-F16.gguf"));
    }

    #[test]
    fn a_directory_needs_its_weights_and_what_belongs_to_them() {
        let files = entries(&[
            ("config.json", 1),
            ("model-00001-of-00002.safetensors", 10),
            ("model-00002-of-00002.safetensors", 10),
            ("original/consolidated.00.pth", 99),
            ("consolidated.safetensors", 99),
            ("pytorch_model.bin", 99),
            ("tokenizer.json", 1),
            ("additional_chat_templates/tool_use.jinja", 1),
            ("onnx/model.safetensors", 99),
        ]);
        let whole = safetensors(&files).expect("a model");
        assert_eq!((whole.bytes, whole.whole), (23, true));
        let part = safetensors(&files[..2]).expect("a model");
        assert!(!part.whole);
        assert!(safetensors(&files[1..]).is_none());
    }
}
