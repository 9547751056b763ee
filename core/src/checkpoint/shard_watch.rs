//! The shards' threads as the coordinator looks after them: which of them stand still, and their
//! end.

use std::time::{Duration, Instant};

use frazil_io::runtime::PinnedThread;

use super::listener::{CheckpointEvent, Listening};
use super::watch::Watch;
use crate::shard::{Finding, Stillness, StuckAction, StuckShard, Watchdog};

/// Bounds of the time between two looks whether a shard has ended.
const END_PAUSE_MIN: Duration = Duration::from_micros(50);
const END_PAUSE_MAX: Duration = Duration::from_millis(20);

/// Names what a shard runs or ran last.
pub(crate) type OperatorOf = Box<dyn Fn(usize) -> String + Send>;

/// All shards of a run.
pub(crate) struct ShardWatch {
    threads: Vec<PinnedThread>,
    operator_of: OperatorOf,
    /// `None` without a watchdog.
    stillness: Option<Stillness>,
    action: StuckAction,
    began: Instant,
    stuck: Vec<StuckShard>,
    watch: Watch,
}

/// How the threads ended.
pub(super) struct ShardsEnd {
    /// Shards that panicked, with what they ran and the message.
    pub(super) panics: Vec<(usize, String, String)>,
    /// The first that was left behind.
    pub(super) left: Option<StuckShard>,
}

impl ShardWatch {
    pub(crate) fn new(
        threads: Vec<PinnedThread>,
        operator_of: OperatorOf,
        watchdog: Watchdog,
        watch: Watch,
    ) -> Self {
        let stillness = watchdog.after;
        let stillness = stillness.map(|bound| Stillness::new(bound, threads.len()));
        watch.set_stuck(&[]);
        Self {
            threads,
            operator_of,
            stillness,
            action: watchdog.action,
            began: Instant::now(),
            stuck: Vec::new(),
            watch,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Names what a shard ran last.
    pub(super) fn operator_of(&self, shard: usize) -> String {
        (self.operator_of)(shard)
    }

    /// How long until the next look.
    pub(super) fn look_after(&self) -> Option<Duration> {
        let stillness = self.stillness.as_ref()?;
        Some(stillness.look_at().saturating_sub(self.began.elapsed()))
    }

    /// Looks at all shards if it is time to, and reports; gives one for which the job is to end.
    pub(super) fn look(&mut self, listening: &mut Listening) -> Option<StuckShard> {
        let now = self.began.elapsed();
        let stillness = self.stillness.as_mut().filter(|s| s.look_at() <= now)?;
        let mut found = Vec::new();
        for (shard, thread) in self.threads.iter().enumerate() {
            let turns = thread.turns().get();
            let finding = stillness.look(shard, now, turns, || thread.vitals());
            found.extend(finding.map(|finding| (shard, finding)));
        }
        stillness.looked(now);
        for (shard, finding) in found {
            match finding {
                Finding::Stuck { since, is_waiting } => {
                    self.is_stuck(shard, since, is_waiting, listening);
                }
                Finding::GoesOn => self.goes_on(shard, listening),
            }
        }
        let ends = self.action == StuckAction::EndJob;
        self.stuck.first().filter(|_| ends).cloned()
    }

    fn is_stuck(
        &mut self,
        shard: usize,
        since: Duration,
        is_waiting: bool,
        listening: &mut Listening,
    ) {
        let stuck = StuckShard {
            shard,
            operator: self.operator_of(shard),
            since: self.began + since,
            is_waiting,
        };
        let still = stuck.since.elapsed();
        let operator = &stuck.operator;
        tracing::error!(shard, operator, ?still, is_waiting, "shard stands still");
        if self.action == StuckAction::AbortProcess {
            tracing::error!("the process is aborted, as the watchdog's settings say");
            std::process::abort();
        }
        self.stuck.push(stuck.clone());
        self.watch.set_stuck(&self.stuck);
        listening.tell(&CheckpointEvent::ShardStuck(stuck));
    }

    fn goes_on(&mut self, shard: usize, listening: &mut Listening) {
        tracing::warn!(shard, "shard goes on");
        self.stuck.retain(|stuck| stuck.shard != shard);
        self.watch.set_stuck(&self.stuck);
        listening.tell(&CheckpointEvent::ShardGoesOn { shard });
    }

    /// Waits until all threads have ended that are not to be left behind.
    pub(super) fn end(mut self, listening: &mut Listening) -> ShardsEnd {
        let mut pause = END_PAUSE_MIN;
        while !self.is_over() {
            std::thread::sleep(pause);
            pause = (pause * 2).min(END_PAUSE_MAX);
            self.look(listening);
        }
        let mut end = ShardsEnd {
            panics: Vec::new(),
            left: None,
        };
        for (shard, thread) in self.threads.into_iter().enumerate() {
            if !thread.is_finished() {
                end.left = end.left.or_else(|| {
                    let mut stuck = self.stuck.iter();
                    stuck.find(|stuck| stuck.shard == shard).cloned()
                });
            } else if let Err(message) = thread.join() {
                let operator = (self.operator_of)(shard);
                end.panics.push((shard, operator, message.to_string()));
            }
        }
        end
    }

    /// Whether each thread has ended, or is stuck and is to be left behind.
    fn is_over(&self) -> bool {
        let is_left = |shard| {
            self.action == StuckAction::EndJob && self.stuck.iter().any(|s| s.shard == shard)
        };
        let mut threads = self.threads.iter().enumerate();
        threads.all(|(shard, thread)| thread.is_finished() || is_left(shard))
    }
}
