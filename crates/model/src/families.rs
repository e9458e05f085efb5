//! The families: each a function of a few lines that says how it differs from an earlier one.
//!
//! These tables are the only place, with the name rows of the loader, where families are named.

mod base;
mod dense;
mod gemma;
mod hybrid;
pub mod inside;
mod latent;
mod memory;
mod mixed;
mod rope;

use crate::meta::{Meta, SpecError, Value};
use crate::spec::Spec;

/// How a family is found and described.
pub struct Family {
    /// GGUF's `general.architecture`.
    pub gguf: &'static str,
    /// Hugging Face's `architectures[0]`.
    pub hugging_face: &'static str,
    /// What Hugging Face's configuration class assumes for keys that a config.json leaves out.
    pub defaults: &'static [(&'static str, Value)],
    /// Which of the keys that change the result, and that most families lack, it understands.
    pub reads: &'static [&'static str],
    describe: fn(&Meta) -> Result<Spec, SpecError>,
}

/// Keys that change the result where a family understands them, and the number that means that
/// nothing changes; false and an empty list mean it too. A family that does not understand such a
/// key refuses files that set it.
const SPECIAL: &[(&str, f64)] = &[
    ("attn_by_layer", 0.0),
    ("attn_cap", 0.0),
    ("attn_multiplier", 0.0),
    ("chunk", 0.0),
    ("delta.v_heads", 0.0),
    ("double_wide", 0.0),
    ("embed_multiplier", 1.0),
    ("experts", 0.0),
    ("k_eq_v", 0.0),
    ("kv_shared", 0.0),
    ("latent.kv_rank", 0.0),
    ("layer_width", 0.0),
    ("logit_cap", 0.0),
    ("logit_divisor", 1.0),
    ("logit_scale", 1.0),
    ("no_rope_layers", 1.0),
    ("qk_norm", 0.0),
    ("query_scale", 0.0),
    ("residual_multiplier", 1.0),
    ("temperature", 0.0),
    ("tuning", 0.0),
];

