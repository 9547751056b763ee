//! The protocol under random orders of events: a writer and shards that answer late, twice, with
//! contradictions or never; users who ask, stop and change settings at any time.
//!
//! The world here knows nothing of the protocol's memory: it judges the actions alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::due::Now;
use super::phase::{Action, Answer, AskerId, Drop, End, Event, LAST_ATTEMPTS_MAX, Protocol};
use super::settings::{CheckpointSettings, PastMaxAge};

const SHARDS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Pass {
        us: u64,
    },
    Work {
        records: u64,
        bytes: u64,
    },
    Ask,
    Change(CheckpointSettings),
    Verified,
    InputEnded,
    Stop,
    Drain,
    /// The writer decides the epoch in flight.
    Durable,
    Drop(Drop),
    /// A shard has settled, if the epoch was dropped.
    Settle(usize),
    /// A word about an epoch that was decided comes again, or the opposite of it.
    Late {
        back: u64,
        event: usize,
    },
    Lost,
}

fn settings() -> impl Strategy<Value = CheckpointSettings> {
    let maybe_ms = || proptest::option::of(1..200u64);
    let triggers = (
        maybe_ms(),
        proptest::option::of(1..5_000u64),
        maybe_ms(),
        any::<bool>(),
    );
    let past = prop_oneof![
        3 => Just(PastMaxAge::Warn),
        3 => Just(PastMaxAge::HoldSources),
        1 => Just(PastMaxAge::Stop),
    ];
    let bounds = (
        1..300u64,
        0..50u64,
        proptest::option::of(0..4u32),
        maybe_ms(),
        past,
    );
    (triggers, bounds).prop_map(|((interval, records, bytes, continuous), bounds)| {
        let (timeout, min_pause, tolerable_failures, age, past_max_age) = bounds;
        let min_pause = Duration::from_millis(min_pause);
        let interval = interval.map(Duration::from_millis);
        let least = min_pause.max(interval.unwrap_or_default());
        let settings = CheckpointSettings {
            interval,
            record_count: records,
            dirty_bytes: bytes,
            continuous,
            timeout: Duration::from_millis(timeout),
            alignment_timeout: None,
            min_pause,
            tolerable_failures,
            max_age: age.map(|age| least + Duration::from_millis(age)),
            past_max_age,
        };
        settings.check().expect("made to be valid");
        settings
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..60_000u64).prop_map(|us| Step::Pass { us }),
        6 => (0..2_000u64, 0..300u64).prop_map(|(records, bytes)| Step::Work { records, bytes }),
        6 => Just(Step::Ask),
        2 => settings().prop_map(Step::Change),
        3 => Just(Step::Verified),
        1 => Just(Step::InputEnded),
        1 => Just(Step::Stop),
        1 => Just(Step::Drain),
        12 => Just(Step::Durable),
        8 => prop_oneof![Just(Drop::Declined), Just(Drop::Failed)].prop_map(Step::Drop),
        20 => (0..SHARDS).prop_map(Step::Settle),
        6 => (0..5u64, 0..3usize).prop_map(|(back, event)| Step::Late { back, event }),
        1 => Just(Step::Lost),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Open,
    Durable,
    Dropped,
}

struct World {
    protocol: Protocol,
    now: Now,
    first_epoch: u64,
    settings: CheckpointSettings,
    restoring: bool,
    ending: bool,
    /// The sources were told to end.
    draining: bool,
    /// Every epoch that was requested.
    outcomes: BTreeMap<u64, Outcome>,
    requested_at: Duration,
    requested_last: bool,
    last_requests: u32,
    given_up: BTreeSet<u64>,
    unsettled: BTreeSet<usize>,
    /// The epoch that was the newest when somebody asked.
    asked: BTreeMap<AskerId, u64>,
    answered: BTreeMap<AskerId, Answer>,
    failures: u32,
    held: bool,
    end: Option<End>,
}

impl World {
    fn new(restoring: bool, settings: &CheckpointSettings) -> Self {
        let first_epoch = 5;
        Self {
            protocol: Protocol::new(SHARDS, first_epoch, restoring, settings.clone()),
            now: Now::default(),
            first_epoch,
            settings: settings.clone(),
            restoring,
            ending: false,
            draining: false,
            outcomes: BTreeMap::new(),
            requested_at: Duration::ZERO,
            requested_last: false,
            last_requests: 0,
            given_up: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            asked: BTreeMap::new(),
            answered: BTreeMap::new(),
            failures: 0,
            held: false,
            end: None,
        }
    }

    fn newest(&self) -> u64 {
        self.first_epoch + self.outcomes.len() as u64 - 1
    }

    fn open_epoch(&self) -> Option<u64> {
        let newest = self.newest();
        (self.outcomes.get(&newest) == Some(&Outcome::Open)).then_some(newest)
    }

    fn apply(&mut self, step: &Step) {
        let event = match step {
            Step::Pass { us } => {
                self.now.at += Duration::from_micros(*us);
                Event::Tick
            }
            Step::Work { records, bytes } => {
                self.now.record_count += if self.held { 0 } else { *records };
                self.now.dirty_bytes = *bytes;
                Event::Tick
            }
            Step::Ask => {
                let asker = AskerId(self.asked.len() as u64);
                self.asked.insert(asker, self.newest());
                Event::Asked { asker }
            }
            Step::Change(settings) => {
                self.settings = settings.clone();
                let settings = settings.clone();
                Event::Changed { settings }
            }
            Step::Verified => {
                self.restoring = false;
                Event::Verified
            }
            Step::InputEnded | Step::Stop => {
                self.ending = true;
                if matches!(step, Step::Stop) {
                    Event::Stop
                } else {
                    Event::InputEnded
                }
            }
            Step::Drain => Event::Drain,
            Step::Durable | Step::Drop(_) => match self.open_epoch() {
                Some(epoch) => self.decide(epoch, step),
                None => return,
            },
            Step::Settle(shard) => {
                let epoch = self.newest();
                if self.outcomes.get(&epoch) != Some(&Outcome::Dropped) {
                    return;
                }
                self.unsettled.remove(shard);
                let shard = *shard;
                Event::Settled { epoch, shard }
            }
            Step::Late { back, event } => match self.late(*back, *event) {
                Some(event) => event,
                None => return,
            },
            Step::Lost => Event::Lost,
        };
        self.send(event);
    }

    fn decide(&mut self, epoch: u64, step: &Step) -> Event {
        if let Step::Drop(why) = step {
            self.outcomes.insert(epoch, Outcome::Dropped);
            self.unsettled = (0..SHARDS).collect();
            self.failures += 1;
            let why = *why;
            Event::Dropped { epoch, why }
        } else {
            self.outcomes.insert(epoch, Outcome::Durable);
            self.failures = 0;
            Event::Durable { epoch }
        }
    }

    fn late(&self, back: u64, event: usize) -> Option<Event> {
        let epoch = self.newest().checked_sub(back)?;
        let decided = matches!(
            self.outcomes.get(&epoch)?,
            Outcome::Durable | Outcome::Dropped
        );
        let why = Drop::Failed;
        let events = [
            Event::Durable { epoch },
            Event::Dropped { epoch, why },
            Event::Settled { epoch, shard: 0 },
        ];
        // A shard that has not settled does not say so.
        let is_settled = back > 0 || !self.unsettled.contains(&0);
        (decided && (event < 2 || is_settled)).then(|| events[event].clone())
    }

    fn send(&mut self, event: Event) {
        let actions = self.protocol.on(&self.now, event);
        for action in actions {
            self.judge(action);
        }
        if let Some(wake_at) = self.protocol.wake_at(&self.now) {
            assert!(wake_at > self.now.at, "it would be woken for ever");
        }
    }

    fn judge(&mut self, action: Action) {
        match action {
            Action::Answer { asker, answer } => self.judge_answer(asker, answer),
            _ if self.end.is_some() => panic!("{action:?} after the end"),
            Action::Request { epoch, last } => {
                assert_eq!(self.open_epoch(), None, "one in flight");
                assert!(self.unsettled.is_empty(), "shards still take lines back");
                assert!(!self.restoring, "requested before all is verified");
                assert!(last || !self.draining, "in the middle of a drain");
                assert_eq!((epoch, last), (self.newest() + 1, self.ending));
                self.outcomes.insert(epoch, Outcome::Open);
                self.requested_at = self.now.at;
                self.requested_last = last;
                self.last_requests += u32::from(last);
                assert!(self.last_requests <= LAST_ATTEMPTS_MAX);
            }
            Action::GiveUp { epoch } => {
                assert_eq!(self.open_epoch(), Some(epoch));
                assert!(self.given_up.insert(epoch), "asked twice");
                assert!(self.now.at - self.requested_at >= self.settings.timeout);
            }
            Action::BePatient => assert!(self.failures >= 3),
            Action::TooOld { age } => assert!(self.settings.max_age.is_some_and(|max| age > max)),
            Action::HoldSources { held } => {
                assert_ne!(held, self.held);
                self.held = held;
            }
            Action::Drain => {
                assert_eq!(self.open_epoch(), None, "sources end behind its barrier");
                assert!(self.unsettled.is_empty() && !self.restoring);
                assert!(!self.draining, "told twice");
                self.draining = true;
            }
            Action::End(end) => {
                self.judge_end(end);
                self.end = Some(end);
            }
        }
    }

    fn judge_answer(&mut self, asker: AskerId, answer: Answer) {
        let asked_after = self.asked[&asker];
        match answer {
            Answer::Durable { epoch } | Answer::Dropped { epoch } => {
                assert!(epoch > asked_after, "requested before the question");
                let outcome = match answer {
                    Answer::Durable { .. } => Outcome::Durable,
                    _ => Outcome::Dropped,
                };
                assert_eq!(self.outcomes[&epoch], outcome);
            }
            Answer::Ended => {}
        }
        let before = self.answered.insert(asker, answer);
        assert_eq!(before, None, "answered twice");
    }

    fn judge_end(&self, end: End) {
        let newest = self.outcomes.get(&self.newest());
        match end {
            End::Committed => {
                assert!(self.requested_last && newest == Some(&Outcome::Durable));
            }
            End::Uncommitted => {
                assert!(self.requested_last && newest == Some(&Outcome::Dropped));
                let tried = self.last_requests == LAST_ATTEMPTS_MAX;
                assert!(tried || !self.unsettled.is_empty());
            }
            End::TooManyFailures { failed_count } => {
                assert_eq!(failed_count, self.failures);
                let tolerable = self.settings.tolerable_failures;
                assert!(tolerable.is_some_and(|tolerable| failed_count > tolerable));
            }
            End::TooOld { age } => {
                assert_eq!(self.settings.past_max_age, PastMaxAge::Stop);
                assert!(self.settings.max_age.is_some_and(|max| age > max));
            }
            End::Lost => {}
        }
    }

    /// From now on everything goes well: the job ends with its last checkpoint, soon.
    fn run_to_the_end(&mut self) {
        self.apply(&Step::Verified);
        self.apply(&Step::Stop);
        for _ in 0..20 {
            self.apply(&Step::Durable);
            (0..SHARDS).for_each(|shard| self.apply(&Step::Settle(shard)));
            let wake_at = self.protocol.wake_at(&self.now);
            self.now.at = wake_at.unwrap_or(self.now.at);
            self.send(Event::Tick);
        }
        assert!(self.end.is_some(), "{:?}", self.protocol);
        self.apply(&Step::Ask);
        assert_eq!(
            self.answered.len(),
            self.asked.len(),
            "somebody waits for ever"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_order_of_events_keeps_the_invariants_and_the_job_can_always_end(
        restoring in any::<bool>(),
        settings in settings(),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(restoring, &settings);
        world.send(Event::Tick);
        for step in &steps {
            world.apply(step);
        }
        world.run_to_the_end();
    }

    /// A trigger that is there leads to a request without any event but time.
    #[test]
    fn what_is_due_is_requested_when_its_time_has_come(
        settings in settings(),
        records in 0..6_000u64,
        bytes in 0..250u64,
    ) {
        let mut world = World::new(false, &settings);
        world.apply(&Step::Work { records, bytes });
        for _ in 0..1_000 {
            let Some(wake_at) = world.protocol.wake_at(&world.now) else {
                break;
            };
            world.now.at = wake_at;
            world.send(Event::Tick);
        }
        let expected = settings.continuous
            || settings.interval.is_some()
            || settings.max_age.is_some()
            || settings.record_count.is_some_and(|count| records >= count)
            || settings.dirty_bytes.is_some_and(|limit| bytes >= limit);
        let happened = !world.outcomes.is_empty() || world.end.is_some();
        prop_assert_eq!(happened, expected);
    }
}
