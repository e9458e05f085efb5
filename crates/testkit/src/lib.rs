//! Tiny models, reference data and checks for tests.
