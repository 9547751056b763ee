//! A value and its time.

use std::mem::offset_of;

use rkyv::{Archive, Deserialize, Serialize};

use crate::value::Value;

/// A value as it is stored; its root, which ends the archive, begins with the time.
#[derive(Clone, Debug, Archive, Serialize, Deserialize)]
#[rkyv(attr(repr(C)))]
pub(super) struct Timed<V> {
    /// When it expires.
    pub(super) expires_ms: u64,
    /// The time of its entry in the queue, at most `expires_ms`.
    pub(super) queued_ms: u64,
    pub(super) value: V,
}

/// Where in an archive of `archive_bytes` bytes the time stands, so that starting it anew writes
/// nothing else.
pub(super) fn expires_at<V: Value>(archive_bytes: usize) -> usize {
    let root = archive_bytes - size_of::<ArchivedTimed<V>>();
    root + offset_of!(ArchivedTimed<V>, expires_ms)
}

/// Where in an archive the time of the entry's timer stands.
pub(super) fn queued_at<V: Value>(archive_bytes: usize) -> usize {
    let root = archive_bytes - size_of::<ArchivedTimed<V>>();
    root + offset_of!(ArchivedTimed<V>, queued_ms)
}
