//! Work that is measured: keys, a source that can be held back, and a job that counts.

mod distribution;
mod gated_source;
mod keyed_job;
mod keys;
mod trigger;

pub use distribution::{Distribution, Draw};
pub use gated_source::{Gate, GatedReader, GatedSource};
pub use keyed_job::{Engine, JobSpec, KeyedJob, Place, RecordBytes, WRITE_MODES, Window};
pub use keys::Keys;
pub use trigger::Triggered;
pub(crate) use trigger::trigger;
