//! The receiving half of exchanges on one shard: one input for each sending shard, and their
//! alignment. Several exchanges that end in one stage are nothing but more inputs.

use std::sync::atomic::{Ordering, fence};

use frazil_io::runtime::Bell;

use super::input_state::InputState;
use super::message::{ExchangeBatch, Message};
use super::rings::Inlet;
use crate::flow::Record;
use crate::in_flight::{Channel, Recording, RestoredQueue, Route};

/// Takes batches from all inputs in turn and knows which of them delivered the barrier.
pub(crate) struct Receiver<R: Record + ?Sized> {
    inputs: Vec<Input<R>>,
    /// Input to look at first.
    next: usize,
    /// Whether inputs deliver their batches also while they wait for the barriers of others.
    is_loose: bool,
    /// Delivered before anything else: what was in flight at the restored checkpoint.
    restored: RestoredQueue<ExchangeBatch<R>>,
    /// Last ones of the restored batches that are still to be recorded.
    unrecorded_count: usize,
    /// The last epoch at which the shard cut.
    cut_epoch: u64,
    channel: Channel,
    route: Route,
    shard: u64,
}

/// Whose records a receiver takes.
pub(crate) struct ReceiverParts<R: Record + ?Sized> {
    pub(crate) channel: Channel,
    pub(crate) route: Route,
    pub(crate) shard: usize,
    pub(crate) restored: RestoredQueue<ExchangeBatch<R>>,
    pub(crate) restored_epoch: u64,
    pub(crate) is_loose: bool,
}

/// A batch, and the input that it goes back to when it is spent.
pub(crate) struct Received<R: Record + ?Sized> {
    /// None if it came out of a checkpoint.
    input: Option<usize>,
    pub(crate) batch: ExchangeBatch<R>,
}

struct Input<R: Record + ?Sized> {
    ring: Inlet<R>,
    /// The sending shard's bell; none for the own shard, which is awake.
    bell: Option<Bell>,
    state: InputState,
    /// Messages taken ever.
    taken: u64,
    /// Messages recorded or not to be, of all that the ring ever had: at least as many as were
    /// taken, while `is_recording`.
    recorded: u64,
    /// The sender's cut of the epoch at which the shard cut was not reached yet.
    is_recording: bool,
}

impl<R: Record + ?Sized> Receiver<R> {
    /// Takes the inlets of one or more exchanges, each with the bell of its sending shard.
    pub(crate) fn new(
        inlets: impl Iterator<Item = (Inlet<R>, Option<Bell>)>,
        parts: ReceiverParts<R>,
    ) -> Self {
        let inputs = inlets.map(|(ring, bell)| Input {
            ring,
            bell,
            state: InputState::Open,
            taken: 0,
            recorded: 0,
            is_recording: false,
        });
        Self {
            inputs: inputs.collect(),
            next: 0,
            is_loose: parts.is_loose,
            restored: parts.restored,
            unrecorded_count: 0,
            cut_epoch: parts.restored_epoch,
            channel: parts.channel,
            route: parts.route,
            shard: parts.shard as u64,
        }
    }

