//! What a block format has to say about itself.

use bytemuck::AnyBitPattern;

use crate::{IntShape, Ints};

/// One block of a format, as it lies in a file. Made of bytes only, so that it needs no alignment.
pub(crate) trait Block: AnyBitPattern {
    /// Weights per block.
    const LEN: usize;
    /// The block as integers, where that is possible without loss.
    const INTS: Option<IntShape>;

    /// Unpacks the block; what `INTS` denies (scales, minimums) is left as it is.
    fn ints(&self, _out: &mut Ints) {
        unreachable!("a format without an integer shape is never unpacked")
    }

    /// The weights of consecutive blocks. `out` holds `LEN` for each.
    fn decode(blocks: &[Self], out: &mut [f32]) {
        let shape = const { Self::INTS.expect("a format without integers decodes itself") };
        let mut ints = Ints::ZERO;
        for (block, out) in blocks.iter().zip(out.chunks_exact_mut(Self::LEN)) {
            unpack_block(block, &mut ints);
            ints.weights(shape, out);
        }
    }
}

/// A format at run time: its block type's constants and functions on bytes.
pub(crate) struct Format {
    pub name: &'static str,
    pub len: usize,
    pub bytes: usize,
    pub ints: Option<IntShape>,
    /// Whole blocks to their weights.
    pub decode: fn(&[u8], &mut [f32]),
    /// Exactly one block to integers.
    pub unpack: fn(&[u8], &mut Ints),
}

impl Format {
    pub(crate) const fn of<B: Block>(name: &'static str) -> Format {
        assert!(align_of::<B>() == 1, "blocks are read where they lie");
        if let Some(shape) = B::INTS {
            assert!(shape.n == B::LEN && shape.n / shape.sub <= 16);
            assert!(shape.scales || shape.sub == shape.n);
        }
        Format {
            name,
            len: B::LEN,
            bytes: size_of::<B>(),
            ints: B::INTS,
            decode: |bytes, out| B::decode(bytemuck::cast_slice(bytes), out),
            unpack: |bytes, out| unpack_block(bytemuck::from_bytes::<B>(bytes), out),
        }
    }
}

/// Unpacks a block and makes the identity of [`Ints`] hold without a look at the shape's flags.
#[inline(always)]
fn unpack_block<B: Block>(block: &B, out: &mut Ints) {
    block.ints(out);
    if let Some(shape) = B::INTS {
        if !shape.scales {
            out.scale[0] = 1;
        }
        if !shape.mins {
            out.dmin = 0.0;
        }
    }
}
