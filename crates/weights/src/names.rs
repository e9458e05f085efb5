//! What the parts of a model are called in files.

use model::Part;

/// Whose names a file uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// llama.cpp's.
    Gguf,
    /// transformers', which MLX keeps.
    HuggingFace,
}

/// Part, its name in GGUF files and in Hugging Face's; within a layer, less the layer's prefix.
const NAMES: &[(Part, &str, &str)] = &[
    (Part::Embed, "token_embd.weight", "model.embed_tokens.weight"),
    (Part::HeadNorm, "output_norm.weight", "model.norm.weight"),
    (Part::Head, "output.weight", "lm_head.weight"),
    (Part::MixerNorm, "attn_norm.weight", "input_layernorm.weight"),
    (Part::Q, "attn_q.weight", "self_attn.q_proj.weight"),
    (Part::K, "attn_k.weight", "self_attn.k_proj.weight"),
    (Part::V, "attn_v.weight", "self_attn.v_proj.weight"),
    (Part::O, "attn_output.weight", "self_attn.o_proj.weight"),
    (Part::QBias, "attn_q.bias", "self_attn.q_proj.bias"),
    (Part::KBias, "attn_k.bias", "self_attn.k_proj.bias"),
    (Part::VBias, "attn_v.bias", "self_attn.v_proj.bias"),
    (Part::OBias, "attn_output.bias", "self_attn.o_proj.bias"),
    (Part::QNorm, "attn_q_norm.weight", "self_attn.q_norm.weight"),
    (Part::KNorm, "attn_k_norm.weight", "self_attn.k_norm.weight"),
    (Part::QDown, "attn_q_a.weight", "self_attn.q_a_proj.weight"),
    (Part::QDownBias, "attn_q_a.bias", "self_attn.q_a_proj.bias"),
    (Part::QDownNorm, "attn_q_a_norm.weight", "self_attn.q_a_layernorm.weight"),
    (Part::QUp, "attn_q_b.weight", "self_attn.q_b_proj.weight"),
    (Part::KvDown, "attn_kv_a_mqa.weight", "self_attn.kv_a_proj_with_mqa.weight"),
    (Part::KvDownBias, "attn_kv_a_mqa.bias", "self_attn.kv_a_proj_with_mqa.bias"),
    (Part::KvDownNorm, "attn_kv_a_norm.weight", "self_attn.kv_a_layernorm.weight"),
    (Part::KvUp, "attn_kv_b.weight", "self_attn.kv_b_proj.weight"),
    (Part::DeltaInput, "attn_qkv.weight", "linear_attn.in_proj_qkv.weight"),
    (Part::DeltaGate, "attn_gate.weight", "linear_attn.in_proj_z.weight"),
    (Part::DeltaAll, "ssm_in.weight", "linear_attn.in_proj_qkvz.weight"),
    (Part::DeltaBeta, "ssm_beta.weight", "linear_attn.in_proj_b.weight"),
    (Part::DeltaDecay, "ssm_alpha.weight", "linear_attn.in_proj_a.weight"),
    (Part::DeltaGates, "ssm_ba.weight", "linear_attn.in_proj_ba.weight"),
    (Part::DeltaConv, "ssm_conv1d.weight", "linear_attn.conv1d.weight"),
    (Part::DeltaRate, "ssm_a", "linear_attn.A_log"),
    (Part::DeltaBias, "ssm_dt.bias", "linear_attn.dt_bias"),
    (Part::DeltaNorm, "ssm_norm.weight", "linear_attn.norm.weight"),
    (Part::DeltaOut, "ssm_out.weight", "linear_attn.out_proj.weight"),
    (Part::FfnNorm, "ffn_norm.weight", "post_attention_layernorm.weight"),
    (Part::Gate, "ffn_gate.weight", "mlp.gate_proj.weight"),
    (Part::Up, "ffn_up.weight", "mlp.up_proj.weight"),
    (Part::Down, "ffn_down.weight", "mlp.down_proj.weight"),
    (Part::GateBias, "ffn_gate.bias", "mlp.gate_proj.bias"),
    (Part::UpBias, "ffn_up.bias", "mlp.up_proj.bias"),
    (Part::DownBias, "ffn_down.bias", "mlp.down_proj.bias"),
];

