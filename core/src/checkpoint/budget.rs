//! The write budget: how fast deltas and folds together may write.
//!
//! A piece of `n` bytes is paid before it is written: it waits until `n / rate` have passed since
//! the piece before was paid. Time that nobody used counts for the next pieces, up to 20 ms of it.
//! So over any second
//!
//! `bytes written <= rate + burst + one piece <= 1.04 * rate`
//!
//! Deltas go first: a fold waits while a delta does. It is passed over by three pieces in a row at
//! most, so that a quarter of the budget is left for it: without, a chain that takes the whole
//! budget would grow for ever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use frazil_io::IoError;
use frazil_io::storage::Segment;

use crate::error::Error;
use crate::lock::locked;

/// The part of a second's budget that may be written at once, and the largest piece.
const BURST: u64 = 50;
/// Deltas' pieces that may pass a waiting fold.
const PASSED_MAX: u32 = 3;
/// Smallest budget: a frame then waits a quarter of a second, and the writer with it.
pub(crate) const RATE_MIN: u64 = 1 << 20;

/// When the next piece may be written; time is what the caller says.
#[derive(Debug)]
struct Bucket {
    rate: u64,
    /// When everything taken so far is paid.
    paid_at: Duration,
}

impl Bucket {
    /// Takes `bytes` at `now` and says when they are paid.
    fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let burst = Duration::from_secs(1) / u32::try_from(BURST).expect("small");
        let unused_since = now.saturating_sub(burst);
        let cost_ns = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(cost_ns).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(unused_since).saturating_add(cost);
        self.paid_at
    }
}

/// Who waits, and who passed.
#[derive(Debug)]
struct Queue {
    bucket: Bucket,
    deltas_waiting: u32,
    /// Pieces of deltas since a fold began to wait.
    passed: u32,
}

/// One for the engine, shared by the writer and the folder.
#[derive(Debug)]
pub(crate) struct WriteBudget {
    /// `None` writes as fast as the disk takes it.
    queue: Option<Mutex<Queue>>,
    piece_bytes: usize,
    delta_left: Condvar,
    begun: Instant,
    /// The job is over: folds end as they are.
    is_closed: AtomicBool,
}

impl WriteBudget {
    /// A budget of `rate` bytes a second, or none.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        let queue = rate.map(|rate| {
            Mutex::new(Queue {
                bucket: Bucket {
                    rate,
                    paid_at: Duration::ZERO,
                },
                deltas_waiting: 0,
                passed: 0,
            })
        });
        let piece = rate.map_or(usize::MAX, |rate| {
            usize::try_from(rate / BURST).unwrap_or(usize::MAX)
        });
        Self {
            queue,
            piece_bytes: piece,
            delta_left: Condvar::new(),
            begun: Instant::now(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Folds that wait or write end with an error from now on.
    pub(crate) fn close(&self) {
        // Release and acquire are not needed: nothing else is published through the flag.
        self.is_closed.store(true, Ordering::Relaxed);
        self.delta_left.notify_all();
    }

    /// Appends a delta's bytes as fast as the budget allows; sleeps on the caller's thread.
    ///
    /// # Errors
    /// The storage's; a part of the bytes may have been appended.
    pub(crate) fn append_delta(
        &self,
        segment: &mut dyn Segment,
        bytes: &[u8],
    ) -> Result<(), IoError> {
        let Some(queue) = &self.queue else {
            return segment.append(bytes);
        };
        for piece in bytes.chunks(self.piece_bytes) {
            let mut waiting = locked(queue);
            waiting.deltas_waiting += 1;
            waiting.passed = waiting.passed.saturating_add(1);
            let paid_at = waiting.bucket.take(piece.len() as u64, self.now());
            drop(waiting);
            std::thread::sleep(paid_at.saturating_sub(self.now()));
            locked(queue).deltas_waiting -= 1;
            self.delta_left.notify_all();
            segment.append(piece)?;
        }
        Ok(())
    }

    /// Appends an image's bytes behind the deltas.
    ///
    /// # Errors
    /// The storage's, and [`Error::Ended`] once the budget is closed.
    pub(crate) fn append_fold(&self, segment: &mut dyn Segment, bytes: &[u8]) -> Result<(), Error> {
        for piece in bytes.chunks(self.piece_bytes) {
            self.wait_for_deltas(piece.len() as u64)?;
            segment.append(piece)?;
        }
        Ok(())
    }

    fn wait_for_deltas(&self, bytes: u64) -> Result<(), Error> {
        let Some(queue) = &self.queue else {
            return self.check_open();
        };
        let mut waiting = locked(queue);
        waiting.passed = 0;
        while waiting.deltas_waiting > 0 && waiting.passed < PASSED_MAX {
            self.check_open()?;
            waiting = self
                .delta_left
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let paid_at = waiting.bucket.take(bytes, self.now());
        drop(waiting);
        std::thread::sleep(paid_at.saturating_sub(self.now()));
        self.check_open()
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(Error::Ended);
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 10 << 20;

    /// Takes pieces as fast as they are paid, from time to time with a pause, and gives the bytes
    /// and the time of each.
    fn paid(piece_bytes: u64, pause: Duration) -> Vec<(Duration, u64)> {
        let mut bucket = Bucket {
            rate: RATE,
            paid_at: Duration::ZERO,
        };
        let mut now = Duration::from_secs(5);
        let mut taken = Vec::new();
        while now < Duration::from_secs(9) {
            if taken.len() % 40 == 39 {
                now += pause;
            }
            now = now.max(bucket.take(piece_bytes, now));
            taken.push((now, piece_bytes));
        }
        taken
    }

    fn most_in_a_second(taken: &[(Duration, u64)]) -> u64 {
        let mut within = std::collections::VecDeque::new();
        let (mut bytes, mut most) = (0, 0);
        for piece in taken {
            within.push_back(piece);
            bytes += piece.1;
            while within[0].0 + Duration::from_secs(1) <= piece.0 {
                bytes -= within.pop_front().map_or(0, |gone| gone.1);
            }
            most = most.max(bytes);
        }
        most
    }

    #[test]
    fn no_second_holds_more_than_the_rate_and_a_twentieth() {
        for piece_bytes in [777, 4096, 100_003, RATE / BURST] {
            for pause_ms in [0, 3, 50, 400] {
                let taken = paid(piece_bytes, Duration::from_millis(pause_ms));
                let most = most_in_a_second(&taken);
                assert!(most <= RATE + RATE / 20, "{piece_bytes} {pause_ms}: {most}");
            }
        }
    }

    #[test]
    fn a_steady_writer_gets_its_whole_rate() {
        let taken = paid(100_003, Duration::ZERO);
        let least = taken.iter().map(|(_, bytes)| bytes).sum::<u64>() / 4;
        assert!(least >= RATE - RATE / 20, "{least}");
    }
}
