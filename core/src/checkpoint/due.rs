//! When the next checkpoint is due, by the settings and by what was done since the last: pure.

use std::time::Duration;

use super::settings::CheckpointSettings;

/// Pause before a trigger that is still there asks again after a dropped checkpoint: a full disk
/// must not be asked as fast as it refuses. An interval of its own is pause enough.
const AFTER_DROP_PAUSE: Duration = Duration::from_millis(100);
/// Bounds of the time between two looks at what shards have done.
const LOOK_MIN: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(20);

/// What is known at the moment of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since the protocol began.
    pub(crate) at: Duration,
    /// Records that all sources have emitted so far.
    pub(crate) record_count: u64,
    /// State that waits to be written, over all shards.
    pub(crate) dirty_bytes: u64,
}

/// The last checkpoint, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastCheckpoint {
    /// When it was requested, and how many records had been emitted.
    pub(crate) requested: Now,
    /// When it was durable, or dropped by everybody; `None` before the first.
    pub(crate) over_at: Option<Duration>,
    pub(crate) was_dropped: bool,
}

/// The earliest moment at which the next checkpoint is due by what is known `now`; it may have
/// passed. `is_too_old` makes one due whatever the triggers say.
pub(crate) fn due_at(
    settings: &CheckpointSettings,
    last: &LastCheckpoint,
    now: &Now,
    is_too_old: bool,
) -> Option<Duration> {
    let by_interval = settings
        .interval
        .map(|interval| last.requested.at.saturating_add(interval));
    let records = now.record_count.saturating_sub(last.requested.record_count);
    let by_progress = settings.continuous
        || is_too_old
        || settings.record_count.is_some_and(|count| records >= count)
        || settings
            .dirty_bytes
            .is_some_and(|bytes| now.dirty_bytes >= bytes);
    let over_at = last.over_at.unwrap_or_default();
    let by_progress = by_progress.then(|| {
        let pause = if last.was_dropped {
            AFTER_DROP_PAUSE
        } else {
            Duration::ZERO
        };
        over_at + pause
    });
    let earliest = [by_interval, by_progress].into_iter().flatten().min()?;
    let pause_ends = last
        .over_at
        .map_or(Duration::ZERO, |at| at.saturating_add(settings.min_pause));
    Some(earliest.max(pause_ends))
}

/// How long to wait before what shards have done is looked at again; `None` if nothing depends on
/// it. Half of the time that the rest would take at the pace so far.
pub(crate) fn look_after(
    settings: &CheckpointSettings,
    last: &LastCheckpoint,
    now: &Now,
) -> Option<Duration> {
    let elapsed = now.at.saturating_sub(last.requested.at);
    let records = now.record_count.saturating_sub(last.requested.record_count);
    let half_of_the_rest = |done: u64, limit: u64| {
        let rest = limit.saturating_sub(done) as f64 / done.max(1) as f64;
        // Beyond the bound every number serves.
        elapsed.mul_f64((rest / 2.0).min(1e6))
    };
    let by_records = settings
        .record_count
        .map(|limit| half_of_the_rest(records, limit));
    let by_bytes = settings
        .dirty_bytes
        .map(|limit| half_of_the_rest(now.dirty_bytes, limit));
    let waits = [by_records, by_bytes].into_iter().flatten();
    waits.min().map(|wait| wait.clamp(LOOK_MIN, LOOK_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn over_at(at: Duration) -> LastCheckpoint {
        LastCheckpoint {
            requested: Now {
                at: ms(100),
                record_count: 1_000,
                dirty_bytes: 0,
            },
            over_at: Some(at),
            was_dropped: false,
        }
    }

    fn now(record_count: u64, dirty_bytes: u64) -> Now {
        Now {
            at: ms(200),
            record_count,
            dirty_bytes,
        }
    }

    #[test]
    fn manual_settings_make_nothing_due() {
        let settings = CheckpointSettings::manual();
        let last = over_at(ms(150));
        assert_eq!(
            due_at(&settings, &last, &now(1 << 40, 1 << 40), false),
            None
        );
        assert_eq!(look_after(&settings, &last, &now(0, 0)), None);
    }

    #[test]
    fn interval_counts_from_request_to_request() {
        let settings = CheckpointSettings::manual().every(ms(30));
        let due = due_at(&settings, &over_at(ms(150)), &now(0, 0), false);
        assert_eq!(due, Some(ms(150)), "not before the last is over");
        let due = due_at(&settings, &over_at(ms(120)), &now(0, 0), false);
        assert_eq!(due, Some(ms(130)));
    }

    #[test]
    fn an_interval_beyond_all_time_is_never_due() {
        let settings = CheckpointSettings::manual().every(Duration::MAX);
        let due = due_at(&settings, &over_at(ms(120)), &now(0, 0), false);
        assert_eq!(due, Some(Duration::MAX));
    }

    #[test]
    fn records_are_counted_from_the_last_request() {
        let settings = CheckpointSettings::manual().every_records(500);
        let last = over_at(ms(150));
        assert_eq!(due_at(&settings, &last, &now(1_499, 0), false), None);
        let due = due_at(&settings, &last, &now(1_500, 0), false);
        assert_eq!(due, Some(ms(150)));
    }

    #[test]
    fn dirty_bytes_are_those_that_wait_now() {
        let settings = CheckpointSettings::manual().every_dirty_bytes(4_096);
        let last = over_at(ms(150));
        assert_eq!(due_at(&settings, &last, &now(0, 4_095), false), None);
        let due = due_at(&settings, &last, &now(0, 4_096), false);
        assert_eq!(due, Some(ms(150)));
    }

    #[test]
    fn continuous_follows_the_last_after_the_pause() {
        let settings = CheckpointSettings::manual().continuous(ms(7));
        let due = |last: &LastCheckpoint| due_at(&settings, last, &now(0, 0), false);
        assert_eq!(due(&over_at(ms(150))), Some(ms(157)));
        assert_eq!(due(&LastCheckpoint::default()), Some(ms(0)));
    }

    #[test]
    fn the_first_of_several_triggers_counts_and_the_pause_holds_for_all() {
        let settings = CheckpointSettings::manual()
            .every(ms(30))
            .every_records(500)
            .min_pause(ms(40));
        let last = over_at(ms(150));
        let due = due_at(&settings, &last, &now(9_000, 0), false);
        assert_eq!(due, Some(ms(190)));
    }

    #[test]
    fn a_dropped_checkpoint_delays_triggers_that_are_still_there() {
        let settings = CheckpointSettings::manual().every_dirty_bytes(1);
        let last = LastCheckpoint {
            was_dropped: true,
            ..over_at(ms(150))
        };
        let due = due_at(&settings, &last, &now(0, 9), false);
        assert_eq!(due, Some(ms(150) + AFTER_DROP_PAUSE));
        let due = due_at(&settings.every(ms(20)), &last, &now(0, 9), false);
        assert_eq!(due, Some(ms(150)));
    }

    #[test]
    fn looks_come_sooner_the_nearer_the_limit_is() {
        let settings = CheckpointSettings::manual().every_records(1_000);
        let last = over_at(ms(150));
        let look = |records: u64| look_after(&settings, &last, &now(1_000 + records, 0));
        assert_eq!(look(0), Some(LOOK_MAX));
        // 900 records took 100 ms, so 100 more take 11 ms.
        let soon = look(900).expect("it depends on records");
        assert!(soon > ms(5) && soon < ms(6), "{soon:?}");
        assert_eq!(look(999), Some(LOOK_MIN));
    }
}