/// Parts whose rows one tensor may hold, one part after another, and that tensor's names.
const FUSED: &[(&[Part], &str, &str)] = &[
    (&[Part::Q, Part::K, Part::V], "attn_qkv.weight", "self_attn.qkv_proj.weight"),
    (&[Part::QBias, Part::KBias, Part::VBias], "attn_qkv.bias", "self_attn.qkv_proj.bias"),
    // In GGUF files the fused tensor has the name of one of its parts.
    (&[Part::Gate, Part::Up], "ffn_up.weight", "mlp.gate_up_proj.weight"),
];

/// Parts that some files call by another name than most; it counts where the usual one is missing.
const ALIASES: &[(Part, &str, &str)] =
    &[(Part::FfnNorm, "post_attention_norm.weight", "post_attention_layernorm.weight")];

/// GGUF architectures whose converter lays out value heads of a delta net by key head in turn.
pub const TILED: &[&str] = &["qwen35", "qwen35moe"];

/// Families, by GGUF's name, whose norms transformers stores less one, and which norms those are.
pub const CENTRED: &[&str] = &["qwen35", "qwen35moe", "qwen3next"];
pub const CENTRED_PARTS: &[Part] =
    &[Part::MixerNorm, Part::FfnNorm, Part::HeadNorm, Part::QNorm, Part::KNorm];

/// Tensors outside the layers that carry settings rather than weights.
pub const ROPE_DIVISORS: &str = "rope_freqs.weight";
pub const ROPE_LONG: &str = "rope_factors_long.weight";
pub const ROPE_SHORT: &str = "rope_factors_short.weight";

/// GGUF architectures whose q and k rows the converter reorders, so that a rotation turns
/// neighbours.
pub const PERMUTED: &[&str] = &["llama"];

/// The name of a part.
pub fn name(style: Style, part: Part, layer: Option<u32>) -> String {
    let row = NAMES.iter().find(|row| row.0 == part);
    let (_, gguf, hugging_face) = row.expect("every part has a row in the table");
    spell(style, layer, gguf, hugging_face)
}

/// Another name of a part.
pub fn alias(style: Style, part: Part, layer: Option<u32>) -> Option<String> {
    let (_, gguf, hugging_face) = ALIASES.iter().find(|row| row.0 == part)?;
    Some(spell(style, layer, gguf, hugging_face))
}

/// The end of a part's name, which all layers share.
pub fn tail(style: Style, part: Part) -> String {
    let first = name(style, part, Some(0));
    first.split_once("0.").map_or(first.clone(), |(_, tail)| format!(".{tail}"))
}

/// The name of the tensor that may hold a part among others, and those others in order.
pub fn fused(style: Style, part: Part, layer: Option<u32>) -> Option<(String, &'static [Part])> {
    let (parts, gguf, hugging_face) = FUSED.iter().find(|row| row.0.contains(&part))?;
    Some((spell(style, layer, gguf, hugging_face), parts))
}

/// Whether a tensor that no model demands may lie in a file: tables that older programs stored and
/// that follow from the configuration.
pub fn is_redundant(style: Style, name: &str) -> bool {
    match style {
        Style::Gguf => {
            [ROPE_DIVISORS, ROPE_LONG, ROPE_SHORT].contains(&name)
                || name.ends_with(".attn_rot_embd")
                || name.ends_with(".attn_rot_embd.weight")
        }
        Style::HuggingFace => name.ends_with(".rotary_emb.inv_freq"),
    }
}

fn spell(style: Style, layer: Option<u32>, gguf: &str, hugging_face: &str) -> String {
    match (style, layer) {
        (Style::Gguf, None) => gguf.to_owned(),
        (Style::Gguf, Some(layer)) => format!("blk.{layer}.{gguf}"),
        (Style::HuggingFace, None) => hugging_face.to_owned(),
        (Style::HuggingFace, Some(layer)) => format!("model.layers.{layer}.{hugging_face}"),
    }
}
