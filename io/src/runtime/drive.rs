//! One step of a pinned loop, the same for both drivers: they differ only in how they wait.

use std::task::Waker;
use std::thread;
use std::time::Duration;

use super::bell::{ArmedBell, Bell};
use super::idle::{IdlePolicy, IdleStep};
use super::turn::{PinnedLoop, Turn, TurnCounter};

/// Everything that a driver needs to build its loop on the pinned thread.
pub(super) struct Plan<F> {
    pub(super) bell: Bell,
    pub(super) turns: TurnCounter,
    pub(super) idle: IdlePolicy,
    pub(super) make: F,
}

/// What a driver does after a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Step again.
    Step,
    /// Wait until the waker is called, at most this long; then [`Drive::get_up`] and step again.
    Park(Duration),
    /// Drop the drive, with the loop in it.
    Done,
}

/// A loop together with its bell, counter and idle policy.
///
/// Fields are dropped in order: the loop first, so that it may still ring its own bell.
pub(super) struct Drive<L> {
    pinned_loop: L,
    bell: ArmedBell,
    turns: TurnCounter,
    idle: IdlePolicy,
}

impl<F> Plan<F> {
    /// Makes the loop; its bell wakes through `waker` from here until the drive is dropped.
    pub(super) fn build<L: PinnedLoop>(self, waker: Waker) -> Drive<L>
    where
        F: FnOnce() -> L,
    {
        let bell = self.bell.arm(waker);
        Drive {
            pinned_loop: (self.make)(),
            bell,
            turns: self.turns,
            idle: self.idle,
        }
    }
}

impl<L: PinnedLoop> Drive<L> {
    /// Turns the loop once; before a park twice, by the doorbell protocol.
    pub(super) fn step(&mut self) -> Next {
        match self.turn() {
            Turn::Busy => self.after_work(),
            Turn::Done => Next::Done,
            Turn::Idle => match self.idle.idle() {
                IdleStep::Spin => {
                    std::hint::spin_loop();
                    Next::Step
                }
                IdleStep::Yield => {
                    thread::yield_now();
                    Next::Step
                }
                IdleStep::Park(bound) => self.lie_down(bound),
                IdleStep::Rest(bound) => {
                    self.turns.set_resting(true);
                    self.lie_down(bound)
                }
            },
        }
    }

    /// Called when a park or a pause between steps has ended.
    pub(super) fn get_up(&mut self) {
        self.turns.set_resting(false);
        self.bell.get_up();
    }

    fn lie_down(&mut self, bound: Duration) -> Next {
        self.bell.lie_down();
        let next = match self.turn() {
            Turn::Busy => self.after_work(),
            Turn::Done => Next::Done,
            Turn::Idle if self.bell.is_asleep() => return Next::Park(bound),
            Turn::Idle => Next::Step,
        };
        self.get_up();
        next
    }

    fn turn(&mut self) -> Turn {
        self.turns.advance();
        self.pinned_loop.turn()
    }

    fn after_work(&mut self) -> Next {
        self.idle.busy();
        Next::Step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a fixed list of turns and rings its own bell in some of them.
    struct Script {
        turns: Vec<(Turn, bool)>,
        bell: Bell,
    }

    impl PinnedLoop for Script {
        fn turn(&mut self) -> Turn {
            let (turn, rings) = self.turns.remove(0);
            if rings {
                self.bell.ring();
            }
            turn
        }
    }

    fn steps(script: &[(Turn, bool)]) -> (Vec<Next>, u64) {
        let bell = Bell::new();
        let turns = TurnCounter::default();
        let pinned_loop = Script {
            turns: script.to_vec(),
            bell: bell.clone(),
        };
        let idle = IdlePolicy::parking_for(Duration::from_secs(9));
        let plan = Plan {
            bell,
            turns: turns.clone(),
            idle,
            make: || pinned_loop,
        };
        let mut drive = plan.build(Waker::noop().clone());
        let mut steps = Vec::new();
        while steps.last() != Some(&Next::Done) {
            steps.push(drive.step());
            drive.get_up();
        }
        (steps, turns.get())
    }

    const PARK: Next = Next::Park(Duration::from_secs(9));

    #[test]
    fn an_idle_loop_yields_then_parks_after_one_more_turn() {
        let idle = (Turn::Idle, false);
        let (steps, turn_count) = steps(&[idle, idle, idle, (Turn::Done, false)]);
        assert_eq!(steps, [Next::Step, PARK, Next::Done]);
        assert_eq!(turn_count, 4);
    }

    #[test]
    fn work_found_by_the_extra_turn_prevents_the_park() {
        let idle = (Turn::Idle, false);
        let (steps, _) = steps(&[idle, idle, (Turn::Busy, false), (Turn::Done, false)]);
        assert_eq!(steps, [Next::Step, Next::Step, Next::Done]);
    }

    #[test]
    fn a_ring_during_the_extra_turn_prevents_the_park() {
        let idle = (Turn::Idle, false);
        let (steps, _) = steps(&[idle, idle, (Turn::Idle, true), (Turn::Done, false)]);
        assert_eq!(steps, [Next::Step, Next::Step, Next::Done]);
    }
}
