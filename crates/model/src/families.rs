//! The families: each a function of a few lines that says how it differs from an earlier one.
//!
//! This table is the only place, with the name rows of the loader, where families are named.

mod hybrid;
mod latent;

use crate::meta::{Meta, SpecError, Value};
use crate::rope::{Pairing, Rope, Scaling};
use crate::spec::{Act, Attention, Ffn, Layer, Mixer, Spec};

/// How a family is found and described.
pub struct Family {
    /// GGUF's `general.architecture`.
    pub gguf: &'static str,
    /// Hugging Face's `architectures[0]`.
    pub hugging_face: &'static str,
    /// What Hugging Face's configuration class assumes for keys that a config.json leaves out.
    pub defaults: &'static [(&'static str, Value)],
    describe: fn(&Meta) -> Result<Spec, SpecError>,
}

/// Every family that Russet runs.
pub const FAMILIES: &[Family] = &[
    Family {
        gguf: "llama",
        hugging_face: "LlamaForCausalLM",
        defaults: &[("norm_eps", EPS), ("context", Value::Int(2048))],
        describe: llama,
    },
    Family {
        gguf: "mistral",
        hugging_face: "MistralForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(8)),
            ("norm_eps", EPS),
            ("context", Value::Int(131_072)),
            ("window", Value::Int(4096)),
        ],
        describe: mistral,
    },
    Family {
        gguf: "qwen2",
        hugging_face: "Qwen2ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(32)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("window", Value::Int(4096)),
            ("window_from_layer", Value::Int(28)),
        ],
        describe: qwen2,
    },
    Family {
        gguf: "qwen3",
        hugging_face: "Qwen3ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(32)),
            ("head_dim", Value::Int(128)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("window", Value::Int(4096)),
            ("window_from_layer", Value::Int(28)),
        ],
        describe: qwen3,
    },
    Family {
        gguf: "phi3",
        hugging_face: "Phi3ForCausalLM",
        defaults: &[
            ("norm_eps", Value::Float(1e-5)),
            ("context", Value::Int(4096)),
            ("rope_scaling.original", Value::Int(4096)),
        ],
        describe: phi3,
    },
    Family {
        gguf: "deepseek2",
        hugging_face: "DeepseekV3ForCausalLM",
        defaults: &[
            ("norm_eps", EPS),
            ("context", Value::Int(4096)),
            ("latent.q_rank", Value::Int(1536)),
            ("latent.kv_rank", Value::Int(512)),
            ("latent.plain", Value::Int(128)),
            ("latent.rotated", Value::Int(64)),
            ("latent.v_dim", Value::Int(128)),
            ("rope_interleaved", Value::Bool(true)),
        ],
        describe: latent::deepseek,
    },
    Family {
        gguf: "deepseek2",
        hugging_face: "DeepseekV2ForCausalLM",
        defaults: &[
            ("norm_eps", EPS),
            ("context", Value::Int(2048)),
            ("latent.q_rank", Value::Int(1536)),
            ("latent.kv_rank", Value::Int(512)),
            ("latent.plain", Value::Int(128)),
            ("latent.rotated", Value::Int(64)),
            ("latent.v_dim", Value::Int(128)),
            ("rope_interleaved", Value::Bool(true)),
        ],
        describe: latent::deepseek,
    },
    Family {
        gguf: "qwen35",
        hugging_face: "Qwen3_5ForCausalLM",
        defaults: &[
            ("kv_heads", Value::Int(4)),
            ("head_dim", Value::Int(256)),
            ("norm_eps", EPS),
            ("context", Value::Int(32_768)),
            ("partial_rotary", Value::Float(0.25)),
            ("delta.kernel", Value::Int(4)),
            ("delta.k_dim", Value::Int(128)),
            ("delta.v_dim", Value::Int(128)),
            ("delta.k_heads", Value::Int(16)),
            ("delta.v_heads", Value::Int(32)),
        ],
        describe: hybrid::qwen3_5,
    },
];

const EPS: Value = Value::Float(1e-6);

/// The family that a GGUF architecture or a Hugging Face class name means.
pub fn family(name: &str) -> Result<&'static Family, SpecError> {
    let named = |f: &&Family| f.gguf == name || f.hugging_face == name;
    FAMILIES.iter().find(named).ok_or_else(|| SpecError::UnknownFamily(name.to_owned()))
}

/// Describes the model that `meta` belongs to; its key `family` names the family.
///
/// # Errors
/// Names the key that is missing, out of range or not supported.
pub fn describe(meta: &Meta) -> Result<Spec, SpecError> {
    let name = meta.opt_text("family")?.ok_or_else(|| SpecError::Missing("family".into()))?;
    let family = family(name)?;
    let mut spec = (family.describe)(meta)?;
    spec.family = family.gguf;
    Ok(spec)
}

