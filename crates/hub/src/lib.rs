//! Model names, and the models on this machine.
