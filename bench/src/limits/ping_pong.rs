//! The least time from one core to another: two pinned threads over bounded rings.

use crate::probe::cpus::{cpus, on_cpu};
use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};
use std::thread;
use std::time::Instant;

/// Round trips that are timed together, so that the clock's cost does not count.
const ROUND_TRIPS_TIMED: u32 = 64;
/// Longer times, in tenths of ns, count as one second.
const TIME_MAX: u64 = 10_000_000_000;

/// Half round trips of a word over two rings, in tenths of ns, each the mean of 64; `None` with
/// fewer than two CPUs.
///
/// # Panics
///
/// Never: the rings hold what is under way.
#[must_use]
pub fn half_round_trips(block_count: u32) -> Option<Histogram<u64>> {
    if cpus().len() < 2 {
        return None;
    }
    let (to_other, at_other) = RingBuffer::new(64);
    let (to_self, at_self) = RingBuffer::new(64);
    let echo = move || echo(at_other, to_self);
    let measure = move || measure(block_count, to_other, at_self);
    Some(thread::scope(|scope| {
        scope.spawn(|| on_cpu(1, echo));
        on_cpu(0, measure)
    }))
}

fn measure(
    block_count: u32,
    mut to_other: Producer<u64>,
    mut at_self: Consumer<u64>,
) -> Histogram<u64> {
    let mut times = Histogram::new_with_bounds(1, TIME_MAX, 3).expect("the bounds are valid");
    for block in 0..block_count {
        let begun = Instant::now();
        for _ in 0..ROUND_TRIPS_TIMED {
            to_other.push(1).expect("one word is under way at a time");
            while at_self.pop().is_err() {
                std::hint::spin_loop();
            }
        }
        let tenths = begun.elapsed().as_nanos() * 10 / u128::from(2 * ROUND_TRIPS_TIMED);
        // The first blocks find the other thread still starting.
        if block >= block_count / 10 {
            times.saturating_record(u64::try_from(tenths).unwrap_or(u64::MAX));
        }
    }
    times
}

/// Sends back whatever comes, until the other side is gone.
fn echo(mut from: Consumer<u64>, mut to: Producer<u64>) {
    loop {
        match from.pop() {
            Ok(word) => {
                let _ = to.push(word);
            }
            Err(_) if from.is_abandoned() => return,
            Err(_) => std::hint::spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ping_pong_comes_to_an_end() {
        if let Some(times) = half_round_trips(20) {
            assert_eq!(times.len(), 18);
            assert!(times.min() > 0);
        }
    }
}
