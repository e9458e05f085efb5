//! Text to ids and back, and the templates that write a chat as text.
