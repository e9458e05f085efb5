//! The keys of config.json: those with a meaning here, those without, and those that would change
//! the result in a way that this version does not know.

use serde_json::Value;

use super::Config;
use crate::WeightError;

/// Our key and transformers'. Where two rows have one key, the later one wins.
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
    ("rope_dims", "rotary_dim"),
    // GPT-2's names for the same.
    ("dim", "n_embd"),
    ("layers", "n_layer"),
    ("heads", "n_head"),
    ("ffn_dim", "n_inner"),
    ("context", "n_positions"),
    ("norm_eps", "layer_norm_epsilon"),
    ("norm_eps", "layer_norm_eps"),
    ("act", "activation_function"),
    ("act", "hidden_activation"),
    ("attn_scaled", "scale_attn_weights"),
    ("attn_by_layer", "scale_attn_by_inverse_layer_idx"),
    ("qkv_bias", "qkv_bias"),
    ("attn_cap", "attn_logit_softcapping"),
    ("logit_cap", "final_logit_softcapping"),
    ("query_scale", "query_pre_attn_scalar"),
    ("attn_multiplier", "attention_multiplier"),
    ("embed_multiplier", "embedding_multiplier"),
    ("residual_multiplier", "residual_multiplier"),
    ("logit_divisor", "logits_scaling"),
    ("logit_scale", "logit_scale"),
    ("qk_norm", "use_qk_norm"),
    ("window_pattern", "_sliding_window_pattern"),
    ("window_pattern", "sliding_window_pattern"),
    ("local.rope_theta", "rope_local_base_freq"),
    ("no_rope_layers", "no_rope_layers"),
    ("no_rope_interval", "no_rope_layer_interval"),
    ("chunk", "attention_chunk_size"),
    ("tuning", "attn_temperature_tuning"),
    ("tuning_scale", "attn_scale"),
    ("tuning_floor", "floor_scale"),
    ("experts", "num_experts"),
    ("experts", "num_local_experts"),
    ("experts", "n_routed_experts"),
    ("experts_active", "num_experts_per_tok"),
    ("experts_active", "top_k_experts"),
    ("expert_dim", "moe_intermediate_size"),
    ("shared_dim", "shared_expert_intermediate_size"),
    ("shared_count", "n_shared_experts"),
    ("normalize_weights", "norm_topk_prob"),
    ("weights_scale", "routed_scaling_factor"),
    ("score", "scoring_func"),
    ("group_method", "topk_method"),
    ("expert_groups", "n_group"),
    ("expert_groups_kept", "topk_group"),
    ("dense_layers", "first_k_dense_replace"),
    ("draft_layers", "num_nextn_predict_layers"),
    ("draft_layers", "num_mtp_layers"),
    ("sparse_step", "decoder_sparse_step"),
    ("mlp_only_layers", "mlp_only_layers"),
    ("moe_layers", "moe_layers"),
    ("moe_step", "interleave_moe_layer_step"),
    ("mlp_dim", "intermediate_size_mlp"),
    ("swiglu_alpha", "swiglu_alpha"),
    ("swiglu_limit", "swiglu_limit"),
    ("layer_width", "hidden_size_per_layer_input"),
    ("layer_vocab", "vocab_size_per_layer_input"),
    ("k_eq_v", "attention_k_eq_v"),
    ("kv_shared", "num_kv_shared_layers"),
    ("double_wide", "use_double_wide_mlp"),
    ("moe_block", "enable_moe_block"),
    ("global.head_dim", "global_head_dim"),
    ("global.kv_heads", "num_global_key_value_heads"),
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
    ("memory.layers", "engram_layer_ids"),
    ("memory.order", "engram_max_ngram_size"),
    ("memory.size", "engram_vocab_size"),
    ("memory.rows", "engram_num_embeddings"),
    ("memory.heads", "engram_n_heads"),
    ("memory.width", "engram_head_dim"),
    ("memory.pad", "engram_pad_token_id"),
    ("memory.ids", "engram_compressed_vocab_size"),
    ("memory.kernel", "engram_kernel_size"),
    ("memory.seed", "engram_seed"),
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
    ("temperature", "llama_4_scaling_beta"),
];

/// What the embedding of layers of one type is called, and what stands before our keys for it.
pub const ROPE_TYPES: &[(&str, &str)] = &[("full_attention", ""), ("sliding_attention", "local.")];

/// Keys within those that say nothing about the result.
pub const ROPE_HARMLESS: &[&str] =
    // Of the three positions that an image's rows have, those of text are equal.
    &["finetuned", "is_finetuned", "mrope_interleaved", "mrope_section"];

/// Keys that change the result of models of other kinds, and the number that means that they do
/// not; nothing, false and empty mean it too.
const CHANGING: &[(&str, f64)] = &[
    ("add_cross_attention", 0.0),
    ("alibi", 0.0),
    ("clip_qkv", 0.0),
    ("hc_mult", 1.0),
    ("is_encoder_decoder", 0.0),
    ("moe_layer_freq", 1.0),
    ("parallel_attn", 0.0),
    ("qk_layernorm", 0.0),
    ("qk_norm", 0.0),
    ("rope_interleaved", 0.0),
    ("scale_depth", 0.0),
    ("scale_emb", 1.0),
    ("use_alibi", 0.0),
    (BIDIRECTIONAL, 0.0),
    ("use_mrope", 0.0),
    ("use_parallel_residual", 0.0),
];

const BIDIRECTIONAL: &str = "use_bidirectional_attention";

/// Keys read elsewhere, or about training, generation and the programs that wrote the file.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_pdrop",
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
    "output_router_logits",
    "per_layer_config",
    "reorder_and_upcast_attn",
    "router_aux_loss_coef",
    "router_jitter_noise",
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
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "unk_token_id",
    "use_cache",
];

/// Keys of models that see or hear, about what is no text.
const BESIDE_TEXT: &[&str] = &[
    "audio_config",
    "audio_soft_tokens_per_image",
    "audio_token_id",
    "boa_token_id",
    "boi_token_id",
    "boi_token_index",
    "eoa_token_id",
    "eoa_token_index",
    "eoi_token_id",
    "eoi_token_index",
    "image_token_id",
    "image_token_index",
    "mm_tokens_per_image",
    "multimodal_projector_bias",
    "projector_hidden_act",
    "spatial_merge_size",
    "text_config",
    "video_token_id",
    "vision_config",
    "vision_end_token_id",
    "vision_feature_layer",
    "vision_soft_tokens_per_image",
    "vision_start_token_id",
];

/// Whether a key of a model that sees or hears says nothing about its text.
pub fn is_beside_text(key: &str) -> bool {
    BESIDE_TEXT.contains(&key)
}

/// The keys that mean nothing to this version, none of which is known to matter.
///
/// # Errors
/// Names a key that is known to matter.
pub fn check(config: &Config) -> Result<Vec<String>, WeightError> {
    for (key, neutral) in CHANGING {
        // Rows of an image see each other; those of text do not.
        let of_images = |value: &Value| *key == BIDIRECTIONAL && value == "vision";
        let changes = |value: &&Value| !is_neutral(value, *neutral) && !of_images(value);
        if let Some(value) = config.get(key).filter(changes) {
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
