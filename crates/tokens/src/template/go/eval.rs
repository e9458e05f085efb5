//! Running a Go template's tree.

use jiff::Zoned;
use minijinja::Value;
use minijinja::value::ValueKind;

use super::functions::{self, Function};
use super::parse::{Base, Branch, Command, Node, Operand, Pipe};

/// Runs a template on its root value.
pub fn run(nodes: &[Node], root: &Value, now: &Zoned) -> Result<String, String> {
    let variables = vec![("$".to_owned(), root.clone())];
    let mut run = Run { variables, out: String::new(), steps: 0, made: 0, now };
    run.list(nodes, root)?;
    Ok(run.out)
}

/// Steps that a template may take, and bytes of text that it may make: far more than any chat.
const STEPS_MAX: usize = 10_000_000;
const MADE_MAX: usize = 1 << 28;

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Through,
    Break,
    Continue,
}

struct Run<'a> {
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
    made: usize,
    now: &'a Zoned,
}

impl Run<'_> {
    fn list(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, String> {
        let known = self.variables.len();
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Through {
                self.variables.truncate(known);
                return Ok(flow);
            }
        }
        self.variables.truncate(known);
        Ok(Flow::Through)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, String> {
        self.step(1)?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Print(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.to.is_empty() {
                    self.write(&functions::text(&value)?)?;
                }
            }
            Node::Branch { kind, pipe, then, otherwise } => {
                let known = self.variables.len();
                let flow = self.branch(*kind, pipe, (then, otherwise), dot);
                self.variables.truncate(known);
                return flow;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Through)
    }

    fn branch(
        &mut self,
        kind: Branch,
        pipe: &Pipe,
        (then, otherwise): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<Flow, String> {
        if kind == Branch::Range {
            return self.range(pipe, (then, otherwise), dot);
        }
        let value = self.pipe(pipe, dot)?;
        match (value.is_true(), kind) {
            (true, Branch::With) => self.list(then, &value),
            (true, _) => self.list(then, dot),
            (false, _) => self.list(otherwise, dot),
        }
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        (then, otherwise): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<Flow, String> {
        let value = self.value(pipe, dot)?;
        let items = items(&value)?;
        if items.is_empty() {
            return self.list(otherwise, dot);
        }
        let known = self.variables.len();
        for (key, item) in items {
            match &pipe.to[..] {
                [one] => self.set(one, item.clone(), pipe.declares),
                [first, second] => {
                    self.set(first, key, pipe.declares);
                    self.set(second, item.clone(), pipe.declares);
                }
                _ => {}
            }
            let flow = self.list(then, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Through)
    }

    fn set(&mut self, name: &str, value: Value, declares: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match known.filter(|_| !declares) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    /// A pipe's value, which its variable takes too.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let value = self.value(pipe, dot)?;
        if let [name] = &pipe.to[..] {
            self.set(name, value.clone(), pipe.declares);
        }
        Ok(value)
    }

    fn value(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(match command {
                Command::Operand(operand) => self.operand(operand, dot)?,
                Command::Call(function, operands) => self.call(*function, operands, last, dot)?,
            });
        }
        Ok(last.unwrap_or_default())
    }

    fn call(
        &mut self,
        function: Function,
        operands: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Result<Value, String> {
        let mut values = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            let value = self.operand(operand, dot)?;
            // These two look no further than they must.
            match function {
                Function::And if !value.is_true() => return Ok(value),
                Function::Or if value.is_true() => return Ok(value),
                _ => values.push(value),
            }
        }
        values.extend(last);
        let lists = values.iter().filter(|value| value.kind() == ValueKind::Seq);
        // To copy an item takes far less than a step.
        self.step(lists.filter_map(Value::len).map(|len| len / 16).sum())?;
        let value = function.call(&values, self.now)?;
        self.made(value.as_str().map_or(0, str::len))?;
        Ok(value)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        self.step(1)?;
        let base = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Constant(value) => value.clone(),
            Base::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.map(|(_, value)| value.clone()).unwrap_or_default()
            }
            Base::Pipe(pipe) => self.value(pipe, dot)?,
        };
        operand.fields.iter().try_fold(base, |value, name| field(&value, name))
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        self.out.push_str(text);
        self.made(text.len())
    }

    fn made(&mut self, bytes: usize) -> Result<(), String> {
        self.made += bytes;
        match self.made > MADE_MAX {
            true => Err(format!("it makes more than {MADE_MAX} bytes of text")),
            false => Ok(()),
        }
    }

    fn step(&mut self, steps: usize) -> Result<(), String> {
        self.steps += steps;
        match self.steps > STEPS_MAX {
            true => Err(format!("it takes more than {STEPS_MAX} steps")),
            false => Ok(()),
        }
    }
}

/// A field by Go's name for it; in data it is spelled `tool_calls` or `id`.
fn field(value: &Value, name: &str) -> Result<Value, String> {
    if value.kind() != ValueKind::Map {
        return Err(format!("`.{name}` is asked of {}", value.kind()));
    }
    let has = |name: &str| value.get_attr(name).ok().filter(|value| !value.is_undefined());
    let mut spelled = String::new();
    for (at, c) in name.char_indices() {
        let after = name[..at].ends_with(|before: char| !before.is_uppercase());
        if c.is_uppercase() && after && at > 0 {
            spelled.push('_');
        }
        spelled.extend(c.to_lowercase());
    }
    // What Ollama's types have and the data lack is empty.
    let absent = || match name {
        "AnyOf" | "Enum" | "Required" => Value::from(Vec::<Value>::new()),
        _ if name.starts_with(|c: char| c.is_uppercase()) => Value::from(""),
        _ => Value::UNDEFINED,
    };
    Ok(has(name).or_else(|| has(&spelled)).unwrap_or_else(absent))
}

/// Keys and values in the order in which Go goes through them.
fn items(value: &Value) -> Result<Vec<(Value, Value)>, String> {
    let iterate = || value.try_iter().map_err(|error| error.to_string());
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Vec::new()),
        ValueKind::Seq => Ok((0..).map(|nth: i64| Value::from(nth)).zip(iterate()?).collect()),
        ValueKind::Map => {
            let mut keys: Vec<Value> = iterate()?.collect();
            keys.sort_by_key(ToString::to_string);
            let item = |key: Value| (key.clone(), value.get_item(&key).unwrap_or_default());
            Ok(keys.into_iter().map(item).collect())
        }
        // What is absent from data stands for an empty list.
        ValueKind::String if value.as_str() == Some("") => Ok(Vec::new()),
        kind => Err(format!("`range` is given {kind}")),
    }
}
