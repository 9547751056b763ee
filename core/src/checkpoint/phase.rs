//! The checkpoint protocol as one pure state machine: events in, actions out, no clock, no I/O.
//!
//! ```text
//!                     due, asked, input ended, stop                 Durable
//!   Restoring --> Idle ------------------------------> InFlight --------------> Idle, at last Over
//!       Verified   ^                                      |
//!                  |  all shards settled                  | Dropped
//!                  +----------------------- Settling <----+
//! ```
//!
//! The writer alone decides whether a checkpoint becomes durable or is dropped, so that both can
//! never be true; a timeout only asks it to give up. The writer's word of a drop comes before any
//! shard's of having settled: both travel through the writer, and shards learn of the drop from
//! it. What comes late or twice changes nothing. Invariants:
//!
//! - At most one checkpoint is between request and settled; epochs rise by one.
//! - Whoever asks is answered once: with the checkpoint that was requested after his question, or
//!   with the job's end.
//! - The last checkpoint (input ended, or stop) is tried again until it succeeds,
//!   [`LAST_ATTEMPTS_MAX`] attempts failed, or shards do not settle in time.
//! - A drain begins while no checkpoint is in flight: what the sources gave is behind every barrier
//!   so far. From then on only the last checkpoint is requested, since one with some splits ended
//!   for good and others not would, after a crash, go on with a part of the input.
//! - Nothing is requested before the restored state is verified, and nothing after the end.
//!
//! Time and progress come with every event ([`Now`]). Nothing happens between events, so the
//! caller must come back at [`Protocol::wake_at`].
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use super::due::{LastCheckpoint, Now, due_at, look_after};
use super::settings::{CheckpointSettings, PastMaxAge};

/// Attempts at the last checkpoint.
pub(crate) const LAST_ATTEMPTS_MAX: u32 = 20;
/// Pause from one attempt at the last checkpoint to the next.
pub(super) const LAST_RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Declines in a row after which shards wait for their capture, from then on: the job has shown
/// that it writes faster than its staging memory can be emptied, and patience costs nothing while
/// it can.
const DECLINES_BEFORE_PATIENCE: u32 = 3;

/// Where the protocol stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// What was restored is not verified yet: nothing may be requested.
    Restoring,
    /// No checkpoint in flight.
    Idle,
    /// Requested; its outcome is open.
    InFlight {
        epoch: u64,
        last: bool,
        giving_up: bool,
    },
    /// Dropped; the shards of `unsettled`, a bit each, still take its lines back.
    Settling {
        epoch: u64,
        last: bool,
        dropped_at: Duration,
        unsettled: u64,
    },
    /// The job ends.
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

/// Somebody who waits for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AskerId(pub(crate) u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Time has passed, or shards have gone on.
    Tick,
    /// Somebody asks for a checkpoint.
    Asked { asker: AskerId },
    /// Somebody changes the settings, which are checked.
    Changed { settings: CheckpointSettings },
    /// What was restored is verified.
    Verified,
    /// All shards have finished their input.
    InputEnded,
    /// Somebody asked the job to stop.
    Stop,
    /// Somebody asked that the sources end where they are.
    Drain,
    /// The writer published the manifest.
    Durable { epoch: u64 },
    /// The writer gave the checkpoint up.
    Dropped { epoch: u64, why: Drop },
    /// A shard has nothing of the dropped epoch in flight.
    Settled { epoch: u64, shard: usize },
    /// A shard or a helper thread cannot go on.
    Lost,
}

/// What somebody who asked is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Durable { epoch: u64 },
    Dropped { epoch: u64 },
    Ended,
}

/// Why the job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its last checkpoint is durable.
    Committed,
    /// Its last checkpoint was given up.
    Uncommitted,
    /// More checkpoints failed in a row than are tolerable.
    TooManyFailures { failed_count: u32 },
    /// The newest durable checkpoint is too old.
    TooOld { age: Duration },
    /// A thread cannot go on.
    Lost,
}

