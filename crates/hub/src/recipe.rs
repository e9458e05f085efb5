//! What is laid over a model's files: settings, instructions, a template, the beginning of a
//! conversation, adapters. It comes from a Modelfile or from the layers of a model in Ollama's
//! store.

use std::path::PathBuf;

/// What is laid over a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// Settings by Ollama's names for them, in order; `stop` may occur several times.
    pub settings: Vec<(String, String)>,
    /// What the model is told before a conversation.
    pub system: Option<String>,
    /// A chat template, whatever its language.
    pub template: Option<String>,
    /// Roles and texts that a conversation begins with.
    pub messages: Vec<(String, String)>,
    /// Licenses, kept and not read.
    pub licenses: Vec<String>,
    /// Adapters over the weights, in order.
    pub adapters: Vec<Adapter>,
}

/// An adapter over a model's weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// A file or a directory.
    pub path: PathBuf,
    /// A factor on it.
    pub scale: f32,
}

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number that may have a fraction.
    Number,
    /// A whole number.
    Whole,
    /// Any text.
    Text,
}

/// The settings that are honoured, by Ollama's names.
pub const SETTINGS: [(&str, Value); 15] = [
    ("temperature", Value::Number),
    ("top_k", Value::Whole),
    ("top_p", Value::Number),
    ("min_p", Value::Number),
    ("typical_p", Value::Number),
    ("repeat_penalty", Value::Number),
    ("repeat_last_n", Value::Whole),
    ("presence_penalty", Value::Number),
    ("frequency_penalty", Value::Number),
    ("mirostat", Value::Whole),
    ("mirostat_tau", Value::Number),
    ("mirostat_eta", Value::Number),
    ("seed", Value::Whole),
    ("num_ctx", Value::Whole),
    ("num_predict", Value::Whole),
];
/// The setting that may be repeated.
pub const STOP: &str = "stop";
/// Who may say something in a conversation.
pub const ROLES: [&str; 3] = ["system", "user", "assistant"];

impl Recipe {
    /// Adds a setting.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        let kind = SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let kind = match kind {
            Some(kind) => kind,
            None if name == STOP => Value::Text,
            None => {
                let names: Vec<_> = SETTINGS.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "the parameter `{name}` means nothing here; leave it out. There are {}, {STOP}",
                    names.join(", ")
                ));
            }
        };
        let fine = match kind {
            Value::Number => value.parse::<f64>().is_ok_and(f64::is_finite),
            // Mirostat 1 is another algorithm, which there is not.
            Value::Whole if name == "mirostat" => ["0", "2"].contains(&value),
            Value::Whole => value.parse::<i64>().is_ok(),
            Value::Text => !value.is_empty(),
        };
        if !fine {
            return Err(format!("`{name}` is `{value}`, which is no value for it"));
        }
        if name != STOP {
            self.settings.retain(|(known, _)| *known != name);
        }
        self.settings.push((name, value.to_owned()));
        Ok(())
    }

    /// The number that a setting has.
    pub fn number(&self, name: &str) -> Option<f64> {
        let (_, value) = self.settings.iter().find(|(known, _)| known == name)?;
        value.parse().ok()
    }

    /// The texts that end an answer.
    pub fn stops(&self) -> Vec<String> {
        let stops = self.settings.iter().filter(|(name, _)| name == STOP);
        stops.map(|(_, value)| value.clone()).collect()
    }

    /// This recipe laid over another one.
    #[must_use]
    pub fn over(mut self, base: Recipe) -> Recipe {
        let mut settings = base.settings;
        settings.retain(|(name, _)| !self.settings.iter().any(|(ours, _)| ours == name));
        settings.append(&mut self.settings);
        let messages = if self.messages.is_empty() { base.messages } else { self.messages };
        let mut licenses = base.licenses;
        licenses.append(&mut self.licenses);
        let mut adapters = base.adapters;
        adapters.append(&mut self.adapters);
        Recipe {
            settings,
            system: self.system.or(base.system),
            template: self.template.or(base.template),
            messages,
            licenses,
            adapters,
        }
    }

    /// Whether nothing is laid over the model.
    pub fn is_empty(&self) -> bool {
        *self == Recipe::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_settings_win_and_stops_add_up() {
        let mut base = Recipe { system: Some("a".to_owned()), ..Recipe::default() };
        base.set("temperature", "1").expect("a setting");
        base.set("stop", "x").expect("a setting");
        base.set("stop", "y").expect("a setting");
        let mut top = Recipe::default();
        top.set("TEMPERATURE", "0.5").expect("a setting");
        let both = top.over(base);
        assert_eq!(both.number("temperature"), Some(0.5));
        assert_eq!(both.stops(), ["x", "y"]);
        assert_eq!(both.system.as_deref(), Some("a"));
        assert!(Recipe::default().set("num_gpu", "1").is_err());
        assert!(Recipe::default().set("top_k", "many").is_err());
    }
}
