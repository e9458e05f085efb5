//! Families whose layers are of two kinds: some attend, the others keep a state of fixed size.

use super::base::{MAX_HEAD, MAX_LAYERS, MAX_WIDTH, act, llama};
use super::mixed::{beside_gated, sparse};
use crate::meta::{Meta, SpecError};
use crate::mixers::DeltaNet;
use crate::spec::{Mixer, QkNorm, Spec};

/// Llama with q and k normalised per head and a gate on what attention gives; most layers are
/// gated delta nets.
pub fn qwen3_5(m: &Meta) -> Result<Spec, SpecError> {
    let spec = llama(m)?.attention(|_, a| (a.qk_norm, a.gate) = (QkNorm::Head, true));
    let (recurrent, delta) = (recurrent_layers(m, spec.layers.len())?, delta_net(m)?);
    Ok(spec.each_layer(|i, layer| {
        if recurrent[i] {
            layer.mixer = Mixer::DeltaNet(delta.clone());
        }
    }))
}

/// Qwen3.5 with experts and a gated network that all positions share.
pub fn qwen3_next(m: &Meta) -> Result<Spec, SpecError> {
    sparse(qwen3_5(m)?, m, || beside_gated(m, true))
}

/// Which layers keep a state: as the file says for each, else all but every so manieth.
fn recurrent_layers(m: &Meta, count: usize) -> Result<Vec<bool>, SpecError> {
    let Some(types) = m.opt_texts("layer_types")? else {
        let interval = match m.get("full_interval") {
            Some(_) => m.size("full_interval", MAX_LAYERS)? as usize,
            None => 4,
        };
        return Ok((1..=count).map(|i| i % interval != 0).collect());
    };
    let kind = |kind: &String| match kind.as_str() {
        "linear_attention" => Some(true),
        "full_attention" => Some(false),
        _ => None,
    };
    let list: Option<Vec<bool>> = types.iter().map(kind).collect();
    list.filter(|list| list.len() == count).ok_or_else(|| m.unsupported("layer_types"))
}

fn delta_net(m: &Meta) -> Result<DeltaNet, SpecError> {
    let k_heads = m.size("delta.k_heads", MAX_WIDTH)?;
    let v_heads = m.size("delta.v_heads", MAX_WIDTH)?;
    if v_heads % k_heads != 0 {
        return Err(m.invalid("delta.v_heads", "a multiple of the number of key heads"));
    }
    let v_dim = match m.get("delta.inner") {
        Some(_) => m.size("delta.inner", MAX_WIDTH)? / v_heads,
        None => m.size("delta.v_dim", MAX_HEAD)?,
    };
    let k_dim = m.size("delta.k_dim", MAX_HEAD)?;
    let wide = |heads: u32, dim| heads.checked_mul(dim).is_none_or(|width| width > MAX_WIDTH);
    if v_dim == 0 || wide(k_heads, k_dim) || wide(v_heads, v_dim) {
        return Err(m.invalid("delta.v_heads", "a number of heads of sensible width"));
    }
    Ok(DeltaNet {
        k_heads,
        v_heads,
        k_dim,
        v_dim,
        kernel: m.size("delta.kernel", MAX_KERNEL)?,
        act: act(m)?,
        tiled: m.flag("delta.tiled")?,
        joint: m.flag("delta.joint")?,
        joint_gates: m.flag("delta.joint_gates")?,
    })
}

/// Longer than any short convolution.
const MAX_KERNEL: u32 = 1 << 8;
