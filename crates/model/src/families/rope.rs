//! The rotary embedding that metadata describe, by transformers' names for its scalings.

use crate::meta::{Meta, SpecError};
use crate::rope::{Pairing, Rope, Scaling};

/// The rotary embedding of heads `head_dim` wide.
pub fn rope(m: &Meta, head_dim: u32) -> Result<Rope, SpecError> {
    let part = m.opt_f64("partial_rotary")?.unwrap_or(1.0);
    let dims = match m.opt_u32("rope_dims")? {
        Some(dims) => dims,
        None => (f64::from(head_dim) * part) as u32,
    };
    if dims == 0 || dims % 2 != 0 || dims > head_dim {
        let given = ["rope_dims", "partial_rotary"].into_iter().find(|key| m.get(key).is_some());
        let expected = "what makes an even number up to the width of a head";
        return Err(m.invalid(given.unwrap_or("head_dim"), expected));
    }
    let theta = m.opt_f32("rope_theta")?.unwrap_or(10_000.0);
    if theta <= 1.0 {
        return Err(m.invalid("rope_theta", "a base above 1"));
    }
    let pairing = if m.flag("rope_interleaved")? { Pairing::Interleaved } else { Pairing::Halves };
    if m.opt_text("rope_scaling")? == Some("proportional") {
        let scaling = proportional(m, head_dim, dims)?;
        return Ok(Rope { dims: head_dim, theta, pairing, scaling });
    }
    Ok(Rope { dims, theta, pairing, scaling: scaling(m, dims)? })
}

/// The scaling, by transformers' names for it.
fn scaling(m: &Meta, dims: u32) -> Result<Scaling, SpecError> {
    let divisors = |key: &str| match m.opt_f32s(key)? {
        Some(list) if list.len() != dims as usize / 2 || list.contains(&0.0) => {
            Err(m.invalid(key, "one divisor for each pair of rotated values"))
        }
        list => Ok(list),
    };
    let need = |key: &str| match m.f32(key)? {
        value if value > 0.0 => Ok(value),
        _ => Err(m.invalid(key, "a positive number")),
    };
    if let Some(list) = divisors("rope_divisors")? {
        return Ok(Scaling::Divisors(list));
    }
    let context = m.size("context", u32::MAX)?;
    let original = m.opt_u32("rope_scaling.original")?.unwrap_or(context).max(1);
    match m.opt_text("rope_scaling")? {
        None | Some("default" | "none") => Ok(Scaling::None),
        Some("linear") => Ok(Scaling::Linear { factor: need("rope_scaling.factor")? }),
        // The growth is relative to the context that the config names as its maximum, even where
        // it names an original one too.
        Some("dynamic") if dims > 2 => {
            Ok(Scaling::Dynamic { factor: need("rope_scaling.factor")?, original: context })
        }
        Some("llama3") => Ok(Scaling::Llama3 {
            factor: need("rope_scaling.factor")?,
            low: need("rope_scaling.low")?,
            high: need("rope_scaling.high")?,
            original,
        }),
        Some("yarn") => yarn(m, stretch(m, context, original)?, original),
        Some("longrope") => {
            let list = |key| divisors(key)?.ok_or_else(|| SpecError::Missing(m.spelled(key)));
            Ok(Scaling::LongRope {
                short: list("rope_scaling.short")?,
                long: list("rope_scaling.long")?,
                original,
                attention: longrope_attention(m, stretch(m, context, original)?, original)?,
            })
        }
        Some(_) => Err(m.unsupported("rope_scaling")),
    }
}

/// A part of the pairs turns as if the whole head did; the others do not turn at all.
fn proportional(m: &Meta, head_dim: u32, dims: u32) -> Result<Scaling, SpecError> {
    let factor = match m.opt_f32("rope_scaling.factor")? {
        Some(factor) if factor <= 0.0 => {
            return Err(m.invalid("rope_scaling.factor", "a positive number"));
        }
        factor => factor.unwrap_or(1.0),
    };
    let divisor = |pair| if pair < dims / 2 { factor } else { f32::INFINITY };
    Ok(Scaling::Divisors((0..head_dim / 2).map(divisor).collect()))
}

/// The factor that the file names, else the growth of the context.
fn stretch(m: &Meta, context: u32, original: u32) -> Result<f32, SpecError> {
    match m.opt_f32("rope_scaling.factor")? {
        Some(factor) if factor > 0.0 => Ok(factor),
        Some(_) => Err(m.invalid("rope_scaling.factor", "a positive number")),
        None => Ok(context as f32 / original as f32),
    }
}

fn yarn(m: &Meta, factor: f32, original: u32) -> Result<Scaling, SpecError> {
    // A zero means the default, as an absent key does.
    let beta = |key: &str, default: f32| match m.opt_f32(key)? {
        None | Some(0.0) => Ok(default),
        Some(beta) if beta > 0.0 => Ok(beta),
        Some(_) => Err(m.invalid(key, "a positive number")),
    };
    Ok(Scaling::Yarn {
        factor,
        beta_fast: beta("rope_scaling.beta_fast", 32.0)?,
        beta_slow: beta("rope_scaling.beta_slow", 1.0)?,
        original,
        attention: yarn_attention(m, factor)?,
        truncate: m.get("rope_scaling.truncate").is_none() || m.flag("rope_scaling.truncate")?,
    })
}

/// LongRoPE's factor on the rotated values.
fn longrope_attention(m: &Meta, factor: f32, original: u32) -> Result<f32, SpecError> {
    match m.opt_f32("rope_scaling.attention")? {
        Some(attention) => Ok(attention),
        None if factor <= 1.0 || original <= 1 => Ok(1.0),
        None => Ok((1.0 + factor.ln() / (original as f32).ln()).sqrt()),
    }
}

/// YaRN's factor on the rotated values (its equation 22); models that scale the scores elsewhere
/// give two coefficients whose ratio it is.
fn yarn_attention(m: &Meta, factor: f32) -> Result<f32, SpecError> {
    if let Some(attention) = m.opt_f32("rope_scaling.attention")? {
        return Ok(attention);
    }
    let scale = |mscale: f32| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    let pair = (m.opt_f32("rope_scaling.mscale")?, m.opt_f32("rope_scaling.mscale_all_dim")?);
    Ok(match pair {
        (Some(a), Some(b)) if a != 0.0 && b != 0.0 => scale(a) / scale(b),
        _ => scale(1.0),
    })
}
