//! Runs large language models on the machine in front of you.
