//! The coordinator: one thread that turns time and notices into events of the protocol, and its
//! actions into commands.
//!
//! It owns the job's threads: when the job is over, for whatever reason, it ends the shards, then
//! the writer, and gives the outcome to whoever waits.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use frazil_io::runtime::{Bell, Heartbeat, PinnedThread};

use super::phase::{Action, Drop as Dropped, Event, Protocol};
use super::report::CheckpointReport;
use super::writer::WriterCommand;
use crate::error::Error;
use crate::shard::{JobControl, ShardEnd};

/// Pause before the last checkpoint is tried again.
const LAST_RETRY_PAUSE: Duration = Duration::from_millis(250);
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
    },
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
    Stop,
}

/// When checkpoints are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) interval: Option<Duration>,
    pub(crate) timeout: Duration,
}

/// What the coordinator is made of.
pub(crate) struct CoordinatorParts {
    pub(crate) timing: Timing,
    pub(crate) next_epoch: u64,
    pub(crate) control: Arc<JobControl>,
    pub(crate) bells: Vec<Bell>,
    pub(crate) shards: Vec<PinnedThread>,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) writer: JoinHandle<()>,
    pub(crate) folder: JoinHandle<()>,
    pub(crate) populator: JoinHandle<()>,
    /// Verifies a mapped restore: until it is done no checkpoint is requested.
    pub(crate) restorer: Option<JoinHandle<Result<(), Error>>>,
    pub(crate) commands: Sender<WriterCommand>,
    pub(crate) notices: Receiver<Notice>,
    pub(crate) newest: Arc<Mutex<Option<CheckpointReport>>>,
    /// Names the operators of a stage, for the message of a panic.
    pub(crate) operator_of: Box<dyn Fn(usize) -> String + Send>,
}

/// How the job ended, as far as the coordinator saw it.
enum Ending {
    Committed,
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
    requested_at: Instant,
    last_since: Option<Instant>,
    finished_shards: usize,
    /// The state is not verified yet.
    restoring: bool,
    /// What would request a checkpoint while it must not be.
    held: Vec<Event>,
    /// Askers whose checkpoint is not requested yet.
    queued: Vec<Asker>,
    /// Askers of the checkpoint in flight.
    waiting: Vec<Asker>,
    dropped_reason: String,
}

impl Coordinator {
    pub(crate) fn new(parts: CoordinatorParts) -> Self {
        Self {
            protocol: Protocol::new(parts.shards.len(), parts.next_epoch),
            requested_at: Instant::now(),
            last_since: None,
            finished_shards: 0,
            restoring: parts.restorer.is_some(),
            held: Vec::new(),
            queued: Vec::new(),
            waiting: Vec::new(),
            dropped_reason: String::new(),
            parts,
        }
    }

