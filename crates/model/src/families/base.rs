//! The family that all others are told by, and what several of them read alike.

use super::rope::rope;
use crate::meta::{Meta, SpecError, Value};
use crate::spec::{
    Act, Attention, Block, Dense, Experts, Ffn, Groups, Layer, Mixer, Norm, QkNorm, Reach, Routing,
    Score, Shared, Spec, Values,
};

pub const MAX_WIDTH: u32 = 1 << 20;
const MAX_VOCAB: u32 = 1 << 24;
pub const MAX_LAYERS: u32 = 1 << 10;
pub const MAX_HEAD: u32 = 1 << 12;
const MAX_EXPERTS: u32 = 1 << 12;

/// RMS norms before each part, rotary embedding, grouped heads, gated feed-forward.
pub fn llama(m: &Meta) -> Result<Spec, SpecError> {
    let dim = m.size("dim", MAX_WIDTH)?;
    let heads = m.size("heads", MAX_WIDTH)?;
    let count = m.size("layers", MAX_LAYERS)?;
    let kv_heads = m.opt_each("kv_heads", count)?;
    let hidden = m.each("ffn_dim", count)?;
    let head_dim = match m.get("head_dim") {
        Some(_) => m.size("head_dim", MAX_HEAD)?,
        None => dim / heads,
    };
    let dense = Dense { hidden: 0, act: act(m)?, gated: true, bias: m.flag("mlp_bias")? };
    let kv_heads = kv_heads.unwrap_or_else(|| vec![heads; count as usize]);
    kv_heads.iter().try_for_each(|kv_heads| check_heads(m, heads, *kv_heads, head_dim))?;
    let rope = rope(m, head_dim)?;
    let layer = |i: usize| {
        let dense = Dense { hidden: hidden[i], ..dense };
        if dense.hidden == 0 || dense.hidden > MAX_WIDTH {
            return Err(m.invalid("ffn_dim", "a positive size of sensible magnitude"));
        }
        let mixer = Mixer::Attention(Attention {
            heads,
            kv_heads: kv_heads[i],
            head_dim,
            rope: Some(rope.clone()),
            scale: (head_dim as f32).powf(-0.5),
            temperature: None,
            cap: None,
            reach: Reach::All,
            sinks: false,
            qk_norm: QkNorm::None,
            values: Values::Projected,
            kv_of: None,
            qkv_bias: m.flag("qkv_bias")?,
            out_bias: m.flag("out_bias")?,
            gate: false,
        });
        let (ffn, block) = (Ffn::Dense(dense), Block::Before);
        Ok(Layer { memory: None, mixer, ffn, block, residual_scale: 1.0, scaled: false })
    };
    Ok(Spec {
        family: "llama",
        vocab: m.size("vocab", MAX_VOCAB)?,
        dim,
        context: m.size("context", u32::MAX)?,
        positions: None,
        embed_scale: 1.0,
        tied: m.flag("tied")?,
        norm: Norm::Rms,
        norm_eps: m.f32("norm_eps")?,
        logit_scale: 1.0,
        logit_cap: None,
        per_layer: None,
        layers: (0..count as usize).map(layer).collect::<Result<_, _>>()?,
    })
}

/// Whether heads can be grouped and are of sensible width.
pub fn check_heads(m: &Meta, heads: u32, kv_heads: u32, head_dim: u32) -> Result<(), SpecError> {
    if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        return Err(m.invalid("kv_heads", "a divisor of the number of heads"));
    }
    if !(1..=MAX_HEAD).contains(&head_dim) {
        return Err(m.invalid("head_dim", "a positive size of sensible magnitude"));
    }
    if heads.checked_mul(head_dim).is_none_or(|width| width > MAX_WIDTH) {
        return Err(m.invalid("heads", "a number of heads of sensible width"));
    }
    Ok(())
}

/// The activation that the metadata name.
pub fn act(m: &Meta) -> Result<Act, SpecError> {
    match m.opt_text("act")? {
        None | Some("silu" | "swish") => Ok(Act::Silu),
        Some("gelu") => Ok(Act::Gelu),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Act::GeluTanh),
        Some(_) => Err(m.unsupported("act")),
    }
}

/// A number that is not zero, if there is one: zero means absent.
pub fn nonzero(m: &Meta, key: &str) -> Result<Option<f32>, SpecError> {
    match m.opt_f32(key)? {
        Some(value) if value < 0.0 => Err(m.invalid(key, "a positive number")),
        value => Ok(value.filter(|value| *value != 0.0)),
    }
}

/// A window of positions, if there is one.
pub fn window(m: &Meta, key: &str) -> Result<Option<u32>, SpecError> {
    match m.opt_u32(key)? {
        Some(0) => Err(m.invalid(key, "a positive number of positions")),
        window => Ok(window),
    }
}

/// Gives `window` to the layers that `layer_types` or `max_window_layers` say, else to all.
pub fn windowed(spec: Spec, m: &Meta, window: Option<u32>) -> Result<Spec, SpecError> {
    if window == Some(0) {
        return Err(m.invalid("window", "a positive number of positions"));
    }
    let first = m.opt_u32("window_from_layer")?.unwrap_or(0) as usize;
    let local = local_layers(m, spec.layers.len(), |i| i >= first)?;
    let reach = |i: usize| window.filter(|_| local[i]).map_or(Reach::All, Reach::Window);
    Ok(spec.attention(|i, a| a.reach = reach(i)))
}

