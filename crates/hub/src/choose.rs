//! Which quantization to take: what fits in memory, by bytes alone.
//!
//! The rules are those of thumb that hold across families: Q4_K_M loses little, Q6_K next to
//! nothing; a step takes as long as the weights have bytes, so more than that is not worth its
//! time. Nothing here knows a model's shape.

use crate::HubError;
use crate::variants::Variant;

/// Taken unless memory is spare or short; the second where the first is not published.
const USUAL: [&str; 2] = ["Q4_K_M", "Q4_K_XL"];
/// Taken where memory is spare, the best first.
const SPARE: [&str; 2] = ["Q6_K", "Q5_K_M"];
/// Taken where nothing is as it usually is: quantizations made for every tensor alike come last.
const ODD: [&str; 3] = ["F32", "F16", "BF16"];

/// A choice and why, in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which of the variants.
    pub index: usize,
    /// Why that one.
    pub why: String,
}

/// Bytes that a model of `file` bytes occupies with keys and values for a modest context and the
/// buffers of a step: a fifth more than its weights.
pub fn needed_bytes(file: u64) -> u64 {
    file + file / 5
}

/// Bytes of memory that a model may take: the rest is the system's and other programs'.
pub fn usable_bytes(memory: u64) -> u64 {
    memory / 10 * 7
}

/// Whether a model of `file` bytes fits in `memory` bytes; where that is unknown (0) it does.
pub fn fits(file: u64, memory: u64) -> bool {
    memory == 0 || needed_bytes(file) <= usable_bytes(memory)
}

/// Chooses among variants, which are sorted by size.
///
/// # Errors
/// Where `asked` is none of them, or there are none.
pub fn choose(
    what: &str,
    variants: &[Variant],
    asked: Option<&str>,
    memory: u64,
) -> Result<Choice, HubError> {
    let whole: Vec<usize> = (0..variants.len()).filter(|&i| variants[i].whole).collect();
    let (Some(&least), Some(&most)) = (whole.first(), whole.last()) else {
        let hint = "it has no GGUF file and no config.json with model*.safetensors; look for a \
                    repository of the model whose name ends in GGUF, or one of mlx-community";
        return Err(HubError::NoModel { repo: what.to_owned(), hint: hint.to_owned() });
    };
    if let Some(asked) = asked {
        return named(what, variants, &whole, asked);
    }
    let choice = |index: usize, why: String| Ok(Choice { index, why });
    if least == most {
        return choice(least, "it is the only one".to_owned());
    }
    let find = |quant: &str| {
        let mut same = whole.iter().copied().filter(|&i| plain(&variants[i].quant) == quant);
        same.find(|&i| fits(variants[i].bytes, memory))
    };
    let size = |index: usize| gib(needed_bytes(variants[index].bytes));
    let spare = |index: usize| memory > 0 && needed_bytes(variants[index].bytes) <= memory / 4;
    if let Some(index) = SPARE.iter().find_map(|quant| find(quant).filter(|&i| spare(i))) {
        let why = format!(
            "memory is spare: about {} of {} with it, and it loses less than {}",
            size(index),
            gib(memory),
            USUAL[0]
        );
        return choice(index, why);
    }
    if let Some(index) = USUAL.iter().find_map(|quant| find(quant)) {
        let why =
            format!("it is the usual balance of size and quality, and fits ({})", size(index));
        return choice(index, why);
    }
    let of_quant =
        |quant: &&str| whole.iter().copied().find(|&i| plain(&variants[i].quant) == *quant);
    let usual = USUAL.iter().find_map(of_quant);
    let limit = usual.map_or(u64::MAX, |i| variants[i].bytes);
    let is_odd = |i: usize| ODD.contains(&variants[i].quant.as_str());
    let mut rest: Vec<usize> =
        whole.iter().copied().filter(|&i| variants[i].bytes <= limit).collect();
    rest.sort_by_key(|&i| (is_odd(i), std::cmp::Reverse(variants[i].bytes)));
    match rest.into_iter().find(|&i| fits(variants[i].bytes, memory)) {
        Some(index) if usual.is_some() => {
            let why =
                format!("{} does not fit in {}; this is the best that does", USUAL[0], gib(memory));
            choice(index, why)
        }
        Some(index) => {
            choice(index, format!("there is no {}; this is the best that fits", USUAL[0]))
        }
        None => {
            let why = format!(
                "none fits: even the smallest needs about {} of {}; it will be slow",
                size(least),
                gib(memory)
            );
            choice(least, why)
        }
    }
}

