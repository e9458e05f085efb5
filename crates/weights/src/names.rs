//! What the parts of a model are called in files.

use model::{Part, Value};

/// Whose names a file uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// llama.cpp's.
    Gguf,
    /// transformers', which MLX keeps.
    HuggingFace,
}

/// Part, its name in GGUF files and in Hugging Face's; within a layer, less the layer's prefix. Of
/// several rows of a part, the first whose tensor a file has counts. `{e}` is an expert's number;
/// without it one tensor holds the matrices of all experts.
const NAMES: &[(Part, &str, &str)] = &[
    (Part::Embed, "token_embd.weight", "model.embed_tokens.weight"),
    (Part::Embed, "", "transformer.wte.weight"),
    (Part::Positions, "position_embd.weight", "transformer.wpe.weight"),
    (Part::LayerEmbed, "per_layer_token_embd.weight", "model.embed_tokens_per_layer.weight"),
    (
        Part::LayerProjection,
        "per_layer_model_proj.weight",
        "model.per_layer_model_projection.weight",
    ),
    (
        Part::LayerProjectionNorm,
        "per_layer_proj_norm.weight",
        "model.per_layer_projection_norm.weight",
    ),
    (Part::HeadNorm, "output_norm.weight", "model.norm.weight"),
    (Part::HeadNorm, "", "transformer.ln_f.weight"),
    (Part::HeadNormBias, "output_norm.bias", "transformer.ln_f.bias"),
    (Part::Head, "output.weight", "lm_head.weight"),
    (Part::MemoryIds, "", "model.engram_token_map"),
    (Part::MemoryTable, "", "engram.multi_head_embedding.embedding.weight"),
    (Part::MemoryKey, "", "engram.key_projs.0.weight"),
    (Part::MemoryKeyBias, "", "engram.key_projs.0.bias"),
    (Part::MemoryValue, "", "engram.value_proj.weight"),
    (Part::MemoryValueBias, "", "engram.value_proj.bias"),
    (Part::MemoryKeyNorm, "", "engram.norm1.0.weight"),
    (Part::MemoryQueryNorm, "", "engram.norm2.0.weight"),
    (Part::MemoryConv, "", "engram.short_conv.conv.weight"),
    (Part::MemoryConvNorm, "", "engram.short_conv.norms.0.weight"),
    (Part::MixerNorm, "attn_norm.weight", "input_layernorm.weight"),
    (Part::MixerNorm, "", "ln_1.weight"),
    (Part::MixerNormBias, "attn_norm.bias", "ln_1.bias"),
    (Part::MixerPostNorm, "post_attention_norm.weight", "post_attention_layernorm.weight"),
    (Part::Q, "attn_q.weight", "self_attn.q_proj.weight"),
    (Part::K, "attn_k.weight", "self_attn.k_proj.weight"),
    (Part::V, "attn_v.weight", "self_attn.v_proj.weight"),
    (Part::O, "attn_output.weight", "self_attn.o_proj.weight"),
    (Part::O, "", "attn.c_proj.weight"),
    (Part::QBias, "attn_q.bias", "self_attn.q_proj.bias"),
    (Part::KBias, "attn_k.bias", "self_attn.k_proj.bias"),
    (Part::VBias, "attn_v.bias", "self_attn.v_proj.bias"),
    (Part::OBias, "attn_output.bias", "self_attn.o_proj.bias"),
    (Part::OBias, "", "attn.c_proj.bias"),
    (Part::QNorm, "attn_q_norm.weight", "self_attn.q_norm.weight"),
    (Part::KNorm, "attn_k_norm.weight", "self_attn.k_norm.weight"),
    (Part::Sinks, "attn_sinks.weight", "self_attn.sinks"),
    (Part::QDown, "attn_q_a.weight", "self_attn.q_a_proj.weight"),
    (Part::QDownBias, "attn_q_a.bias", "self_attn.q_a_proj.bias"),
    (Part::QDownNorm, "attn_q_a_norm.weight", "self_attn.q_a_layernorm.weight"),
    (Part::QUp, "attn_q_b.weight", "self_attn.q_b_proj.weight"),
    (Part::KvDown, "attn_kv_a_mqa.weight", "self_attn.kv_a_proj_with_mqa.weight"),
    (Part::KvDownBias, "attn_kv_a_mqa.bias", "self_attn.kv_a_proj_with_mqa.bias"),
    (Part::KvDownNorm, "attn_kv_a_norm.weight", "self_attn.kv_a_layernorm.weight"),
    (Part::KvUp, "attn_kv_b.weight", "self_attn.kv_b_proj.weight"),
    (Part::KUp, "attn_k_b.weight", "self_attn.embed_q.weight"),
    (Part::VUp, "attn_v_b.weight", "self_attn.unembed_out.weight"),
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
    (Part::FfnNorm, "ffn_norm.weight", "pre_feedforward_layernorm.weight"),
    (Part::FfnNorm, "post_attention_norm.weight", "post_attention_layernorm.weight"),
    (Part::FfnNorm, "", "ln_2.weight"),
    (Part::FfnNormBias, "ffn_norm.bias", "ln_2.bias"),
    (Part::FfnPostNorm, "post_ffw_norm.weight", "post_feedforward_layernorm.weight"),
    (Part::Gate, "ffn_gate.weight", "mlp.gate_proj.weight"),
    (Part::Gate, "", "feed_forward.gate_proj.weight"),
    (Part::Up, "ffn_up.weight", "mlp.up_proj.weight"),
    (Part::Up, "", "feed_forward.up_proj.weight"),
    (Part::Up, "", "mlp.c_fc.weight"),
    (Part::Down, "ffn_down.weight", "mlp.down_proj.weight"),
    (Part::Down, "", "feed_forward.down_proj.weight"),
    (Part::Down, "", "mlp.c_proj.weight"),
    (Part::GateBias, "ffn_gate.bias", "mlp.gate_proj.bias"),
    (Part::UpBias, "ffn_up.bias", "mlp.up_proj.bias"),
    (Part::UpBias, "", "mlp.c_fc.bias"),
    (Part::DownBias, "ffn_down.bias", "mlp.down_proj.bias"),
    (Part::DownBias, "", "mlp.c_proj.bias"),
    (Part::Router, "ffn_gate_inp.weight", "mlp.gate.weight"),
    (Part::Router, "", "block_sparse_moe.gate.weight"),
    (Part::Router, "", "mlp.router.weight"),
    (Part::Router, "", "feed_forward.router.weight"),
    (Part::Router, "", "router.proj.weight"),
    (Part::RouterBias, "ffn_gate_inp.bias", "mlp.router.bias"),
    (Part::RouterCorrection, "exp_probs_b.bias", "mlp.gate.e_score_correction_bias"),
    (Part::RouterCorrection, "exp_probs_b", "mlp.e_score_correction_bias"),
    (Part::RouterCorrection, "", "block_sparse_moe.e_score_correction_bias"),
    (Part::RouterNorm, "ffn_gate_inp.scale", "router.scale"),
    (Part::ExpertScale, "ffn_down_exps.scale", "router.per_expert_scale"),
    (Part::ExpertNorm, "pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight"),
    (Part::ExpertPostNorm, "post_ffw_norm_2.weight", "post_feedforward_layernorm_2.weight"),
    (Part::BesidePostNorm, "post_ffw_norm_1.weight", "post_feedforward_layernorm_1.weight"),
    (Part::ExpertGate, "ffn_gate_exps.weight", "mlp.experts.{e}.gate_proj.weight"),
    (Part::ExpertGate, "ffn_gate.{e}.weight", "block_sparse_moe.experts.{e}.w1.weight"),
    (Part::ExpertGate, "", "mlp.switch_mlp.gate_proj.weight"),
    (Part::ExpertGate, "", "mlp.experts.gate_proj.weight"),
    (Part::ExpertUp, "ffn_up_exps.weight", "mlp.experts.{e}.up_proj.weight"),
    (Part::ExpertUp, "ffn_up.{e}.weight", "block_sparse_moe.experts.{e}.w3.weight"),
    (Part::ExpertUp, "", "mlp.switch_mlp.up_proj.weight"),
    (Part::ExpertUp, "", "mlp.experts.up_proj.weight"),
    (Part::ExpertDown, "ffn_down_exps.weight", "mlp.experts.{e}.down_proj.weight"),
    (Part::ExpertDown, "ffn_down.{e}.weight", "block_sparse_moe.experts.{e}.w2.weight"),
    (Part::ExpertDown, "", "mlp.switch_mlp.down_proj.weight"),
    (Part::ExpertDown, "", "mlp.experts.down_proj.weight"),
    (Part::ExpertDown, "", "mlp.experts.down_proj"),
    (Part::ExpertDown, "", "feed_forward.experts.down_proj"),
    (Part::ExpertDown, "", "experts.down_proj"),
    (Part::ExpertGateUp, "ffn_gate_up_exps.weight", "mlp.experts.gate_up_proj"),
    (Part::ExpertGateBias, "ffn_gate_exps.bias", "mlp.experts.gate_proj.bias"),
    (Part::ExpertUpBias, "ffn_up_exps.bias", "mlp.experts.up_proj.bias"),
    (Part::ExpertGateUpBias, "ffn_gate_up_exps.bias", "mlp.experts.gate_up_proj_bias"),
    (Part::ExpertDownBias, "ffn_down_exps.bias", "mlp.experts.down_proj_bias"),
    (Part::ExpertDownBias, "", "mlp.experts.down_proj.bias"),
    (Part::SharedGate, "ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight"),
    (Part::SharedGate, "", "mlp.shared_experts.gate_proj.weight"),
    (Part::SharedGate, "", "feed_forward.shared_expert.gate_proj.weight"),
    (Part::SharedUp, "ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight"),
    (Part::SharedUp, "", "mlp.shared_experts.up_proj.weight"),
    (Part::SharedUp, "", "feed_forward.shared_expert.up_proj.weight"),
    (Part::SharedDown, "ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight"),
    (Part::SharedDown, "", "mlp.shared_experts.down_proj.weight"),
    (Part::SharedDown, "", "feed_forward.shared_expert.down_proj.weight"),
    (Part::SharedSwitch, "ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight"),
    (Part::LayerGate, "inp_gate.weight", "per_layer_input_gate.weight"),
    (Part::LayerBack, "proj.weight", "per_layer_projection.weight"),
    (Part::LayerBackNorm, "post_norm.weight", "post_per_layer_input_norm.weight"),
    (Part::LayerScale, "layer_output_scale.weight", "layer_scalar"),
];

