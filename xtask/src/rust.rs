//! Rust as text, near enough for tidiness: what is code and what is comment or literal, functions,
//! modules. It does not parse: macros and conditional compilation are taken as they stand.

/// A file of Rust.
pub struct Source {
    /// The text with comments and the inside of literals blanked, line by line in place.
    pub code: String,
    /// The line, from 0, where tests at the end of the file begin.
    pub tests_from: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// From 1.
    pub line: usize,
    /// From `fn` to the closing brace.
    pub lines: usize,
}

/// A module in a file of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Module {
    pub name: String,
    /// What `#[path]` says.
    pub path: Option<String>,
}

impl Source {
    pub fn new(text: &str) -> Source {
        let code = blank(text);
        let mut lines = code.lines();
        let tests_from = lines
            .position(|line| line.starts_with("#[cfg(test)]"))
            .filter(|_| lines.next().is_some_and(|line| line.trim_end().ends_with('{')))
            .unwrap_or(text.lines().count());
        Source { code, tests_from }
    }

    /// Every function with a body.
    pub fn functions(&self) -> Vec<Function> {
        let code = &self.code;
        let mut found = Vec::new();
        for (at, _) in code.match_indices("fn ") {
            let named = &code[at + 3..];
            let len = named.find(|c: char| !is_word(c)).unwrap_or(named.len());
            let starts = !code[..at].ends_with(is_word) && len > 0;
            let Some(body) = body(&code[at..]).filter(|_| starts) else { continue };
            found.push(Function {
                name: named[..len].to_owned(),
                line: code[..at].matches('\n').count() + 1,
                lines: body.matches('\n').count() + 1,
            });
        }
        found
    }

    /// Every `mod name;`. `text` is what this was made of.
    pub fn modules(&self, text: &str) -> Vec<Module> {
        let mut path = None;
        let mut found = Vec::new();
        for (line, code) in text.lines().zip(self.code.lines()) {
            let attribute = code.trim().strip_prefix("#[path").and_then(|_| line.split('"').nth(1));
            path = attribute.map(str::to_owned).or(path);
            let declared = code.trim().strip_suffix(';').and_then(|code| code.rsplit_once("mod "));
            if let Some((before, name)) = declared
                && name.chars().all(is_word)
                && !before.ends_with(is_word)
            {
                found.push(Module { name: name.to_owned(), path: path.take() });
            }
        }
        found
    }
}

/// Whether a line has a word that is no part of a longer one.
pub fn has_word(line: &str, word: &str) -> bool {
    let inner =
        |c: Option<char>, edge: Option<char>| c.is_some_and(is_word) && edge.is_some_and(is_word);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !inner(before, word.chars().next()) && !inner(after, word.chars().next_back())
    })
}

/// From `fn` to the brace that closes its body; `None` where a semicolon comes first.
fn body(code: &str) -> Option<&str> {
    let (mut depth, mut braces) = (0i32, 0i32);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' if braces == 0 => depth += 1,
            ')' | ']' if braces == 0 => depth -= 1,
            ';' if braces == 0 && depth == 0 => return None,
            '{' if depth == 0 => braces += 1,
            '}' if depth == 0 => {
                braces -= 1;
                if braces == 0 {
                    return Some(&code[..=at]);
                }
                if braces < 0 {
                    return None;
                }
            }
            _ => {}
        }
    }
    None
}

/// Blanks comments and the inside of literals. Lines stay where they are.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment_len(rest),
            '"' => string_len(rest),
            'r' if !out.ends_with(is_word) || out.ends_with('b') => raw_len(rest).unwrap_or(0),
            '\'' => char_len(rest).unwrap_or(0),
            _ => 0,
        };
        if len == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        // The quotes stay, so that a literal is still an expression.
        let keep = |c: char| if matches!(c, '\n' | '"' | '\'') { c } else { ' ' };
        let is_comment = c == '/';
        out.extend(rest[..len].chars().map(|c| match c {
            '\n' => '\n',
            _ if is_comment => ' ',
            c => keep(c),
        }));
        rest = &rest[len..];
    }
    out
}

/// Block comments nest.
fn comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let here = &text[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"..."`, `r#"..."#` and so on; `None` where a word begins with r.
fn raw_len(text: &str) -> Option<usize> {
    let after = &text[1..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close).map_or(inside.len(), |at| at + close.len());
    Some(1 + hashes + 1 + end)
}

/// A character literal; `None` for a lifetime.
fn char_len(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        // What is escaped may itself be a quote.
        chars.next()?;
        return Some(chars.find(|(_, c)| *c == '\'')?.0 + 1);
    }
    let (at, close) = chars.next()?;
    (close == '\'').then_some(at + 1)
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests;