/// Which layers see a part of the positions only: as the file says for each layer, else by the
/// pattern that it names (all but every so manieth layer), else as `usual` says.
pub fn local_layers(
    m: &Meta,
    count: usize,
    usual: impl Fn(usize) -> bool,
) -> Result<Vec<bool>, SpecError> {
    if let Some(types) = m.opt_texts("layer_types")? {
        let local = |kind: &String| match kind.as_str() {
            "full_attention" => Some(false),
            "sliding_attention" | "chunked_attention" => Some(true),
            _ => None,
        };
        let list: Option<Vec<bool>> = types.iter().map(local).collect();
        return list.filter(|list| list.len() == count).ok_or_else(|| m.unsupported("layer_types"));
    }
    match m.get("window_pattern") {
        None => Ok((0..count).map(usual).collect()),
        Some(Value::List(items)) => {
            let flag = |item: &Value| match item {
                Value::Bool(local) => Some(*local),
                _ => None,
            };
            let list: Option<Vec<bool>> = items.iter().map(flag).collect();
            let list = list.filter(|list| list.len() == count);
            list.ok_or_else(|| m.invalid("window_pattern", "true or false for each layer"))
        }
        Some(Value::Bool(local)) => Ok(vec![*local; count]),
        Some(_) => {
            let pattern = m.size("window_pattern", MAX_LAYERS)? as usize;
            Ok((0..count).map(|i| (i + 1) % pattern != 0).collect())
        }
    }
}

/// Which layers rotate queries and keys: as the file says, else all but every `interval`th.
pub fn rotated_layers(m: &Meta, count: usize, interval: u32) -> Result<Vec<bool>, SpecError> {
    if let Some(list) = m.opt_f32s("no_rope_layers")?.filter(|list| !list.is_empty()) {
        if list.len() != count {
            return Err(m.invalid("no_rope_layers", "a number for each layer"));
        }
        return Ok(list.iter().map(|rotated| *rotated != 0.0).collect());
    }
    let interval = match m.get("no_rope_interval") {
        Some(_) => m.size("no_rope_interval", u32::MAX)?,
        None => interval,
    };
    Ok((1..=count as u64).map(|i| i % u64::from(interval) != 0).collect())
}

/// Experts whose scores are as `usual` and `normalized` unless the file says otherwise.
pub fn experts(m: &Meta, usual: Score, normalized: bool) -> Result<Experts, SpecError> {
    let count = m.size("experts", MAX_EXPERTS)?;
    let active = m.size("experts_active", count)?;
    let hidden = match m.get("expert_dim") {
        Some(_) => m.size("expert_dim", MAX_WIDTH)?,
        None => m.size("ffn_dim", MAX_WIDTH)?,
    };
    let routing = Routing {
        active,
        score: score(m, usual)?,
        correction: false,
        groups: groups(m, count, active)?,
        normalized: m.opt_flag("normalize_weights")?.unwrap_or(normalized),
        scale: nonzero(m, "weights_scale")?.unwrap_or(1.0),
        on_input: false,
        own_norm: false,
    };
    let (act, bias, paired, shared) = (act(m)?, false, false, None);
    Ok(Experts { count, hidden, act, routing, bias, paired, shared })
}

/// What a router's logits become, by transformers' names.
fn score(m: &Meta, usual: Score) -> Result<Score, SpecError> {
    match m.opt_text("score")? {
        None => Ok(usual),
        Some("softmax") => Ok(Score::Softmax),
        Some("softmax_chosen") => Ok(Score::SoftmaxChosen),
        Some("sigmoid") => Ok(Score::Sigmoid),
        Some(_) => Err(m.unsupported("score")),
    }
}

/// The groups of experts, where there are several and they count.
fn groups(m: &Meta, experts: u32, active: u32) -> Result<Option<Groups>, SpecError> {
    let count = m.opt_u32("expert_groups")?.unwrap_or(1);
    match m.opt_text("group_method")? {
        _ if count <= 1 => return Ok(None),
        Some("greedy") => return Ok(None),
        None | Some("group_limited_greedy" | "noaux_tc") => {}
        Some(_) => return Err(m.unsupported("group_method")),
    }
    if !experts.is_multiple_of(count) {
        return Err(m.invalid("expert_groups", "a divisor of the number of experts"));
    }
    let kept = m.size("expert_groups_kept", count)?;
    if kept * (experts / count) < active {
        return Err(m.invalid("expert_groups_kept", "groups that hold the experts of a position"));
    }
    Ok(Some(Groups { count, kept, ranked_by: 2 }))
}

/// A network that all positions share, as wide as so many experts, if there is one.
pub fn shared_experts(m: &Meta, experts: &Experts) -> Result<Option<Shared>, SpecError> {
    let count = m.opt_u32("shared_count")?.unwrap_or(0);
    match count.checked_mul(experts.hidden) {
        Some(0) => Ok(None),
        Some(hidden) if hidden <= MAX_WIDTH => Ok(Some(Shared { hidden, gated: false })),
        _ => Err(m.invalid("shared_count", "a number of experts of sensible width")),
    }
}

/// The metadata as the local layers read them: what begins with `local.` in the place of what the
/// others read, and positions that are not scaled unless that says so.
pub fn local_meta(m: &Meta) -> Meta {
    let mut local = m.clone();
    let global = |key: &str| key == "rope_divisors" || key.starts_with("rope_scaling");
    for (key, ..) in m.iter().filter(|(key, ..)| global(key) || *key == "partial_rotary") {
        local.remove(key);
    }
    for (key, spelled, value) in m.iter() {
        if let Some(key) = key.strip_prefix("local.") {
            local.set(key, spelled, value.clone());
        }
    }
    local
}
