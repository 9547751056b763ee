//! When checkpoints are made, and what a failing or late one means.

use std::fmt;
use std::time::Duration;

use crate::error::Error;

const TIMEOUT: Duration = Duration::from_secs(60);

/// When a job makes checkpoints and what it does about those that fail or are late. Triggers
/// combine: the first that is due makes one.
///
/// All of it can be changed while the job runs:
/// [`JobHandle::change_checkpoints`](crate::JobHandle::change_checkpoints).
///
/// ```
/// use std::time::Duration;
/// use frazil::{CheckpointSettings, PastMaxAge};
///
/// let settings = CheckpointSettings::manual()
///     .every(Duration::from_secs(1))
///     .every_dirty_bytes(64 << 20)
///     .min_pause(Duration::from_millis(100))
///     .max_age(Duration::from_secs(10), PastMaxAge::HoldSources);
/// assert_eq!(settings.interval, Some(Duration::from_secs(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointSettings {
    /// Time from one request to the next.
    pub interval: Option<Duration>,
    /// Records that sources emit from one request to the next.
    pub record_count: Option<u64>,
    /// Bytes of state that wait to be written, over all shards.
    pub dirty_bytes: Option<u64>,
    /// The next begins when the last is durable, after [`min_pause`](Self::min_pause).
    pub continuous: bool,
    /// How long one may take before it is dropped and its changes wait for the next.
    pub timeout: Duration,
    /// How long a barrier waits on a shard for those of other inputs before it overtakes the
    /// records in front of it, which then belong to the checkpoint; `None` is for ever. Counted
    /// from the barrier at the shard's sources; matters to
    /// [`CheckpointMode::Aligned`](crate::CheckpointMode::Aligned) only.
    pub alignment_timeout: Option<Duration>,
    /// Least time from the end of one to the request of the next; does not hold back one that was
    /// asked for, or the last.
    pub min_pause: Duration,
    /// How many may fail in a row without ending the job; `None` is any number.
    pub tolerable_failures: Option<u32>,
    /// How old the newest durable one may be, counted from its request: what came later is not in
    /// it.
    pub max_age: Option<Duration>,
    /// What happens past [`max_age`](Self::max_age).
    pub past_max_age: PastMaxAge,
}

/// What a job does when its newest durable checkpoint is too old. Whatever it does, one more
/// checkpoint is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PastMaxAge {
    /// It says so, and goes on.
    #[default]
    Warn,
    /// Sources give no records until a checkpoint is durable.
    HoldSources,
    /// The job fails with [`Error::CheckpointTooOld`](crate::Error::CheckpointTooOld).
    Stop,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self::manual()
    }
}

impl CheckpointSettings {
    /// Only when asked for, and at the end of the job. A timeout of one minute, no pause, any
    /// number of failures, any age.
    #[must_use]
    pub fn manual() -> Self {
        Self {
            interval: None,
            record_count: None,
            dirty_bytes: None,
            continuous: false,
            timeout: TIMEOUT,
            alignment_timeout: None,
            min_pause: Duration::ZERO,
            tolerable_failures: None,
            max_age: None,
            past_max_age: PastMaxAge::Warn,
        }
    }

    /// One every `interval`, counted from request to request. One that takes longer delays the
    /// next.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// One whenever sources have emitted `count` records since the last was requested; noticed
    /// within 20 ms.
    #[must_use]
    pub fn every_records(mut self, count: u64) -> Self {
        self.record_count = Some(count);
        self
    }

    /// One whenever `bytes` of state wait to be written, over all shards; noticed within 20 ms.
    #[must_use]
    pub fn every_dirty_bytes(mut self, bytes: u64) -> Self {
        self.dirty_bytes = Some(bytes);
        self
    }

    /// One after the other, with `min_pause` between them.
    #[must_use]
    pub fn continuous(mut self, min_pause: Duration) -> Self {
        self.continuous = true;
        self.min_pause = min_pause;
        self
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`alignment_timeout`](Self::alignment_timeout).
    #[must_use]
    pub fn alignment_timeout(mut self, timeout: Duration) -> Self {
        self.alignment_timeout = Some(timeout);
        self
    }

    /// Sets [`min_pause`](Self::min_pause).
    #[must_use]
    pub fn min_pause(mut self, pause: Duration) -> Self {
        self.min_pause = pause;
        self
    }

    /// Ends the job when more than `count` fail in a row; the last one of the job does not count,
    /// it is tried again.
    #[must_use]
    pub fn tolerable_failures(mut self, count: u32) -> Self {
        self.tolerable_failures = Some(count);
        self
    }

    /// Sets [`max_age`](Self::max_age) and what happens past it.
    #[must_use]
    pub fn max_age(mut self, age: Duration, past: PastMaxAge) -> Self {
        self.max_age = Some(age);
        self.past_max_age = past;
        self
    }

