//! The thread that wakes loops whose turn counter stood still.
//!
//! A glommio executor can park although its task is ready to run, and then nothing inside it will
//! ever wake it. From outside such a loop looks like any loop that makes no turns. So every loop
//! whose count did not move for one interval is woken by force; a loop that is merely parked or
//! busy with one long turn takes no harm.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::bell::Bell;
use super::helper::spawn_helper;
use super::idle::PARK_LONG;
use super::placement::CpuId;
use super::turn::TurnCounter;
use crate::IoError;

/// A loop that stands still is freed after one to two intervals.
const INTERVAL: Duration = Duration::from_millis(5);

// A loop parked for its longest bound still turns within an interval, so it is left alone.
const _: () = assert!(PARK_LONG.as_micros() < INTERVAL.as_micros());

const NAME: &str = "frazil-heartbeat";

/// Force-rings the bell of every loop that made no turn for about 5 ms; stops when dropped.
///
/// Loops on glommio must not run without one: it is what bounds their stalls. It keeps
/// off the CPUs of the loops where others are left.
///
/// # Cost
/// One plain thread that wakes 200 times a second.
///
/// # Examples
/// ```
/// use frazil_io::runtime::{
///     Bell, Driver, Heartbeat, LoopSpec, PinnedLoop, Turn, spawn_pinned,
/// };
///
/// struct CountDown(u32);
///
/// impl PinnedLoop for CountDown {
///     fn turn(&mut self) -> Turn {
///         self.0 -= 1;
///         if self.0 == 0 { Turn::Done } else { Turn::Busy }
///     }
/// }
///
/// let bell = Bell::new();
/// let spec = LoopSpec { name: "count".into(), cpu: None, may_spin: false, bell: bell.clone() };
/// let thread = spawn_pinned(Driver::Thread, spec, || CountDown(1000))?;
/// let heartbeat = Heartbeat::start(vec![(bell, thread.turns())], &[])?;
/// thread.join().expect("the loop does not panic");
/// drop(heartbeat);
/// # Ok::<(), frazil_io::IoError>(())
/// ```
#[derive(Debug)]
pub struct Heartbeat {
    /// Dropping the sender ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Starts the thread over these loops, which are `pinned` to their CPUs.
    ///
    /// # Errors
    /// [`IoError::Thread`] if the system refuses another thread.
    pub fn start(loops: Vec<(Bell, TurnCounter)>, pinned: &[CpuId]) -> Result<Self, IoError> {
        let (stop, stopped) = mpsc::channel();
        let thread = spawn_helper(NAME, pinned, move || beat(&loops, &stopped))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the heartbeat thread had panicked");
        }
    }
}

fn beat(loops: &[(Bell, TurnCounter)], stopped: &Receiver<()>) {
    let mut seen: Vec<u64> = loops.iter().map(|(_, turns)| turns.get()).collect();
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        for ((bell, turns), seen) in loops.iter().zip(&mut seen) {
            let turn_count = turns.get();
            if turn_count == *seen {
                bell.force();
            }
            *seen = turn_count;
        }
    }
}
