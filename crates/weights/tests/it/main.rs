//! Files become the tensors that were written into them, and damaged files become errors.

mod adapters;
mod damage;
mod gguf;
mod hugging_face;
mod mlx;
mod quantized;
mod reference;
mod writer;
