//! Starting a pinned thread, and what comes back from it.

use std::any::Any;
use std::fmt;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::thread::{Pid, gettid};

use super::bell::Bell;
use super::drive::Plan;
use super::executor_pool::{self, Borrowed};
use super::idle::IdlePolicy;
use super::placement::{CpuId, available_cpus};
use super::preflight::Driver;
use super::turn::{PinnedLoop, TurnCounter};
use super::vitals::{Vitals, run_time, vitals};
use super::{glommio_driver, thread_driver};
use crate::IoError;

/// How a loop's thread is to be set up.
#[derive(Clone, Debug)]
pub struct LoopSpec {
    /// Name of the thread, without NUL characters; the system shows its first 15 bytes.
    pub name: String,
    /// The CPU to pin to, one of [`available_cpus`]; `None` leaves it to the scheduler.
    pub cpu: Option<CpuId>,
    /// True if the loop has a CPU to itself and may spin for a while when it is idle.
    pub may_spin: bool,
    /// Wakes the loop when it is parked.
    pub bell: Bell,
}

/// Starts a thread that builds a loop with `make` and turns it until it is done.
///
/// `make` runs on the pinned thread, so the loop need not be `Send`. A panic in `make`, in a turn
/// or in the loop's destructor ends this thread only and comes back from [`PinnedThread::join`].
///
/// An idle loop keeps turning for 50 us (or, where it may not spin, yields once) and then parks
/// until its bell rings, but never longer than 1 ms, 4 ms once it has been idle for about 130 ms,
/// and 20 ms once it has been for a second: that is the delay with which it sees a source that has
/// no bell.
///
/// # Errors
/// [`IoError::Thread`] if the system refuses the thread or the CPU, or glommio refuses an executor.
///
/// # Panics
/// If the name holds a NUL character.
///
/// # Cost
/// Starting takes 0.1 ms on a plain thread and 1 to 4 ms on glommio. The threads of glommio stay
/// when their loops end and are used again, with their names, by later loops on the same CPU, since
/// an executor that ends leaves a file descriptor and 1 KiB behind; a loop then starts in 0.1 ms.
/// Measured on two virtual CPUs, a loop parked for 4 ms at a time takes 0.5 to 0.9 % of a CPU on a
/// plain thread and 1.7 to 2.2 % on glommio (1.7 % and 3.9 % during the first 130 ms), one for
/// 20 ms 0.2 and 0.5 %; waking it takes 25 to 55 us.
pub fn spawn_pinned<L, F>(driver: Driver, spec: LoopSpec, make: F) -> Result<PinnedThread, IoError>
where
    F: FnOnce() -> L + Send + 'static,
    L: PinnedLoop + 'static,
{
    let idle = IdlePolicy::new(spec.may_spin);
    spawn_with(driver, spec, idle, make)
}

fn spawn_with<L, F>(
    driver: Driver,
    spec: LoopSpec,
    idle: IdlePolicy,
    make: F,
) -> Result<PinnedThread, IoError>
where
    F: FnOnce() -> L + Send + 'static,
    L: PinnedLoop + 'static,
{
    // The list must be taken before the first thread is pinned, and this is the last chance.
    let _ = available_cpus();
    let LoopSpec {
        name,
        cpu,
        may_spin: _,
        bell,
    } = spec;
    let turns = TurnCounter::default();
    let plan = Plan {
        bell,
        turns: turns.clone(),
        idle,
        make,
    };
    let (report, started) = mpsc::sync_channel(1);
    let start = StartReport(report);
    let thread = match driver {
        Driver::Glommio => {
            let run = move |executor: &_| glommio_driver::run(executor, &start, plan);
            Backing::Borrowed(executor_pool::borrow(&name, cpu, run)?)
        }
        Driver::Thread => {
            let builder = thread::Builder::new().name(name.clone());
            let own = builder.spawn(move || thread_driver::run(cpu, &start, plan));
            Backing::Own(own.map_err(|error| IoError::Thread {
                name: name.clone(),
                reason: error.to_string(),
            })?)
        }
    };
    match started.recv() {
        Ok(Ok(Started {
            thread_id,
            cpu_before,
        })) => Ok(PinnedThread {
            name,
            thread,
            thread_id,
            cpu_before,
            turns,
        }),
        Ok(Err(reason)) => Err(IoError::Thread { name, reason }),
        Err(_) => Err(IoError::Thread {
            name,
            reason: "it ended before it ran".to_owned(),
        }),
    }
}

