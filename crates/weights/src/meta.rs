//! GGUF's keys under `model`'s names for them.

use model::{Meta, Value};

use crate::directory::Directory;
use crate::names;
use crate::{Gguf, GgufValue, WeightError};

/// Our key, and GGUF's within an architecture. Where two rows have one key, the later one wins.
///
/// `attention.sliding_window` counts for some architectures only ([`names::WINDOWED`]): the
/// programs that the others' files are made for let every row see all earlier ones, whatever the
/// key says, and so the files are tested.
const KEYS: &[(&str, &str)] = &[
    ("vocab", "vocab_size"),
    ("dim", "embedding_length"),
    ("layers", "block_count"),
    ("heads", "attention.head_count"),
    ("kv_heads", "attention.head_count_kv"),
    ("head_dim", "attention.key_length"),
    ("ffn_dim", "feed_forward_length"),
    ("context", "context_length"),
    ("norm_eps", "attention.layer_norm_rms_epsilon"),
    ("rope_dims", "rope.dimension_count"),
    ("rope_theta", "rope.freq_base"),
    ("rope_scaling", "rope.scaling.type"),
    ("rope_scaling.factor", "rope.scale_linear"),
    ("rope_scaling.factor", "rope.scaling.factor"),
    ("rope_scaling.original", "rope.scaling.original_context_length"),
    ("rope_scaling.attention", "rope.scaling.attn_factor"),
    ("rope_scaling.attention", "rope.scaling.yarn_attn_factor"),
    ("rope_scaling.beta_fast", "rope.scaling.yarn_beta_fast"),
    ("rope_scaling.beta_slow", "rope.scaling.yarn_beta_slow"),
    ("rope_scaling.scores", "rope.scaling.yarn_log_multiplier"),
    ("norm_eps", "attention.layer_norm_epsilon"),
    ("window", "attention.sliding_window"),
    ("window_pattern", "attention.sliding_window_pattern"),
    ("local.rope_theta", "rope.freq_base_swa"),
    ("local.rope_dims", "rope.dimension_count_swa"),
    ("local.head_dim", "attention.key_length_swa"),
    ("attn_cap", "attn_logit_softcapping"),
    ("logit_cap", "final_logit_softcapping"),
    ("attn_multiplier", "attention.scale"),
    ("embed_multiplier", "embedding_scale"),
    ("residual_multiplier", "residual_scale"),
    ("logit_scale", "logit_scale"),
    ("temperature", "attention.temperature_scale"),
    ("experts", "expert_count"),
    ("experts_active", "expert_used_count"),
    ("expert_dim", "expert_feed_forward_length"),
    ("shared_dim", "expert_shared_feed_forward_length"),
    ("shared_count", "expert_shared_count"),
    ("normalize_weights", "expert_weights_norm"),
    ("weights_scale", "expert_weights_scale"),
    ("score", "expert_gating_func"),
    ("expert_groups", "expert_group_count"),
    ("expert_groups_kept", "expert_group_used_count"),
    ("dense_layers", "leading_dense_block_count"),
    ("draft_layers", "nextn_predict_layers"),
    ("moe_step", "interleave_moe_layer_step"),
    ("layer_width", "embedding_length_per_layer_input"),
    ("kv_shared", "attention.shared_kv_layers"),
    ("full_interval", "full_attention_interval"),
    ("latent.q_rank", "attention.q_lora_rank"),
    ("latent.kv_rank", "attention.kv_lora_rank"),
    ("latent.rotated", "rope.dimension_count"),
    ("delta.kernel", "ssm.conv_kernel"),
    ("delta.k_dim", "ssm.state_size"),
    ("delta.k_heads", "ssm.group_count"),
    ("delta.v_heads", "ssm.time_step_rank"),
    ("delta.inner", "ssm.inner_size"),
];

/// More layers than any model has.
const LAYERS_MAX: usize = 1 << 10;
/// More pairs than any head has.
const DIVISORS_MAX: usize = 1 << 12;

