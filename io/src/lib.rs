//! The machine under Frazil: storage, text input, output files, pinned threads and CPU placement.
//!
//! This crate stores opaque bytes and drives opaque loops. It does not know pages, keys, epochs or
//! operators. *Durable* here means: survives power loss on a device that honours flushes; see
//! [`storage`] for the four states that data passes on its way there.

mod error;
pub mod runtime;
pub mod staged;
pub mod storage;
pub mod text;

pub use error::IoError;
