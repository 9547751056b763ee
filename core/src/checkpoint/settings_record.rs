//! Settings of checkpoints as a manifest records them: names and whole numbers.
//!
//! A setting that is off has no entry. A name that is not known is passed over, so files of later
//! versions can be looked at.

use std::time::Duration;

use frazil_state::format::SettingEntry;

use super::settings::{CheckpointSettings, PastMaxAge};
use crate::statistics::nanos;

const INTERVAL: &str = "interval_ns";
const RECORD_COUNT: &str = "record_count";
const DIRTY_BYTES: &str = "dirty_bytes";
const CONTINUOUS: &str = "continuous";
const TIMEOUT: &str = "timeout_ns";
const ALIGNMENT_TIMEOUT: &str = "alignment_timeout_ns";
const MIN_PAUSE: &str = "min_pause_ns";
const TOLERABLE_FAILURES: &str = "tolerable_failures";
const MAX_AGE: &str = "max_age_ns";
const HOLDS_SOURCES: &str = "past_max_age_hold_sources";
const STOPS: &str = "past_max_age_stop";
/// When the settings were changed last, in milliseconds since 1970; none if they are those of the
/// start.
const CHANGED: &str = "changed_unix_ms";

/// Settings, and when they were changed while the job ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) settings: CheckpointSettings,
    pub(crate) changed_unix_ms: Option<u64>,
}

impl InForce {
    /// For a manifest.
    pub(crate) fn entries(&self) -> Vec<SettingEntry> {
        let CheckpointSettings {
            interval,
            record_count,
            dirty_bytes,
            continuous,
            timeout,
            alignment_timeout,
            min_pause,
            tolerable_failures,
            max_age,
            past_max_age,
        } = &self.settings;
        let values = [
            (INTERVAL, interval.map(nanos)),
            (RECORD_COUNT, *record_count),
            (DIRTY_BYTES, *dirty_bytes),
            (CONTINUOUS, continuous.then_some(1)),
            (TIMEOUT, Some(nanos(*timeout))),
            (ALIGNMENT_TIMEOUT, alignment_timeout.map(nanos)),
            (MIN_PAUSE, Some(nanos(*min_pause))),
            (TOLERABLE_FAILURES, tolerable_failures.map(u64::from)),
            (MAX_AGE, max_age.map(nanos)),
            (HOLDS_SOURCES, flag(*past_max_age, PastMaxAge::HoldSources)),
            (STOPS, flag(*past_max_age, PastMaxAge::Stop)),
            (CHANGED, self.changed_unix_ms),
        ];
        let set = values.into_iter().filter_map(|(name, value)| {
            let name = name.to_owned();
            Some(SettingEntry {
                name,
                value: value?,
            })
        });
        set.collect()
    }

    /// From a manifest; `None` for one of before settings were recorded.
    pub(crate) fn recorded(entries: &[SettingEntry]) -> Option<Self> {
        if entries.is_empty() {
            return None;
        }
        let value = |name| {
            let entry = entries.iter().find(|entry| entry.name == name);
            entry.map(|entry| entry.value)
        };
        let duration = |name| value(name).map(Duration::from_nanos);
        let manual = CheckpointSettings::manual();
        Some(Self {
            settings: CheckpointSettings {
                interval: duration(INTERVAL),
                record_count: value(RECORD_COUNT),
                dirty_bytes: value(DIRTY_BYTES),
                continuous: value(CONTINUOUS).is_some(),
                timeout: duration(TIMEOUT).unwrap_or(manual.timeout),
                alignment_timeout: duration(ALIGNMENT_TIMEOUT),
                min_pause: duration(MIN_PAUSE).unwrap_or(manual.min_pause),
                tolerable_failures: value(TOLERABLE_FAILURES)
                    .map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
                max_age: duration(MAX_AGE),
                past_max_age: match (value(HOLDS_SOURCES), value(STOPS)) {
                    (Some(_), _) => PastMaxAge::HoldSources,
                    (None, Some(_)) => PastMaxAge::Stop,
                    (None, None) => PastMaxAge::Warn,
                },
            },
            changed_unix_ms: value(CHANGED),
        })
    }
}

fn flag(found: PastMaxAge, expected: PastMaxAge) -> Option<u64> {
    (found == expected).then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_as_they_were_recorded() {
        let second = Duration::from_secs(1);
        let manual = CheckpointSettings::manual;
        let all = manual()
            .every(second)
            .every_records(3)
            .every_dirty_bytes(4)
            .continuous(5 * second)
            .timeout(6 * second)
            .alignment_timeout(2 * second)
            .tolerable_failures(7)
            .max_age(8 * second, PastMaxAge::HoldSources);
        let stops = manual().max_age(second, PastMaxAge::Stop);
        for settings in [manual(), all, stops] {
            for changed_unix_ms in [None, Some(9)] {
                let settings = settings.clone();
                let in_force = InForce {
                    settings,
                    changed_unix_ms,
                };
                assert_eq!(InForce::recorded(&in_force.entries()), Some(in_force));
            }
        }
        assert_eq!(InForce::recorded(&[]), None);
    }

    #[test]
    fn names_of_later_versions_are_passed_over() {
        let entry = |name: &str, value| SettingEntry {
            name: name.to_owned(),
            value,
        };
        let read = InForce::recorded(&[entry("moon_phase", 3), entry(INTERVAL, 1_000)]);
        let settings = read.expect("settings").settings;
        let expected = CheckpointSettings::manual().every(Duration::from_micros(1));
        assert_eq!(settings, expected);
    }
}
