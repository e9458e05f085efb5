//! A model and its weights become a program.
