//! Templates in Go's language, as Ollama's models have them.
//!
//! The language is Go's `text/template` less `define`, `template` and `block`. What a template sees
//! is what Ollama gives it (its docs/template.mdx): where it asks for `.Messages`, all of them and
//! `.System`, else one question and answer at a time as `.System`, `.Prompt` and `.Response`.

mod eval;
mod functions;
mod lex;
mod parse;

use std::mem::take;

use jiff::Zoned;
use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use self::parse::{Base, Command, Node, Operand, Pipe};
use super::dict;

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Go {
    nodes: Vec<Node>,
    /// The same up to where the answer begins, for a template that sees one at a time.
    last: Option<Vec<Node>>,
}

/// Whether a template is written in Go's language, and not in Jinja.
pub fn is_go(text: &str) -> bool {
    const WORDS: [&str; 9] =
        ["if ", "range ", "end", "else", "with ", "define ", "template ", "block ", "/*"];
    let is_go = |action: &str| {
        let action = action.trim_start_matches('-').trim_start();
        // Fields and variables stand after nothing that Jinja knows.
        let marks = action.match_indices(['.', '$']).any(|(at, mark)| {
            let (before, after) = (&action[..at], &action[at + 1..]);
            let is_name = match mark {
                "$" => after.starts_with(|c: char| c.is_alphabetic() || matches!(c, '.' | '_')),
                _ => after.starts_with(|c: char| c.is_ascii_uppercase()),
            };
            is_name && (before.is_empty() || before.ends_with([' ', '(']))
        });
        marks || WORDS.iter().any(|word| action.starts_with(word))
    };
    let actions = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap_or(rest));
    !text.contains("{%") && { actions }.any(is_go)
}

impl Go {
    /// Reads a template, or says what of it is not understood.
    pub fn parse(source: &str) -> Result<Go, String> {
        let mut nodes = parse::parse(&source.replace("\r\n", "\n"))?;
        let asks = |nodes: &[Node], name: &str| mentions(nodes, name);
        if asks(&nodes, "Messages") {
            return Ok(Go { nodes, last: None });
        }
        if !asks(&nodes, "Response") {
            let fields = vec!["Response".to_owned()];
            let commands = vec![Command::Operand(Operand { base: Base::Dot, fields })];
            nodes.push(Node::Print(Pipe { to: Vec::new(), declares: false, commands }));
        }
        let mut last = nodes.clone();
        cut(&mut last);
        Ok(Go { nodes, last: Some(last) })
    }

    /// Writes a chat whose inputs are those of Hugging Face's templates. The answer's turn is
    /// always opened.
    pub fn render(&self, inputs: &Map<String, Json>, now: &Zoned) -> Result<String, String> {
        let messages = messages(inputs)?;
        let texts = |role: &str| {
            let of_role = messages.iter().filter(|message| message["role"] == role);
            of_role.filter_map(|message| message["content"].as_str()).collect::<Vec<_>>()
        };
        let thinks = inputs.get("enable_thinking").and_then(Json::as_bool);
        let base = json!({
            "system": texts("system").join("\n\n"),
            "response": "",
            "think": thinks.unwrap_or(false),
            "think_level": inputs.get("reasoning_effort").and_then(Json::as_str).unwrap_or(""),
            "is_think_set": thinks.is_some(),
        });
        let root = |more: Vec<(&str, Json)>| {
            const ABSENT: [&str; 5] = ["First", "Messages", "Prompt", "Suffix", "Tools"];
            let given = base.as_object().into_iter().flatten();
            let given = given.map(|(key, value)| (key.clone(), dict::from_json(value)));
            let more = more.iter().map(|(key, value)| ((*key).to_owned(), dict::from_json(value)));
            let absent = ABSENT.map(|key| (key.to_ascii_lowercase(), Value::from(())));
            Value::from_pairs(absent.into_iter().chain(given).chain(more))
        };
        let Some(last) = &self.last else {
            let tools = inputs.get("tools").filter(|tools| tools.is_array());
            let tools = tools.cloned().unwrap_or_else(|| json!([]));
            let root = root(vec![("messages", Json::Array(messages)), ("tools", tools)]);
            return eval::run(&self.nodes, &root, now);
        };
        let mut out = String::new();
        let mut turn = [String::new(), String::new(), String::new()];
        let run = |nodes: &[Node], [system, prompt, response]: [String; 3]| {
            let turn = [("system", system), ("prompt", prompt), ("response", response)];
            let turn = turn.map(|(key, text)| (key, Json::String(text)));
            eval::run(nodes, &root(turn.into()), now)
        };
        for message in &messages {
            let content = message["content"].as_str().unwrap_or_default();
            // A turn is over where the next text belongs before what it has.
            let place = match message["role"].as_str() {
                Some("system") => 0,
                Some("user") => 1,
                Some("assistant") => 2,
                _ => continue,
            };
            if turn[place + 1..].iter().any(|text| !text.is_empty()) {
                out.push_str(&run(&self.nodes, take(&mut turn))?);
            }
            content.clone_into(&mut turn[place]);
        }
        out.push_str(&run(last, turn)?);
        Ok(out)
    }
}