/// Every family that Russet runs.
pub const FAMILIES: &[Family] = &[
    Family {
        gguf: "llama",
        hugging_face: "LlamaForCausalLM",
        defaults: &[("norm_eps", EPS), ("context", Value::Int(2048))],
        reads: &[],
        describe: base::llama,
    },
    Family {
        gguf: "mistral",
        hugging_face: "MistralForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(8)),
            ("norm_eps", EPS),
            ("context", Value::Int(131_072)),
            ("window", Value::Int(4096)),
        ],
        reads: &[],
        describe: dense::mistral,
    },
    Family {
        gguf: "mistral3",
        hugging_face: "Ministral3ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(8)),
            ("head_dim", Value::Int(128)),
            ("norm_eps", EPS_5),
            ("context", Value::Int(262_144)),
        ],
        reads: &["temperature"],
        describe: dense::ministral3,
    },
    Family {
        gguf: "mixtral",
        hugging_face: "MixtralForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(8)),
            ("norm_eps", EPS_5),
            ("context", Value::Int(131_072)),
            ("experts", Value::Int(8)),
            ("experts_active", Value::Int(2)),
        ],
        reads: &["experts"],
        describe: mixed::mixtral,
    },
    Family {
        gguf: "qwen2",
        hugging_face: "Qwen2ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(32)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("window", Value::Int(4096)),
            ("window_from_layer", Value::Int(28)),
        ],
        reads: &[],
        describe: dense::qwen2,
    },
    Family {
        gguf: "qwen2moe",
        hugging_face: "Qwen2MoeForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(16)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("window", Value::Int(4096)),
            ("window_from_layer", Value::Int(28)),
            ("experts", Value::Int(60)),
            ("experts_active", Value::Int(4)),
            ("expert_dim", Value::Int(1408)),
            ("shared_dim", Value::Int(5632)),
            ("normalize_weights", Value::Bool(false)),
        ],
        reads: &["experts"],
        describe: mixed::qwen2_moe,
    },
    Family {
        gguf: "qwen3",
        hugging_face: "Qwen3ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(32)),
            ("head_dim", Value::Int(128)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("window", Value::Int(4096)),
            ("window_from_layer", Value::Int(28)),
        ],
        reads: &[],
        describe: dense::qwen3,
    },
    Family {
        gguf: "qwen3moe",
        hugging_face: "Qwen3MoeForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(4)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("window", Value::Int(4096)),
            ("experts", Value::Int(128)),
            ("experts_active", Value::Int(8)),
            ("expert_dim", Value::Int(768)),
            ("normalize_weights", Value::Bool(false)),
        ],
        reads: &["experts"],
        describe: mixed::qwen3_moe,
    },
    Family {
        gguf: "phi3",
        hugging_face: "Phi3ForCausalLM",
        defaults: &[
            ("norm_eps", EPS_5),
            ("context", Value::Int(4096)),
            ("rope_scaling.original", Value::Int(4096)),
        ],
        reads: &[],
        describe: dense::phi3,
    },
    Family {
        gguf: "olmo2",
        hugging_face: "Olmo2ForCausalLM",
        defaults: &[("norm_eps", EPS_5), ("context", Value::Int(2048))],
        reads: &[],
        describe: dense::olmo2,
    },
    Family {
        gguf: "smollm3",
        hugging_face: "SmolLM3ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(4)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("tied", Value::Bool(true)),
        ],
        reads: &["no_rope_layers"],
        describe: dense::smollm3,
    },
    Family {
        gguf: "granite",
        hugging_face: "GraniteForCausalLM",
        defaults: &[
            ("norm_eps", EPS),
            ("context", Value::Int(2048)),
            ("attn_multiplier", Value::Int(1)),
        ],
        reads: &["attn_multiplier", "embed_multiplier", "logit_divisor", "residual_multiplier"],
        describe: dense::granite,
    },
    Family {
        gguf: "command-r",
        hugging_face: "CohereForCausalLM",
        defaults: &[
            ("norm_eps", EPS_5),
            ("context", Value::Int(8192)),
            ("logit_scale", Value::Float(0.0625)),
            ("tied", Value::Bool(true)),
        ],
        reads: &["logit_scale", "qk_norm"],
        describe: dense::cohere,
    },
    Family {
        gguf: "cohere2",
        hugging_face: "Cohere2ForCausalLM",
        defaults: &[
            ("norm_eps", EPS_5),
            ("context", Value::Int(8192)),
            ("logit_scale", Value::Float(0.0625)),
            ("window", Value::Int(4096)),
            ("tied", Value::Bool(true)),
        ],
        reads: &["logit_scale"],
        describe: dense::cohere2,
    },
    Family {
        gguf: "gpt2",
        hugging_face: "GPT2LMHeadModel",
        defaults: &[
            ("norm_eps", EPS_5),
            ("context", Value::Int(1024)),
            ("tied", Value::Bool(true)),
        ],
        reads: &["attn_by_layer"],
        describe: dense::gpt2,
    },
    Family {
        gguf: "gemma2",
        hugging_face: "Gemma2ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(4)),
            ("head_dim", Value::Int(256)),
            ("norm_eps", EPS),
            ("context", Value::Int(8192)),
            ("window", Value::Int(4096)),
            ("query_scale", Value::Int(256)),
            ("attn_cap", Value::Int(50)),
            ("logit_cap", Value::Int(30)),
            ("tied", Value::Bool(true)),
        ],
        reads: &["attn_cap", "logit_cap", "query_scale"],
        describe: gemma::gemma2,
    },
    Family {
        gguf: "gemma3",
        hugging_face: "Gemma3ForCausalLM",
        defaults: &[
            ("vocab", Value::Int(262_208)),
            ("heads", Value::Int(8)),
            ("kv_heads", Value::Int(4)),
            ("head_dim", Value::Int(256)),
            ("norm_eps", EPS),
            ("context", Value::Int(131_072)),
            ("window", Value::Int(4096)),
            ("query_scale", Value::Int(256)),
            ("rope_theta", Value::Int(1_000_000)),
            ("local.rope_theta", Value::Int(10_000)),
            ("tied", Value::Bool(true)),
        ],
        reads: &["attn_cap", "logit_cap", "query_scale"],
        describe: gemma::gemma3,
    },
    Family {
        gguf: "gpt-oss",
        hugging_face: "GptOssForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(8)),
            ("head_dim", Value::Int(64)),
            ("norm_eps", EPS_5),
            ("context", Value::Int(131_072)),
            ("window", Value::Int(128)),
            ("experts", Value::Int(128)),
            ("experts_active", Value::Int(4)),
        ],
        reads: &["experts"],
        describe: mixed::gpt_oss,
    },
    Family {
        gguf: "minimax-m2",
        hugging_face: "MiniMaxM2ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(8)),
            ("head_dim", Value::Int(128)),
            ("norm_eps", EPS),
            ("context", Value::Int(196_608)),
            ("experts", Value::Int(256)),
            ("experts_active", Value::Int(8)),
        ],
        reads: &["experts", "qk_norm"],
        describe: mixed::minimax_m2,
    },
    Family {
        gguf: "glm4moe",
        hugging_face: "Glm4MoeForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(8)),
            ("norm_eps", EPS_5),
            ("context", Value::Int(131_072)),
            ("partial_rotary", Value::Float(0.5)),
            ("experts", Value::Int(128)),
            ("experts_active", Value::Int(8)),
            ("expert_dim", Value::Int(1408)),
            ("shared_count", Value::Int(1)),
            ("dense_layers", Value::Int(1)),
        ],
        reads: &["experts", "qk_norm"],
        describe: mixed::glm4_moe,
    },
    Family {
        gguf: "llama4",
        hugging_face: "Llama4ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(8)),
            ("head_dim", Value::Int(128)),
            ("norm_eps", EPS_5),
            ("context", Value::Int(131_072)),
            ("chunk", Value::Int(8192)),
            ("experts", Value::Int(16)),
            ("experts_active", Value::Int(1)),
            ("mlp_dim", Value::Int(16_384)),
        ],
        reads: &["chunk", "experts", "no_rope_layers", "qk_norm", "tuning"],
        describe: mixed::llama4,
    },
    Family {
        gguf: "gemma4",
        hugging_face: "Gemma4ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(4)),
            ("head_dim", Value::Int(256)),
            ("global.head_dim", Value::Int(512)),
            ("norm_eps", EPS),
            ("context", Value::Int(131_072)),
            ("window", Value::Int(512)),
            ("rope_theta", Value::Int(1_000_000)),
            ("local.rope_theta", Value::Int(10_000)),
            ("layer_width", Value::Int(256)),
            ("tied", Value::Bool(true)),
        ],
        reads: &["double_wide", "experts", "k_eq_v", "kv_shared", "layer_width", "logit_cap"],
        describe: gemma::gemma4,
    },
    Family {
        gguf: "deepseek2",
        hugging_face: "DeepseekV3ForCausalLM",
        defaults: &[
            ("norm_eps", EPS),
            ("context", Value::Int(4096)),
            ("experts", Value::Int(256)),
            ("experts_active", Value::Int(8)),
            ("expert_dim", Value::Int(2048)),
            ("expert_groups", Value::Int(8)),
            ("expert_groups_kept", Value::Int(4)),
            ("shared_count", Value::Int(1)),
            ("dense_layers", Value::Int(3)),
            ("weights_scale", Value::Float(2.5)),
            ("latent.q_rank", Value::Int(1536)),
            ("latent.kv_rank", Value::Int(512)),
            ("latent.plain", Value::Int(128)),
            ("latent.rotated", Value::Int(64)),
            ("latent.v_dim", Value::Int(128)),
            ("rope_interleaved", Value::Bool(true)),
        ],
        reads: &["experts", "latent.kv_rank"],
        describe: latent::deepseek_v3,
    },
    Family {
        gguf: "deepseek2",
        hugging_face: "DeepseekV2ForCausalLM",
        defaults: &[
            ("norm_eps", EPS),
            ("context", Value::Int(2048)),
            ("experts", Value::Int(64)),
            ("expert_dim", Value::Int(1407)),
            ("shared_count", Value::Int(2)),
            ("latent.q_rank", Value::Int(1536)),
            ("latent.kv_rank", Value::Int(512)),
            ("latent.plain", Value::Int(128)),
            ("latent.rotated", Value::Int(64)),
            ("latent.v_dim", Value::Int(128)),
            ("rope_interleaved", Value::Bool(true)),
        ],
        reads: &["experts", "latent.kv_rank"],
        describe: latent::deepseek_v2,
    },
    Family {
        gguf: "qwen35",
        hugging_face: "Qwen3_5ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(4)),
            ("head_dim", Value::Int(256)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("partial_rotary", Value::Float(0.25)),
            ("delta.kernel", Value::Int(4)),
            ("delta.k_dim", Value::Int(128)),
            ("delta.v_dim", Value::Int(128)),
            ("delta.k_heads", Value::Int(16)),
            ("delta.v_heads", Value::Int(32)),
        ],
        reads: &["delta.v_heads"],
        describe: hybrid::qwen3_5,
    },
    Family {
        gguf: "qwen35moe",
        hugging_face: "Qwen3_5MoeForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(2)),
            ("head_dim", Value::Int(256)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("partial_rotary", Value::Float(0.25)),
            ("delta.kernel", Value::Int(4)),
            ("delta.k_dim", Value::Int(128)),
            ("delta.v_dim", Value::Int(128)),
            ("delta.k_heads", Value::Int(16)),
            ("delta.v_heads", Value::Int(32)),
            ("experts", Value::Int(256)),
            ("experts_active", Value::Int(8)),
            ("expert_dim", Value::Int(512)),
            ("shared_dim", Value::Int(512)),
        ],
        reads: &["delta.v_heads", "experts"],
        describe: hybrid::qwen3_next,
    },
    Family {
        gguf: "qwen3next",
        hugging_face: "Qwen3NextForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(2)),
            ("head_dim", Value::Int(256)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("partial_rotary", Value::Float(0.25)),
            ("delta.kernel", Value::Int(4)),
            ("delta.k_dim", Value::Int(128)),
            ("delta.v_dim", Value::Int(128)),
            ("delta.k_heads", Value::Int(16)),
            ("delta.v_heads", Value::Int(32)),
            ("experts", Value::Int(512)),
            ("experts_active", Value::Int(10)),
            ("expert_dim", Value::Int(512)),
            ("shared_dim", Value::Int(512)),
        ],
        reads: &["delta.v_heads", "experts"],
        describe: hybrid::qwen3_next,
    },
];

