//! What untrusted bytes are fed to. Each function ends well or panics, and a panic is a bug: bytes
//! of a file give a value or a typed error.
//!
//! `fuzz_targets/` feeds them what libFuzzer makes up, and `tests/fuzz_seeds.rs` in the ordinary
//! suite feeds them the seeds and mutations of these.

mod formats;
mod pages;

pub use formats::{frame, image, manifest};
pub use pages::{EDIT_BYTES, pages};
