//! When a value expires.

/// What makes a value's time start anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryPolicy {
    /// Nothing: it runs from the value's creation.
    OnCreate,
    /// Every write; the usual one (Flink's `OnCreateAndWrite`).
    OnWrite,
    /// Every write and every read (Flink's `OnReadAndWrite`).
    OnRead,
}

#[cfg(test)]
pub(super) fn any_policy() -> impl proptest::strategy::Strategy<Value = ExpiryPolicy> {
    use ExpiryPolicy::{OnCreate, OnRead, OnWrite};
    proptest::sample::select(vec![OnCreate, OnWrite, OnRead])
}

/// How long values live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Milliseconds; a value is seen before `start + after_ms` and not from then on.
    pub after_ms: u64,
    /// What starts them anew.
    pub policy: ExpiryPolicy,
}

impl Expiry {
    /// When a value expires whose time starts now.
    pub(super) fn from(self, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.after_ms)
    }
}

/// What one slice of expiring did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Records freed.
    pub record_count: u64,
    /// Bytes of their keys and values.
    pub freed_bytes: u64,
    /// True if no other value has expired by now.
    pub is_done: bool,
}
