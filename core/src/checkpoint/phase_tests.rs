//! Single facts about the protocol, each with the shortest story that shows it.

use std::time::Duration;

use super::due::Now;
use super::phase::{
    Action, Answer, AskerId, Drop, End, Event, LAST_ATTEMPTS_MAX, LAST_RETRY_PAUSE, Protocol,
};
use super::settings::{CheckpointSettings, PastMaxAge};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A protocol and its time.
struct Story {
    protocol: Protocol,
    now: Now,
}

impl Story {
    fn new(shard_count: usize, settings: CheckpointSettings) -> Self {
        Self {
            protocol: Protocol::new(shard_count, 1, false, settings),
            now: Now::default(),
        }
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        self.protocol.on(&self.now, event)
    }

    fn after(&mut self, time: Duration) -> Vec<Action> {
        self.now.at += time;
        self.on(Event::Tick)
    }

    fn ask(&mut self, id: u64) -> Vec<Action> {
        self.on(Event::Asked { asker: AskerId(id) })
    }

    fn drop(&mut self, epoch: u64) -> Vec<Action> {
        let why = Drop::Failed;
        self.on(Event::Dropped { epoch, why })
    }

    /// Drops and lets the only shard settle.
    fn drop_and_settle(&mut self, epoch: u64) -> Vec<Action> {
        let mut actions = self.drop(epoch);
        actions.extend(self.on(Event::Settled { epoch, shard: 0 }));
        actions
    }
}

fn request(epoch: u64) -> Action {
    Action::Request { epoch, last: false }
}

fn request_last(epoch: u64) -> Action {
    Action::Request { epoch, last: true }
}

fn answer(asker: u64, answer: Answer) -> Action {
    let asker = AskerId(asker);
    Action::Answer { asker, answer }
}

#[test]
fn a_dropped_checkpoint_is_followed_only_when_all_shards_settled() {
    let mut story = Story::new(2, CheckpointSettings::manual());
    assert_eq!(story.ask(0), [request(1)]);
    let dropped = Answer::Dropped { epoch: 1 };
    assert_eq!(story.drop(1), [answer(0, dropped)]);
    assert_eq!(story.ask(1), []);
    let settled = |shard| Event::Settled { epoch: 1, shard };
    assert_eq!(story.on(settled(0)), []);
    assert_eq!(story.on(settled(0)), [], "the same shard counts once");
    assert_eq!(story.on(settled(1)), [request(2)]);
}

#[test]
fn a_last_checkpoint_whose_shards_never_settle_ends_the_job_uncommitted() {
    let mut story = Story::new(1, CheckpointSettings::manual().timeout(ms(10)));
    assert_eq!(story.on(Event::Stop), [request_last(1)]);
    assert_eq!(story.after(ms(10)), [Action::GiveUp { epoch: 1 }]);
    assert_eq!(story.drop(1), []);
    assert_eq!(story.after(ms(9)), []);
    assert_eq!(story.after(ms(1)), [Action::End(End::Uncommitted)]);
}

#[test]
fn the_end_of_the_input_during_a_checkpoint_makes_the_next_one_the_last() {
    let mut story = Story::new(1, CheckpointSettings::manual());
    story.ask(0);
    assert_eq!(story.on(Event::InputEnded), []);
    let durable = answer(0, Answer::Durable { epoch: 1 });
    let actions = story.on(Event::Durable { epoch: 1 });
    assert_eq!(actions, [durable, request_last(2)]);
    let end = story.on(Event::Durable { epoch: 2 });
    assert_eq!(end, [Action::End(End::Committed)]);
}

#[test]
fn a_timeout_asks_the_writer_once_and_durable_may_still_win() {
    let mut story = Story::new(1, CheckpointSettings::manual().timeout(ms(10)));
    story.ask(0);
    assert_eq!(story.after(ms(10)), [Action::GiveUp { epoch: 1 }]);
    assert_eq!(story.after(ms(10)), []);
    let durable = answer(0, Answer::Durable { epoch: 1 });
    assert_eq!(story.on(Event::Durable { epoch: 1 }), [durable]);
    assert_eq!(story.drop(1), [], "the first word counts");
    assert_eq!(story.ask(1), [request(2)]);
}

#[test]
fn three_declines_in_a_row_make_shards_patient() {
    let mut story = Story::new(1, CheckpointSettings::manual());
    for epoch in 1..=3 {
        story.ask(epoch);
        let why = Drop::Declined;
        let actions = story.on(Event::Dropped { epoch, why });
        assert_eq!(actions.contains(&Action::BePatient), epoch == 3);
        story.on(Event::Settled { epoch, shard: 0 });
    }
}

#[test]
fn the_last_checkpoint_is_tried_again_after_a_pause_and_given_up_after_its_attempts() {
    let mut story = Story::new(1, CheckpointSettings::manual().tolerable_failures(0));
    assert_eq!(story.on(Event::Stop), [request_last(1)]);
    for epoch in 1..u64::from(LAST_ATTEMPTS_MAX) {
        assert_eq!(story.drop_and_settle(epoch), []);
        assert_eq!(story.after(LAST_RETRY_PAUSE - ms(1)), []);
        assert_eq!(story.after(ms(1)), [request_last(epoch + 1)]);
    }
    let end = story.drop_and_settle(u64::from(LAST_ATTEMPTS_MAX));
    assert_eq!(end, [Action::End(End::Uncommitted)]);
}

