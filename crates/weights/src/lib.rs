//! A file becomes named tensors: GGUF, safetensors and MLX.