/// The metadata of a GGUF model.
pub fn from_gguf(gguf: &Gguf, directory: &Directory) -> Result<Meta, WeightError> {
    let mut meta = Meta::default();
    let file = directory.file();
    let Some(family) = gguf.text("general.architecture") else {
        let what = "`general.architecture` is missing, so it holds no model; use another file";
        return Err(WeightError::foreign(&file, what));
    };
    meta.set("family", "general.architecture", Value::Text(family.to_owned()));
    if model::family(family).is_err() {
        // What the keys of another family mean is not known; that it is another says enough.
        return Ok(meta);
    }
    for (ours, theirs) in KEYS {
        let key = format!("{family}.{theirs}");
        meta.spell(ours, &key);
        let ours = match *ours {
            "window" if !names::WINDOWED.contains(&family) => continue,
            "logit_scale" if names::DIVIDED.contains(&family) => "logit_divisor",
            ours => ours,
        };
        if let Some(value) = gguf.get(&key) {
            let value = entry(value).ok_or_else(|| strange(&file, &key))?;
            meta.set(ours, &key, value);
        }
    }
    for (_, key, value) in names::FACTS.iter().filter(|(of, ..)| *of == family) {
        if meta.get(key).is_none() {
            meta.set(key, "general.architecture", value.clone());
        }
    }
    let mixed = names::WITH_EXPERTS.iter().find(|(of, _)| *of == family);
    if let (Some((_, other)), Some(Value::Int(1..))) = (mixed, meta.get("experts")) {
        meta.set("family", "general.architecture", Value::Text((*other).to_owned()));
    }
    // Layers that draft further tokens are counted among the others.
    if let (Some(Value::Int(all)), Some(Value::Int(drafts))) =
        (meta.get("layers"), meta.get("draft_layers"))
    {
        let (layers, spelled) = (all - drafts, meta.spelled("layers"));
        meta.set("layers", &spelled, Value::Int(layers));
    }
    if meta.get("vocab").is_none() {
        // Older converters leave the size to the embedding.
        let embed = names::name(names::Style::Gguf, model::Part::Embed, None);
        if let Some([rows, _]) = directory.get(&embed).map(|t| t.shape.as_slice()) {
            let rows = i64::try_from(*rows).unwrap_or(i64::MAX);
            meta.set("vocab", &format!("rows of {embed}"), Value::Int(rows));
        }
    }
    if names::turns_neighbours(family) {
        meta.set("rope_interleaved", "general.architecture", Value::Bool(true));
    }
    if names::TILED.contains(&family) {
        meta.set("delta.tiled", "general.architecture", Value::Bool(true));
    }
    gating(&mut meta);
    recurrent_layers(&mut meta, gguf, family);
    match meta.get("latent.kv_rank") {
        Some(_) => latent(&mut meta, gguf, family),
        None => value_width(&mut meta, gguf, family, &file)?,
    }
    scaling(&mut meta, directory)?;
    Ok(meta)
}

/// A value as metadata; an array with a number for each layer is one where they are all equal.
fn entry(value: GgufValue<'_>) -> Option<Value> {
    let Some(array) = value.array() else { return scalar(value) };
    if array.len() > LIST_MAX {
        return None;
    }
    let list: Vec<Value> = array.items().map(scalar).collect::<Option<_>>()?;
    let first = list.first()?;
    Some(if list.iter().all(|item| item == first) { first.clone() } else { Value::List(list) })
}

/// More layers than any model has.
const LIST_MAX: usize = 1 << 12;

fn scalar(value: GgufValue<'_>) -> Option<Value> {
    Some(match value {
        GgufValue::Bool(b) => Value::Bool(b),
        GgufValue::Str(_) => Value::Text(value.text()?.to_owned()),
        GgufValue::F32(_) | GgufValue::F64(_) => Value::Float(value.float()?),
        _ => Value::Int(value.int()?),
    })
}

fn strange(file: &str, key: &str) -> WeightError {
    WeightError::Unsupported {
        file: file.to_owned(),
        key: key.to_owned(),
        value: "neither a number, a text nor a list of them".to_owned(),
        instead: "use another version of the model",
    }
}

/// What a router's logits become, as transformers names it.
fn gating(meta: &mut Meta) {
    let name = match meta.get("score") {
        Some(Value::Int(1)) => "softmax",
        Some(Value::Int(2)) => "sigmoid",
        Some(Value::Int(3)) => "softmax_chosen",
        _ => return,
    };
    let spelled = meta.spelled("score");
    meta.set("score", &spelled, Value::Text(name.to_owned()));
}

/// Which layers keep a state, as transformers names them.
fn recurrent_layers(meta: &mut Meta, gguf: &Gguf, family: &str) {
    let key = format!("{family}.attention.recurrent_layers");
    let Some(array) = gguf.get(&key).and_then(|value| value.array()) else { return };
    let kind = |item| match item {
        GgufValue::Bool(true) => Value::Text("linear_attention".to_owned()),
        GgufValue::Bool(false) => Value::Text("full_attention".to_owned()),
        _ => Value::Text("not true or false".to_owned()),
    };
    let kinds = array.items().take(LAYERS_MAX).map(kind).collect();
    meta.set("layer_types", &key, Value::List(kinds));
}