/// What to do about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Tell writer and shards to begin.
    Request { epoch: u64, last: bool },
    /// Tell the writer to give the checkpoint up.
    GiveUp { epoch: u64 },
    /// Let shards wait for their capture from now on.
    BePatient,
    /// Answer somebody.
    Answer { asker: AskerId, answer: Answer },
    /// Say that the newest durable checkpoint has become too old.
    TooOld { age: Duration },
    /// Let sources give no records, or give them again.
    HoldSources { held: bool },
    /// Let the sources end where they are.
    Drain,
    /// End the job.
    End(End),
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draining {
    /// It waits until no checkpoint is in flight.
    Wanted,
    Begun,
}

/// The protocol's memory.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    phase: Phase,
    shard_count: usize,
    next_epoch: u64,
    settings: CheckpointSettings,
    last: LastCheckpoint,
    /// When the newest durable checkpoint was requested; the beginning before the first.
    covered: Now,
    /// The age of a checkpoint counts from here at the earliest: none can be made before.
    verified_at: Duration,
    /// The job is to end with its next checkpoint.
    is_ending: bool,
    draining: Option<Draining>,
    last_attempts: u32,
    declines: u32,
    failures: u32,
    is_too_old: bool,
    is_holding: bool,
    /// Askers whose checkpoint is not requested yet.
    queued: Vec<AskerId>,
    /// Askers of the checkpoint in flight.
    waiting: Vec<AskerId>,
}

impl Protocol {
    /// # Panics
    /// For more shards than have a bit.
    pub(crate) fn new(
        shard_count: usize,
        next_epoch: u64,
        restoring: bool,
        settings: CheckpointSettings,
    ) -> Self {
        assert!(shard_count <= 64, "shard_count={shard_count} of at most 64");
        Self {
            phase: if restoring {
                Phase::Restoring
            } else {
                Phase::Idle
            },
            shard_count,
            next_epoch,
            settings,
            last: LastCheckpoint::default(),
            covered: Now::default(),
            verified_at: Duration::ZERO,
            is_ending: false,
            draining: None,
            last_attempts: 0,
            declines: 0,
            failures: 0,
            is_too_old: false,
            is_holding: false,
            queued: Vec::new(),
            waiting: Vec::new(),
        }
    }

    pub(crate) fn settings(&self) -> &CheckpointSettings {
        &self.settings
    }

    pub(crate) fn last_attempts(&self) -> u32 {
        self.last_attempts
    }