/// RMS norms, rotary embedding, grouped heads, gated feed-forward.
fn llama(m: &Meta) -> Result<Spec, SpecError> {
    let dim = m.size("dim", MAX_WIDTH)?;
    let heads = m.size("heads", MAX_WIDTH)?;
    let kv_heads = m.opt_u32("kv_heads")?.unwrap_or(heads);
    if kv_heads == 0 || heads % kv_heads != 0 {
        return Err(m.invalid("kv_heads", "a divisor of the number of heads"));
    }
    let head_dim = match m.opt_u32("head_dim")? {
        Some(_) => m.size("head_dim", MAX_HEAD)?,
        None => dim / heads,
    };
    if heads.checked_mul(head_dim).is_none_or(|width| width > MAX_WIDTH) {
        return Err(m.invalid("heads", "a number of heads of sensible width"));
    }
    let mixer = Mixer::Attention(Attention {
        heads,
        kv_heads,
        head_dim,
        rope: rope(m, head_dim)?,
        scale: (head_dim as f32).powf(-0.5),
        window: None,
        qk_norm: false,
        qkv_bias: m.flag("qkv_bias")?,
        out_bias: m.flag("out_bias")?,
        gate: false,
    });
    let hidden = m.size("ffn_dim", MAX_WIDTH)?;
    let ffn = Ffn::Dense { hidden, act: act(m)?, bias: m.flag("mlp_bias")? };
    Ok(Spec {
        family: "llama",
        vocab: m.size("vocab", MAX_VOCAB)?,
        dim,
        context: m.size("context", u32::MAX)?,
        embed_scale: 1.0,
        tied: m.flag("tied")?,
        norm_eps: m.f32("norm_eps")?,
        layers: vec![Layer { mixer, ffn }; m.size("layers", MAX_LAYERS)? as usize],
    })
}

/// Llama in which a row may see a window only.
fn mistral(m: &Meta) -> Result<Spec, SpecError> {
    windowed(llama(m)?, m, m.opt_u32("window")?)
}

/// Llama with biases on q, k and v; the upper layers may be windowed.
fn qwen2(m: &Meta) -> Result<Spec, SpecError> {
    let window = if m.flag("use_window")? { m.opt_u32("window")? } else { None };
    let spec = llama(m)?.attention(|_, a| (a.qkv_bias, a.out_bias) = (true, false));
    windowed(spec, m, window)
}

/// Qwen2 with llama's choice of biases, and with q and k normalised per head.
fn qwen3(m: &Meta) -> Result<Spec, SpecError> {
    let bias = (m.flag("qkv_bias")?, m.flag("out_bias")?);
    let change = |a: &mut Attention| ((a.qkv_bias, a.out_bias), a.qk_norm) = (bias, true);
    Ok(qwen2(m)?.attention(|_, a| change(a)))
}

/// Mistral with rotation of a part of each head. Its configurations call longrope by two other
/// names, one of which means another scaling elsewhere.
fn phi3(m: &Meta) -> Result<Spec, SpecError> {
    let mut m = m.clone();
    if let Some("su" | "yarn") = m.opt_text("rope_scaling")? {
        let spelled = m.spelled("rope_scaling");
        m.set("rope_scaling", &spelled, Value::Text("longrope".to_owned()));
    }
    mistral(&m)
}

const MAX_WIDTH: u32 = 1 << 20;
const MAX_VOCAB: u32 = 1 << 24;
const MAX_LAYERS: u32 = 1 << 10;
const MAX_HEAD: u32 = 1 << 12;

/// Gives `window` to the layers that `layer_types` or `max_window_layers` say, else to all.
fn windowed(spec: Spec, m: &Meta, window: Option<u32>) -> Result<Spec, SpecError> {
    if window == Some(0) {
        return Err(m.invalid("window", "a positive number of positions"));
    }
    let types = m.opt_texts("layer_types")?;
    let first = m.opt_u32("window_from_layer")?.unwrap_or(0) as usize;
    if let Some(types) = &types {
        let known = |t: &String| t == "full_attention" || t == "sliding_attention";
        if types.len() != spec.layers.len() || !types.iter().all(known) {
            return Err(m.unsupported("layer_types"));
        }
    }
    let slides = |i: usize| match &types {
        Some(types) => types[i] == "sliding_attention",
        None => i >= first,
    };
    Ok(spec.attention(|i, a| a.window = window.filter(|_| slides(i))))
}

fn act(m: &Meta) -> Result<Act, SpecError> {
    match m.opt_text("act")? {
        None | Some("silu" | "swish") => Ok(Act::Silu),
        Some("gelu") => Ok(Act::Gelu),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Act::GeluTanh),
        Some(_) => Err(m.unsupported("act")),
    }
}

fn rope(m: &Meta, head_dim: u32) -> Result<Rope, SpecError> {
    let part = m.opt_f64("partial_rotary")?.unwrap_or(1.0);
    let dims = match m.opt_u32("rope_dims")? {
        Some(dims) => dims,
        None => (f64::from(head_dim) * part) as u32,
    };
    if dims == 0 || dims % 2 != 0 || dims > head_dim {
        return Err(m.invalid("rope_dims", "an even number up to the width of a head"));
    }
    let theta = m.opt_f32("rope_theta")?.unwrap_or(10_000.0);
    if theta <= 1.0 {
        return Err(m.invalid("rope_theta", "a base above 1"));
    }
    let pairing = if m.flag("rope_interleaved")? { Pairing::Interleaved } else { Pairing::Halves };
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