/// What a thread says of itself before its loop runs.
struct Started {
    thread_id: Pid,
    /// What earlier loops used on it.
    cpu_before: Duration,
}

/// Carries the outcome of the set-up from the new thread to its starter; used once.
pub(super) struct StartReport(SyncSender<Result<Started, String>>);

impl StartReport {
    /// The thread is pinned and about to make its loop.
    pub(super) fn running(&self) {
        let thread_id = gettid();
        self.send(Ok(Started {
            thread_id,
            cpu_before: run_time(thread_id).unwrap_or_default(),
        }));
    }

    /// The thread could not be set up and ends.
    pub(super) fn failed(&self, reason: String) {
        self.send(Err(reason));
    }

    fn send(&self, outcome: Result<Started, String>) {
        self.0
            .send(outcome)
            .expect("the starter waits until it has the report");
    }
}

/// A running loop; dropping this handle leaves the loop running.
#[derive(Debug)]
pub struct PinnedThread {
    name: String,
    thread: Backing,
    thread_id: Pid,
    cpu_before: Duration,
    turns: TurnCounter,
}

/// Whose thread a loop runs on.
#[derive(Debug)]
enum Backing {
    Own(JoinHandle<Result<(), PanicMessage>>),
    Borrowed(Borrowed),
}

impl PinnedThread {
    /// The name that the loop was started with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The loop's turn counter, for a [`Heartbeat`](super::Heartbeat) or a watchdog.
    #[must_use]
    pub fn turns(&self) -> TurnCounter {
        self.turns.clone()
    }

    /// True once the loop has ended, by itself or by a panic.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.thread {
            Backing::Own(thread) => thread.is_finished(),
            Backing::Borrowed(thread) => thread.is_finished(),
        }
    }

    /// CPU time that the loop has used so far; time stolen by others does not count.
    ///
    /// `None` once the loop has ended, and on kernels that do not account it.
    ///
    /// # Cost
    /// Reads one small file of `/proc`: some 10 us.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        let run_time = run_time(self.thread_id)?;
        self.while_it_runs(run_time.saturating_sub(self.cpu_before))
    }

    /// What the loop has used, and whether its thread waits for something: a parked loop does, and
    /// its turns go on.
    ///
    /// `None` once the loop has ended, and on kernels that do not account it.
    ///
    /// # Cost
    /// Reads two small files of `/proc`: some 20 us.
    #[must_use]
    pub fn vitals(&self) -> Option<Vitals> {
        let vitals = vitals(self.thread_id)?;
        self.while_it_runs(Vitals {
            cpu_time: vitals.cpu_time.saturating_sub(self.cpu_before),
            ..vitals
        })
    }

    /// Asked after something was seen of the thread: until then it cannot have been another loop's.
    fn while_it_runs<T>(&self, seen: T) -> Option<T> {
        (!self.is_finished()).then_some(seen)
    }

    /// Waits for the loop to end. It does not ask it to: that is for whoever feeds the loop.
    ///
    /// # Errors
    /// The message of the panic that ended the loop.
    pub fn join(self) -> Result<(), PanicMessage> {
        let thread = match self.thread {
            Backing::Own(thread) => thread,
            Backing::Borrowed(thread) => return thread.join(),
        };
        let outcome = thread.join();
        outcome.unwrap_or_else(|payload| Err(PanicMessage::from_payload(payload.as_ref())))
    }
}

/// What a panic on a pinned thread said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicMessage(String);

