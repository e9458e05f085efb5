//! Which network: a model described as data.