/// The quantization without the mark of a variant that gives some tensors more bits.
fn plain(quant: &str) -> &str {
    quant.strip_prefix("UD-").unwrap_or(quant)
}

/// The variant that was asked for by quantization or by file.
fn named(
    what: &str,
    variants: &[Variant],
    whole: &[usize],
    asked: &str,
) -> Result<Choice, HubError> {
    let is_asked = |variant: &Variant| {
        let is_file = |path: &String| path.rsplit('/').next().is_some_and(|file| file == asked);
        variant.quant.eq_ignore_ascii_case(asked) || variant.files.iter().any(is_file)
    };
    let found = whole.iter().copied().find(|&index| is_asked(&variants[index]));
    found.map(|index| Choice { index, why: "you asked for it".to_owned() }).ok_or_else(|| {
        let all: Vec<&str> = whole.iter().map(|&i| variants[i].quant.as_str()).collect();
        let hint = format!("there is no `{asked}`; it has {}", all.join(", "));
        HubError::NoModel { repo: what.to_owned(), hint }
    })
}

/// Bytes in GiB, to one digit.
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn variants(list: &[(&str, u64)]) -> Vec<Variant> {
        let variant = |(quant, bytes): &(&str, u64)| Variant {
            quant: (*quant).to_owned(),
            files: vec![format!("m-{quant}.gguf")],
            bytes: *bytes,
            whole: true,
        };
        list.iter().map(variant).collect()
    }

    /// Llama 3.1 8B as it is published.
    fn eight_billion() -> Vec<Variant> {
        variants(&[
            ("Q2_K", 3_179_000_000),
            ("Q3_K_M", 4_018_000_000),
            ("Q4_K_M", 4_920_000_000),
            ("Q5_K_M", 5_732_000_000),
            ("Q6_K", 6_596_000_000),
            ("Q8_0", 8_540_000_000),
            ("F16", 16_068_000_000),
        ])
    }

    #[test]
    fn memory_decides() {
        let all = eight_billion();
        for (gib, expected) in [
            (4, "Q2_K"),
            (6, "Q2_K"),
            (7, "Q3_K_M"),
            (8, "Q4_K_M"),
            (16, "Q4_K_M"),
            (28, "Q5_K_M"),
            (64, "Q6_K"),
        ] {
            let choice = choose("m", &all, None, gib * GIB).expect("a choice");
            assert_eq!(all[choice.index].quant, expected, "{gib} GiB: {}", choice.why);
        }
        let choice = choose("m", &all, None, 4 * GIB).expect("a choice");
        assert!(choice.why.contains("slow"), "{}", choice.why);
    }

    #[test]
    fn what_is_asked_for_is_taken() {
        let all = eight_billion();
        for asked in ["q8_0", "Q8_0", "m-Q8_0.gguf"] {
            assert_eq!(choose("m", &all, Some(asked), GIB).expect("a choice").index, 5);
        }
        let error = choose("m", &all, Some("Q9"), GIB).expect_err("no such").to_string();
        assert!(error.contains("Q9") && error.contains("Q4_K_M"), "{error}");
    }

    #[test]
    fn a_repository_without_the_usual_one_still_serves() {
        let all = variants(&[("Q8_0", GIB), ("F16", 2 * GIB)]);
        assert_eq!(choose("m", &all, None, 64 * GIB).expect("a choice").index, 0);
        let marked = variants(&[("UD-Q4_K_M", 16 * GIB), ("Q8_0", 26 * GIB)]);
        assert_eq!(choose("m", &marked, None, 40 * GIB).expect("a choice").index, 0);
        let marked = variants(&[("UD-Q4_K_XL", 16 * GIB), ("UD-Q8_K_XL", 29 * GIB)]);
        assert_eq!(choose("m", &marked, None, 60 * GIB).expect("a choice").index, 0);
        let only = variants(&[("MXFP4", 12 * GIB)]);
        assert_eq!(choose("m", &only, None, 4 * GIB).expect("a choice").index, 0);
        assert!(choose("m", &[], None, GIB).is_err());
    }

    #[test]
    fn unknown_memory_refuses_nothing() {
        let all = eight_billion();
        assert_eq!(all[choose("m", &all, None, 0).expect("a choice").index].quant, "Q4_K_M");
    }
}
