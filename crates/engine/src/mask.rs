//! What a grammar needs of the sampler.

/// Says which ids may come next.
pub trait Mask: Send {
    /// Sets the logits of forbidden ids to negative infinity.
    fn apply(&mut self, logits: &mut [f32]);

    /// Takes note of the id that was chosen.
    fn accept(&mut self, id: u32);
}