/// The messages with every field that a template may ask for. Neighbours of one role are one.
fn messages(inputs: &Map<String, Json>) -> Result<Vec<Json>, String> {
    let mut all: Vec<Json> = Vec::new();
    for message in inputs.get("messages").and_then(Json::as_array).into_iter().flatten() {
        let text = |key: &str| message.get(key).and_then(Json::as_str).unwrap_or_default();
        let (role, content) = (text("role"), content(message)?);
        if let Some(before) = all.last_mut().filter(|before| before["role"] == role)
            && role != "tool"
        {
            let joined = format!("{}\n\n{content}", before["content"].as_str().unwrap_or_default());
            before["content"] = joined.into();
            continue;
        }
        let thinking = Some(text("thinking")).filter(|text| !text.is_empty());
        let tool = Some(text("tool_name")).filter(|text| !text.is_empty());
        all.push(json!({
            "role": role,
            "content": content,
            "thinking": thinking.unwrap_or(text("reasoning_content")),
            "images": [],
            "tool_calls": calls(message),
            "tool_name": tool.unwrap_or(text("name")),
            "tool_call_id": text("tool_call_id"),
        }));
    }
    Ok(all)
}

/// A message's text, which may come in parts.
fn content(message: &Json) -> Result<String, String> {
    match message.get("content") {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Array(parts)) => {
            let text = |part: &Json| part.get("text").and_then(Json::as_str).map(str::to_owned);
            let texts: Option<Vec<_>> = parts.iter().map(text).collect();
            Ok(texts.ok_or("a message has parts that are no text")?.concat())
        }
        Some(_) => Err("a message's content is no text".to_owned()),
    }
}

/// A message's calls of tools; arguments may be JSON in a text.
fn calls(message: &Json) -> Vec<Json> {
    let calls = message.get("tool_calls").and_then(Json::as_array).into_iter().flatten();
    let call = |(nth, call): (usize, &Json)| {
        let (none, function) = (json!({}), call.get("function").unwrap_or(call));
        let arguments = function.get("arguments").unwrap_or(&none);
        let parsed = arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
        let arguments: Json = parsed.unwrap_or_else(|| arguments.clone());
        let name = function.get("name").cloned().unwrap_or_else(|| "".into());
        let id = call.get("id").cloned().unwrap_or_else(|| "".into());
        json!({"id": id, "function": {"index": nth, "name": name, "arguments": arguments}})
    };
    calls.enumerate().map(call).collect()
}

/// Whether a field is asked for anywhere.
fn mentions(nodes: &[Node], name: &str) -> bool {
    nodes.iter().any(|node| match node {
        Node::Print(pipe) => pipe_mentions(pipe, name),
        Node::Branch { pipe, then, otherwise, .. } => {
            pipe_mentions(pipe, name) || mentions(then, name) || mentions(otherwise, name)
        }
        _ => false,
    })
}

fn pipe_mentions(pipe: &Pipe, name: &str) -> bool {
    let of = |operand: &Operand| {
        let inner = matches!(&operand.base, Base::Pipe(pipe) if pipe_mentions(pipe, name));
        inner || operand.fields.iter().any(|field| field == name)
    };
    pipe.commands.iter().any(|command| match command {
        Command::Operand(operand) => of(operand),
        Command::Call(_, operands) => operands.iter().any(of),
    })
}

/// Cuts a template off after the answer is first printed; whether it is.
fn cut(nodes: &mut Vec<Node>) -> bool {
    let prints = |node: &mut Node| match node {
        Node::Print(pipe) => pipe_mentions(pipe, "Response"),
        Node::Branch { then, otherwise, .. } => {
            let found = cut(then);
            if found {
                otherwise.clear();
            }
            found || cut(otherwise)
        }
        _ => false,
    };
    let found = nodes.iter_mut().position(prints);
    if let Some(at) = found {
        nodes.truncate(at + 1);
    }
    found.is_some()
}
