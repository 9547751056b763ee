//! The doorbell of a pinned loop.
//!
//! No wake-up is lost, because each side writes before it reads, with a full fence between:
//!
//! ```text
//! sleeper:  asleep = true;   fence;  turn once more;  park if that was idle and asleep still holds
//! ringer:   hand over work;  fence;  read asleep;     wake if it was true
//! ```
//!
//! Either the sleeper's extra turn sees the work, or the ringer sees `asleep`; both may happen, and
//! then the loop turns once in vain. The ringer takes `asleep` back: one wake a park at most.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Forced wakes that may be on their way to a loop that has not answered yet.
///
/// glommio queues one clone of the waker for each and counts clones in 16 bits with a sign, so the
/// bound must stay far below 32767 however long one turn takes.
const UNANSWERED_COUNT_MAX: u32 = 1024;

/// Wakes a parked loop; clones ring the same bell.
///
/// A bell belongs to one loop at a time. Ringing it before the loop started or after it ended does
/// nothing.
///
/// # Examples
/// ```
/// use frazil_io::runtime::{Bell, Driver, LoopSpec, PinnedLoop, Turn, spawn_pinned};
/// use std::sync::mpsc::{Receiver, TryRecvError, channel};
///
/// struct Sum { numbers: Receiver<u64>, total: u64 }
///
/// impl PinnedLoop for Sum {
///     fn turn(&mut self) -> Turn {
///         match self.numbers.try_recv() {
///             Ok(number) => { self.total += number; Turn::Busy }
///             Err(TryRecvError::Empty) => Turn::Idle,
///             Err(TryRecvError::Disconnected) => { assert_eq!(self.total, 5); Turn::Done }
///         }
///     }
/// }
///
/// let (sender, numbers) = channel();
/// let bell = Bell::new();
/// let spec = LoopSpec { name: "sum".into(), cpu: None, may_spin: false, bell: bell.clone() };
/// let thread = spawn_pinned(Driver::Thread, spec, || Sum { numbers, total: 0 })?;
/// for number in [2, 3] {
///     sender.send(number).expect("the loop ends after the sender");
///     bell.ring();
/// }
/// drop(sender);
/// bell.ring();
/// thread.join().expect("the loop does not panic");
/// # Ok::<(), frazil_io::IoError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    asleep: AtomicBool,
    /// Forced wakes since the loop last ran, at most [`UNANSWERED_COUNT_MAX`].
    unanswered_count: AtomicU32,
    /// How to wake the loop; present while it runs. Wakes happen under the lock, so that none is in
    /// flight once the loop has disarmed its bell.
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    /// A bell that no loop listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the loop if it is asleep; call it after handing over work.
    ///
    /// # Cost
    /// A full fence and one load (10 to 20 ns) while the loop is awake; 10 to 15 us of system call
    /// when it sleeps.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.0.asleep.load(Ordering::Relaxed) && self.0.asleep.swap(false, Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Wakes the loop whether or not it says that it is asleep.
    ///
    /// After 1024 forced wakes that the loop has not answered by running, further ones are dropped.
    ///
    /// # Cost
    /// A lock and in most cases a system call: 10 to 15 us.
    pub fn force(&self) {
        let unanswered_count = &self.0.unanswered_count;
        if unanswered_count.load(Ordering::Relaxed) < UNANSWERED_COUNT_MAX {
            unanswered_count.fetch_add(1, Ordering::Relaxed);
            self.0.asleep.store(false, Ordering::Relaxed);
            self.wake();
        }
    }

    /// Lets the bell wake through `waker` until the guard is dropped.
    pub(super) fn arm(&self, waker: Waker) -> ArmedBell {
        *self.lock() = Some(waker);
        ArmedBell(self.clone())
    }

    /// True from the moment the loop lies down until it gets up or somebody rings.
    pub(super) fn is_asleep(&self) -> bool {
        self.0.asleep.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(waker) = &*self.lock() {
            waker.wake_by_ref();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        // The slot is replaced whole, so a panic under the lock leaves it usable.
        self.0.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop's own end of its bell; disarms it when dropped.
#[derive(Debug)]
pub(super) struct ArmedBell(Bell);

impl ArmedBell {
    /// Announces sleep. The loop must turn once more before it parks.
    pub(super) fn lie_down(&self) {
        self.0.0.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// False if somebody rang since [`ArmedBell::lie_down`].
    pub(super) fn is_asleep(&self) -> bool {
        self.0.is_asleep()
    }

    /// The loop runs again: rings need not wake it, and its forced wakes are answered.
    pub(super) fn get_up(&self) {
        self.0.0.asleep.store(false, Ordering::Relaxed);
        self.0.0.unanswered_count.store(0, Ordering::Relaxed);
    }
}

impl Drop for ArmedBell {
    fn drop(&mut self) {
        self.get_up();
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct CountWakes(AtomicUsize);

    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn armed() -> (Bell, ArmedBell, Arc<CountWakes>) {
        let wakes = Arc::new(CountWakes::default());
        let bell = Bell::new();
        let armed = bell.arm(Waker::from(Arc::clone(&wakes)));
        (bell, armed, wakes)
    }

    #[test]
    fn rings_wake_a_sleeper_once_and_never_one_who_is_awake() {
        let (bell, armed, wakes) = armed();
        bell.ring();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        armed.lie_down();
        bell.ring();
        bell.ring();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(!armed.is_asleep());
    }

    #[test]
    fn forced_wakes_stop_at_the_bound_until_the_loop_answers() {
        let (bell, armed, wakes) = armed();
        let bound = UNANSWERED_COUNT_MAX as usize;
        for _ in 0..bound + 10 {
            bell.force();
        }
        assert_eq!(wakes.0.load(Ordering::Relaxed), bound);
        armed.get_up();
        bell.force();
        assert_eq!(wakes.0.load(Ordering::Relaxed), bound + 1);
    }

    #[test]
    fn a_disarmed_bell_wakes_nobody_and_lets_go_of_the_waker() {
        let (bell, armed, wakes) = armed();
        armed.lie_down();
        drop(armed);
        bell.ring();
        bell.force();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}
