//! The messages of a chat and the template that writes them as a prompt.

use crate::error::ChatError;
use crate::prompt::prompt_ids;
use engine::limits;
use serde_json::{Map, Value, json};
use tokens::{Template, TemplateError, Vocab, builtin_template};

/// Where a chat template comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateSource {
    /// The model brought it.
    Model,
    /// The user gave it.
    User,
    /// The model has none, so a plain one serves; the answers may be poor.
    Builtin,
}

/// A template and where it comes from.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    /// The template.
    pub template: Template,
    /// Its origin, which the user should be told if it is the built-in one.
    pub source: TemplateSource,
}

/// The messages so far. Bounded by [`limits::MESSAGES_MAX`] and
/// [`limits::CONVERSATION_BYTES_MAX`].
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    messages: Vec<Value>,
    bytes: usize,
    extra: Map<String, Value>,
}

impl ChatTemplate {
    /// The user's template, else the model's, else the built-in one.
    ///
    /// # Errors
    /// Where the chosen one is not valid.
    pub fn choose(user: Option<&str>, model: Option<&str>) -> Result<ChatTemplate, TemplateError> {
        let (text, source) = match (user, model) {
            (Some(text), _) => (text, TemplateSource::User),
            (None, Some(text)) => (text, TemplateSource::Model),
            (None, None) => (builtin_template(), TemplateSource::Builtin),
        };
        Ok(ChatTemplate { template: Template::new(text)?, source })
    }
}

impl Conversation {
    /// A conversation without messages.
    pub fn new() -> Conversation {
        Conversation::default()
    }

    /// Takes over messages, for example of a saved conversation.
    ///
    /// # Errors
    /// Where one is no object with a role, or a bound is exceeded.
    pub fn from_messages(messages: Vec<Value>) -> Result<Conversation, ChatError> {
        let mut conversation = Conversation::new();
        for message in messages {
            conversation.push_value(message)?;
        }
        Ok(conversation)
    }

    /// Appends a message of text.
    ///
    /// # Errors
    /// Where a bound is exceeded.
    pub fn push(&mut self, role: &str, content: &str) -> Result<(), ChatError> {
        self.push_value(json!({ "role": role, "content": content }))
    }

    /// Appends a message as a template sees it.
    ///
    /// # Errors
    /// Where it is no object with a role, or a bound is exceeded.
    pub fn push_value(&mut self, message: Value) -> Result<(), ChatError> {
        let index = self.messages.len();
        message.get("role").and_then(Value::as_str).ok_or(ChatError::Message { index })?;
        ChatError::check_size("conversation", index + 1, "messages", limits::MESSAGES_MAX)?;
        let bytes = self.bytes + size(&message);
        ChatError::check_size("conversation", bytes, "bytes", limits::CONVERSATION_BYTES_MAX)?;
        self.bytes = bytes;
        self.messages.push(message);
        Ok(())
    }

    /// Takes away the last message, for example a question whose answer was not wanted.
    pub fn pop(&mut self) -> Option<Value> {
        let message = self.messages.pop()?;
        self.bytes -= size(&message);
        Some(message)
    }

    /// The messages, oldest first.
    pub fn messages(&self) -> &[Value] {
        &self.messages
    }

    /// Drops all messages; other inputs stay.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    /// Sets another input of the template, such as `tools` or `enable_thinking`.
    pub fn set(&mut self, name: &str, value: Value) {
        self.extra.insert(name.to_owned(), value);
    }

    /// The prompt as text. `answer` asks the template to open the assistant's turn.
    ///
    /// # Errors
    /// Where the template fails or refuses the messages.
    pub fn render(
        &self,
        template: &Template,
        vocab: &Vocab,
        answer: bool,
    ) -> Result<String, ChatError> {
        let text = |id: Option<u32>| id.and_then(|id| vocab.token_text(id)).unwrap_or_default();
        let mut inputs = Map::new();
        inputs.insert("bos_token".to_owned(), json!(text(vocab.bos())));
        inputs.insert("eos_token".to_owned(), json!(text(vocab.eos().first().copied())));
        inputs.extend(self.extra.clone());
        inputs.insert("messages".to_owned(), Value::Array(self.messages.clone()));
        inputs.insert("add_generation_prompt".to_owned(), json!(answer));
        Ok(template.render(&Value::Object(inputs))?)
    }

    /// The prompt as ids, ready for an answer.
    ///
    /// # Errors
    /// As [`Conversation::render`].
    pub fn ids(&self, template: &Template, vocab: &Vocab) -> Result<Vec<u32>, ChatError> {
        Ok(prompt_ids(vocab, &self.render(template, vocab, true)?))
    }
}

/// Bytes of the texts in a value.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
        _ => 8,
    }
}
