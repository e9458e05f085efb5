//! Tiny models, reference data and checks for tests.
#![forbid(unsafe_code)]

pub mod loopback;
pub mod tiny;
