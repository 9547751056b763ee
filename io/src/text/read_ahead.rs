//! The thread that fills blocks before they are asked for.
//!
//! Blocks travel in a circle: filled over one ring, used up over another. Neither side wakes the
//! other: the reader asks again in its next turn, and the thread looks after a pause. So a shard
//! makes no system call. The thread ends when everything was read, on the first error, or when the
//! reader is gone.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::TextError;
use super::block::Block;
use super::scan::{BLOCK_BYTES, Scanner};
use crate::runtime;

/// Blocks in the circle, one of them in the reader's hand: 1 MiB in all, some ms of work.
pub(super) const BLOCK_COUNT: usize = 4;

const PAUSE_MIN: Duration = Duration::from_millis(1);

/// A range that nobody reads for a while costs few wake-ups; below the time that the other blocks
/// last.
const PAUSE_MAX: Duration = Duration::from_millis(4);

/// What the thread hands over; nothing follows behind `End` and `Failed`.
pub(super) enum Delivery {
    Block(Block),
    End,
    Failed(TextError),
}

/// The reader's ends of the two rings.
pub(super) struct ReadAhead {
    pub(super) deliveries: Consumer<Delivery>,
    pub(super) used: Producer<Block>,
}

/// Starts the thread.
pub(super) fn start(scanner: Scanner) -> Result<ReadAhead, TextError> {
    // Neither ring can be full: one slot for every block, and one for what follows the last.
    let (filled, deliveries) = RingBuffer::new(BLOCK_COUNT + 1);
    let (used, returned) = RingBuffer::new(BLOCK_COUNT);
    let circle = Circle {
        scanner,
        spare_count: BLOCK_COUNT - 1,
        filled,
        returned,
    };
    thread::Builder::new()
        .name("frazil-read-ahead".to_owned())
        .spawn(move || circle.run())
        .map_err(|error| TextError::Thread {
            source: Arc::new(error),
        })?;
    Ok(ReadAhead { deliveries, used })
}

struct Circle {
    scanner: Scanner,
    /// Blocks that were not made yet; the reader brings one of its own.
    spare_count: usize,
    filled: Producer<Delivery>,
    returned: Consumer<Block>,
}

impl Circle {
    fn run(mut self) {
        leave_the_shards_cpu();
        let mut pause = PAUSE_MIN;
        while !self.filled.is_abandoned() {
            let Some(block) = self.next_block() else {
                thread::sleep(pause);
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            };
            pause = PAUSE_MIN;
            let delivery = self.fill(block);
            let is_last = !matches!(delivery, Delivery::Block(_));
            self.filled
                .push(delivery)
                .unwrap_or_else(|_| panic!("the ring has a slot for every block and one more"));
            if is_last {
                return;
            }
        }
    }

    fn next_block(&mut self) -> Option<Block> {
        if let Ok(block) = self.returned.pop() {
            return Some(block);
        }
        self.spare_count = self.spare_count.checked_sub(1)?;
        Some(Block::default())
    }

    fn fill(&mut self, mut block: Block) -> Delivery {
        block.shrink_to(BLOCK_BYTES);
        match self.scanner.fill(&mut block) {
            Ok(()) if block.has_line() => Delivery::Block(block),
            Ok(()) => Delivery::End,
            Err(error) => Delivery::Failed(error),
        }
    }
}

/// A thread inherits the CPU of the shard that starts it, and would take turns with it there.
fn leave_the_shards_cpu() {
    let mut cpus = CpuSet::new();
    for index in runtime::available_cpus()
        .iter()
        .filter_map(|cpu| cpu.index())
    {
        if index < CpuSet::MAX_CPU {
            cpus.set(index);
        }
    }
    if cpus.count() > 0 {
        // Where this is refused the thread is slower, and right all the same.
        let _ = sched_setaffinity(None, &cpus);
    }
}
