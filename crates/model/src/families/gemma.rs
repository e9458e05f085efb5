//! Gemma: norms before and after each part, GELU, a scaled embedding, local layers.

use super::base::{
    MAX_HEAD, MAX_LAYERS, MAX_WIDTH, check_heads, experts, llama, local_layers, local_meta,
    nonzero, window,
};
use super::rope::rope;
use crate::meta::{Meta, SpecError, Value};
use crate::spec::{Act, Block, Ffn, Layer, Mixer, PerLayer, QkNorm, Reach, Score, Spec, Values};

/// Soft caps on scores and logits; every other layer is local.
pub fn gemma2(m: &Meta) -> Result<Spec, SpecError> {
    let spec = llama(m)?;
    let local = local_layers(m, spec.layers.len(), |i| (i + 1) % 2 != 0)?;
    sandwiched(spec, m, &local)
}

/// Gemma 2 with q and k normalised per head, and a base of its own for local layers' rotations;
/// five of six layers are local.
pub fn gemma3(m: &Meta) -> Result<Spec, SpecError> {
    let spec = llama(m)?;
    let layers = local_layers(m, spec.layers.len(), |i| (i + 1) % 6 != 0)?;
    let spec = sandwiched(spec, m, &layers)?;
    let local = local_meta(m);
    let Some(first) = spec.layers.first().and_then(Layer::attention) else { return Ok(spec) };
    let rope = rope(&local, first.head_dim)?;
    Ok(spec.attention(|_, a| {
        a.qk_norm = QkNorm::Head;
        if a.reach != Reach::All {
            a.rope = Some(rope.clone());
        }
    }))
}

/// Gemma 3 with a width of global layers' heads of its own, values divided by their root mean
/// square, layers that see earlier ones' keys and values, embeddings for every layer, and a factor
/// on the stream; perhaps with experts beside each feed-forward network.
pub fn gemma4(m: &Meta) -> Result<Spec, SpecError> {
    let count = m.size("layers", MAX_LAYERS)? as usize;
    let mut local = local_layers(m, count, |i| (i + 1) % 6 != 0)?;
    local[count - 1] = false;
    let head_dims = head_dims(m, &local)?;
    let mut scalar = if local[0] { local_meta(m) } else { m.clone() };
    scalar.set("head_dim", &m.spelled("head_dim"), Value::Int(head_dims[0].into()));
    let mut spec = sandwiched(llama(&scalar)?, m, &local)?;
    let shared = m.opt_u32("kv_shared")?.unwrap_or(0) as usize;
    let own = count.checked_sub(shared).ok_or_else(|| m.invalid("kv_shared", "some layers"))?;
    let ropes = (local_meta(m), m);
    for (i, layer) in spec.layers.iter_mut().enumerate() {
        let Mixer::Attention(a) = &mut layer.mixer else { continue };
        a.head_dim = head_dims[i];
        a.rope = Some(rope(if local[i] { &ropes.0 } else { ropes.1 }, a.head_dim)?);
        let of_keys = m.flag("k_eq_v")? && !local[i];
        if let Some(heads) = m.opt_u32("global.kv_heads")?.filter(|_| of_keys) {
            a.kv_heads = heads;
        }
        check_heads(m, a.heads, a.kv_heads, a.head_dim)?;
        (a.scale, a.qk_norm) = (1.0, QkNorm::Head);
        a.values = if of_keys { Values::OfKeys } else { Values::Normed };
        if i >= own {
            let earlier = (0..own).rev().find(|earlier| local[*earlier] == local[i]);
            let earlier = earlier.ok_or_else(|| m.invalid("kv_shared", "layers of every kind"));
            a.kv_of = Some(earlier? as u32);
        }
        layer.scaled = true;
    }
    with_experts(&mut spec, m, own)?;
    let width = m.opt_u32("layer_width")?.unwrap_or(0);
    if width > MAX_WIDTH / count as u32 {
        return Err(m.invalid("layer_width", "a size of sensible magnitude"));
    }
    if width > 0 && m.opt_u32("layer_vocab")?.is_some_and(|vocab| vocab != spec.vocab) {
        return Err(m.unsupported("layer_vocab"));
    }
    let act = gelu(m)?;
    spec.per_layer = (width > 0).then_some(PerLayer { width, act });
    Ok(spec)
}

/// The width of each layer's heads.
fn head_dims(m: &Meta, local: &[bool]) -> Result<Vec<u32>, SpecError> {
    if let Some(Value::List(_)) = m.get("head_dim") {
        return m.each("head_dim", local.len() as u32);
    }
    let usual = m.size("head_dim", MAX_HEAD)?;
    let [inner, outer] = ["local.head_dim", "global.head_dim"].map(|key| m.opt_u32(key));
    let (inner, outer) = (inner?.unwrap_or(usual), outer?.unwrap_or(usual));
    Ok(local.iter().map(|local| if *local { inner } else { outer }).collect())
}

/// Experts beside every feed-forward network where the file has them; networks of the layers from
/// `own` on may be twice as wide.
fn with_experts(spec: &mut Spec, m: &Meta, own: usize) -> Result<(), SpecError> {
    let there = m.opt_u32("experts")?.unwrap_or(0) > 0;
    let experts = if m.opt_flag("moe_block")?.unwrap_or(there) {
        let mut experts = experts(m, Score::Softmax, true)?;
        experts.act = gelu(m)?;
        experts.routing.own_norm = true;
        Some(experts)
    } else {
        None
    };
    let wide = m.flag("double_wide")?;
    for (i, layer) in spec.layers.iter_mut().enumerate() {
        let Ffn::Dense(mut dense) = layer.ffn else { continue };
        if wide && i >= own {
            dense.hidden = dense.hidden.saturating_mul(2).min(2 * MAX_WIDTH);
        }
        layer.ffn = match &experts {
            Some(experts) => Ffn::Beside(dense, experts.clone()),
            None => Ffn::Dense(dense),
        };
    }
    Ok(())
}

/// What all have; `local` layers see a window.
fn sandwiched(spec: Spec, m: &Meta, local: &[bool]) -> Result<Spec, SpecError> {
    let window = window(m, "window")?;
    let scale = nonzero(m, "query_scale")?.map(|scalar| scalar.powf(-0.5));
    let cap = nonzero(m, "attn_cap")?;
    let act = gelu(m)?;
    let spec = spec.attention(|i, a| {
        a.reach = window.filter(|_| local[i]).map_or(Reach::All, Reach::Window);
        (a.scale, a.cap) = (scale.unwrap_or(a.scale), cap);
    });
    let spec = spec.each_layer(|_, layer| {
        layer.block = Block::Sandwich;
        if let Ffn::Dense(dense) = &mut layer.ffn {
            dense.act = act;
        }
    });
    let logit_cap = nonzero(m, "logit_cap")?;
    Ok(Spec { embed_scale: (spec.dim as f32).sqrt(), logit_cap, ..spec })
}

/// GELU's approximation unless the file names another.
fn gelu(m: &Meta) -> Result<Act, SpecError> {
    if m.get("act").is_some() { super::base::act(m) } else { Ok(Act::GeluTanh) }
}
