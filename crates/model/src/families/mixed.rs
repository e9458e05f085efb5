//! Families with a mixture of experts.

use super::base::{
    MAX_WIDTH, experts, llama, local_layers, nonzero, rotated_layers, shared_experts, window,
};
use super::dense::{mistral, qwen2, qwen3};
use crate::meta::{Meta, SpecError};
use crate::rope::Pairing;
use crate::spec::{Act, Attention, Experts, Ffn, QkNorm, Reach, Score, Shared, Spec, Temperature};

/// Mistral with experts, of which the chosen ones' weights add up to one.
pub fn mixtral(m: &Meta) -> Result<Spec, SpecError> {
    let experts = experts(m, Score::Softmax, true)?;
    Ok(mistral(m)?.each_layer(|_, layer| layer.ffn = Ffn::Experts(experts.clone())))
}

/// Qwen2 with experts and a gated network that all positions share.
pub fn qwen2_moe(m: &Meta) -> Result<Spec, SpecError> {
    sparse(qwen2(m)?, m, || beside_gated(m, false))
}

/// Experts beside a gated network that all positions share.
pub fn beside_gated(m: &Meta, normalized: bool) -> Result<Experts, SpecError> {
    let mut experts = experts(m, Score::Softmax, normalized)?;
    let hidden = match m.get("shared_dim") {
        Some(_) => m.size("shared_dim", MAX_WIDTH)?,
        None => m.size("ffn_dim", MAX_WIDTH)?,
    };
    experts.shared = Some(Shared { hidden, gated: true });
    Ok(experts)
}

/// Qwen3 with experts.
pub fn qwen3_moe(m: &Meta) -> Result<Spec, SpecError> {
    sparse(qwen3(m)?, m, || experts(m, Score::Softmax, true))
}

/// Gives experts to every layer but those that the file excepts; to none where there are none.
pub fn sparse(
    spec: Spec,
    m: &Meta,
    experts: impl FnOnce() -> Result<Experts, SpecError>,
) -> Result<Spec, SpecError> {
    if m.opt_u32("experts")? == Some(0) {
        return Ok(spec);
    }
    let experts = experts()?;
    let step = match m.get("sparse_step") {
        Some(_) => m.size("sparse_step", u32::MAX)? as usize,
        None => 1,
    };
    let excepted = m.opt_f32s("mlp_only_layers")?.unwrap_or_default();
    let first = m.opt_u32("dense_layers")?.unwrap_or(0) as usize;
    let is_sparse =
        |i: usize| i >= first && (i + 1).is_multiple_of(step) && !excepted.contains(&(i as f32));
    Ok(spec.each_layer(|i, layer| {
        if is_sparse(i) {
            layer.ffn = Ffn::Experts(experts.clone());
        }
    }))
}

/// Llama with biases, sinks, every other layer windowed, and experts with biases whose gates are
/// clamped.
pub fn gpt_oss(m: &Meta) -> Result<Spec, SpecError> {
    let mut experts = experts(m, Score::SoftmaxChosen, true)?;
    experts.bias = true;
    experts.paired = m.flag("gate_up_paired")?;
    experts.act = Act::ClampedSilu {
        alpha: nonzero(m, "swiglu_alpha")?.unwrap_or(1.702),
        limit: nonzero(m, "swiglu_limit")?.unwrap_or(7.0),
    };
    let (spec, window) = (llama(m)?, window(m, "window")?);
    let local = local_layers(m, spec.layers.len(), |i| (i + 1) % 2 != 0)?;
    let reach = |i: usize| window.filter(|_| local[i]).map_or(Reach::All, Reach::Window);
    let bias = m.opt_flag("qkv_bias")?.unwrap_or(true);
    let change = |i: usize, a: &mut Attention| {
        (a.sinks, a.reach, a.qkv_bias, a.out_bias) = (true, reach(i), bias, bias);
    };
    let spec = spec.attention(change);
    Ok(spec.each_layer(|_, layer| layer.ffn = Ffn::Experts(experts.clone())))
}

/// Llama with all of q and all of k normalised, and experts that are chosen by corrected sigmoids.
pub fn minimax_m2(m: &Meta) -> Result<Spec, SpecError> {
    let mut experts = experts(m, Score::Sigmoid, true)?;
    experts.routing.correction = true;
    let spec = llama(m)?.attention(|_, a| a.qk_norm = QkNorm::Whole);
    Ok(spec.each_layer(|_, layer| layer.ffn = Ffn::Experts(experts.clone())))
}

/// Llama with biases on q, k and v, experts that are chosen by corrected sigmoids, and a network
/// that all positions share.
pub fn glm4_moe(m: &Meta) -> Result<Spec, SpecError> {
    let experts = || {
        let mut experts = experts(m, Score::Sigmoid, true)?;
        experts.routing.correction = true;
        experts.shared = shared_experts(m, &experts)?;
        Ok(experts)
    };
    let qk_norm = if m.flag("qk_norm")? { QkNorm::Head } else { QkNorm::None };
    let change = |a: &mut Attention| (a.qk_norm, a.out_bias) = (qk_norm, false);
    sparse(llama(m)?.attention(|_, a| change(a)), m, experts)
}

/// Llama in chunks, with layers that see everything and do not rotate; experts beside a network
/// that all positions share, weighted by a sigmoid on their input.
pub fn llama4(m: &Meta) -> Result<Spec, SpecError> {
    let mut experts = experts(m, Score::Sigmoid, false)?;
    experts.routing.on_input = true;
    experts.shared = Some(Shared { hidden: experts.hidden, gated: false });
    let mut spec = llama(m)?;
    let count = spec.layers.len();
    let rotated = rotated_layers(m, count, 4)?;
    let local = local_layers(m, count, |i| rotated[i])?;
    let chunk = window(m, "chunk")?;
    let norm = m.opt_flag("qk_norm")?.unwrap_or(true);
    let tuning = match m.opt_flag("tuning")?.unwrap_or(true) {
        true => Some(Temperature {
            beta: m.opt_f32("tuning_scale")?.unwrap_or(0.1),
            length: m.opt_u32("tuning_floor")?.unwrap_or(8192).max(1),
            offset: 1,
        }),
        false => None,
    };
    spec = spec.attention(|i, a| {
        a.reach = chunk.filter(|_| local[i]).map_or(Reach::All, Reach::Chunk);
        a.rope.iter_mut().for_each(|rope| rope.pairing = Pairing::Interleaved);
        match rotated[i] {
            true if norm => a.qk_norm = QkNorm::AfterRope,
            true => {}
            false => (a.rope, a.temperature) = (None, tuning),
        }
    });
    let dense = match m.get("mlp_dim") {
        Some(_) => m.size("mlp_dim", MAX_WIDTH)?,
        None => m.size("ffn_dim", MAX_WIDTH)?,
    };
    let step = match m.get("moe_step") {
        Some(_) => m.size("moe_step", u32::MAX)? as usize,
        None => 1,
    };
    let listed = m.opt_f32s("moe_layers")?;
    let sparse = |i: usize| match &listed {
        Some(list) => list.contains(&(i as f32)),
        None => (i + 1).is_multiple_of(step),
    };
    Ok(spec.each_layer(|i, layer| match &mut layer.ffn {
        ffn if sparse(i) => *ffn = Ffn::Experts(experts.clone()),
        Ffn::Dense(ffn) => ffn.hidden = dense,
        _ => {}
    }))
}
