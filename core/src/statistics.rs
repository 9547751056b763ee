//! What is measured, always: latency by what was going on, and every phase of every checkpoint.

use hdrhistogram::Histogram;

/// Largest duration that a histogram tells apart: one minute, in ns.
const DURATION_NS_MAX: u64 = 60_000_000_000;
/// Largest size that a histogram tells apart: 1 TiB.
const BYTES_MAX: u64 = 1 << 40;
/// Two significant digits: 30 KiB a histogram, about 5 ns a record.
const SIGNIFICANT_DIGITS: u8 = 2;

/// A histogram of durations in ns, from 1 ns to one minute; longer ones count as one minute.
pub(crate) fn durations() -> Histogram<u64> {
    Histogram::new_with_bounds(1, DURATION_NS_MAX, SIGNIFICANT_DIGITS)
        .expect("the bounds are valid")
}

fn sizes() -> Histogram<u64> {
    Histogram::new_with_bounds(1, BYTES_MAX, SIGNIFICANT_DIGITS).expect("the bounds are valid")
}

/// What a shard was busy with beside records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Nothing.
    Steady,
    /// A barrier is being aligned, or the freeze was less than a millisecond ago.
    Barrier,
    /// Frozen lines are being captured.
    Capture,
    /// The checkpoint writer writes, syncs and publishes.
    Sync,
}

/// Latency from entering the flow (or from the source's own time stamp) to the sink, in ns, by what
/// was going on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Latency {
    /// No checkpoint in flight.
    pub steady: Histogram<u64>,
    /// During alignment and in the first millisecond after a freeze.
    pub after_barrier: Histogram<u64>,
    /// While frozen lines were captured.
    pub capturing: Histogram<u64>,
    /// While the checkpoint was written, synced and published.
    pub syncing: Histogram<u64>,
}

impl Latency {
    fn new() -> Self {
        Self {
            steady: durations(),
            after_barrier: durations(),
            capturing: durations(),
            syncing: durations(),
        }
    }

    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.steady, &other.steady),
            (&mut self.after_barrier, &other.after_barrier),
            (&mut self.capturing, &other.capturing),
            (&mut self.syncing, &other.syncing),
        ];
        for (into, from) in pairs {
            into.add(from).expect("same bounds");
        }
    }
}

/// One shard's histograms, recorded without a lock and handed over whole.
pub(crate) struct ShardStatistics {
    pub(crate) latency: Latency,
    pub(crate) freeze: Histogram<u64>,
    pub(crate) capture_slice: Histogram<u64>,
    pub(crate) captured_on_first_write_count: u64,
    pub(crate) expired_record_count: u64,
    pub(crate) expired_bytes: u64,
    pub(crate) record_count: u64,
    pub(crate) activity: Activity,
}

impl ShardStatistics {
    pub(crate) fn new() -> Self {
        Self {
            latency: Latency::new(),
            freeze: durations(),
            capture_slice: durations(),
            captured_on_first_write_count: 0,
            expired_record_count: 0,
            expired_bytes: 0,
            record_count: 0,
            activity: Activity::Steady,
        }
    }

    /// Records that `count` records took `latency_ns`. Does not allocate.
    #[inline]
    pub(crate) fn record_latency(&mut self, latency_ns: u64, count: u64) {
        let histogram = match self.activity {
            Activity::Steady => &mut self.latency.steady,
            Activity::Barrier => &mut self.latency.after_barrier,
            Activity::Capture => &mut self.latency.capturing,
            Activity::Sync => &mut self.latency.syncing,
        };
        histogram.saturating_record_n(latency_ns, count);
    }

    /// Counts records that a source emitted.
    #[inline]
    pub(crate) fn count_records(&mut self, count: u64) {
        self.record_count += count;
    }
}

/// Everything that a job has measured so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// Latency of records, over all shards.
    pub latency: Latency,
    /// Per shard and checkpoint: all time without record processing from aligned to the next
    /// record, in ns.
    pub freeze: Histogram<u64>,
    /// Per slice: copying frozen lines out, in ns.
    pub capture_slice: Histogram<u64>,
    /// How often lines were captured because a record was about to change them.
    pub captured_on_first_write_count: u64,
    /// Values, elements and entries that were freed because they had expired.
    pub expired_record_count: u64,
    /// Bytes of their keys and values.
    pub expired_bytes: u64,
    /// Records that sources emitted.
    pub record_count: u64,
    /// Phases and sizes of checkpoints.
    pub checkpoints: CheckpointStatistics,
}

impl Statistics {
    pub(crate) fn new() -> Self {
        Self {
            latency: Latency::new(),
            freeze: durations(),
            capture_slice: durations(),
            captured_on_first_write_count: 0,
            expired_record_count: 0,
            expired_bytes: 0,
            record_count: 0,
            checkpoints: CheckpointStatistics::new(),
        }
    }

    pub(crate) fn add_shard(&mut self, shard: &ShardStatistics) {
        self.latency.add(&shard.latency);
        self.freeze.add(&shard.freeze).expect("same bounds");
        let slices = self.capture_slice.add(&shard.capture_slice);
        slices.expect("same bounds");
        self.captured_on_first_write_count += shard.captured_on_first_write_count;
        self.expired_record_count += shard.expired_record_count;
        self.expired_bytes += shard.expired_bytes;
        self.record_count += shard.record_count;
    }
}

/// Phases and sizes of a job's checkpoints; durations in ns, one value a checkpoint unless said
/// otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckpointStatistics {
    /// Per shard: from the first stage's barrier to the last's.
    pub align: Histogram<u64>,
    /// Per shard: from the freeze until every frozen line was staged.
    pub capture: Histogram<u64>,
    /// From the request until all shards' chunks were written to the segment.
    pub write: Histogram<u64>,
    /// Syncing the segment and the sinks' staged output.
    pub sync: Histogram<u64>,
    /// Publishing the manifest.
    pub publish: Histogram<u64>,
    /// From the request until the manifest was durable.
    pub whole: Histogram<u64>,
    /// Bytes written: frames and manifest.
    pub bytes: Histogram<u64>,
    /// Checkpoints that became durable.
    pub completed_count: u64,
    /// Checkpoints that were dropped.
    pub failed_count: u64,
    /// Images that folds have written.
    pub fold_count: u64,
    /// Bytes of images that folds have written.
    pub folded_bytes: u64,
    /// From a mapped restore until everything was verified, in ns; 0 before, and without one.
    pub restoring_ns: u64,
    /// Bytes that were verified while the job already ran.
    pub restored_bytes: u64,
}

impl CheckpointStatistics {
    pub(crate) fn new() -> Self {
        Self {
            align: durations(),
            capture: durations(),
            write: durations(),
            sync: durations(),
            publish: durations(),
            whole: durations(),
            bytes: sizes(),
            completed_count: 0,
            failed_count: 0,
            fold_count: 0,
            folded_bytes: 0,
            restoring_ns: 0,
            restored_bytes: 0,
        }
    }
}

/// Nanoseconds of a duration, saturating after 584 years.
pub(crate) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
