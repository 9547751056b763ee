//! How a window went over time.

use crate::probe::memory::anonymous_bytes;
use hdrhistogram::Histogram;
use std::time::Instant;

/// One of the parts that a window is cut into.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Part {
    /// When it began.
    pub begun: Instant,
    /// When it ended.
    pub ended: Instant,
    /// Events that came out and were timed.
    pub count: u64,
    /// Their median latency.
    pub p50_ns: u64,
    /// Their latency at p99; a part may have too few samples to say much with it.
    pub p99_ns: u64,
    /// Their longest latency.
    pub max_ns: u64,
    /// Anonymous memory of the process at the end.
    pub anonymous_bytes: u64,
}

impl Part {
    /// With these latencies since `begun`.
    pub(crate) fn of(all: &Histogram<u64>, begun: Instant) -> Self {
        Self {
            begun,
            ended: Instant::now(),
            count: all.len(),
            p50_ns: all.value_at_quantile(0.5),
            p99_ns: all.value_at_quantile(0.99),
            max_ns: all.max(),
            anonymous_bytes: anonymous_bytes(),
        }
    }
}