    /// True once the sources were told to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining == Some(Draining::Begun)
    }

    /// Checkpoints that failed since the newest durable one.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// What was known when the newest durable checkpoint was requested: what came later is at
    /// risk.
    pub(crate) fn covered(&self) -> Now {
        self.covered
    }

    /// The one transition function: what the event itself means, then what is due.
    pub(crate) fn on(&mut self, now: &Now, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.apply(now, event, &mut actions);
        self.advance(now, &mut actions);
        actions
    }

    fn apply(&mut self, now: &Now, event: Event, actions: &mut Vec<Action>) {
        match (self.phase, event) {
            (Phase::Over, Event::Asked { asker }) => {
                let answer = Answer::Ended;
                actions.push(Action::Answer { asker, answer });
            }
            (_, Event::Tick) | (Phase::Over, _) => {}
            (_, Event::Asked { asker }) => self.queued.push(asker),
            (_, Event::Changed { settings }) => self.settings = settings,
            (_, Event::InputEnded | Event::Stop) => self.is_ending = true,
            (_, Event::Drain) => {
                self.draining.get_or_insert(Draining::Wanted);
            }
            (_, Event::Lost) => self.end(End::Lost, actions),
            (Phase::Restoring, Event::Verified) => {
                self.phase = Phase::Idle;
                self.verified_at = now.at;
            }
            (Phase::InFlight { epoch, last, .. }, Event::Durable { epoch: durable })
                if epoch == durable =>
            {
                self.durable(now, epoch, last, actions);
            }
            (
                Phase::InFlight { epoch, last, .. },
                Event::Dropped {
                    epoch: dropped,
                    why,
                },
            ) if epoch == dropped => self.dropped(now, epoch, last, why, actions),
            (
                Phase::Settling { epoch, .. },
                Event::Settled {
                    epoch: settled,
                    shard,
                },
            ) if epoch == settled => self.settled(now, shard, actions),
            // Late or repeated.
            (_, Event::Verified) => {}
            (
                Phase::Restoring | Phase::Idle | Phase::InFlight { .. } | Phase::Settling { .. },
                Event::Durable { epoch }
                | Event::Dropped { epoch, .. }
                | Event::Settled { epoch, .. },
            ) => assert!(
                epoch < self.next_epoch,
                "epoch={epoch} was not requested, next_epoch={}",
                self.next_epoch
            ),
        }
    }

    /// What time and progress ask for, whatever the event was.
    fn advance(&mut self, now: &Now, actions: &mut Vec<Action>) {
        self.look_at_age(now, actions);
        match self.phase {
            Phase::Idle => {
                self.begin_drain(actions);
                if self.due_at(now).is_some_and(|due| due <= now.at) {
                    self.request(now, actions);
                }
            }
            Phase::InFlight {
                epoch,
                last,
                giving_up: false,
            } => {
                if now.at >= self.times_out_at(self.last.requested.at) {
                    self.phase = Phase::InFlight {
                        epoch,
                        last,
                        giving_up: true,
                    };
                    actions.push(Action::GiveUp { epoch });
                }
            }
            // Shards that cannot even pass the barrier will not settle: nothing of the epoch is
            // published, so the job may end.
            Phase::Settling {
                last: true,
                dropped_at,
                ..
            } => {
                if now.at >= self.times_out_at(dropped_at) {
                    self.end(End::Uncommitted, actions);
                }
            }
            Phase::Settling { last: false, .. }
            | Phase::InFlight {
                giving_up: true, ..
            }
            | Phase::Restoring
            | Phase::Over => {}
        }
    }

    fn begin_drain(&mut self, actions: &mut Vec<Action>) {
        if self.draining != Some(Draining::Wanted) || self.is_ending {
            return;
        }
        self.draining = Some(Draining::Begun);
        if std::mem::take(&mut self.is_holding) {
            actions.push(Action::HoldSources { held: false });
        }
        actions.push(Action::Drain);
    }

    /// When [`Event::Tick`] is to come at the latest; `None` if only other events matter.
    pub(crate) fn wake_at(&self, now: &Now) -> Option<Duration> {
        let by_phase = match self.phase {
            Phase::Idle => self
                .due_at(now)
                .or_else(|| look_after(&self.settings, &self.last, now).map(|wait| now.at + wait)),
            Phase::InFlight {
                giving_up: false, ..
            } => Some(self.times_out_at(self.last.requested.at)),
            Phase::Settling {
                last: true,
                dropped_at,
                ..
            } => Some(self.times_out_at(dropped_at)),
            Phase::Settling { last: false, .. }
            | Phase::InFlight {
                giving_up: true, ..
            }
            | Phase::Restoring
            | Phase::Over => None,
        };
        let max_age = self.settings.max_age;
        let by_age = max_age.filter(|_| self.age_matters() && !self.is_too_old);
        // An age is too old when it is above the bound.
        let above = Duration::from_nanos(1);
        let by_age = by_age.map(|age| self.age_from().saturating_add(age).saturating_add(above));
        [by_phase, by_age].into_iter().flatten().min()
    }

    fn times_out_at(&self, begun: Duration) -> Duration {
        begun.saturating_add(self.settings.timeout)
    }

    /// When the next checkpoint is due, in the idle phase.
    fn due_at(&self, now: &Now) -> Option<Duration> {
        if self.is_ending {
            return Some(match self.last_attempts {
                0 => now.at,
                _ => self.last.requested.at + LAST_RETRY_PAUSE,
            });
        }
        if self.draining.is_some() {
            return None;
        }
        if !self.queued.is_empty() {
            return Some(now.at);
        }
        due_at(&self.settings, &self.last, now, self.is_too_old)
    }

    fn age_from(&self) -> Duration {
        self.covered.at.max(self.verified_at)
    }

    /// The last checkpoint has its own end, and nothing precedes it in a drain.
    fn age_matters(&self) -> bool {
        !self.is_ending
            && self.draining != Some(Draining::Begun)
            && !matches!(self.phase, Phase::Restoring | Phase::Over)
    }

    fn look_at_age(&mut self, now: &Now, actions: &mut Vec<Action>) {
        if !self.age_matters() {
            return;
        }
        let age = now.at.saturating_sub(self.age_from());
        let was_too_old = self.is_too_old;
        self.is_too_old = self.settings.max_age.is_some_and(|max| age > max);
        if self.is_too_old && !was_too_old {
            actions.push(Action::TooOld { age });
        }
        let past = self.settings.past_max_age;
        let held = self.is_too_old && past == PastMaxAge::HoldSources;
        if held != self.is_holding {
            self.is_holding = held;
            actions.push(Action::HoldSources { held });
        }
        if self.is_too_old && past == PastMaxAge::Stop {
            self.end(End::TooOld { age }, actions);
        }
    }

    fn request(&mut self, now: &Now, actions: &mut Vec<Action>) {
        let epoch = self.next_epoch;
        let last = self.is_ending;
        self.next_epoch += 1;
        self.last_attempts += u32::from(last);
        self.last.requested = *now;
        self.waiting.append(&mut self.queued);
        self.phase = Phase::InFlight {
            epoch,
            last,
            giving_up: false,
        };
        actions.push(Action::Request { epoch, last });
    }

    fn durable(&mut self, now: &Now, epoch: u64, last: bool, actions: &mut Vec<Action>) {
        self.declines = 0;
        self.failures = 0;
        self.covered = self.last.requested;
        self.over(now, false);
        self.answer_waiting(Answer::Durable { epoch }, actions);
        if last {
            self.end(End::Committed, actions);
        }
    }

    fn dropped(&mut self, now: &Now, epoch: u64, last: bool, why: Drop, actions: &mut Vec<Action>) {
        self.phase = Phase::Settling {
            epoch,
            last,
            dropped_at: now.at,
            unsettled: u64::MAX >> (64 - self.shard_count),
        };
        self.answer_waiting(Answer::Dropped { epoch }, actions);
        if why == Drop::Declined {
            self.declines += 1;
            if self.declines >= DECLINES_BEFORE_PATIENCE {
                actions.push(Action::BePatient);
            }
        }
        self.failures += 1;
        let failed_count = self.failures;
        let tolerable = self.settings.tolerable_failures;
        if !last && tolerable.is_some_and(|tolerable| failed_count > tolerable) {
            self.end(End::TooManyFailures { failed_count }, actions);
        }
    }

    fn settled(&mut self, now: &Now, shard: usize, actions: &mut Vec<Action>) {
        let Phase::Settling {
            last, unsettled, ..
        } = &mut self.phase
        else {
            unreachable!("apply() looked");
        };
        *unsettled &= !(1 << shard);
        if *unsettled != 0 {
            return;
        }
        if *last && self.last_attempts >= LAST_ATTEMPTS_MAX {
            self.end(End::Uncommitted, actions);
        } else {
            self.over(now, true);
        }
    }

    fn over(&mut self, now: &Now, was_dropped: bool) {
        self.phase = Phase::Idle;
        self.last.over_at = Some(now.at);
        self.last.was_dropped = was_dropped;
    }

    fn answer_waiting(&mut self, answer: Answer, actions: &mut Vec<Action>) {
        let answers = self.waiting.drain(..);
        actions.extend(answers.map(|asker| Action::Answer { asker, answer }));
    }

    fn end(&mut self, end: End, actions: &mut Vec<Action>) {
        self.phase = Phase::Over;
        self.waiting.append(&mut self.queued);
        self.answer_waiting(Answer::Ended, actions);
        actions.push(Action::End(end));
    }
}