/// Parts whose rows one tensor may hold, one part after another, and that tensor's names. Of
/// several rows of a part, the first whose tensor a file has counts.
const FUSED: &[(&[Part], &str, &str)] = &[
    (&[Part::Q, Part::K, Part::V], "attn_qkv.weight", "self_attn.qkv_proj.weight"),
    (&[Part::Q, Part::K, Part::V], "", "attn.c_attn.weight"),
    (&[Part::QBias, Part::KBias, Part::VBias], "attn_qkv.bias", "self_attn.qkv_proj.bias"),
    (&[Part::QBias, Part::KBias, Part::VBias], "", "attn.c_attn.bias"),
    // In GGUF files the fused tensor has the name of one of its parts.
    (&[Part::Gate, Part::Up], "ffn_up.weight", "mlp.gate_up_proj.weight"),
    (EXPERT_GATE_UP, "ffn_gate_up_exps.weight", "mlp.experts.gate_up_proj"),
    (EXPERT_GATE_UP, "", "feed_forward.experts.gate_up_proj"),
    (EXPERT_GATE_UP, "", "experts.gate_up_proj"),
];

const EXPERT_GATE_UP: &[Part] = &[Part::ExpertGate, Part::ExpertUp];

/// Families whose tensors of these names Hugging Face's files hold with rows and columns
/// exchanged, where they are plain numbers.
const TRANSPOSED: &[(&str, &[&str])] = &[
    ("gpt2", &["c_attn.weight", "c_proj.weight", "c_fc.weight"]),
    ("gpt-oss", &["experts.gate_up_proj", "experts.down_proj"]),
    ("llama4", &["experts.gate_up_proj", "experts.down_proj"]),
];