#[test]
fn nothing_is_requested_before_the_restored_state_is_verified() {
    let settings = CheckpointSettings::manual()
        .every(ms(1))
        .max_age(ms(5), PastMaxAge::Stop);
    let mut story = Story::new(1, settings);
    story.protocol = Protocol::new(1, 7, true, story.protocol.settings().clone());
    assert_eq!(story.ask(0), []);
    assert_eq!(story.after(ms(50)), []);
    assert_eq!(story.on(Event::Stop), []);
    assert_eq!(story.on(Event::Verified), [request_last(7)]);
    let actions = story.on(Event::Durable { epoch: 7 });
    let durable = answer(0, Answer::Durable { epoch: 7 });
    assert_eq!(actions, [durable, Action::End(End::Committed)]);
}

#[test]
fn failures_in_a_row_beyond_the_tolerable_end_the_job() {
    let mut story = Story::new(1, CheckpointSettings::manual().tolerable_failures(1));
    for (epoch, fails) in [(1, true), (2, false), (3, true), (4, true)] {
        story.ask(epoch);
        if !fails {
            story.on(Event::Durable { epoch });
            continue;
        }
        let actions = story.drop_and_settle(epoch);
        let end = Action::End(End::TooManyFailures { failed_count: 2 });
        assert_eq!(actions.contains(&end), epoch == 4, "{actions:?}");
    }
    assert_eq!(story.ask(9), [answer(9, Answer::Ended)]);
}

#[test]
fn any_number_of_failures_is_tolerable_by_default_and_counted() {
    let mut story = Story::new(1, CheckpointSettings::manual());
    for epoch in 1..100 {
        story.ask(epoch);
        story.drop_and_settle(epoch);
        assert_eq!(u64::from(story.protocol.failures()), epoch);
    }
    assert_eq!(story.ask(100), [request(100)]);
    story.on(Event::Durable { epoch: 100 });
    assert_eq!(story.protocol.failures(), 0);
}

#[test]
fn past_the_age_one_more_is_due_and_it_is_said_once() {
    let settings = CheckpointSettings::manual().max_age(ms(100), PastMaxAge::Warn);
    let mut story = Story::new(1, settings);
    assert_eq!(story.after(ms(100)), [], "at the bound it is not past it");
    let age = ms(101);
    assert_eq!(story.after(ms(1)), [Action::TooOld { age }, request(1)]);
    assert_eq!(story.after(ms(1)), []);
    story.on(Event::Durable { epoch: 1 });
    // Its age counts from its request, 2 ms ago.
    assert_eq!(story.after(ms(99)), []);
    let age = ms(101);
    assert_eq!(story.after(ms(1)), [Action::TooOld { age }, request(2)]);
}

#[test]
fn sources_are_held_past_the_age_until_a_checkpoint_is_durable() {
    let settings = CheckpointSettings::manual().max_age(ms(100), PastMaxAge::HoldSources);
    let mut story = Story::new(1, settings);
    let actions = story.after(ms(200));
    let hold = Action::HoldSources { held: true };
    assert!(actions.contains(&hold), "{actions:?}");
    assert_eq!(story.drop_and_settle(1), []);
    assert_eq!(story.after(ms(100)), [request(2)]);
    let actions = story.on(Event::Durable { epoch: 2 });
    assert_eq!(actions, [Action::HoldSources { held: false }]);
}

#[test]
fn the_job_stops_past_the_age_if_told_to() {
    let settings = CheckpointSettings::manual().max_age(ms(100), PastMaxAge::Stop);
    let mut story = Story::new(1, settings);
    story.ask(0);
    let age = ms(101);
    let too_old = Action::TooOld { age };
    let end = Action::End(End::TooOld { age });
    let ended = answer(0, Answer::Ended);
    assert_eq!(story.after(age), [too_old, ended, end]);
}

#[test]
fn changed_settings_count_from_the_event_on() {
    let mut story = Story::new(1, CheckpointSettings::manual());
    assert_eq!(story.after(ms(50)), []);
    let settings = CheckpointSettings::manual()
        .every(ms(50))
        .timeout(ms(1_000));
    let change = |settings| Event::Changed { settings };
    assert_eq!(story.on(change(settings.clone())), [request(1)]);
    assert_eq!(story.after(ms(10)), []);
    let give_up = [Action::GiveUp { epoch: 1 }];
    assert_eq!(story.on(change(settings.timeout(ms(10)))), give_up);
    story.drop_and_settle(1);
    let manual = CheckpointSettings::manual();
    assert_eq!(story.on(change(manual)), []);
    assert_eq!(story.after(ms(500)), []);
}

#[test]
fn an_age_that_is_no_longer_bounded_lets_held_sources_go() {
    let settings = CheckpointSettings::manual().max_age(ms(100), PastMaxAge::HoldSources);
    let mut story = Story::new(1, settings);
    story.after(ms(200));
    let settings = CheckpointSettings::manual();
    let actions = story.on(Event::Changed { settings });
    assert_eq!(actions, [Action::HoldSources { held: false }]);
}

#[test]
fn a_lost_thread_ends_the_job_in_every_phase_and_everybody_is_told() {
    for steps in 0..4 {
        let mut story = Story::new(2, CheckpointSettings::manual());
        let mut asked = Vec::new();
        if steps >= 1 {
            story.ask(0);
            asked.push(answer(0, Answer::Ended));
        }
        if steps >= 2 {
            story.drop(1);
            asked.clear();
            story.ask(1);
            asked.push(answer(1, Answer::Ended));
        }
        if steps >= 3 {
            story.on(Event::Settled { epoch: 1, shard: 0 });
        }
        asked.push(Action::End(End::Lost));
        assert_eq!(story.on(Event::Lost), asked);
        assert_eq!(story.on(Event::Lost), []);
    }
}
