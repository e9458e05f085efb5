//! What a backend must do: the list of operations, programs and the step.
