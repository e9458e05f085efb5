//! A step: sequences in, next ids out.
