//! The coordinator: one thread that turns time and notices into events of the protocol, and its
//! actions into commands.
//!
//! It owns the job's threads: when the job is over, for whatever reason, it ends the shards, then
//! the writer, and gives the outcome to whoever waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use frazil_io::runtime::{Bell, Heartbeat};

use super::due::Now;
use super::history::{CheckpointTrace, PhaseTime};
use super::listener::{CheckpointEvent, Listening};
use super::mode::CheckpointMode;
use super::phase::{Action, Answer, AskerId, Drop as Dropped, End, Event, Protocol};
use super::report::CheckpointReport;
use super::shard_watch::{ShardWatch, ShardsEnd};
use super::traced;
use super::watch::Watch;
use super::writer::WriterCommand;
use crate::error::Error;
use crate::lock::locked;
use crate::shard::{JobControl, JobProgress, ShardEnd};

/// Shortest sleep of the thread: a time that is just not due.
const SLEEP_MIN: Duration = Duration::from_micros(100);
/// Longest sleep of the thread.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Whoever asked for a checkpoint waits at the other end.
pub(crate) type Asker = Sender<Result<CheckpointReport, Error>>;

/// What the coordinator is told.
pub(crate) enum Notice {
    ShardEnded {
        shard: usize,
        end: ShardEnd,
    },
    ShardFinished,
    Settled {
        epoch: u64,
        shard: usize,
    },
    Frozen {
        epoch: u64,
        shard: usize,
        align: PhaseTime,
    },
    /// The manifest is published.
    Published {
        epoch: u64,
    },
    /// The same, and sinks have committed.
    Durable(CheckpointReport),
    Dropped {
        epoch: u64,
        why: Dropped,
        reason: String,
    },
    /// What was restored by mapping is verified, or damaged.
    Verified {
        whole: bool,
    },
    /// The writer or the folder cannot go on.
    Fatal(Box<Error>),
    Trigger(Asker),
    /// Somebody has changed the settings.
    Changed,
    /// The same, for a checkpoint with no records in flight.
    TriggerAligned(Asker),
    Stop,
    /// Let the sources end where they are.
    Drain,
    Cancel,
}

/// How a job ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// All input was read, and everything is committed.
    Finished,
    /// Its sources were ended where they were; what they had given is processed to the end, and
    /// everything is committed. Nothing is left to do for a later start.
    Drained,
    /// It stopped after a last checkpoint, from which a later start goes on.
    Stopped,
    /// It ended at once; a later start goes on from the newest checkpoint.
    Canceled,
}

/// What the coordinator is made of.
pub(crate) struct CoordinatorParts {
    pub(crate) next_epoch: u64,
    pub(crate) mode: CheckpointMode,
    pub(crate) control: Arc<JobControl>,
    pub(crate) bells: Vec<Bell>,
    pub(crate) shards: ShardWatch,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) writer: JoinHandle<()>,
    pub(crate) folder: JoinHandle<()>,
    pub(crate) populator: JoinHandle<()>,
    /// Verifies a mapped restore: until it is done no checkpoint is requested.
    pub(crate) restorer: Option<JoinHandle<Result<(), Error>>>,
    pub(crate) commands: Sender<WriterCommand>,
    pub(crate) notices: Receiver<Notice>,
    pub(crate) watch: Watch,
    pub(crate) progress: JobProgress,
}

/// How the job ended, as far as the coordinator saw it.
enum Ending {
    Committed,
    Canceled,
    Uncommitted,
    Failed(Error),
    Panicked(usize),
    /// The restorer says why.
    Damaged,
}

/// The thread's state.
pub(crate) struct Coordinator {
    parts: CoordinatorParts,
    protocol: Protocol,
    began: Instant,
    last_since: Option<Instant>,
    finished_shards: usize,
    listening: Listening,
    asked_count: u64,
    /// Those who wait for an answer.
    askers: BTreeMap<AskerId, Asker>,
    /// What the newest answers are about.
    durable: Option<CheckpointReport>,
    dropped_reason: String,
    /// Why a thread cannot go on.
    loss: Option<Ending>,
}

impl Coordinator {
    pub(crate) fn new(parts: CoordinatorParts) -> Self {
        let settings = parts.watch.begin(parts.progress.clone());
        let restoring = parts.restorer.is_some();
        Self {
            protocol: Protocol::new(parts.shards.count(), parts.next_epoch, restoring, settings),
            began: Instant::now(),
            last_since: None,
            finished_shards: 0,
            listening: parts.watch.listening.clone(),
            asked_count: 0,
            askers: BTreeMap::new(),
            durable: None,
            dropped_reason: String::new(),
            loss: None,
            parts,
        }
    }

