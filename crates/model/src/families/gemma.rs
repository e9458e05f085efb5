//! Gemma: norms before and after each part, GELU, a scaled embedding, local layers.

use super::base::{llama, local_layers, local_meta, nonzero, window};
use super::rope::rope;
use crate::meta::{Meta, SpecError};
use crate::spec::{Act, Block, Ffn, Layer, QkNorm, Reach, Spec};

/// Soft caps on scores and logits; every other layer is local.
pub fn gemma2(m: &Meta) -> Result<Spec, SpecError> {
    sandwiched(llama(m)?, m, 2)
}

/// Gemma 2 with q and k normalised per head, and a base of its own for local layers' rotations;
/// five of six layers are local.
pub fn gemma3(m: &Meta) -> Result<Spec, SpecError> {
    let spec = sandwiched(llama(m)?, m, 6)?;
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

/// What Gemma 2 and 3 share; one of `pattern` layers sees everything unless the file says more.
fn sandwiched(spec: Spec, m: &Meta, pattern: usize) -> Result<Spec, SpecError> {
    let window = window(m, "window")?;
    let local = local_layers(m, spec.layers.len(), |i| (i + 1) % pattern != 0)?;
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
