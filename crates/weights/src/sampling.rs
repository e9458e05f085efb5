//! How a model's authors want it sampled.

use std::path::Path;

use serde_json::Value;

use crate::side::read_bounded;
use crate::{Gguf, WeightError};

/// The settings that a model's files name; `None` where they say nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingDefaults {
    /// Temperature; 0 means the likeliest token.
    pub temperature: Option<f32>,
    /// Tokens to choose among.
    pub top_k: Option<u32>,
    /// Probability mass to choose among.
    pub top_p: Option<f32>,
    /// Least probability relative to the likeliest.
    pub min_p: Option<f32>,
    /// Mass for locally typical sampling.
    pub typical_p: Option<f32>,
    /// Divisor on the scores of tokens that occurred.
    pub repeat_penalty: Option<f32>,
    /// How many tokens back that looks.
    pub repeat_last_n: Option<u32>,
    /// Probability of XTC.
    pub xtc_probability: Option<f32>,
    /// Threshold of XTC.
    pub xtc_threshold: Option<f32>,
    /// Mirostat's version.
    pub mirostat: Option<u32>,
    /// Mirostat's target surprise.
    pub mirostat_tau: Option<f32>,
    /// Mirostat's learning rate.
    pub mirostat_eta: Option<f32>,
    /// The file or key that each of these came from, in the order read.
    pub sources: Vec<String>,
}

const CONFIG_BYTES_MAX: u64 = 1 << 20;

impl SamplingDefaults {
    /// What the keys `general.sampling.*` of a GGUF file say.
    pub fn from_gguf(gguf: &Gguf) -> SamplingDefaults {
        SamplingDefaults::read(|theirs, _| {
            let key = format!("general.sampling.{theirs}");
            gguf.get(&key)?.float().map(|value| (value, key))
        })
    }

    /// What a `generation_config.json` says.
    ///
    /// # Errors
    /// Where the file is no JSON object.
    pub fn from_file(path: &Path) -> Result<SamplingDefaults, WeightError> {
        let bytes = read_bounded(path, CONFIG_BYTES_MAX)?;
        let config: Value = serde_json::from_slice(&bytes).map_err(|e| {
            WeightError::damaged(&path.display().to_string(), format!("this is no JSON: {e}"))
        })?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let found = SamplingDefaults::read(|_, theirs| {
            Some((config.get(theirs)?.as_f64()?, format!("{file}: {theirs}")))
        });
        // A model that is not to be sampled has settings that transformers does not look at.
        if config.get("do_sample") == Some(&Value::Bool(false)) {
            let sources = vec![format!("{file}: do_sample")];
            let repeat_penalty = found.repeat_penalty;
            let temperature = Some(0.0);
            return Ok(SamplingDefaults {
                temperature,
                repeat_penalty,
                sources,
                ..Self::default()
            });
        }
        Ok(found)
    }

    /// Asks for each setting by its name in GGUF files and in Hugging Face's.
    fn read(find: impl Fn(&str, &str) -> Option<(f64, String)>) -> SamplingDefaults {
        let mut sources = Vec::new();
        let mut get = |gguf: &str, hugging_face: &str| {
            let (value, source) =
                find(gguf, hugging_face).filter(|(value, _)| value.is_finite())?;
            sources.push(source);
            Some(value)
        };
        // A negative number of tokens back means all of them.
        let back = |x: f64| if x < 0.0 { u32::MAX } else { x as u32 };
        let found = SamplingDefaults {
            temperature: get("temp", "temperature").map(|x| x as f32),
            top_k: get("top_k", "top_k").map(|x| x as u32),
            top_p: get("top_p", "top_p").map(|x| x as f32),
            min_p: get("min_p", "min_p").map(|x| x as f32),
            typical_p: get("typical_p", "typical_p").map(|x| x as f32),
            repeat_penalty: get("penalty_repeat", "repetition_penalty").map(|x| x as f32),
            repeat_last_n: get("penalty_last_n", "repetition_last_n").map(back),
            xtc_probability: get("xtc_probability", "xtc_probability").map(|x| x as f32),
            xtc_threshold: get("xtc_threshold", "xtc_threshold").map(|x| x as f32),
            mirostat: get("mirostat", "mirostat").map(|x| x as u32),
            mirostat_tau: get("mirostat_tau", "mirostat_tau").map(|x| x as f32),
            mirostat_eta: get("mirostat_eta", "mirostat_eta").map(|x| x as f32),
            sources: Vec::new(),
        };
        SamplingDefaults { sources, ..found }
    }
}