    /// Runs until the job is over and all its threads have ended.
    ///
    /// # Errors
    /// Why the job failed.
    pub(crate) fn run(mut self) -> Result<Ended, Error> {
        let ending = self.coordinate();
        self.shut_down(ending)
    }

    fn coordinate(&mut self) -> Ending {
        loop {
            let ending = self.event(Event::Tick).or_else(|| self.look_at_shards());
            if let Some(ending) = ending.or_else(|| self.await_notice()) {
                return ending;
            }
        }
    }

    fn await_notice(&mut self) -> Option<Ending> {
        match self.parts.notices.recv_timeout(self.sleep()) {
            Ok(notice) => self.notice(notice),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Ending::Failed(Error::Ended)),
        }
    }

    fn look_at_shards(&mut self) -> Option<Ending> {
        let stuck = self.parts.shards.look(&mut self.listening)?;
        self.lose(Ending::Failed(stuck.error()))
    }

    /// How long until time itself is an event.
    fn sleep(&self) -> Duration {
        let now = self.now();
        let wake_at = self.protocol.wake_at(&now);
        let by_protocol = wake_at.map(|at| at.saturating_sub(now.at));
        let waits = [by_protocol, self.parts.shards.look_after()];
        let wait = waits.into_iter().flatten().min();
        wait.map_or(SLEEP_MAX, |wait| wait.clamp(SLEEP_MIN, SLEEP_MAX))
    }

    fn now(&self) -> Now {
        let (record_count, dirty_bytes) = self.parts.progress.sum();
        Now {
            at: self.began.elapsed(),
            record_count,
            dirty_bytes,
        }
    }

    fn notice(&mut self, notice: Notice) -> Option<Ending> {
        match notice {
            Notice::ShardEnded { shard, end } => match end {
                ShardEnd::Failed(error) => self.lose(Ending::Failed(*error)),
                ShardEnd::Panicked => self.lose(Ending::Panicked(shard)),
                ShardEnd::Exited => None,
            },
            Notice::ShardFinished => {
                self.finished_shards += 1;
                (self.finished_shards == self.parts.shards.count())
                    .then(|| self.event(Event::InputEnded))?
            }
            Notice::Settled { epoch, shard } => self.event(Event::Settled { epoch, shard }),
            Notice::Frozen { .. } | Notice::Published { .. } => {
                self.announce(&notice);
                None
            }
            Notice::Durable(ref report) => {
                let epoch = report.checkpoint;
                self.durable = Some(report.clone());
                // Before the answers: who got one finds it as the newest.
                self.announce(&notice);
                self.event(Event::Durable { epoch })
            }
            Notice::Dropped {
                epoch,
                why,
                ref reason,
            } => {
                self.dropped_reason.clone_from(reason);
                self.announce(&notice);
                self.event(Event::Dropped { epoch, why })
            }
            Notice::Fatal(error) => self.lose(Ending::Failed(*error)),
            Notice::Trigger(asker) => self.asked(asker),
            Notice::TriggerAligned(asker) => {
                self.parts.control.align_next();
                self.asked(asker)
            }
            Notice::Changed => {
                let settings = self.parts.watch.settings();
                self.event(Event::Changed { settings })
            }
            Notice::Stop => self.event(Event::Stop),
            Notice::Drain => self.event(Event::Drain),
            Notice::Cancel => self.lose(Ending::Canceled),
            Notice::Verified { whole: false } => self.lose(Ending::Damaged),
            Notice::Verified { whole: true } => self.event(Event::Verified),
        }
    }

    fn announce(&mut self, notice: &Notice) {
        announce(notice, &self.parts.watch, &mut self.listening);
    }

    fn asked(&mut self, asker: Asker) -> Option<Ending> {
        let id = AskerId(self.asked_count);
        self.asked_count += 1;
        self.askers.insert(id, asker);
        self.event(Event::Asked { asker: id })
    }

    fn lose(&mut self, ending: Ending) -> Option<Ending> {
        self.loss = Some(ending);
        self.event(Event::Lost)
    }

    fn event(&mut self, event: Event) -> Option<Ending> {
        let now = self.now();
        let actions = self.protocol.on(&now, event);
        let began = self.began;
        self.parts.watch.cover(|risk| {
            let covered = self.protocol.covered();
            risk.since = began + covered.at;
            risk.record_count = covered.record_count;
            risk.failed_count = self.protocol.failures();
        });
        let acted = actions.into_iter().map(|action| self.act(&now, action));
        acted.fold(None, |ending, next| ending.or(next))
    }

    fn act(&mut self, now: &Now, action: Action) -> Option<Ending> {
        match action {
            Action::Request { epoch, last } => self.request(epoch, last, self.began + now.at),
            Action::GiveUp { epoch } => {
                let _ = self.parts.commands.send(WriterCommand::GiveUp { epoch });
            }
            Action::BePatient => self.parts.control.be_patient(),
            Action::Answer { asker, answer } => self.answer(asker, answer),
            Action::TooOld { age } => {
                let covered = self.protocol.covered().record_count;
                let record_count = now.record_count.saturating_sub(covered);
                tracing::warn!(
                    ?age,
                    record_count,
                    "the newest durable checkpoint is too old"
                );
                self.listening
                    .tell(&CheckpointEvent::TooOld { age, record_count });
            }
            Action::HoldSources { held } => {
                self.parts.control.hold_sources(held);
                self.wake_shards();
                self.listening.tell(&CheckpointEvent::SourcesHeld { held });
            }
            Action::Drain => {
                self.parts.control.drain();
                self.wake_shards();
            }
            Action::End(end) => return Some(self.ending(end)),
        }
        None
    }

    fn request(&mut self, epoch: u64, last: bool, requested: Instant) {
        if last {
            self.last_since.get_or_insert(requested);
        }
        let settings = self.protocol.settings().clone();
        let shard_count = self.parts.shards.count();
        traced::requested(epoch, last, &settings);
        let trace = CheckpointTrace::new(epoch, last, requested, shard_count, settings);
        self.parts.watch.history.note(&trace);
        self.listening.tell(&CheckpointEvent::Requested {
            checkpoint: epoch,
            last,
        });
        // The writer first: it must know the epoch before a shard's message for it arrives.
        let _ = (self.parts.commands).send(WriterCommand::Begin(Box::new(trace)));
        let settings = self.protocol.settings();
        let overtake_after = self.parts.mode.overtake_after(settings.alignment_timeout);
        self.parts.control.request(epoch, last, overtake_after);
        self.wake_shards();
    }

    fn answer(&mut self, asker: AskerId, answer: Answer) {
        let asker = self.askers.remove(&asker).expect("answered once");
        let answer = match answer {
            Answer::Durable { .. } => Ok(self.durable.clone().expect("it was durable")),
            Answer::Dropped { epoch } => Err(Error::CheckpointDropped {
                checkpoint: epoch,
                reason: self.dropped_reason.clone(),
            }),
            // The end of the channel says so.
            Answer::Ended => return,
        };
        let _ = asker.send(answer);
    }

    fn ending(&mut self, end: End) -> Ending {
        let settings = self.protocol.settings();
        let reason = self.dropped_reason.clone();
        match end {
            End::Committed => Ending::Committed,
            End::Uncommitted => Ending::Uncommitted,
            End::TooManyFailures { failed_count } => {
                Ending::Failed(Error::TooManyFailedCheckpoints {
                    failed_count,
                    tolerable: settings.tolerable_failures.unwrap_or_default(),
                    reason,
                })
            }
            End::TooOld { age } => Ending::Failed(Error::CheckpointTooOld {
                age,
                max_age: settings.max_age.unwrap_or_default(),
                reason,
            }),
            End::Lost => self.loss.take().expect("what was lost was noted"),
        }
    }

    fn wake_shards(&self) {
        for bell in &self.parts.bells {
            bell.ring();
        }
    }

    /// How the job has ended, if it has committed everything.
    fn ended(&self) -> Ended {
        let is_finished = self.finished_shards == self.parts.shards.count();
        match self.protocol.is_draining() {
            _ if !is_finished => Ended::Stopped,
            true => Ended::Drained,
            false => Ended::Finished,
        }
    }

    /// Ends all threads, and with them a checkpoint in flight.
    fn shut_down(self, ending: Ending) -> Result<Ended, Error> {
        let ended = self.ended();
        self.parts.control.exit();
        self.wake_shards();
        let Self {
            parts,
            protocol,
            last_since,
            mut listening,
            dropped_reason,
            ..
        } = self;
        let panicked = |shard| parts.shards.operator_of(shard);
        let outcome = match ending {
            Ending::Committed => Ok(ended),
            Ending::Canceled => Ok(Ended::Canceled),
            Ending::Failed(error) => Err(error),
            Ending::Panicked(shard) => Err(Error::ShardPanicked {
                shard,
                operator: panicked(shard),
                message: "no message".to_owned(),
            }),
            // The restorer says what it found.
            Ending::Damaged => Err(Error::Ended),
            Ending::Uncommitted => Err(Error::NoFinalCheckpoint {
                attempts: protocol.last_attempts(),
                waited: last_since.map_or(Duration::ZERO, |s| s.elapsed()),
                reason: dropped_reason,
            }),
        };
        let shards = parts.shards.end(&mut listening);
        drop(parts.heartbeat);
        let _ = parts.commands.send(WriterCommand::Exit);
        drop(parts.commands);
        let helpers = HelpersEnd {
            writer: joined("checkpoint writer", parts.writer),
            folder: joined("folder", parts.folder),
            // It ends with the last shard.
            populator: match shards.left {
                Some(_) => Ok(()),
                None => joined("memory", parts.populator),
            },
            restorer: match parts.restorer {
                Some(restorer) => restorer
                    .join()
                    .unwrap_or_else(|payload| Err(Error::panicked("restorer", &*payload))),
                None => Ok(()),
            },
        };
        let outcome = outcome_of(shards, helpers, outcome);
        // What the writer decided before it ended.
        for notice in parts.notices.try_iter() {
            announce(&notice, &parts.watch, &mut listening);
        }
        abort_in_flight(&outcome, &parts.watch, &mut listening);
        outcome
    }
}

