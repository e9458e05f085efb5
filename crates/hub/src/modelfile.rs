//! Modelfiles: which model, and what is laid over it.
//!
//! The language is Ollama's: an instruction and its value on a line; a value may stand in quotes or
//! between `"""`, over several lines; `#` begins a comment.

use crate::HubError;
use crate::recipe::{Adapter, ROLES, Recipe};

/// A Modelfile's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Modelfile {
    /// A model's name, or a path from the Modelfile's directory.
    pub from: String,
    /// What is laid over it; adapters' paths are meant from the Modelfile's directory.
    pub recipe: Recipe,
    file: String,
    /// Instructions and their lines, in order.
    lines: Vec<(String, usize)>,
}

const QUOTES: &str = "\"\"\"";
const INSTRUCTIONS: &str = "FROM, PARAMETER, SYSTEM, TEMPLATE, MESSAGE, LICENSE, ADAPTER";

impl Modelfile {
    /// Reads a Modelfile; `file` is what errors call it.
    ///
    /// # Errors
    /// Names the line and what is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Modelfile, HubError> {
        let mut from = None;
        let mut lines = Vec::new();
        let mut recipe = Recipe::default();
        let mut rest = text;
        let wrong =
            |line: usize, what: String| HubError::Modelfile { file: file.into(), line, what };
        while !rest.is_empty() {
            let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
            let (head, after) = split_line(rest);
            let trimmed = head.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                rest = after;
                continue;
            }
            let (word, _) = split_word(trimmed);
            let at = head.find(word).unwrap_or_default() + word.len();
            let instruction = word.to_ascii_uppercase();
            let mut place = rest[at..].trim_start_matches([' ', '\t']);
            let mut key = "";
            if matches!(instruction.as_str(), "PARAMETER" | "MESSAGE") {
                let (first, _) = split_word(split_line(place).0);
                key = first;
                place = place[first.len()..].trim_start_matches([' ', '\t']);
            }
            let (value, after) = value(place).map_err(|what| wrong(line, what.to_owned()))?;
            rest = after;
            lines.push((instruction.clone(), line));
            if instruction == "FROM" {
                if from.replace(value).is_some() {
                    return Err(wrong(line, "FROM stands twice; leave one".to_owned()));
                }
                continue;
            }
            add(&mut recipe, &instruction, key, value).map_err(|what| wrong(line, what))?;
        }
        let none = || wrong(1, "there is no FROM; say which model it builds on".to_owned());
        let from = from.filter(|from| !from.is_empty()).ok_or_else(none)?;
        Ok(Modelfile { from, recipe, file: file.to_owned(), lines })
    }

    /// Where an instruction stands, for an error: the nth from 0, or the last of them.
    pub fn place(&self, instruction: &str, nth: usize) -> String {
        let of_it = self.lines.iter().filter(|(word, _)| word == instruction);
        let lines: Vec<usize> = of_it.map(|(_, line)| *line).collect();
        let line = lines.get(nth).or(lines.last()).copied().unwrap_or(1);
        format!("{}, line {line}: {instruction}", self.file)
    }
}

/// What an instruction other than FROM means.
fn add(to: &mut Recipe, instruction: &str, key: &str, value: String) -> Result<(), String> {
    match instruction {
        "PARAMETER" => to.set(key, &value)?,
        "SYSTEM" => to.system = Some(value),
        "TEMPLATE" => to.template = Some(value),
        "LICENSE" => to.licenses.push(value),
        "MESSAGE" => {
            let role = key.to_ascii_lowercase();
            if !ROLES.contains(&role.as_str()) {
                return Err(format!("MESSAGE has the role `{key}`; write {}", ROLES.join(", ")));
            }
            to.messages.push((role, value));
        }
        "ADAPTER" if value.is_empty() => {
            return Err(
                "ADAPTER names no file; give a GGUF adapter or a directory of PEFT's".into()
            );
        }
        "ADAPTER" => to.adapters.push(Adapter { path: value.into(), scale: 1.0 }),
        _ => return Err(format!("`{instruction}` is no instruction; there are {INSTRUCTIONS}")),
    }
    Ok(())
}

/// The value at the beginning of a text, and what comes after its line.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    if let Some(inner) = text.strip_prefix(QUOTES) {
        let end =
            inner.find(QUOTES).ok_or("the text after \"\"\" has no end; close it with \"\"\"")?;
        return Ok((inner[..end].to_owned(), split_line(&inner[end + QUOTES.len()..]).1));
    }
    if let Some(inner) = text.strip_prefix('"') {
        let end = inner.find('"').ok_or("the text after \" has no end; close it with \"")?;
        return Ok((inner[..end].to_owned(), split_line(&inner[end + 1..]).1));
    }
    let (line, after) = split_line(text);
    Ok((line.trim().to_owned(), after))
}

fn split_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_and_their_values_are_read() {
        let text = "# a comment\n\nFROM qwen3:0.6b\nparameter temperature 0.5\n\
                    PARAMETER stop \"<|end|>\"\nPARAMETER stop a b\n\
                    SYSTEM \"\"\"You are\nbrief.\"\"\"\nMESSAGE user Hello there\n\
                    MESSAGE assistant \"Hi\"\nLICENSE MIT\nTEMPLATE {% if a %}{% endif %}\n";
        let file = Modelfile::parse("Modelfile", text).expect("a Modelfile");
        assert_eq!(file.from, "qwen3:0.6b");
        assert_eq!(file.recipe.number("temperature"), Some(0.5));
        assert_eq!(file.recipe.stops(), ["<|end|>", "a b"]);
        assert_eq!(file.recipe.system.as_deref(), Some("You are\nbrief."));
        let messages = [("user", "Hello there"), ("assistant", "Hi")];
        assert_eq!(file.recipe.messages, messages.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(file.recipe.licenses, ["MIT"]);
        assert_eq!(file.recipe.template.as_deref(), Some("{% if a %}{% endif %}"));
        assert_eq!(file.place("PARAMETER", 1), "Modelfile, line 5: PARAMETER");
        assert_eq!(file.place("MESSAGE", 0), "Modelfile, line 9: MESSAGE");
        assert_eq!(file.place("TEMPLATE", 7), "Modelfile, line 12: TEMPLATE");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_line() {
        for (text, line, word) in [
            ("FROM a\nADAPTER", 2, "names no file"),
            ("FROM a\n\nPARAMETER num_gpu 1", 3, "num_gpu"),
            ("FROM a\nPARAMETER temperature warm", 2, "warm"),
            ("FROM a\nMESSAGE judge no", 2, "judge"),
            ("FROM a\nWHAT is this", 2, "WHAT"),
            ("FROM a\nSYSTEM \"\"\"open", 2, "no end"),
            ("FROM a\nFROM b", 2, "twice"),
            ("SYSTEM a", 1, "no FROM"),
        ] {
            let error = Modelfile::parse("M", text).expect_err(text).to_string();
            assert!(error.contains(&format!("line {line}")) && error.contains(word), "{error}");
        }
    }
}
