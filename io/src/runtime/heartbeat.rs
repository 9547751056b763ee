//! The thread that wakes loops whose turn counter stood still.
//!
//! A glommio executor can park although its task is ready to run, and then nothing inside it will
//! ever wake it. From outside such a loop looks like any loop that makes no turns. So every loop
//! whose count did not move for one interval (six, where it said that it rests) is woken by force;
//! a loop that is merely parked or busy with one long turn takes no harm.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::bell::Bell;
use super::helper::spawn_helper;
use super::idle::{PARK_LONG, REST};
use super::placement::CpuId;
use super::turn::TurnCounter;
use crate::IoError;

/// A loop that stands still is freed after one to two intervals.
const INTERVAL: Duration = Duration::from_millis(5);

/// Intervals until a loop that stands still is freed, where it said that it rests.
const REST_INTERVALS: u32 = 6;

// A loop parked for its longest bound still turns in time, so it is left alone.
const _: () = assert!(PARK_LONG.as_micros() < INTERVAL.as_micros());
const _: () = assert!(REST.as_micros() < (REST_INTERVALS - 1) as u128 * INTERVAL.as_micros());

const NAME: &str = "frazil-heartbeat";

/// Force-rings the bell of every loop that made no turn for about 5 ms (30 ms after a long idle
/// time, when loops park for longer); stops when dropped.
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
    // The turns that were seen, and in how many intervals the loop has stood still since.
    let mut seen: Vec<(u64, u32)> = loops.iter().map(|(_, turns)| (turns.get(), 0)).collect();
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        for ((bell, turns), (seen, still_count)) in loops.iter().zip(&mut seen) {
            let turn_count = turns.get();
            *still_count = if turn_count == *seen {
                *still_count + 1
            } else {
                0
            };
            *seen = turn_count;
            let bound = if turns.is_resting() {
                REST_INTERVALS
            } else {
                1
            };
            if *still_count >= bound {
                bell.force();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::SyncSender;
    use std::task::{Wake, Waker};

    use super::*;

    struct Told(SyncSender<()>);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            let _ = self.0.try_send(());
        }
    }

    #[test]
    fn a_loop_that_rests_and_never_gets_up_is_freed_too() {
        let (told, woken) = mpsc::sync_channel(1);
        let (bell, turns) = (Bell::new(), TurnCounter::default());
        let armed = bell.arm(Waker::from(Arc::new(Told(told))));
        armed.lie_down();
        turns.set_resting(true);
        let heartbeat = Heartbeat::start(vec![(bell.clone(), turns)], &[]).unwrap();
        assert_eq!(woken.recv_timeout(Duration::from_secs(60)), Ok(()));
        drop(heartbeat);
    }
}