/// Families of whose norms' gains Hugging Face's files hold one less, and whether MLX's do too: its
/// programs add the one to some when they convert.
const SHIFTED: &[(&str, bool)] = &[
    ("gemma2", true),
    ("gemma3", true),
    ("qwen35", false),
    ("qwen35moe", false),
    ("qwen3next", false),
];

/// Families whose files in Hugging Face's layout hold the rows of gate and up in turn.
pub const PAIRED: &[&str] = &["gpt-oss"];

/// Architectures whose GGUF files are run with the window that they name.
pub const WINDOWED: &[&str] = &["cohere2", "gemma2", "gemma3", "gemma4", "gpt-oss"];

/// Families of which MLX's files are run without the window that they name.
pub const UNWINDOWED: &[&str] = &["gemma2"];

/// Architectures of whose logits GGUF's `logit_scale` is the divisor.
pub const DIVIDED: &[&str] = &["granite"];

/// Architectures whose GGUF files with experts are of another family.
pub const WITH_EXPERTS: &[(&str, &str)] = &[("llama", "mixtral")];

/// Families whose GGUF files are of others' architectures.
const ARCHITECTURES: &[(&str, &str)] =
    &[("mistral", "llama"), ("mistral", "mistral3"), ("mixtral", "llama")];

/// The architectures that GGUF files of a family may have, the likeliest first.
pub fn architectures(family: &str) -> Vec<&str> {
    let of_family = ARCHITECTURES.iter().filter(|row| row.0 == family);
    let mut names: Vec<_> = of_family.map(|row| row.1).collect();
    if names.is_empty() {
        names.push(family);
    }
    names
}

