//! The checkpoint protocol as one pure state machine: events in, actions out, no clock, no I/O.
//!
//! ```text
//!            Due, Trigger, InputEnded, Stop               Durable
//!   Idle ------------------------------------> InFlight --------------> Idle, at last Over
//!    ^                                            |
//!    |  all shards settled                        | TimedOut (asks the writer to give up), Dropped
//!    +--------------------- Settling <------------+
//! ```
//!
//! The writer alone decides whether a checkpoint becomes durable or is dropped, so that both can
//! never be true. The writer's word of a drop comes before any shard's of having settled: both
//! travel through the writer, and shards learn of the drop from it. At most one checkpoint is
//! between request and settled. The last one (input ended, or stop) is tried again until it
//! succeeds, [`LAST_ATTEMPTS_MAX`] attempts failed, or shards do not settle in time.
#![deny(clippy::wildcard_enum_match_arm)]

/// Attempts at the last checkpoint.
pub(crate) const LAST_ATTEMPTS_MAX: u32 = 20;
/// Declines in a row after which shards wait for their capture, from then on: the job has shown
/// that it writes faster than its staging memory can be emptied, and patience costs nothing while
/// it can.
const DECLINES_BEFORE_PATIENCE: u32 = 3;

/// Where the protocol stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No checkpoint in flight.
    Idle,
    /// Requested; its outcome is open.
    InFlight {
        epoch: u64,
        last: bool,
        giving_up: bool,
    },
    /// Dropped; `unsettled` shards still take its lines back.
    Settling {
        epoch: u64,
        last: bool,
        unsettled: usize,
    },
    /// The last checkpoint is durable, or given up.
    Over,
}

/// Why a checkpoint was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drop {
    /// A shard's staging pool was too small.
    Declined,
    /// Anything else; the reason travels beside.
    Failed,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The interval has passed, or somebody asked for a checkpoint.
    Due,
    /// All shards have finished their input.
    InputEnded,
    /// Somebody asked the job to stop.
    Stop,
    /// The checkpoint in flight takes too long.
    TimedOut,
    /// The writer published the manifest.
    Durable { epoch: u64 },
    /// The writer gave the checkpoint up.
    Dropped { epoch: u64, why: Drop },
    /// A shard has nothing of the dropped epoch in flight.
    Settled { epoch: u64 },
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Tell writer and shards to begin.
    Request { epoch: u64, last: bool },
    /// Tell the writer to give the checkpoint up.
    GiveUp { epoch: u64 },
    /// Let shards wait for their capture from now on.
    BePatient,
    /// End the job; its last checkpoint is durable or not.
    End { committed: bool },
}

/// The protocol's memory.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) phase: Phase,
    shard_count: usize,
    next_epoch: u64,
    /// The job is to end with its next checkpoint.
    ending: bool,
    last_attempts: u32,
    declines: u32,
}

/// At most two actions follow from one event.
pub(crate) type Actions = [Option<Action>; 2];

impl Protocol {
    pub(crate) fn new(shard_count: usize, next_epoch: u64) -> Self {
        Self {
            phase: Phase::Idle,
            shard_count,
            next_epoch,
            ending: false,
            last_attempts: 0,
            declines: 0,
        }
    }