/// How the threads beside the shards ended.
struct HelpersEnd {
    writer: Result<(), Error>,
    folder: Result<(), Error>,
    populator: Result<(), Error>,
    restorer: Result<(), Error>,
}

/// How the run ended: what explains the rest comes first.
fn outcome_of(
    shards: ShardsEnd,
    helpers: HelpersEnd,
    outcome: Result<Ended, Error>,
) -> Result<Ended, Error> {
    // Damage explains whatever shards did on the damaged pages.
    helpers.restorer?;
    if let Some(stuck) = shards.left {
        return Err(stuck.error());
    }
    if let Some((shard, operator, message)) = shards.panics.into_iter().next() {
        return Err(Error::ShardPanicked {
            shard,
            operator,
            message,
        });
    }
    helpers.writer.and(helpers.folder).and(helpers.populator)?;
    outcome
}

/// A run that is over has no checkpoint in flight.
fn abort_in_flight(outcome: &Result<Ended, Error>, watch: &Watch, listening: &mut Listening) {
    let reason = match outcome {
        Ok(Ended::Canceled) => "the job was canceled".to_owned(),
        Ok(_) => "the job has ended".to_owned(),
        Err(error) => error.to_string(),
    };
    if let Some(checkpoint) = watch.history.abort_in_flight(&reason) {
        traced::aborted(checkpoint, &reason);
        listening.tell(&CheckpointEvent::Aborted { checkpoint, reason });
    }
}