    /// The next batch of an open input, or of a loose one; takes in barriers and ends on its way.
    /// None as soon as no input is open, so that the barrier is passed on then.
    pub(crate) fn poll(&mut self) -> Option<Received<R>> {
        if !self.restored.is_empty() {
            let batch = match self.unrecorded_count {
                0 => self.restored.pop(),
                _ => None,
            };
            return batch.map(|batch| Received { input: None, batch });
        }
        for _ in 0..self.inputs.len() {
            let input = self.next;
            self.next = (input + 1) % self.inputs.len();
            let before = self.inputs[input].state;
            if let Some(batch) = self.inputs[input].poll(self.is_loose, self.cut_epoch) {
                let input = Some(input);
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
        let Some(input) = input.map(|input| &mut self.inputs[input]) else {
            return;
        };
        // A sender in a burst may own more batches than its ring takes back; the surplus is freed.
        let _ = input.ring.spent.push(batch);
        input.ring_if_first_spent();
    }

    /// What all inputs say together.
    pub(crate) fn state(&self) -> InputState {
        if !self.restored.is_empty() {
            return InputState::Open;
        }
        let states = self.inputs.iter().map(|input| input.state);
        states.fold(InputState::Ended, InputState::and)
    }

    /// Whether what was restored leaves room for more to be recorded.
    pub(crate) fn may_cut(&self) -> bool {
        self.restored.may_cut()
    }

    /// The shard cuts: what lies in front of the barrier in inputs that did not deliver it is to be
    /// recorded.
    pub(crate) fn cut(&mut self, epoch: u64) {
        self.cut_epoch = epoch;
        self.unrecorded_count = self.restored.len();
        for input in &mut self.inputs {
            input.is_recording = input.state == InputState::Open;
            input.recorded = input.taken;
        }
    }

    /// Records the rest of a batch in hand; true = done.
    pub(crate) fn record_in_hand(
        &self,
        received: &Received<R>,
        from: usize,
        recording: &mut Recording<'_>,
    ) -> bool {
        let batch = &received.batch;
        let route = |index: usize| batch.route(index, self.route, self.shard);
        recording.take::<R>(self.channel, &batch.records, from, route)
    }

    /// Records what is to be and has come; true = nothing more can come.
    pub(crate) fn record(&mut self, recording: &mut Recording<'_>) -> bool {
        let (channel, route, shard) = (self.channel, self.route, self.shard);
        let take = |batch: &ExchangeBatch<R>, recording: &mut Recording<'_>| {
            let route = |index: usize| batch.route(index, route, shard);
            recording.take::<R>(channel, &batch.records, 0, route)
        };
        while self.unrecorded_count > 0 {
            let index = self.restored.len() - self.unrecorded_count;
            let batch = self.restored.get(index).expect("none is taken before");
            if !take(batch, recording) {
                return false;
            }
            self.unrecorded_count -= 1;
        }
        let mut is_done = true;
        for input in &mut self.inputs {
            is_done &= input.record(recording, take);
        }
        is_done
    }

    /// Nothing more is to be recorded.
    pub(crate) fn stop_recording(&mut self) {
        self.unrecorded_count = 0;
        self.inputs
            .iter_mut()
            .for_each(|input| input.is_recording = false);
    }

    /// Opens the inputs that were held.
    pub(crate) fn release(&mut self) {
        self.inputs
            .iter_mut()
            .for_each(|input| input.state.release());
    }
}

impl<R: Record + ?Sized> Input<R> {
    fn poll(&mut self, is_loose: bool, cut_epoch: u64) -> Option<ExchangeBatch<R>> {
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
        while self.may_take(cut_epoch) {
            let message = self.ring.messages.pop().ok()?;
            self.taken += 1;
            self.ring_if_full();
            match message {
                Message::Batch(batch) => return Some(batch),
                // Overtaken: the shard has cut already.
                Message::Barrier(epoch) if epoch <= cut_epoch => continue,
                Message::Barrier(epoch) => self.state = InputState::Held(epoch),
                Message::End => self.state = InputState::Ended,
            }
            return None;
        }
        None
    }

    /// Whether the next message is there and may be taken: not before it was recorded, and not
    /// from behind a cut at which this shard did not cut yet; the overtaking barrier is seen here.
    #[inline]
    fn may_take(&mut self, cut_epoch: u64) -> bool {
        // The message first, then the word: see `CutWord`.
        if self.ring.messages.is_empty() || (self.is_recording && self.taken == self.recorded) {
            return false;
        }
        let epoch = self.ring.cut.epoch();
        if epoch > cut_epoch && self.ring.cut.message_count() == self.taken {
            self.state = InputState::Held(epoch);
            return false;
        }
        true
    }

    /// Records messages up to the barrier, the end or the sender's cut; true if one was reached.
    fn record(
        &mut self,
        recording: &mut Recording<'_>,
        take: impl Fn(&ExchangeBatch<R>, &mut Recording<'_>) -> bool,
    ) -> bool {
        while self.is_recording {
            // The look at the ring before the word, as in `may_take`: with a message from behind a
            // cut the cut is seen. Without one what is in front of it may come only now.
            let ahead = usize::try_from(self.recorded - self.taken).expect("within the ring");
            let messages = self.ring.messages.read_chunk(ahead + 1);
            let is_cut = self.ring.cut.epoch() == recording.epoch();
            if is_cut && self.ring.cut.message_count() <= self.recorded {
                self.is_recording = false;
                break;
            }
            let Ok(messages) = messages else {
                return false;
            };
            let (first, second) = messages.as_slices();
            let message = first.get(ahead).or_else(|| second.get(ahead - first.len()));
            match message.expect("the chunk has as many") {
                Message::Batch(batch) if !take(batch, recording) => return false,
                Message::Barrier(epoch) if *epoch == recording.epoch() => self.is_recording = false,
                Message::End => self.is_recording = false,
                Message::Batch(_) | Message::Barrier(_) => {}
            }
            self.recorded += 1;
        }
        true
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
