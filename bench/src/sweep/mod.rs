//! Latency and what checkpoints cost at parts of the highest sustained rate: one running job whose
//! highest rate is looked for first.

mod climb;
mod latency;
mod overhead;

pub(crate) use climb::Load;
pub(crate) use latency::latency;
pub(crate) use overhead::overhead;
