//! The keys of config.json: those with a meaning here, those without, and those that would change
//! the result in a way that this version does not know.

use serde_json::Value;

use super::Config;
use crate::WeightError;

/// Our key and transformers'.
pub const KEYS: &[(&str, &str)] = &[
    ("vocab", "vocab_size"),
    ("dim", "hidden_size"),
    ("layers", "num_hidden_layers"),
    ("heads", "num_attention_heads"),
    ("kv_heads", "num_key_value_heads"),
    ("head_dim", "head_dim"),
    ("ffn_dim", "intermediate_size"),
    ("context", "max_position_embeddings"),
    ("norm_eps", "rms_norm_eps"),
    ("act", "hidden_act"),
    ("tied", "tie_word_embeddings"),
    ("qkv_bias", "attention_bias"),
    ("mlp_bias", "mlp_bias"),
    ("window", "sliding_window"),
    ("use_window", "use_sliding_window"),
    ("window_from_layer", "max_window_layers"),
    ("layer_types", "layer_types"),
    ("rope_theta", "rope_theta"),
    ("partial_rotary", "partial_rotary_factor"),
    ("full_interval", "full_attention_interval"),
    ("latent.q_rank", "q_lora_rank"),
    ("latent.kv_rank", "kv_lora_rank"),
    ("latent.plain", "qk_nope_head_dim"),
    ("latent.rotated", "qk_rope_head_dim"),
    ("latent.v_dim", "v_head_dim"),
    ("rope_interleaved", "rope_interleave"),
    ("delta.kernel", "linear_conv_kernel_dim"),
    ("delta.k_dim", "linear_key_head_dim"),
    ("delta.v_dim", "linear_value_head_dim"),
    ("delta.k_heads", "linear_num_key_heads"),
    ("delta.v_heads", "linear_num_value_heads"),
];

/// Our key and transformers' within `rope_parameters` or `rope_scaling`. Where two rows have one
/// key, the later one wins.
pub const ROPE_KEYS: &[(&str, &str)] = &[
    ("rope_scaling", "type"),
    ("rope_scaling", "rope_type"),
    ("rope_theta", "rope_theta"),
    ("partial_rotary", "partial_rotary_factor"),
    ("rope_scaling.factor", "factor"),
    ("rope_scaling.original", "original_max_position_embeddings"),
    ("rope_scaling.attention", "attention_factor"),
    ("rope_scaling.low", "low_freq_factor"),
    ("rope_scaling.high", "high_freq_factor"),
    ("rope_scaling.beta_fast", "beta_fast"),
    ("rope_scaling.beta_slow", "beta_slow"),
    ("rope_scaling.mscale", "mscale"),
    ("rope_scaling.mscale_all_dim", "mscale_all_dim"),
    ("rope_scaling.truncate", "truncate"),
    ("rope_scaling.short", "short_factor"),
    ("rope_scaling.long", "long_factor"),
];

/// Keys within those that say nothing about the result.
pub const ROPE_HARMLESS: &[&str] =
    // Of the three positions that an image's rows have, those of text are equal.
    &["finetuned", "is_finetuned", "mrope_interleaved", "mrope_section"];

/// Keys that change the result of models of other kinds, and the number that means that they do
/// not; nothing, false and empty mean it too.
const CHANGING: &[(&str, f64)] = &[
    ("add_cross_attention", 0.0),
    ("alibi", 0.0),
    ("attention_chunk_size", 0.0),
    ("attention_multiplier", 0.0),
    ("attn_logit_softcapping", 0.0),
    ("attn_temperature_tuning", 0.0),
    ("clip_qkv", 0.0),
    ("embedding_multiplier", 1.0),
    ("final_logit_softcapping", 0.0),
    ("is_encoder_decoder", 0.0),
    ("logit_scale", 1.0),
    ("logits_scaling", 1.0),
    ("n_routed_experts", 0.0),
    ("no_rope_layers", 0.0),
    ("num_experts", 0.0),
    ("num_local_experts", 0.0),
    ("parallel_attn", 0.0),
    ("qk_layernorm", 0.0),
    ("qk_norm", 0.0),
    ("query_pre_attn_scalar", 0.0),
    ("residual_multiplier", 1.0),
    ("rope_interleaved", 0.0),
    ("scale_depth", 0.0),
    ("scale_emb", 1.0),
    ("use_alibi", 0.0),
    ("use_bidirectional_attention", 0.0),
    ("use_mrope", 0.0),
    ("use_parallel_residual", 0.0),
    ("use_qk_norm", 0.0),
];

/// Keys read elsewhere, or about training, generation and the programs that wrote the file.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "auto_map",
    "bos_token_id",
    "decoder_start_token_id",
    "do_sample",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_decoder",
    "label2id",
    "max_length",
    "model_type",
    "original_max_position_embeddings",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "pretraining_tp",
    "quantization",
    "quantization_config",
    "resid_pdrop",
    "return_dict",
    "rope_parameters",
    "rope_scaling",
    "sep_token_id",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "unk_token_id",
    "use_cache",
];

/// The keys that mean nothing to this version, none of which is known to matter.
///
/// # Errors
/// Names a key that is known to matter.
pub fn check(config: &Config) -> Result<Vec<String>, WeightError> {
    for (key, neutral) in CHANGING {
        if let Some(value) = config.get(key).filter(|value| !is_neutral(value, *neutral)) {
            let instead = "use a model of another family, or a newer version";
            return Err(config.unsupported(key, value, instead));
        }
    }
    let known = |key: &str| {
        KEYS.iter().any(|(_, theirs)| *theirs == key)
            || CHANGING.iter().any(|(name, _)| *name == key)
            || HARMLESS.contains(&key)
    };
    Ok(config.json.keys().filter(|key| !known(key)).cloned().collect())
}

fn is_neutral(value: &Value, neutral: f64) -> bool {
    match value {
        Value::Bool(on) => !on,
        Value::Number(n) => n.as_f64() == Some(neutral),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::String(_) | Value::Object(_) => false,
    }
}
