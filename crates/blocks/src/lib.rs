//! How weights are packed: every block format, its layout and its values.
