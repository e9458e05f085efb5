//! Families that attend over a latent.

use super::base::{MAX_HEAD, MAX_WIDTH, experts, llama, shared_experts};
use super::mixed::sparse;
use crate::meta::{Meta, SpecError, Value};
use crate::mixers::Latent;
use crate::rope::Scaling;
use crate::spec::{Groups, Layer, Mixer, Score, Spec};

/// Llama over latents, with experts beside a network that all positions share; of groups of
/// experts those with the best single one are kept.
pub fn deepseek_v2(m: &Meta) -> Result<Spec, SpecError> {
    deepseek(m, Score::Softmax)
}

/// DeepSeek-V2 whose experts are chosen by corrected sigmoids, and their groups by the best two.
pub fn deepseek_v3(m: &Meta) -> Result<Spec, SpecError> {
    deepseek(m, Score::Sigmoid)
}

fn deepseek(m: &Meta, usual: Score) -> Result<Spec, SpecError> {
    let spec = latent(m)?;
    if m.get("experts").is_none() {
        return Ok(spec);
    }
    sparse(spec, m, || {
        let mut experts = experts(m, usual, usual == Score::Sigmoid)?;
        experts.shared = shared_experts(m, &experts)?;
        let routing = &mut experts.routing;
        routing.correction = routing.score == Score::Sigmoid;
        let ranked_by = if routing.correction { 2 } else { 1 };
        routing.groups = routing.groups.map(|groups| Groups { ranked_by, ..groups });
        Ok(experts)
    })
}

/// Llama with keys and values that follow from a latent.
fn latent(m: &Meta) -> Result<Spec, SpecError> {
    // What its configurations call the width of a head is that of the rotated part.
    let mut m = m.clone();
    let rotated = m.size("latent.rotated", MAX_HEAD)?;
    let spelled = m.spelled("latent.rotated");
    m.set("head_dim", &spelled, Value::Int(rotated.into()));
    let spec = llama(&m)?;
    let [plain_dim, v_dim] = ["latent.plain", "latent.v_dim"].map(|key| m.size(key, MAX_HEAD));
    let (plain_dim, v_dim) = (plain_dim?, v_dim?);
    let heads = m.size("heads", MAX_WIDTH / (plain_dim + rotated).max(plain_dim + v_dim))?;
    let q_rank = match m.get("latent.q_rank") {
        Some(_) => Some(m.size("latent.q_rank", MAX_WIDTH)?),
        None => None,
    };
    let kv_rank = m.size("latent.kv_rank", MAX_WIDTH / heads)?;
    let Some(rope) = spec.layers.first().and_then(Layer::attention).and_then(|a| a.rope.clone())
    else {
        return Err(m.unsupported("layers"));
    };
    let scale = ((plain_dim + rotated) as f32).powf(-0.5) * stretch(&m, &rope.scaling)?;
    let (bias, split, eps) = (m.flag("qkv_bias")?, m.flag("latent.split")?, LATENT_EPS);
    let latent = Latent { heads, q_rank, kv_rank, plain_dim, v_dim, rope, scale, eps, bias, split };
    Ok(spec.each_layer(|_, layer| layer.mixer = Mixer::Latent(latent.clone())))
}

/// What YaRN multiplies the scores by, where the file says so.
fn stretch(m: &Meta, scaling: &Scaling) -> Result<f32, SpecError> {
    let all = m.opt_f32("rope_scaling.mscale_all_dim")?.unwrap_or(0.0);
    let factor = m.opt_f32("rope_scaling.factor")?.unwrap_or(1.0);
    if *scaling == Scaling::None || all == 0.0 || factor <= 1.0 {
        return Ok(1.0);
    }
    Ok((0.1 * all * factor.ln() + 1.0).powi(2))
}

/// The latents' norms keep their own epsilon, whatever the configuration says of the others.
const LATENT_EPS: f32 = 1e-6;