const EPS: Value = Value::Float(1e-6);
const EPS_5: Value = Value::Float(1e-5);

/// The family that a GGUF architecture or a Hugging Face class name means.
pub fn family(name: &str) -> Result<&'static Family, SpecError> {
    let named = |f: &&Family| f.gguf == name || f.hugging_face == name;
    FAMILIES.iter().find(named).ok_or_else(|| SpecError::UnknownFamily(name.to_owned()))
}

/// Describes the model that `meta` belongs to; its key `family` names the family.
///
/// # Errors
/// Names the key that is missing, out of range or not supported.
pub fn describe(meta: &Meta) -> Result<Spec, SpecError> {
    let name = meta.opt_text("family")?.ok_or_else(|| SpecError::Missing("family".into()))?;
    let family = family(name)?;
    for (key, neutral) in SPECIAL.iter().filter(|(key, _)| !family.reads.contains(key)) {
        if meta.get(key).is_some_and(|value| !is_neutral(value, *neutral)) {
            return Err(meta.unsupported(key));
        }
    }
    let mut spec = memory::add((family.describe)(meta)?, meta)?;
    spec.family = family.gguf;
    Ok(spec)
}

/// Whether a value says that nothing changes.
fn is_neutral(value: &Value, neutral: f64) -> bool {
    match value {
        Value::Bool(on) => !on,
        Value::Int(number) => *number as f64 == neutral,
        Value::Float(number) => *number == neutral,
        Value::List(items) => items.iter().all(|item| is_neutral(item, neutral)),
        Value::Text(_) => false,
    }
}
