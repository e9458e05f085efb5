//! A Go template's pieces as a tree. What is not understood is refused here, by its name.

use minijinja::Value;

use super::functions::{self, Function};
use super::lex::{Piece, Token, Word, pieces};

/// A part of a template.
#[derive(Clone, Debug)]
pub enum Node {
    Text(String),
    Print(Pipe),
    Branch { kind: Branch, pipe: Pipe, then: Vec<Node>, otherwise: Vec<Node> },
    Break,
    Continue,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Branch {
    If,
    With,
    Range,
}

/// Commands of which each hands its value to the next.
#[derive(Clone, Debug)]
pub struct Pipe {
    /// Variables that take the value; two in a `range`: key and value.
    pub to: Vec<String>,
    /// Whether they are new.
    pub declares: bool,
    pub commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub enum Command {
    /// A value.
    Operand(Operand),
    /// A function and what it is given before the value of the command before.
    Call(Function, Vec<Operand>),
}

/// A value, and the fields that are followed from it.
#[derive(Clone, Debug)]
pub struct Operand {
    pub base: Base,
    pub fields: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Base {
    Dot,
    Constant(Value),
    Variable(String),
    Pipe(Box<Pipe>),
}

/// Blocks and parentheses lie no deeper in each other.
const DEPTH_MAX: usize = 64;

/// The fields that there are; keys of data begin small.
const FIELDS: [&str; 30] = [
    "AnyOf",
    "Arguments",
    "Content",
    "Defs",
    "Description",
    "Enum",
    "First",
    "Function",
    "ID",
    "Images",
    "Index",
    "IsThinkSet",
    "Items",
    "Messages",
    "Name",
    "Parameters",
    "Prompt",
    "Properties",
    "Required",
    "Response",
    "Role",
    "Suffix",
    "System",
    "Think",
    "ThinkLevel",
    "Thinking",
    "ToolCallID",
    "ToolCalls",
    "ToolName",
    "Tools",
];
const TYPE: &str = "Type";

/// Reads a template.
pub fn parse(source: &str) -> Result<Vec<Node>, String> {
    let pieces = pieces(source)?;
    let mut parser =
        Parser { pieces: pieces.into_iter(), line: 1, variables: vec!["$".into()], depth: 0 };
    match parser.list(false)? {
        (nodes, End::Source) => Ok(nodes),
        (_, _) => Err(parser.wrong("`end` or `else` stands outside of a block")),
    }
}

/// What closed a list of nodes.
enum End {
    Source,
    Block,
    /// The words after `else`.
    Else(Vec<Token>),
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    line: usize,
    variables: Vec<String>,
    depth: usize,
}

impl Parser {
    fn wrong(&self, what: &str) -> String {
        format!("line {}: {what}", self.line)
    }

