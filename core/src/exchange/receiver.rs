//! The receiving half of exchanges on one shard: one input for each sending shard, and their
//! alignment. Several exchanges that end in one stage are nothing but more inputs.

use std::sync::atomic::{Ordering, fence};

use frazil_io::runtime::Bell;

use super::input_state::InputState;
use super::message::{ExchangeBatch, Message};
use super::rings::Inlet;
use crate::flow::Record;

/// Takes batches from all inputs in turn and knows which of them delivered the barrier.
pub(crate) struct Receiver<R: Record + ?Sized> {
    inputs: Vec<Input<R>>,
    /// Input to look at first.
    next: usize,
    /// Whether inputs deliver their batches also while they wait for the barriers of others.
    is_loose: bool,
}

/// A batch, and the input that it goes back to when it is spent.
pub(crate) struct Received<R: Record + ?Sized> {
    input: usize,
    pub(crate) batch: ExchangeBatch<R>,
}

struct Input<R: Record + ?Sized> {
    ring: Inlet<R>,
    /// The sending shard's bell; none for the own shard, which is awake.
    bell: Option<Bell>,
    state: InputState,
}

impl<R: Record + ?Sized> Receiver<R> {
    /// Takes the inlets of one or more exchanges, each with the bell of its sending shard.
    pub(crate) fn new(
        inlets: impl Iterator<Item = (Inlet<R>, Option<Bell>)>,
        is_loose: bool,
    ) -> Self {
        let inputs = inlets.map(|(ring, bell)| Input {
            ring,
            bell,
            state: InputState::Open,
        });
        Self {
            inputs: inputs.collect(),
            next: 0,
            is_loose,
        }
    }

    /// The next batch of an open input, or of a loose one; takes in barriers and ends on its way.
    /// None as soon as no input is open, so that the barrier is passed on then.
    pub(crate) fn poll(&mut self) -> Option<Received<R>> {
        for _ in 0..self.inputs.len() {
            let input = self.next;
            self.next = (input + 1) % self.inputs.len();
            let before = self.inputs[input].state;
            if let Some(batch) = self.inputs[input].poll(self.is_loose) {
                return Some(Received { input, batch });
            }
            if self.is_loose
                && self.inputs[input].state != before
                && self.state() != InputState::Open
            {
                return None;
            }
        }
        None
    }

    /// Whether inputs deliver beyond their barriers.
    pub(crate) fn is_loose(&self) -> bool {
        self.is_loose
    }

    /// Gives a spent batch's memory back to its sender.
    pub(crate) fn recycle(&mut self, received: Received<R>) {
        let Received { input, mut batch } = received;
        batch.clear();
        let input = &mut self.inputs[input];
        // A sender in a burst may own more batches than its ring takes back; the surplus is freed.
        let _ = input.ring.spent.push(batch);
        input.ring_if_first_spent();
    }

    /// What all inputs say together.
    pub(crate) fn state(&self) -> InputState {
        let states = self.inputs.iter().map(|input| input.state);
        states.fold(InputState::Ended, InputState::and)
    }

    /// Opens the inputs that were held.
    pub(crate) fn release(&mut self) {
        self.inputs
            .iter_mut()
            .for_each(|input| input.state.release());
    }
}

impl<R: Record + ?Sized> Input<R> {
    fn poll(&mut self, is_loose: bool) -> Option<ExchangeBatch<R>> {
        match self.state {
            InputState::Open => {}
            // What is no batch waits for the release.
            InputState::Held(_) if is_loose => {
                let Ok(Message::Batch(_)) = self.ring.messages.peek() else {
                    return None;
                };
            }
            InputState::Held(_) | InputState::Ended => return None,
        }
        let message = self.ring.messages.pop().ok()?;
        self.ring_if_full();
        match message {
            Message::Batch(batch) => return Some(batch),
            Message::Barrier(epoch) => self.state = InputState::Held(epoch),
            Message::End => self.state = InputState::Ended,
        }
        None
    }

    /// A sender parks with records in hand also if it found no spent batch: then this one is the
    /// first. The fence is as in `ring_if_full`.
    fn ring_if_first_spent(&self) {
        let Some(bell) = &self.bell else { return };
        fence(Ordering::SeqCst);
        let spent = &self.ring.spent;
        if spent.slots() + 1 >= spent.buffer().capacity() {
            bell.ring();
        }
    }

    /// A sender parks with messages in hand only if it found the ring full. The fence orders the
    /// slot just freed before this look at the ring: either we see the ring full and ring, or the
    /// sender's last turn before it parks sees the slot.
    fn ring_if_full(&self) {
        let Some(bell) = &self.bell else { return };
        fence(Ordering::SeqCst);
        if self.ring.messages.slots() + 1 >= self.ring.messages.buffer().capacity() {
            bell.ring();
        }
    }
}
