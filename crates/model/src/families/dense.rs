//! Families of one feed-forward network in each layer.

use super::base::{act, llama, local_layers, nonzero, rotated_layers, window, windowed};
use crate::meta::{Meta, SpecError, Value};
use crate::rope::Pairing;
use crate::spec::{Attention, Block, Ffn, Norm, QkNorm, Reach, Spec, Temperature};

/// Llama in which a row may see a window only.
pub fn mistral(m: &Meta) -> Result<Spec, SpecError> {
    windowed(llama(m)?, m, m.opt_u32("window")?)
}

/// Mistral whose scores grow with the position.
pub fn ministral3(m: &Meta) -> Result<Spec, SpecError> {
    let spec = mistral(m)?;
    let Some(beta) = m.opt_f32("temperature")? else { return Ok(spec) };
    let length = m.size("rope_scaling.original", u32::MAX)?;
    Ok(spec.attention(|_, a| a.temperature = Some(Temperature { beta, length, offset: 0 })))
}

/// Llama with biases on q, k and v; the upper layers may be windowed.
pub fn qwen2(m: &Meta) -> Result<Spec, SpecError> {
    let window = if m.flag("use_window")? { m.opt_u32("window")? } else { None };
    let spec = llama(m)?.attention(|_, a| (a.qkv_bias, a.out_bias) = (true, false));
    windowed(spec, m, window)
}

/// Qwen2 with llama's choice of biases, and with q and k normalised per head.
pub fn qwen3(m: &Meta) -> Result<Spec, SpecError> {
    let bias = (m.flag("qkv_bias")?, m.flag("out_bias")?);
    let change = |a: &mut Attention| ((a.qkv_bias, a.out_bias), a.qk_norm) = (bias, QkNorm::Head);
    Ok(qwen2(m)?.attention(|_, a| change(a)))
}

/// Mistral with rotation of a part of each head. Its configurations call longrope by two other
/// names, one of which means another scaling elsewhere.
pub fn phi3(m: &Meta) -> Result<Spec, SpecError> {
    let mut m = m.clone();
    if let Some("su" | "yarn") = m.opt_text("rope_scaling")? {
        let spelled = m.spelled("rope_scaling");
        m.set("rope_scaling", &spelled, Value::Text("longrope".to_owned()));
    }
    mistral(&m)
}

/// Llama whose norms stand after each part, and with all of q and all of k normalised.
pub fn olmo2(m: &Meta) -> Result<Spec, SpecError> {
    let spec = llama(m)?.attention(|_, a| a.qk_norm = QkNorm::Whole);
    Ok(spec.each_layer(|_, layer| layer.block = Block::After))
}

/// Llama with layers that do not rotate.
pub fn smollm3(m: &Meta) -> Result<Spec, SpecError> {
    let window = if m.flag("use_window")? { m.opt_u32("window")? } else { None };
    let spec = windowed(llama(m)?, m, window)?;
    let rotated = rotated_layers(m, spec.layers.len(), 4)?;
    Ok(spec.attention(|i, a| a.rope = a.rope.take().filter(|_| rotated[i])))
}

/// Llama with factors on the embedding, the scores, the residuals and the logits.
pub fn granite(m: &Meta) -> Result<Spec, SpecError> {
    let residual = nonzero(m, "residual_multiplier")?.unwrap_or(1.0);
    let scale = nonzero(m, "attn_multiplier")?;
    let spec = llama(m)?
        .attention(|_, a| a.scale = scale.unwrap_or(a.scale))
        .each_layer(|_, layer| layer.residual_scale = residual);
    Ok(Spec {
        embed_scale: nonzero(m, "embed_multiplier")?.unwrap_or(1.0),
        logit_scale: 1.0 / nonzero(m, "logit_divisor")?.unwrap_or(1.0),
        ..spec
    })
}

/// Mixer and feed-forward read the same and are added together; layer norms without a bias,
/// rotation of neighbours, a factor on the logits.
pub fn cohere(m: &Meta) -> Result<Spec, SpecError> {
    let qk_norm = if m.flag("qk_norm")? { QkNorm::EachHead } else { QkNorm::None };
    let turn = |a: &mut Attention| {
        a.qk_norm = qk_norm;
        a.rope.iter_mut().for_each(|rope| rope.pairing = Pairing::Interleaved);
    };
    let spec =
        llama(m)?.attention(|_, a| turn(a)).each_layer(|_, layer| layer.block = Block::Parallel);
    let logit_scale = nonzero(m, "logit_scale")?.unwrap_or(1.0);
    Ok(Spec { norm: Norm::Layer { bias: false }, logit_scale, ..spec })
}

/// Cohere with windows in all but every fourth layer, which does not rotate.
pub fn cohere2(m: &Meta) -> Result<Spec, SpecError> {
    let (spec, window) = (cohere(m)?, window(m, "window")?);
    let local = local_layers(m, spec.layers.len(), |i| (i + 1) % 4 != 0)?;
    Ok(spec.attention(|i, a| match window.filter(|_| local[i]) {
        Some(window) => a.reach = Reach::Window(window),
        None => a.rope = None,
    }))
}

/// Learned positions, layer norms, biases everywhere, no gate.
pub fn gpt2(m: &Meta) -> Result<Spec, SpecError> {
    let mut m = m.clone();
    if m.get("ffn_dim").is_none() {
        let wide = i64::from(m.u32("dim")?) * 4;
        m.set("ffn_dim", "n_inner", Value::Int(wide));
    }
    let mut spec = llama(&m)?;
    spec.norm = Norm::Layer { bias: true };
    spec.positions = Some(spec.context);
    let scaled = m.opt_flag("attn_scaled")?.unwrap_or(true);
    let by_layer = m.flag("attn_by_layer")?;
    let act = if m.get("act").is_some() { act(&m)? } else { crate::spec::Act::GeluTanh };
    let change = |i: usize, a: &mut Attention| {
        (a.rope, a.qkv_bias, a.out_bias) = (None, true, true);
        a.scale = if scaled { a.scale } else { 1.0 };
        a.scale /= if by_layer { (i + 1) as f32 } else { 1.0 };
    };
    Ok(spec.attention(change).each_layer(|_, layer| {
        if let Ffn::Dense(dense) = &mut layer.ffn {
            (dense.gated, dense.bias, dense.act) = (false, true, act);
        }
    }))
}