/// Tells of what has become of a checkpoint.
fn announce(notice: &Notice, watch: &Watch, listening: &mut Listening) {
    match notice {
        Notice::Frozen {
            epoch,
            shard,
            align,
        } => listening.tell(&CheckpointEvent::Frozen {
            checkpoint: *epoch,
            shard: *shard,
            align: *align,
        }),
        Notice::Published { epoch } => {
            listening.tell(&CheckpointEvent::Durable { checkpoint: *epoch });
        }
        Notice::Durable(report) => {
            *locked(&watch.newest) = Some(report.clone());
            listening.tell(&CheckpointEvent::Committed(report.clone()));
        }
        Notice::Dropped { epoch, reason, why } => {
            traced::dropped(*epoch, *why, reason);
            listening.tell(&CheckpointEvent::Dropped {
                checkpoint: *epoch,
                reason: reason.clone(),
            });
        }
        Notice::ShardEnded { .. }
        | Notice::ShardFinished
        | Notice::Settled { .. }
        | Notice::Verified { .. }
        | Notice::Fatal(_)
        | Notice::Trigger(_)
        | Notice::TriggerAligned(_)
        | Notice::Changed
        | Notice::Stop
        | Notice::Drain
        | Notice::Cancel => {}
    }
}

fn joined(thread: &'static str, handle: JoinHandle<()>) -> Result<(), Error> {
    handle
        .join()
        .map_err(|payload| Error::panicked(thread, &*payload))
}