    /// True while a checkpoint could be requested.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// True once the next checkpoint is to be the last.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    pub(crate) fn last_attempts(&self) -> u32 {
        self.last_attempts
    }

    /// The one transition function.
    pub(crate) fn on(&mut self, event: Event) -> Actions {
        match (self.phase, event) {
            (Phase::Idle, Event::Due) => self.request(),
            (Phase::Idle, Event::InputEnded | Event::Stop) => {
                self.ending = true;
                self.request()
            }
            (Phase::InFlight { .. } | Phase::Settling { .. }, Event::InputEnded | Event::Stop) => {
                self.ending = true;
                [None, None]
            }
            (_, Event::TimedOut) => self.timed_out(),
            (Phase::InFlight { epoch, last, .. }, Event::Durable { epoch: durable }) => {
                assert_eq!(epoch, durable, "another epoch became durable");
                self.durable(last)
            }
            (
                Phase::InFlight { epoch, last, .. },
                Event::Dropped {
                    epoch: dropped,
                    why,
                },
            ) => {
                assert_eq!(epoch, dropped, "another epoch was dropped");
                self.dropped(epoch, last, why)
            }
            (
                Phase::Settling {
                    epoch,
                    last,
                    unsettled,
                },
                Event::Settled { epoch: settled },
            ) => {
                assert_eq!(epoch, settled, "another epoch was settled");
                self.settled(epoch, last, unsettled - 1)
            }
            (Phase::InFlight { .. } | Phase::Settling { .. }, Event::Due) | (Phase::Over, _) => {
                [None, None]
            }
            (
                Phase::Idle | Phase::Settling { .. },
                Event::Durable { .. } | Event::Dropped { .. },
            )
            | (Phase::Idle | Phase::InFlight { .. }, Event::Settled { .. }) => {
                unreachable!("event={event:?} in phase={:?}", self.phase)
            }
        }
    }

    fn timed_out(&mut self) -> Actions {
        match self.phase {
            Phase::InFlight {
                epoch,
                last,
                giving_up: false,
            } => {
                self.phase = Phase::InFlight {
                    epoch,
                    last,
                    giving_up: true,
                };
                [Some(Action::GiveUp { epoch }), None]
            }
            // Shards that cannot even pass the barrier will not settle: nothing of the epoch is
            // published, so the job may end.
            Phase::Settling { last: true, .. } => {
                self.phase = Phase::Over;
                [Some(Action::End { committed: false }), None]
            }
            Phase::InFlight {
                giving_up: true, ..
            }
            | Phase::Settling { last: false, .. }
            | Phase::Idle
            | Phase::Over => [None, None],
        }
    }

    fn request(&mut self) -> Actions {
        let epoch = self.next_epoch;
        let last = self.ending;
        self.next_epoch += 1;
        self.last_attempts += u32::from(last);
        self.phase = Phase::InFlight {
            epoch,
            last,
            giving_up: false,
        };
        [Some(Action::Request { epoch, last }), None]
    }

    fn durable(&mut self, last: bool) -> Actions {
        self.declines = 0;
        if last {
            self.phase = Phase::Over;
            return [Some(Action::End { committed: true }), None];
        }
        self.phase = Phase::Idle;
        if self.ending {
            return self.request();
        }
        [None, None]
    }

    fn dropped(&mut self, epoch: u64, last: bool, why: Drop) -> Actions {
        let mut actions = [None, None];
        if why == Drop::Declined {
            self.declines += 1;
            if self.declines >= DECLINES_BEFORE_PATIENCE {
                actions[0] = Some(Action::BePatient);
            }
        }
        self.phase = Phase::Settling {
            epoch,
            last,
            unsettled: self.shard_count,
        };
        actions
    }

    fn settled(&mut self, epoch: u64, last: bool, unsettled: usize) -> Actions {
        if unsettled > 0 {
            self.phase = Phase::Settling {
                epoch,
                last,
                unsettled,
            };
            return [None, None];
        }
        if last && self.last_attempts >= LAST_ATTEMPTS_MAX {
            self.phase = Phase::Over;
            return [Some(Action::End { committed: false }), None];
        }
        self.phase = Phase::Idle;
        [None, None]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(actions: Actions) -> Option<Action> {
        assert_eq!(actions.iter().flatten().count(), 1, "{actions:?}");
        actions.into_iter().flatten().next()
    }

    fn drop_of(epoch: u64) -> Event {
        Event::Dropped {
            epoch,
            why: Drop::Failed,
        }
    }

    #[test]
    fn a_dropped_checkpoint_is_followed_only_when_all_shards_settled() {
        let mut protocol = Protocol::new(2, 1);
        assert!(protocol.on(Event::Due)[0].is_some());
        assert_eq!(protocol.on(drop_of(1)), [None, None]);
        assert_eq!(protocol.on(Event::Due), [None, None]);
        protocol.on(Event::Settled { epoch: 1 });
        assert!(!protocol.is_idle());
        protocol.on(Event::Settled { epoch: 1 });
        let request = Action::Request {
            epoch: 2,
            last: false,
        };
        assert_eq!(only(protocol.on(Event::Due)), Some(request));
    }

    #[test]
    fn a_last_checkpoint_whose_shards_never_settle_ends_the_job_uncommitted() {
        let mut protocol = Protocol::new(1, 1);
        protocol.on(Event::Stop);
        protocol.on(Event::TimedOut);
        protocol.on(drop_of(1));
        let end = only(protocol.on(Event::TimedOut));
        assert_eq!(end, Some(Action::End { committed: false }));
    }

    #[test]
    fn the_end_of_the_input_during_a_checkpoint_makes_the_next_one_the_last() {
        let mut protocol = Protocol::new(1, 5);
        protocol.on(Event::Due);
        protocol.on(Event::InputEnded);
        let next = protocol.on(Event::Durable { epoch: 5 })[0];
        assert_eq!(
            next,
            Some(Action::Request {
                epoch: 6,
                last: true
            })
        );
        let end = protocol.on(Event::Durable { epoch: 6 })[0];
        assert_eq!(end, Some(Action::End { committed: true }));
    }

    #[test]
    fn a_timeout_asks_the_writer_once_and_durable_may_still_win() {
        let mut protocol = Protocol::new(1, 1);
        protocol.on(Event::Due);
        assert_eq!(
            only(protocol.on(Event::TimedOut)),
            Some(Action::GiveUp { epoch: 1 })
        );
        assert_eq!(protocol.on(Event::TimedOut), [None, None]);
        protocol.on(Event::Durable { epoch: 1 });
        assert!(protocol.is_idle());
    }

    #[test]
    fn three_declines_in_a_row_make_shards_patient() {
        let mut protocol = Protocol::new(1, 1);
        for epoch in 1..=3 {
            protocol.on(Event::Due);
            let why = Drop::Declined;
            let actions = protocol.on(Event::Dropped { epoch, why });
            let patient = actions.contains(&Some(Action::BePatient));
            assert_eq!(patient, epoch == 3);
            protocol.on(Event::Settled { epoch });
        }
    }

    #[test]
    fn the_last_checkpoint_is_given_up_after_its_attempts() {
        let mut protocol = Protocol::new(1, 1);
        protocol.on(Event::Stop);
        for epoch in 1..=u64::from(LAST_ATTEMPTS_MAX) {
            protocol.on(drop_of(epoch));
            let actions = protocol.on(Event::Settled { epoch });
            if epoch == u64::from(LAST_ATTEMPTS_MAX) {
                assert_eq!(only(actions), Some(Action::End { committed: false }));
            } else {
                assert_eq!(actions, [None, None]);
                protocol.on(Event::Due);
            }
        }
    }
}