    /// True if something beside the user and the end of the job makes checkpoints.
    pub(crate) fn is_automatic(&self) -> bool {
        self.continuous
            || self.interval.is_some()
            || self.max_age.is_some()
            || self.counts_progress()
    }

    /// True if a trigger depends on what shards have done.
    pub(crate) fn counts_progress(&self) -> bool {
        self.record_count.is_some() || self.dirty_bytes.is_some()
    }

    /// # Errors
    /// [`Error::Setting`] naming the first that is out of its range or contradicts another.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let zeros = [
            (
                "CheckpointSettings::interval",
                self.interval.is_some_and(|i| i.is_zero()),
            ),
            (
                "CheckpointSettings::record_count",
                self.record_count == Some(0),
            ),
            (
                "CheckpointSettings::dirty_bytes",
                self.dirty_bytes == Some(0),
            ),
            ("CheckpointSettings::timeout", self.timeout.is_zero()),
        ];
        for (setting, is_zero) in zeros {
            if is_zero {
                return Err(Error::setting(setting, "more than 0", "0"));
            }
        }
        if let Some(wait) = self.alignment_timeout.filter(|it| *it >= self.timeout) {
            let setting = "CheckpointSettings::alignment_timeout";
            let expected = format!("less than timeout ({:?})", self.timeout);
            return Err(Error::setting(setting, expected, format!("{wait:?}")));
        }
        let Some(max_age) = self.max_age else {
            return Ok(());
        };
        let interval = self.interval.unwrap_or_default();
        let least = interval.max(self.min_pause);
        if max_age <= least {
            let expected = format!("more than interval and min_pause ({least:?})");
            let found = format!("{max_age:?}");
            return Err(Error::setting(
                "CheckpointSettings::max_age",
                expected,
                found,
            ));
        }
        Ok(())
    }
}

/// In one line, as in `every 1s or 500 records, timeout 60s`.
impl fmt::Display for CheckpointSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut triggers = Vec::new();
        triggers.extend(self.interval.map(|interval| format!("every {interval:?}")));
        triggers.extend(
            self.record_count
                .map(|count| format!("every {count} records")),
        );
        triggers.extend(
            self.dirty_bytes
                .map(|bytes| format!("every {bytes} dirty bytes")),
        );
        triggers.extend(self.continuous.then(|| "continuously".to_owned()));
        match triggers.is_empty() {
            true => formatter.write_str("when asked for")?,
            false => formatter.write_str(&triggers.join(" or "))?,
        }
        write!(formatter, ", timeout {:?}", self.timeout)?;
        if let Some(wait) = self.alignment_timeout {
            write!(formatter, ", alignment {wait:?}")?;
        }
        if !self.min_pause.is_zero() {
            write!(formatter, ", pause {:?}", self.min_pause)?;
        }
        if let Some(count) = self.tolerable_failures {
            write!(formatter, ", {count} failures tolerable")?;
        }
        if let Some(age) = self.max_age {
            write!(formatter, ", age {age:?}, then {:?}", self.past_max_age)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting_of(settings: &CheckpointSettings) -> &'static str {
        match settings.check() {
            Err(Error::Setting { setting, .. }) => setting,
            other => panic!("{settings:?}: {other:?}"),
        }
    }

    #[test]
    fn settings_are_shown_in_one_line() {
        let manual = CheckpointSettings::manual();
        assert_eq!(manual.to_string(), "when asked for, timeout 60s");
        let all = manual
            .every(Duration::from_secs(1))
            .every_records(500)
            .every_dirty_bytes(64)
            .continuous(Duration::from_millis(2))
            .alignment_timeout(Duration::from_millis(20))
            .tolerable_failures(3)
            .max_age(Duration::from_secs(9), PastMaxAge::Stop);
        let expected = "every 1s or every 500 records or every 64 dirty bytes or continuously, \
                        timeout 60s, alignment 20ms, pause 2ms, 3 failures tolerable, age 9s, \
                        then Stop";
        assert_eq!(all.to_string(), expected);
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let good = || CheckpointSettings::manual().every(Duration::from_secs(1));
        good().check().expect("valid");
        let second = Duration::from_secs(1);
        let cases = [
            (good().every(Duration::ZERO), "interval"),
            (good().every_records(0), "record_count"),
            (good().every_dirty_bytes(0), "dirty_bytes"),
            (good().timeout(Duration::ZERO), "timeout"),
            (
                good().timeout(second).alignment_timeout(second),
                "alignment_timeout",
            ),
            (good().max_age(second, PastMaxAge::Warn), "max_age"),
            (
                CheckpointSettings::manual()
                    .continuous(second)
                    .max_age(second, PastMaxAge::Stop),
                "max_age",
            ),
        ];
        for (settings, field) in cases {
            assert_eq!(
                setting_of(&settings),
                format!("CheckpointSettings::{field}")
            );
        }
    }
}
