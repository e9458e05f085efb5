//! GGUF's keys under `model`'s names for them.

use model::{Meta, Value};

use crate::directory::Directory;
use crate::names;
use crate::{Gguf, GgufValue, WeightError};

/// Our key, and GGUF's within an architecture. Where two rows have one key, the later one wins.
///
/// `attention.sliding_window` is not among them: the programs that these families' files are made
/// for let every row see all earlier ones, whatever the key says, and so the files are tested.
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
    ("full_interval", "full_attention_interval"),
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
        if let Some(value) = gguf.get(&key) {
            let value = scalar(value).ok_or_else(|| unequal(&file, &key, value))?;
            meta.set(ours, &key, value);
        }
    }
    if meta.get("vocab").is_none() {
        // Older converters leave the size to the embedding.
        let embed = names::name(names::Style::Gguf, model::Part::Embed, None);
        if let Some([rows, _]) = directory.get(&embed).map(|t| t.shape.as_slice()) {
            let rows = i64::try_from(*rows).unwrap_or(i64::MAX);
            meta.set("vocab", &format!("rows of {embed}"), Value::Int(rows));
        }
    }
    if names::PERMUTED.contains(&family) {
        meta.set("rope_interleaved", "general.architecture", Value::Bool(true));
    }
    if names::TILED.contains(&family) {
        meta.set("delta.tiled", "general.architecture", Value::Bool(true));
    }
    recurrent_layers(&mut meta, gguf, family);
    value_width(&mut meta, gguf, family, &file)?;
    scaling(&mut meta, directory)?;
    Ok(meta)
}

/// A value as metadata; an array with a number for each layer counts where they are all equal.
fn scalar(value: GgufValue<'_>) -> Option<Value> {
    if let Some(array) = value.array() {
        let mut items = array.items();
        let first = scalar(items.next().filter(|item| item.array().is_none())?)?;
        return items.all(|item| scalar(item).as_ref() == Some(&first)).then_some(first);
    }
    Some(match value {
        GgufValue::Bool(b) => Value::Bool(b),
        GgufValue::Str(_) => Value::Text(value.text()?.to_owned()),
        GgufValue::F32(_) | GgufValue::F64(_) => Value::Float(value.float()?),
        _ => Value::Int(value.int()?),
    })
}

fn unequal(file: &str, key: &str, value: GgufValue<'_>) -> WeightError {
    let value = match value.array() {
        Some(array) => format!("a list of {} different values", array.len()),
        None => "no number or text".to_owned(),
    };
    WeightError::Unsupported {
        file: file.to_owned(),
        key: key.to_owned(),
        value,
        instead: "layers of different sizes need another version of the model",
    }
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
        // YaRN's own factor is not part of the key's value.
        let attention = given * (1.0 + 0.1 * factor.ln());
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