    fn list(&mut self, in_range: bool) -> Result<(Vec<Node>, End), String> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, line) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens, line) => (tokens, line),
            };
            self.line = line;
            let Some(Word::Name(word)) = tokens.first().map(|token| token.word.clone()) else {
                nodes.push(Node::Print(self.pipe(&tokens, 1)?));
                continue;
            };
            let rest = tokens[1..].to_vec();
            nodes.push(match word.as_str() {
                "end" | "break" | "continue" if !rest.is_empty() => {
                    return Err(self.wrong(&format!("`{word}` stands alone")));
                }
                "end" => return Ok((nodes, End::Block)),
                "else" => return Ok((nodes, End::Else(rest))),
                "break" | "continue" if !in_range => {
                    return Err(self.wrong(&format!("`{word}` stands outside of a `range`")));
                }
                "break" => Node::Break,
                "continue" => Node::Continue,
                _ => match branch(&word) {
                    Some(kind) => self.branch(kind, &rest, in_range)?,
                    None => Node::Print(self.pipe(&tokens, 1)?),
                },
            });
        }
        Ok((nodes, End::Source))
    }

    /// A block from the words after its keyword on, up to its `end`.
    fn branch(&mut self, kind: Branch, tokens: &[Token], in_range: bool) -> Result<Node, String> {
        self.deeper()?;
        let (line, known) = (self.line, self.variables.len());
        let pipe = self.pipe(tokens, if kind == Branch::Range { 2 } else { 1 })?;
        let (then, end) = self.list(in_range || kind == Branch::Range)?;
        // A variable of the block's head is known in its second half too, one of the first is not.
        self.variables.truncate(known + if pipe.declares { pipe.to.len() } else { 0 });
        let otherwise = match end {
            End::Block => Vec::new(),
            End::Else(tokens) => match tokens.split_first() {
                None => match self.list(in_range)? {
                    (nodes, End::Block) => nodes,
                    _ => return Err(format!("line {line}: a block has no `end`")),
                },
                Some((Token { word: Word::Name(word), .. }, rest))
                    if branch(word) == Some(kind) && kind != Branch::Range =>
                {
                    vec![self.branch(kind, rest, in_range)?]
                }
                Some(_) => return Err(self.wrong("`else` is followed by neither `if` nor its end")),
            },
            End::Source => return Err(format!("line {line}: a block has no `end`")),
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(Node::Branch { kind, pipe, then, otherwise })
    }

    /// A pipe that sets `most` variables at most.
    fn pipe(&mut self, tokens: &[Token], most: usize) -> Result<Pipe, String> {
        let (mut to, mut declares, mut rest) = (Vec::new(), false, tokens);
        let sets = |word: &Word| matches!(word, Word::Sign(":=" | "="));
        if let Some(at) = tokens.iter().position(|token| sets(&token.word)) {
            for (nth, token) in tokens[..at].iter().enumerate() {
                match &token.word {
                    Word::Variable(name) if nth % 2 == 0 => to.push(name.clone()),
                    Word::Sign(",") if nth % 2 == 1 => {}
                    _ => return Err(self.wrong("only variables can be set")),
                }
            }
            declares = tokens[at].word == Word::Sign(":=");
            rest = &tokens[at + 1..];
            if !(1..=most).contains(&to.len()) {
                return Err(self.wrong(&format!("{} variables are set at once", to.len())));
            }
        }
        let mut open = 0usize;
        let ends = |token: &Token| {
            match token.word {
                Word::Sign("(") => open += 1,
                Word::Sign(")") => open = open.saturating_sub(1),
                _ => {}
            }
            open == 0 && token.word == Word::Sign("|")
        };
        let commands: Vec<_> = rest.split(ends).enumerate().collect();
        let commands = commands.into_iter().map(|(nth, tokens)| self.command(tokens, nth > 0));
        let commands = commands.collect::<Result<_, _>>()?;
        if declares {
            self.variables.extend(to.iter().cloned());
        } else if let Some(name) = to.iter().find(|name| !self.variables.contains(name)) {
            return Err(self.wrong(&format!("the variable `{name}` is not known")));
        }
        Ok(Pipe { to, declares, commands })
    }

    fn command(&mut self, tokens: &[Token], piped: bool) -> Result<Command, String> {
        let (mut operands, mut rest, mut function) = (Vec::new(), tokens, None);
        if let Some((Token { word: Word::Name(name), .. }, after)) = tokens.split_first()
            && constant(name).is_none()
        {
            let unknown = || self.wrong(&format!("the function `{name}` is not known here"));
            (function, rest) = (Some(functions::named(name).ok_or_else(unknown)?), after);
        }
        while !rest.is_empty() {
            let operand;
            (operand, rest) = self.operand(rest)?;
            operands.push(operand);
        }
        match (function, operands.len()) {
            (Some(function), count) => {
                let count = count + usize::from(piped);
                if !function.takes().contains(&count) {
                    let name = function.name();
                    return Err(self.wrong(&format!("`{name}` is given {count} values")));
                }
                Ok(Command::Call(function, operands))
            }
            (None, 1) if !piped => match operands.remove(0) {
                Operand { base: Base::Constant(value), .. } if value.is_none() => {
                    Err(self.wrong("`nil` stands alone"))
                }
                operand => Ok(Command::Operand(operand)),
            },
            (None, 0) => Err(self.wrong("a value is missing")),
            (None, _) => Err(self.wrong("a value is no function and takes no other value")),
        }
    }

    /// The first operand of some words, and the words after it.
    fn operand<'t>(&mut self, tokens: &'t [Token]) -> Result<(Operand, &'t [Token]), String> {
        let mut rest = &tokens[1..];
        let mut fields = Vec::new();
        let base = match &tokens[0].word {
            Word::Sign(".") => Base::Dot,
            Word::Field(name) => {
                fields.push(self.field(name)?);
                Base::Dot
            }
            Word::Constant(value) => Base::Constant(value.clone()),
            Word::Variable(name) if self.variables.contains(name) => Base::Variable(name.clone()),
            Word::Variable(name) => {
                return Err(self.wrong(&format!("the variable `{name}` is not known")));
            }
            Word::Sign("(") => {
                let end = closing(tokens).ok_or_else(|| self.wrong("`(` has no `)`"))?;
                rest = &tokens[end + 1..];
                self.deeper()?;
                let pipe = self.pipe(&tokens[1..end], 0)?;
                self.depth -= 1;
                Base::Pipe(Box::new(pipe))
            }
            Word::Name(name) => match (constant(name), functions::named(name)) {
                (Some(value), _) => Base::Constant(value),
                // A function that needs nothing.
                (None, Some(function)) if function.takes().contains(&0) => {
                    let commands = vec![Command::Call(function, Vec::new())];
                    Base::Pipe(Box::new(Pipe { to: Vec::new(), declares: false, commands }))
                }
                _ => return Err(self.wrong(&format!("`{name}` is no value"))),
            },
            Word::Sign(sign) => return Err(self.wrong(&format!("`{sign}` means nothing here"))),
        };
        while let Some((Token { word: Word::Field(name), glued: true }, after)) = rest.split_first()
        {
            fields.push(self.field(name)?);
            rest = after;
        }
        if rest.first().is_some_and(|next| next.glued && next.word != Word::Sign(")")) {
            return Err(self.wrong("two values stand in one word"));
        }
        Ok((Operand { base, fields }, rest))
    }

    fn field(&self, name: &str) -> Result<String, String> {
        let is_data = name.starts_with(|c: char| c.is_lowercase() || c == '_');
        if is_data || name == TYPE || FIELDS.contains(&name) {
            return Ok(name.to_owned());
        }
        Err(self.wrong(&format!("the field `.{name}` is not known here")))
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        match self.depth > DEPTH_MAX {
            true => Err(self.wrong(&format!("blocks lie more than {DEPTH_MAX} deep"))),
            false => Ok(()),
        }
    }
}

fn branch(word: &str) -> Option<Branch> {
    match word {
        "if" => Some(Branch::If),
        "with" => Some(Branch::With),
        "range" => Some(Branch::Range),
        _ => None,
    }
}

fn constant(name: &str) -> Option<Value> {
    match name {
        "true" => Some(Value::from(true)),
        "false" => Some(Value::from(false)),
        "nil" => Some(Value::from(())),
        _ => None,
    }
}

/// Where the parenthesis that the words begin with is closed.
fn closing(tokens: &[Token]) -> Option<usize> {
    let mut open = 0usize;
    tokens.iter().position(|token| {
        match token.word {
            Word::Sign("(") => open += 1,
            Word::Sign(")") => open -= 1,
            _ => {}
        }
        open == 0
    })
}
