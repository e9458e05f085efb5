//! The model that comes with the program.

use weights::{Source, WeightError};

/// Bytes at an address that kernels like: numbers of any width are read from a model in place.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static GUIDE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../models/russet-guide.gguf"
)));

/// Opens it; nothing is read from disk.
///
/// # Errors
/// None, unless the program was built from a damaged file.
pub fn builtin() -> Result<Source, WeightError> {
    Source::from_bytes(hub::BUILTIN, &GUIDE.0)
}
