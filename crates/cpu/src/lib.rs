//! The operations on a CPU's vector units.
