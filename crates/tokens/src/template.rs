//! Chat templates: Jinja2 as Hugging Face's libraries set it up, on minijinja.
//!
//! minijinja is the language; the modules below are where Python shows through in templates that
//! were written and tried with Jinja2: how values print, their methods, filters and tests. The
//! templates of Ollama's models, in Go's language, are `go`'s.

mod dict;
mod filters;
mod go;
mod methods;
mod python;
mod source;

use std::error::Error as _;

use go::Go;
use jiff::Zoned;
use jiff::fmt::strtime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};

/// Steps a rendering may take: far more than any chat, far less than a user would wait for.
const FUEL: u64 = 100_000_000;
/// The only template of its environment; the name must not end in `.html`.
const NAME: &str = "chat";

/// A compiled chat template.
#[derive(Clone, Debug)]
pub struct Template {
    language: Language,
    source: String,
}

/// What a template is written in.
#[derive(Clone, Debug)]
enum Language {
    Jinja(Box<Environment<'static>>),
    Go(Go),
}

/// A template that does not compile or does not render.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template refused its inputs with `raise_exception`; the message is its own.
    #[error("{0}")]
    Raised(String),
    /// The template is not valid.
    #[error("the chat template does not compile: {0}")]
    Syntax(String),
    /// The template failed on these inputs.
    #[error("the chat template failed: {0}")]
    Render(String),
    /// The inputs are not a JSON object.
    #[error("a chat template's inputs must be a JSON object")]
    Inputs,
}

impl Template {
    /// Compiles a template: Ollama's in Go's language, any other in Jinja.
    ///
    /// # Errors
    /// It is not valid, or uses what is not understood of Go's language.
    pub fn new(source: &str) -> Result<Template, TemplateError> {
        if go::is_go(source) {
            let go = Go::parse(source).map_err(TemplateError::Syntax)?;
            return Ok(Template { language: Language::Go(go), source: source.to_owned() });
        }
        let mut env = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        env.set_syntax(syntax.map_err(syntax_error)?);
        env.set_fuel(Some(FUEL));
        filters::install(&mut env);
        env.set_unknown_method_callback(methods::call);
        env.set_formatter(|out, _, value| {
            if value.kind() == ValueKind::Invalid {
                value.try_iter()?;
            }
            python::check_depth(value)?;
            out.write_str(&python::str(value)).map_err(Error::from)
        });
        env.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
            let raised = Raised(python::str(&message));
            Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(raised))
        });
        env.add_template_owned(NAME, source::prepare(source)).map_err(syntax_error)?;
        Ok(Template { language: Language::Jinja(Box::new(env)), source: source.to_owned() })
    }

    /// Renders a chat. The inputs are those of Hugging Face's `apply_chat_template`: `messages`,
    /// `tools`, `documents`, `add_generation_prompt`, `bos_token`, `eos_token` and whatever else
    /// the template reads. Templates in Go's language see what of it Ollama knows.
    ///
    /// # Errors
    /// The template raises, fails, or takes too many steps; or the inputs are no object.
    pub fn render(&self, inputs: &serde_json::Value) -> Result<String, TemplateError> {
        self.render_at(inputs, std::time::SystemTime::now())
    }

    /// The same with the clock given, for templates that print today's date.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_at(
        &self,
        inputs: &serde_json::Value,
        now: std::time::SystemTime,
    ) -> Result<String, TemplateError> {
        let serde_json::Value::Object(inputs) = inputs else { return Err(TemplateError::Inputs) };
        let now = Zoned::try_from(now).map_err(|e| TemplateError::Render(e.to_string()))?;
        let env = match &self.language {
            Language::Go(go) => return go.render(inputs, &now).map_err(TemplateError::Render),
            Language::Jinja(env) => env,
        };
        let clock = Value::from_function(move |format: String| strftime(&now, &format));
        let values = inputs.iter().map(|(key, value)| (key.clone(), dict::from_json(value)));
        let clock = std::iter::once(("strftime_now".to_owned(), clock));
        let context = Value::from_pairs(clock.chain(values));
        let template = env.get_template(NAME).map_err(syntax_error)?;
        template.render(context).map_err(|error| match raised(&error) {
            Some(message) => TemplateError::Raised(message),
            None => TemplateError::Render(describe(&error)),
        })
    }

    /// Whether a template is written in Go's language, as Ollama's are.
    pub fn is_go(source: &str) -> bool {
        go::is_go(source)
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// A plain chat template for models that come without one.
pub fn builtin_template() -> &'static str {
    include_str!("template/builtin.jinja")
}

/// The message of `raise_exception` on its way out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raised(error: &Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(Raised(message)) = error.downcast_ref() {
            return Some(message.clone());
        }
        cause = error.source();
    }
    None
}

fn describe(error: &Error) -> String {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    error.line().map_or_else(|| what.clone(), |line| format!("line {line}: {what}"))
}

fn syntax_error(error: Error) -> TemplateError {
    TemplateError::Syntax(describe(&error))
}

fn strftime(now: &Zoned, format: &str) -> Result<String, Error> {
    let invalid = |e: jiff::Error| Error::new(ErrorKind::InvalidOperation, e.to_string());
    let config = strtime::Config::new().lenient(true);
    let time = strtime::BrokenDownTime::from(now);
    time.to_string_with_config(&config, format).map_err(invalid)
}