/// What is true of an architecture's GGUF files that do not say otherwise.
pub const FACTS: &[(&str, &str, Value)] = &[
    ("gpt-oss", "rope_scaling.truncate", Value::Bool(false)),
    ("llama4", "chunk", Value::Int(8192)),
    ("deepseek2", "score", Value::Int(1)),
    ("deepseek2", "normalize_weights", Value::Bool(false)),
];

/// GGUF architectures whose converter lays out value heads of a delta net by key head in turn.
pub const TILED: &[&str] = &["qwen35", "qwen35moe"];

/// Tensors outside the layers that carry settings rather than weights.
pub const ROPE_DIVISORS: &str = "rope_freqs.weight";
pub const ROPE_LONG: &str = "rope_factors_long.weight";
pub const ROPE_SHORT: &str = "rope_factors_short.weight";

/// GGUF architectures whose q and k rows the converter reorders, so that rotation turns neighbours.
const PERMUTED: &[&str] = &["llama", "granite", "mistral3", "smollm3"];

/// Whether rotation turns neighbours in GGUF files of an architecture: where rows are reordered so,
/// and in DeepSeek's, which are made so.
pub fn turns_neighbours(architecture: &str) -> bool {
    architecture == "deepseek2" || PERMUTED.contains(&architecture)
}

/// Whether GGUF files of an architecture have the rows of a matrix's heads in another order than
/// Hugging Face's.
pub fn is_reordered(architecture: &str, part: Part) -> bool {
    PERMUTED.contains(&architecture) && [Part::Q, Part::K].contains(&part)
}

/// Whether GGUF files of an architecture have the heads themselves of a matrix in another order.
pub fn is_tiled(architecture: &str, part: Part) -> bool {
    let delta = [
        Part::DeltaInput,
        Part::DeltaGate,
        Part::DeltaAll,
        Part::DeltaBeta,
        Part::DeltaDecay,
        Part::DeltaGates,
        Part::DeltaOut,
    ];
    TILED.contains(&architecture) && delta.contains(&part)
}

/// The names that a part may have, the likeliest first.
pub fn names(style: Style, part: Part, layer: Option<u32>) -> impl Iterator<Item = String> {
    let rows = NAMES.iter().filter(move |row| row.0 == part);
    rows.flat_map(move |(_, gguf, hugging_face)| spell(style, layer, gguf, hugging_face))
}

/// The likeliest name of a part.
pub fn name(style: Style, part: Part, layer: Option<u32>) -> String {
    names(style, part, layer).next().unwrap_or_else(|| format!("{part:?}"))
}

/// The name of a part in a file of which `present` says whether any name begins so: after what
/// others in it begin with, if a name of the part does.
pub fn spelling(
    style: Style,
    part: Part,
    layer: Option<u32>,
    present: impl Fn(&str) -> bool,
) -> String {
    let begins = |name: &String, dots: usize| {
        let end = name.match_indices('.').nth(dots).map(|(at, _)| at + 1);
        end.is_some_and(|end| present(&name[..end]))
    };
    let list: Vec<_> = names(style, part, layer).collect();
    let near = [1, 0].iter().find_map(|dots| list.iter().find(|name| begins(name, *dots)));
    near.cloned().unwrap_or_else(|| name(style, part, layer))
}

