//! What a stage without a key takes its records from: local edges or rings.

use super::local_edge::{LocalBatch, LocalMessage, SharedEdge};
use super::record::Record;
use crate::exchange::{InputState, Received, Receiver};

/// Where batches of records come from.
pub(super) trait StageInput<R: Record + ?Sized>: 'static {
    /// Goes back through [`StageInput::recycle`] when it is spent.
    type Batch;

    /// The next batch of an open input, or of a loose one; takes in barriers and ends on its way.
    /// None as soon as no input is open, so that the barrier is passed on then.
    fn poll(&mut self) -> Option<Self::Batch>;

    fn records(batch: &Self::Batch) -> &R::Batch;

    fn stamp_ns(batch: &Self::Batch) -> u64;

    fn recycle(&mut self, spent: Self::Batch);

    /// What all inputs say together.
    fn state(&self) -> InputState;

    /// Opens the inputs that are held at a barrier.
    fn release(&mut self);
}

impl<R: Record + ?Sized> StageInput<R> for Receiver<R> {
    type Batch = Received<R>;

    fn poll(&mut self) -> Option<Received<R>> {
        Receiver::poll(self)
    }

    fn records(batch: &Received<R>) -> &R::Batch {
        &batch.batch.records
    }

    fn stamp_ns(batch: &Received<R>) -> u64 {
        batch.batch.stamp_ns
    }

    fn recycle(&mut self, spent: Received<R>) {
        Receiver::recycle(self, spent);
    }

    fn state(&self) -> InputState {
        Receiver::state(self)
    }

    fn release(&mut self) {
        Receiver::release(self);
    }
}

/// The far ends of one or more local edges.
pub(super) struct LocalInputs<R: Record + ?Sized> {
    inputs: Vec<(SharedEdge<R>, InputState)>,
    /// Input to look at first.
    next: usize,
    /// Whether inputs deliver their batches also while they wait for the barriers of others.
    is_loose: bool,
}

impl<R: Record + ?Sized> LocalInputs<R> {
    pub(super) fn new(edges: impl Iterator<Item = SharedEdge<R>>, is_loose: bool) -> Self {
        Self {
            inputs: edges.map(|edge| (edge, InputState::Open)).collect(),
            next: 0,
            is_loose,
        }
    }
}

impl<R: Record + ?Sized> StageInput<R> for LocalInputs<R> {
    type Batch = (usize, LocalBatch<R>);

    fn poll(&mut self) -> Option<Self::Batch> {
        for _ in 0..self.inputs.len() {
            let input = self.next;
            self.next = (input + 1) % self.inputs.len();
            let (edge, state) = &mut self.inputs[input];
            let mut edge = edge.borrow_mut();
            // What is no batch waits for the release.
            let may_take = match state {
                InputState::Open => true,
                InputState::Held(_) => self.is_loose && edge.has_batch(),
                InputState::Ended => false,
            };
            if !may_take {
                continue;
            }
            match edge.pop() {
                None => continue,
                Some(LocalMessage::Batch(batch)) => return Some((input, batch)),
                Some(LocalMessage::Barrier(epoch)) => *state = InputState::Held(epoch),
                Some(LocalMessage::End) => *state = InputState::Ended,
            }
            drop(edge);
            if self.is_loose && self.state() != InputState::Open {
                return None;
            }
        }
        None
    }

    fn records((_, batch): &Self::Batch) -> &R::Batch {
        &batch.records
    }

    fn stamp_ns((_, batch): &Self::Batch) -> u64 {
        batch.stamp_ns
    }

    fn recycle(&mut self, (input, spent): Self::Batch) {
        self.inputs[input].0.borrow_mut().recycle(spent);
    }

    fn state(&self) -> InputState {
        let states = self.inputs.iter().map(|(_, state)| *state);
        states.fold(InputState::Ended, InputState::and)
    }

    fn release(&mut self) {
        self.inputs
            .iter_mut()
            .for_each(|(_, state)| state.release());
    }
}
