//! config.json's keys under `model`'s names for them.

use model::{Meta, Value as Entry};
use serde_json::Value;

use super::Config;
use super::keys::{self, KEYS, ROPE_HARMLESS, ROPE_KEYS, ROPE_TYPES};
use crate::WeightError;

/// The metadata, and the keys that mean nothing to this version.
pub fn meta(config: &Config) -> Result<(Meta, Vec<String>), WeightError> {
    let mut meta = Meta::default();
    if !family(config, &mut meta)? {
        // What the keys of another family mean is not known; that it is another says enough.
        return Ok((meta, Vec::new()));
    }
    // An error that a key is missing gives the name that comes first.
    KEYS.iter().rev().for_each(|(ours, theirs)| meta.spell(ours, theirs));
    for (ours, theirs) in KEYS {
        if let Some(value) = config.get(theirs) {
            meta.set(ours, theirs, entry(config, theirs, value)?);
        }
    }
    // With biases anywhere in attention, the output projection has one too.
    if let Some(value) = config.get("attention_bias") {
        meta.set("out_bias", "attention_bias", entry(config, "attention_bias", value)?);
    }
    rope(config, &mut meta)?;
    defaults(config, &mut meta);
    each_layer(config, &mut meta)?;
    let unknown = keys::check(config)?;
    Ok((meta, unknown))
}

/// Sets the family; whether it is one that this version knows.
fn family(config: &Config, meta: &mut Meta) -> Result<bool, WeightError> {
    let first = config.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
    let (key, name) = match (first, config.get("model_type").and_then(Value::as_str)) {
        (Some(name), _) => ("architectures", name),
        (None, Some(name)) => ("model_type", name),
        (None, None) => {
            return Err(config.invalid("architectures", &Value::Null, "the name of a model class"));
        }
    };
    meta.set("family", key, Entry::Text(name.to_owned()));
    Ok(model::family(name).is_ok())
}

/// What transformers' class for the family assumes for keys that the file leaves out; a key that is
/// null is not left out.
fn defaults(config: &Config, meta: &mut Meta) {
    let Some(Entry::Text(name)) = meta.get("family").cloned() else { return };
    let Ok(family) = model::family(&name) else { return };
    for (ours, value) in family.defaults {
        let mut names = KEYS.iter().filter(|(key, _)| key == ours).map(|(_, theirs)| *theirs);
        let spelled = names.clone().next().unwrap_or(ours);
        let is_null = names.any(|name| config.json.contains_key(name));
        if meta.get(ours).is_none() && !is_null {
            meta.set(ours, spelled, value.clone());
        }
    }
}

/// The rotary embedding: transformers 5 keeps all of it in `rope_parameters`, perhaps for each type
/// of layer, 4 the scaling in `rope_scaling` and the rest beside it.
fn rope(config: &Config, meta: &mut Meta) -> Result<(), WeightError> {
    for name in ["rope_parameters", "rope_scaling"] {
        let Some(value) = config.get(name) else { continue };
        let Value::Object(rope) = value else {
            return Err(config.invalid(name, value, "an object"));
        };
        let mut apart = ROPE_TYPES.iter().filter(|(kind, _)| rope.contains_key(*kind)).peekable();
        if apart.peek().is_none() {
            rope_of(config, meta, name, rope, "")?;
            continue;
        }
        if let Some((key, value)) =
            rope.iter().find(|(key, _)| !ROPE_TYPES.iter().any(|(kind, _)| kind == key))
        {
            let instead = "use a file whose positions are turned in a known way";
            return Err(config.unsupported(&format!("{name}.{key}"), value, instead));
        }
        for (kind, prefix) in apart {
            let name = format!("{name}.{kind}");
            match &rope[*kind] {
                Value::Null => {}
                Value::Object(rope) => rope_of(config, meta, &name, rope, prefix)?,
                other => return Err(config.invalid(&name, other, "an object")),
            }
        }
    }
    // Phi 3 keeps the trained context outside, and transformers lets that win.
    let outer = "original_max_position_embeddings";
    if let Some(value) = config.get(outer) {
        meta.set("rope_scaling.original", outer, entry(config, outer, value)?);
    }
    Ok(())
}

/// One embedding; `prefix` stands before our keys for it.
fn rope_of(
    config: &Config,
    meta: &mut Meta,
    name: &str,
    rope: &serde_json::Map<String, Value>,
    prefix: &str,
) -> Result<(), WeightError> {
    for (key, value) in rope.iter().filter(|(_, value)| !value.is_null()) {
        let known = ROPE_KEYS.iter().any(|(_, theirs)| theirs == key);
        if !known && !ROPE_HARMLESS.contains(&key.as_str()) {
            let instead = "use a file whose positions are scaled in a known way";
            return Err(config.unsupported(&format!("{name}.{key}"), value, instead));
        }
    }
    for (ours, key) in ROPE_KEYS {
        if let Some(value) = rope.get(*key).filter(|value| !value.is_null()) {
            let spelled = format!("{name}.{key}");
            meta.set(&format!("{prefix}{ours}"), &spelled, entry(config, &spelled, value)?);
        }
    }
    Ok(())
}

/// What single layers have otherwise than the rest: a list for all layers in the place of one
/// value.
fn each_layer(config: &Config, meta: &mut Meta) -> Result<(), WeightError> {
    const NAME: &str = "per_layer_config";
    let Some(value) = config.get(NAME) else { return Ok(()) };
    let expected = "an object of objects for layers by number";
    let invalid = || config.invalid(NAME, value, expected);
    let count = config.get("num_hidden_layers").and_then(Value::as_u64).unwrap_or(0);
    for (layer, own) in value.as_object().ok_or_else(invalid)? {
        let at: u64 = layer.parse().map_err(|_| invalid())?;
        let own = own.as_object().filter(|_| at < count && count < LAYERS_MAX);
        for (key, value) in own.ok_or_else(invalid)? {
            let spelled = format!("{NAME}.{layer}.{key}");
            let ours = KEYS.iter().find(|(_, theirs)| theirs == key).map(|(ours, _)| *ours);
            let Some(ours) = ours.filter(|ours| ["head_dim", "kv_heads"].contains(ours)) else {
                let instead = "use a model whose layers differ in known ways";
                return Err(config.unsupported(&spelled, value, instead));
            };
            let mut list = match meta.get(ours) {
                Some(Entry::List(list)) => list.clone(),
                Some(one) => vec![one.clone(); count as usize],
                None => return Err(invalid()),
            };
            list[at as usize] = entry(config, &spelled, value)?;
            meta.set(ours, NAME, Entry::List(list));
        }
    }
    Ok(())
}

/// More layers than any model has.
const LAYERS_MAX: u64 = 1 << 12;

fn entry(config: &Config, key: &str, value: &Value) -> Result<Entry, WeightError> {
    let deep = || config.invalid(key, value, "a number, a text, a truth value or a list of them");
    Ok(match value {
        Value::Bool(b) => Entry::Bool(*b),
        Value::Number(n) => match n.as_i64() {
            Some(i) => Entry::Int(i),
            None => Entry::Float(n.as_f64().ok_or_else(deep)?),
        },
        Value::String(text) => Entry::Text(text.clone()),
        Value::Array(items) if !items.iter().any(|item| item.is_array()) => {
            let items = items.iter().map(|item| entry(config, key, item));
            Entry::List(items.collect::<Result<_, _>>()?)
        }
        _ => return Err(deep()),
    })
}
