//! A conversation: templates, stop strings and streams of text over the engine.