/// The widths of keys and values that follow from a latent. Newer files give them apart, and call
/// what the cache holds of a position the key; they have a tenth of what stretched positions scale
/// the scores by, and leave the rotated values as they are (llama.cpp's pull request 17945).
fn latent(meta: &mut Meta, gguf: &Gguf, family: &str) {
    let width = |names: [&str; 2]| {
        let mut keys = names.into_iter().map(|name| format!("{family}.attention.{name}"));
        keys.find_map(|key| gguf.int(&key).map(|width| (key, width)))
    };
    let rotated = match meta.get("latent.rotated") {
        Some(Value::Int(rotated)) => *rotated,
        _ => 0,
    };
    if let Some((key, width)) = width(["key_length_mla", "key_length"]) {
        meta.set("latent.plain", &key, Value::Int(width - rotated));
    }
    if let Some((key, width)) = width(["value_length_mla", "value_length"]) {
        meta.set("latent.v_dim", &key, Value::Int(width));
    }
    if let Some(Value::Float(tenth)) = meta.get("rope_scaling.scores") {
        let (all, spelled) = (Value::Float(tenth * 10.0), meta.spelled("rope_scaling.scores"));
        meta.set("rope_scaling.mscale_all_dim", &spelled, all);
        meta.set("rope_scaling.scores", &spelled, Value::Float(1.0));
    }
}

/// Values as wide as keys are what every family has so far.
fn value_width(meta: &mut Meta, gguf: &Gguf, family: &str, file: &str) -> Result<(), WeightError> {
    let key = format!("{family}.attention.value_length");
    let (Some(width), Some(Value::Int(head))) = (gguf.int(&key), meta.get("head_dim")) else {
        return Ok(());
    };
    if width == *head {
        return Ok(());
    }
    Err(WeightError::Unsupported {
        file: file.to_owned(),
        key,
        value: width.to_string(),
        instead: "keys and values of one width are needed",
    })
}

/// The scaling of positions, which GGUF files spread over keys and tensors.
fn scaling(meta: &mut Meta, directory: &Directory) -> Result<(), WeightError> {
    let float = |meta: &Meta, key: &str| match meta.get(key) {
        Some(Value::Float(f)) => Some(*f),
        Some(Value::Int(i)) => Some(*i as f64),
        _ => None,
    };
    let factor = float(meta, "rope_scaling.factor").filter(|&f| f > 0.0);
    if meta.get("rope_scaling").is_none() && factor.is_some() {
        // A factor of no type is a linear one.
        let spelled = meta.spelled("rope_scaling.factor");
        meta.set("rope_scaling", &spelled, Value::Text("linear".to_owned()));
    }
    let is =
        |meta: &Meta, kind: &str| meta.get("rope_scaling") == Some(&Value::Text(kind.to_owned()));
    if is(meta, "linear") && factor.is_none() {
        meta.set("rope_scaling", "rope.scaling.type", Value::Text("none".to_owned()));
    }
    let given = float(meta, "rope_scaling.attention").unwrap_or(1.0);
    let spelled = meta.spelled("rope_scaling.attention");
    if let Some(factor) = factor.filter(|_| is(meta, "yarn")) {
        // YaRN's own factor is not part of the key's value, nor is what scores are scaled by.
        let growth = |by: f64| 1.0 + 0.1 * by * factor.ln();
        let scores = float(meta, "rope_scaling.scores").unwrap_or(0.0);
        let attention = given * growth(1.0) / growth(scores);
        meta.set("rope_scaling.attention", &spelled, Value::Float(attention));
    }
    tables(meta, directory)?;
    if let (Some(Value::List(list)), Some(factor)) = (meta.get("rope_divisors"), factor) {
        // Both the file's list and the factor of all positions apply.
        if !is(meta, "linear") && !is(meta, "none") {
            let spelled = meta.spelled("rope_scaling");
            let value = format!("set beside {}", names::ROPE_DIVISORS);
            let instead = "use a file that scales positions in one way";
            let file = directory.file();
            return Err(WeightError::Unsupported { file, key: spelled, value, instead });
        }
        let factor = if is(meta, "linear") { factor } else { 1.0 };
        let scaled = |v: &Value| match v {
            Value::Float(f) => Value::Float(f * factor),
            other => other.clone(),
        };
        let list = list.iter().map(scaled).collect();
        meta.set("rope_divisors", names::ROPE_DIVISORS, Value::List(list));
    }
    if meta.get("rope_scaling.long").is_some() {
        meta.set("rope_scaling", names::ROPE_LONG, Value::Text("longrope".to_owned()));
        meta.set("rope_scaling.attention", &spelled, Value::Float(given));
    }
    Ok(())
}

/// The lists of divisors that files keep as tensors.
fn tables(meta: &mut Meta, directory: &Directory) -> Result<(), WeightError> {
    for (key, tensor) in [
        ("rope_divisors", names::ROPE_DIVISORS),
        ("rope_scaling.long", names::ROPE_LONG),
        ("rope_scaling.short", names::ROPE_SHORT),
    ] {
        if let Some(index) = directory.find(tensor) {
            let list = directory.load_whole(index)?;
            if list.rows != 1 || list.cols > DIVISORS_MAX {
                let info = &directory.tensors()[index];
                return Err(directory.misshapen(info, "one divisor for each pair".to_owned()));
            }
            let list = list.to_f32();
            let list = list.into_iter().map(|f| Value::Float(f64::from(f))).collect();
            meta.set(key, tensor, Value::List(list));
        }
    }
    Ok(())
}