impl PanicMessage {
    /// The text of a panic with `&str` or `String` as payload, and a stand-in for any other.
    pub(super) fn from_payload(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("a panic without a message").to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PanicMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for PanicMessage {}

#[cfg(test)]
mod tests {
    use super::super::{DriverChoice, Heartbeat, Turn, choose_driver};
    use super::*;
    use std::fs;
    use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
    use std::time::Instant;

    fn drivers() -> Vec<Driver> {
        let best = choose_driver(DriverChoice::Auto).unwrap().driver;
        if best == Driver::Glommio {
            vec![Driver::Thread, best]
        } else {
            vec![best]
        }
    }

    fn spec(bell: &Bell) -> LoopSpec {
        LoopSpec {
            name: "tested".into(),
            cpu: None,
            may_spin: false,
            bell: bell.clone(),
        }
    }

    /// Sends back what it receives; done when nobody can send any more.
    struct Echo {
        requests: Receiver<u32>,
        replies: Sender<u32>,
    }

    impl PinnedLoop for Echo {
        fn turn(&mut self) -> Turn {
            match self.requests.try_recv() {
                Ok(request) => {
                    self.replies.send(request).unwrap();
                    Turn::Busy
                }
                Err(TryRecvError::Empty) => Turn::Idle,
                Err(TryRecvError::Disconnected) => Turn::Done,
            }
        }
    }

    /// The loop parks for an hour at a time, so only the bell, or the heartbeat after 5 to 10 ms,
    /// wakes it. A median below the heartbeat's interval is the bell's work.
    #[test]
    fn a_parked_loop_wakes_promptly_when_its_bell_rings() {
        for driver in drivers() {
            let bell = Bell::new();
            let (request, requests) = channel();
            let (replies, reply) = channel();
            let idle = IdlePolicy::parking_for(Duration::from_secs(3600));
            let make = || Echo { requests, replies };
            let thread = spawn_with(driver, spec(&bell), idle, make).unwrap();
            let heartbeat = Heartbeat::start(vec![(bell.clone(), thread.turns())], &[]).unwrap();

            let mut waits: Vec<Duration> = (0..301)
                .map(|number| {
                    while !bell.is_asleep() {
                        thread::yield_now();
                    }
                    let start = Instant::now();
                    request.send(number).unwrap();
                    bell.ring();
                    assert_eq!(reply.recv().unwrap(), number);
                    start.elapsed()
                })
                .collect();
            drop(request);
            bell.ring();
            thread.join().unwrap();
            drop(heartbeat);

            waits.sort_unstable();
            let median = waits[waits.len() / 2];
            assert!(
                median < Duration::from_millis(4),
                "{driver}: median wake took {median:?}"
            );
        }
    }

    /// Descriptors and threads of this process, whatever other tests do meanwhile.
    fn open_count() -> usize {
        let count = |folder| fs::read_dir(folder).unwrap().count();
        count("/proc/self/fd") + count("/proc/self/task")
    }

    #[test]
    fn loops_that_come_and_go_leave_nothing_behind() {
        const LOOPS: usize = 200;
        for driver in drivers() {
            let before = open_count();
            for round in 0..LOOPS {
                let (request, requests) = channel();
                let (replies, reply) = channel();
                let bell = Bell::new();
                let make = move || {
                    assert!(round % 3 > 0, "every third one panics");
                    Echo { requests, replies }
                };
                let thread = spawn_pinned(driver, spec(&bell), make).unwrap();
                let heartbeat =
                    Heartbeat::start(vec![(bell.clone(), thread.turns())], &[]).unwrap();
                if request.send(7).is_ok() {
                    bell.ring();
                    assert_eq!(reply.recv().ok(), (round % 3 > 0).then_some(7));
                }
                drop(request);
                bell.ring();
                assert_eq!(thread.join().is_err(), round % 3 == 0);
                drop(heartbeat);
            }
            // Other tests of this process run a few loops of their own.
            assert!(open_count() < before + LOOPS / 4, "{driver} leaks");
        }
    }

    #[test]
    fn a_cpu_that_cannot_be_used_is_an_error_of_the_start() {
        for driver in drivers() {
            let spec = LoopSpec {
                cpu: Some(CpuId::nonexistent()),
                ..spec(&Bell::new())
            };
            let (replies, _reply) = channel();
            let (_request, requests) = channel();
            let error = spawn_pinned(driver, spec, || Echo { requests, replies }).unwrap_err();
            assert!(
                matches!(&error, IoError::Thread { name, .. } if name == "tested"),
                "{error}"
            );
        }
    }
}
