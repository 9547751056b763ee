//! Whether shards stand still: a pure judgement of what was seen of them at looks from outside.
//!
//! A shard whose turns are counted on is well, whatever it does. While its count stands, each look
//! adds what the shard did since the one before: the time that it waited, if both looks found it
//! waiting, else the CPU time that it used. A thread that wants to run and may not adds nothing,
//! and neither does one that was stopped together with the one that looks: no look counts for more
//! than twice the pause between two.

use std::time::Duration;

use frazil_io::runtime::Vitals;

/// Looks within the bound: the precision of the judgement.
const LOOKS: u32 = 8;
/// Longest pause between two looks.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It has stood still for longer than the bound, since `since`.
    Stuck { since: Duration, is_waiting: bool },
    /// One that was found stuck goes on.
    GoesOn,
}

/// One shard, as seen so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    turn_count: u64,
    /// When the count was seen to change.
    since: Duration,
    /// Of the last look at which the count stood.
    last: Option<(Duration, Vitals)>,
    /// What it did while the count stood.
    did: Duration,
    is_stuck: bool,
}

/// All shards of a run.
#[derive(Debug)]
pub(crate) struct Stillness {
    bound: Duration,
    shards: Vec<Seen>,
    look_at: Duration,
}

impl Stillness {
    pub(crate) fn new(bound: Duration, shard_count: usize) -> Self {
        Self {
            bound,
            shards: vec![Seen::default(); shard_count],
            look_at: Duration::ZERO,
        }
    }

    /// When the next look is due.
    pub(crate) fn look_at(&self) -> Duration {
        self.look_at
    }

    /// All shards were looked at.
    pub(crate) fn looked(&mut self, now: Duration) {
        self.look_at = now.saturating_add(self.pause());
    }

    fn pause(&self) -> Duration {
        (self.bound / LOOKS).min(LOOK_PAUSE_MAX)
    }

    /// Judges a shard by its turns and, only where these stand, by its vitals.
    pub(crate) fn look(
        &mut self,
        shard: usize,
        now: Duration,
        turn_count: u64,
        vitals: impl FnOnce() -> Option<Vitals>,
    ) -> Option<Finding> {
        let look_max = 2 * self.pause();
        let seen = &mut self.shards[shard];
        if turn_count != seen.turn_count {
            let was_stuck = seen.is_stuck;
            *seen = Seen {
                turn_count,
                since: now,
                ..Seen::default()
            };
            return was_stuck.then_some(Finding::GoesOn);
        }
        // One that has ended is not stuck.
        let vitals = vitals()?;
        if let Some((at, before)) = seen.last.replace((now, vitals)) {
            seen.did += match before.is_waiting && vitals.is_waiting {
                true => now.saturating_sub(at).min(look_max),
                false => vitals.cpu_time.saturating_sub(before.cpu_time),
            };
        }
        if seen.is_stuck || seen.did < self.bound {
            return None;
        }
        seen.is_stuck = true;
        Some(Finding::Stuck {
            since: seen.since,
            is_waiting: vitals.is_waiting,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(8);

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What one shard is found to be at looks a second apart; each is (turns, CPU seconds used so
    /// far, whether it waits).
    fn findings(looks: &[(u64, u64, bool)]) -> Vec<(usize, Finding)> {
        let mut stillness = Stillness::new(BOUND, 1);
        let mut found = Vec::new();
        for (second, (turns, used, is_waiting)) in looks.iter().enumerate() {
            let now = seconds(second as u64);
            assert!(stillness.look_at() <= now);
            let vitals = Vitals {
                cpu_time: seconds(*used),
                is_waiting: *is_waiting,
            };
            let finding = stillness.look(0, now, *turns, || Some(vitals));
            stillness.looked(now);
            found.extend(finding.map(|finding| (second, finding)));
        }
        found
    }

    #[test]
    fn an_endless_loop_is_found_once_and_its_end_too() {
        let mut looks: Vec<_> = (0..12).map(|second| (3, second, false)).collect();
        looks.extend([(4, 12, false), (4, 13, false)]);
        let stuck = Finding::Stuck {
            since: seconds(0),
            is_waiting: false,
        };
        assert_eq!(findings(&looks), [(9, stuck), (12, Finding::GoesOn)]);
    }

    #[test]
    fn a_call_that_does_not_come_back_is_found() {
        let looks: Vec<_> = (0..12).map(|_| (3, 1, true)).collect();
        let stuck = Finding::Stuck {
            since: seconds(0),
            is_waiting: true,
        };
        assert_eq!(findings(&looks), [(9, stuck)]);
    }

    #[test]
    fn a_parked_loop_turns_and_is_well() {
        let looks: Vec<_> = (0..100).map(|second| (second, 0, true)).collect();
        assert_eq!(findings(&looks), []);
    }

    #[test]
    fn a_thread_that_gets_no_cpu_is_not_stuck() {
        let starved: Vec<_> = (0..100).map(|_| (3, 0, false)).collect();
        assert_eq!(findings(&starved), []);
        // A tenth of a CPU: it is stuck after ten times as long.
        let slow: Vec<_> = (0..100).map(|second| (3, second / 10, false)).collect();
        assert_eq!(findings(&slow).first().map(|(at, _)| *at), Some(80));
    }

    #[test]
    fn a_pause_of_the_whole_process_counts_for_two_looks() {
        let mut stillness = Stillness::new(BOUND, 1);
        let waiting = || {
            Some(Vitals {
                cpu_time: Duration::ZERO,
                is_waiting: true,
            })
        };
        for now in [0, 1, 2, 1_000, 1_001] {
            assert_eq!(stillness.look(0, seconds(now), 3, waiting), None, "{now}");
        }
    }

    #[test]
    fn looks_are_an_eighth_of_the_bound_apart_and_at_most_a_second() {
        for (bound, pause) in [(seconds(80), seconds(1)), (seconds(4), seconds(4) / 8)] {
            let mut stillness = Stillness::new(bound, 1);
            stillness.looked(seconds(5));
            assert_eq!(stillness.look_at(), seconds(5) + pause);
        }
    }

    #[test]
    fn a_shard_that_has_ended_is_not_stuck() {
        let mut stillness = Stillness::new(BOUND, 1);
        for now in 0..100 {
            assert_eq!(stillness.look(0, seconds(now), 3, || None), None);
        }
    }
}