/// The names of tensors that may hold a part among others, and those others in order.
pub fn fused(
    style: Style,
    part: Part,
    layer: Option<u32>,
) -> impl Iterator<Item = (String, &'static [Part])> {
    let rows = FUSED.iter().filter(move |row| row.0.contains(&part));
    rows.flat_map(move |(parts, gguf, hugging_face)| {
        spell(style, layer, gguf, hugging_face).map(move |name| (name, *parts))
    })
}

/// Whether a family's tensor of that name has rows and columns exchanged.
pub fn is_transposed(style: Style, family: &str, name: &str) -> bool {
    let of_family = |row: &&(&str, &[&str])| row.0 == family;
    let ends = TRANSPOSED.iter().filter(of_family).flat_map(|row| row.1);
    style == Style::HuggingFace && ends.into_iter().any(|end| name.ends_with(end))
}

/// Whether a file in Hugging Face's layout holds a norm's gains less one.
pub fn is_shifted(family: &str, mlx: bool, part: Part) -> bool {
    let norms = [
        Part::HeadNorm,
        Part::MixerNorm,
        Part::MixerPostNorm,
        Part::QNorm,
        Part::KNorm,
        Part::FfnNorm,
        Part::FfnPostNorm,
    ];
    let of_files = |row: &(&str, bool)| row.0 == family && (row.1 || !mlx);
    norms.contains(&part) && SHIFTED.iter().any(of_files)
}

/// The layer that a tensor of that name belongs to.
pub fn layer_of(style: Style, name: &str) -> Option<u32> {
    let prefixes = match style {
        Style::Gguf => &["blk."][..],
        Style::HuggingFace => &LAYERS,
    };
    let rest = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    rest.split('.').next()?.parse().ok()
}

/// Whether a tensor that no model demands may lie in a file: tables that older programs stored and
/// that follow from the configuration, and layers that draft further tokens.
pub fn is_redundant(style: Style, name: &str) -> bool {
    match style {
        Style::Gguf => {
            [ROPE_DIVISORS, ROPE_LONG, ROPE_SHORT].contains(&name)
                || name.ends_with(".attn_rot_embd")
                || name.ends_with(".attn_rot_embd.weight")
        }
        Style::HuggingFace => {
            name.ends_with(".rotary_emb.inv_freq")
                || name.ends_with(".engram.multi_head_embedding.offsets")
                || name.starts_with("mtp.")
        }
    }
}

/// What stands before a layer's number.
const LAYERS: [&str; 4] = [
    "model.layers.",
    "transformer.h.",
    "model.language_model.layers.",
    "language_model.model.layers.",
];

/// What stands before all tensors of a text model inside another, as transformers 5 and 4 call it.
const INSIDE: [&str; 3] = ["model.language_model.", "language_model.", "lm_head."];

/// Whether a tensor of a model that sees or hears belongs to the text model inside.
pub fn is_text(name: &str) -> bool {
    INSIDE.iter().any(|prefix| name.starts_with(prefix))
}

/// What a tensor outside the layers is called in a text model inside another.
fn inside(own: &str) -> Vec<String> {
    match own.strip_prefix("model.") {
        Some(rest) => {
            vec![format!("model.language_model.{rest}"), format!("language_model.{own}")]
        }
        None => vec![format!("language_model.{own}")],
    }
}

fn spell(
    style: Style,
    layer: Option<u32>,
    gguf: &str,
    hugging_face: &str,
) -> impl Iterator<Item = String> + use<> {
    let (own, prefixes) = match (style, layer) {
        (Style::Gguf, None) => (gguf, &[""][..]),
        (Style::Gguf, Some(_)) => (gguf, &["blk."][..]),
        (Style::HuggingFace, None) => (hugging_face, &[""][..]),
        (Style::HuggingFace, Some(_)) => (hugging_face, &LAYERS[..]),
    };
    let spelled = |prefix: &&str| match layer {
        None => own.to_owned(),
        Some(layer) => format!("{prefix}{layer}.{own}"),
    };
    let mut list: Vec<_> = prefixes.iter().map(spelled).collect();
    match (style, layer) {
        _ if own.is_empty() => list.clear(),
        (Style::HuggingFace, None) => list.extend(inside(own)),
        _ => {}
    }
    list.into_iter()
}