    /// Runs until the job is over and all its threads have ended.
    ///
    /// # Errors
    /// Why the job failed.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        let ending = self.coordinate();
        self.shut_down(ending)
    }

    fn coordinate(&mut self) -> Ending {
        loop {
            if let Some(ending) = self.act_on_time() {
                return ending;
            }
            let ending = match self.parts.notices.recv_timeout(self.sleep()) {
                Ok(notice) => self.notice(notice),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Ending::Failed(Error::Ended)),
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// How long until time itself is an event.
    fn sleep(&self) -> Duration {
        if self.restoring {
            return SLEEP_MAX;
        }
        let due = if !self.protocol.is_idle() {
            Some(self.parts.timing.timeout)
        } else if self.protocol.is_ending() {
            Some(LAST_RETRY_PAUSE)
        } else {
            self.parts.timing.interval
        };
        due.map_or(SLEEP_MAX, |due| {
            let left = due.saturating_sub(self.requested_at.elapsed());
            left.clamp(SLEEP_MIN, SLEEP_MAX)
        })
    }

    fn act_on_time(&mut self) -> Option<Ending> {
        if self.restoring {
            return None;
        }
        let elapsed = self.requested_at.elapsed();
        if !self.protocol.is_idle() {
            if elapsed < self.parts.timing.timeout {
                return None;
            }
            self.requested_at = Instant::now();
            return self.event(Event::TimedOut);
        }
        let due = if self.protocol.is_ending() {
            elapsed >= LAST_RETRY_PAUSE
        } else {
            let interval = self.parts.timing.interval;
            !self.queued.is_empty() || interval.is_some_and(|interval| elapsed >= interval)
        };
        if due { self.event(Event::Due) } else { None }
    }

    fn notice(&mut self, notice: Notice) -> Option<Ending> {
        match notice {
            Notice::ShardEnded { shard, end } => Some(match end {
                ShardEnd::Failed(error) => Ending::Failed(*error),
                ShardEnd::Panicked => Ending::Panicked(shard),
                ShardEnd::Exited => return None,
            }),
            Notice::ShardFinished => {
                self.finished_shards += 1;
                (self.finished_shards == self.parts.shards.len())
                    .then(|| self.when_verified(Event::InputEnded))?
            }
            Notice::Settled { epoch } => self.event(Event::Settled { epoch }),
            Notice::Durable(report) => {
                tracing::debug!(
                    checkpoint = report.checkpoint,
                    bytes = report.bytes,
                    "durable"
                );
                let epoch = report.checkpoint;
                // Before the answers: who got one finds it as the newest.
                if let Ok(mut newest) = self.parts.newest.lock() {
                    *newest = Some(report.clone());
                }
                for asker in self.waiting.drain(..) {
                    let _ = asker.send(Ok(report.clone()));
                }
                self.event(Event::Durable { epoch })
            }
            Notice::Dropped { epoch, why, reason } => {
                tracing::warn!(checkpoint = epoch, reason, "checkpoint dropped");
                for asker in self.waiting.drain(..) {
                    let _ = asker.send(Err(Error::CheckpointDropped {
                        checkpoint: epoch,
                        reason: reason.clone(),
                    }));
                }
                self.dropped_reason = reason;
                self.event(Event::Dropped { epoch, why })
            }
            Notice::Fatal(error) => Some(Ending::Failed(*error)),
            Notice::Trigger(asker) => {
                self.queued.push(asker);
                None
            }
            Notice::Stop => self.when_verified(Event::Stop),
            Notice::Verified { whole: false } => Some(Ending::Damaged),
            Notice::Verified { whole: true } => self.verified(),
        }
    }

    /// An event that requests a checkpoint waits until the restored state is verified.
    fn when_verified(&mut self, event: Event) -> Option<Ending> {
        if self.restoring {
            self.held.push(event);
            return None;
        }
        self.event(event)
    }

    fn verified(&mut self) -> Option<Ending> {
        self.restoring = false;
        let held = std::mem::take(&mut self.held).into_iter();
        held.fold(None, |ending, event| ending.or(self.event(event)))
    }

    fn event(&mut self, event: Event) -> Option<Ending> {
        let mut ending = None;
        for action in self.protocol.on(event).into_iter().flatten() {
            ending = ending.or(self.act(action));
        }
        ending
    }

    fn act(&mut self, action: Action) -> Option<Ending> {
        match action {
            Action::Request { epoch, last } => {
                self.requested_at = Instant::now();
                if last {
                    self.last_since.get_or_insert(self.requested_at);
                }
                self.waiting.append(&mut self.queued);
                // The writer first: it must know the epoch before a shard's message for it arrives.
                let _ = self.parts.commands.send(WriterCommand::Begin {
                    epoch,
                    last,
                    requested: self.requested_at,
                });
                self.parts.control.request(epoch, last);
                self.wake_shards();
            }
            Action::GiveUp { epoch } => {
                let _ = self.parts.commands.send(WriterCommand::GiveUp { epoch });
            }
            Action::BePatient => self.parts.control.be_patient(),
            Action::End { committed: true } => return Some(Ending::Committed),
            Action::End { committed: false } => return Some(Ending::Uncommitted),
        }
        None
    }

    fn wake_shards(&self) {
        for bell in &self.parts.bells {
            bell.ring();
        }
    }

    fn shut_down(self, ending: Ending) -> Result<(), Error> {
        self.parts.control.exit();
        self.wake_shards();
        let operator_of = self.parts.operator_of;
        let mut panics = Vec::new();
        for (shard, thread) in self.parts.shards.into_iter().enumerate() {
            if let Err(message) = thread.join() {
                panics.push((shard, message.to_string()));
            }
        }
        drop(self.parts.heartbeat);
        let _ = self.parts.commands.send(WriterCommand::Exit);
        drop(self.parts.commands);
        let writer = joined("checkpoint writer", self.parts.writer);
        let folder = joined("folder", self.parts.folder);
        // Damage explains whatever shards did on the damaged pages.
        if let Some(restorer) = self.parts.restorer {
            let verified = restorer.join();
            verified.map_err(|payload| Error::panicked("restorer", &*payload))??;
        }
        if let Some((shard, message)) = panics.into_iter().next() {
            return Err(Error::ShardPanicked {
                shard,
                operator: operator_of(shard),
                message,
            });
        }
        let populator = joined("memory", self.parts.populator);
        writer.and(folder).and(populator)?;
        match ending {
            Ending::Committed => Ok(()),
            Ending::Failed(error) => Err(error),
            Ending::Panicked(shard) => Err(Error::ShardPanicked {
                shard,
                operator: operator_of(shard),
                message: "no message".to_owned(),
            }),
            Ending::Damaged => unreachable!("the restorer's error was returned"),
            Ending::Uncommitted => Err(Error::NoFinalCheckpoint {
                attempts: self.protocol.last_attempts(),
                waited: self.last_since.map_or(Duration::ZERO, |s| s.elapsed()),
                reason: self.dropped_reason,
            }),
        }
    }
}

fn joined(thread: &'static str, handle: JoinHandle<()>) -> Result<(), Error> {
    handle
        .join()
        .map_err(|payload| Error::panicked(thread, &*payload))
}
