//! What a stage without a key takes its records from: local edges or rings.

use super::build_context::BuildContext;
use super::error::FlowError;
use super::local_edge::{LocalBatch, LocalMessage, SharedEdge};
use super::record::{Record, RecordBatch};
use crate::exchange::{InputState, Received, Receiver};
use crate::in_flight::{Channel, Recording, RestoredQueue, Route};

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

    /// Whether what was restored leaves room for more to be recorded.
    fn may_cut(&self) -> bool;

    /// The shard cuts: what lies in front of the barrier is to be recorded.
    fn cut(&mut self, epoch: u64);

    /// Records the rest of a batch in hand; true = done.
    fn record_in_hand(
        &self,
        batch: &Self::Batch,
        from: usize,
        recording: &mut Recording<'_>,
    ) -> bool;

    /// Records what is to be and has come; true = nothing more can come.
    fn record(&mut self, recording: &mut Recording<'_>) -> bool;

    fn stop_recording(&mut self);
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

    fn may_cut(&self) -> bool {
        Receiver::may_cut(self)
    }

    fn cut(&mut self, epoch: u64) {
        Receiver::cut(self, epoch);
    }

    fn record_in_hand(
        &self,
        batch: &Received<R>,
        from: usize,
        recording: &mut Recording<'_>,
    ) -> bool {
        Receiver::record_in_hand(self, batch, from, recording)
    }

    fn record(&mut self, recording: &mut Recording<'_>) -> bool {
        Receiver::record(self, recording)
    }

    fn stop_recording(&mut self) {
        Receiver::stop_recording(self);
    }
}

/// The far ends of one or more local edges.
pub(super) struct LocalInputs<R: Record + ?Sized> {
    inputs: Vec<LocalInput<R>>,
    /// Input to look at first.
    next: usize,
    /// Whether inputs deliver their batches also while they wait for the barriers of others.
    is_loose: bool,
    /// Delivered before anything else: what was in flight at the restored checkpoint.
    restored: RestoredQueue<LocalBatch<R>>,
    /// The last epoch at which the shard cut.
    cut_epoch: u64,
    channel: Channel,
    shard: u64,
    /// While something is to be recorded nothing is taken: batches that are recorded, of the
    /// restored ones and then of each input's queue.
    recorded: Option<Recorded>,
}

struct LocalInput<R: Record + ?Sized> {
    edge: SharedEdge<R>,
    state: InputState,
    /// Its barrier, or its end, had not come when the shard cut.
    was_open: bool,
}

/// How far the recording of local inputs has come.
#[derive(Default)]
struct Recorded {
    restored_count: usize,
    input: usize,
    message_count: usize,
}

impl<R: Record + ?Sized> LocalInputs<R> {
    pub(super) fn new(
        edges: impl Iterator<Item = SharedEdge<R>>,
        context: &BuildContext<'_>,
    ) -> Result<Self, FlowError> {
        let channel = Channel::Local(context.stage);
        let mut restored = RestoredQueue::<LocalBatch<R>>::default();
        context.restored_records::<R>(channel, Route::Shard, |_route, record| {
            let batch = restored.open_batch(record.len(), LocalBatch::is_full);
            batch.records.decode(record)
        })?;
        Ok(Self {
            inputs: edges
                .map(|edge| LocalInput {
                    edge,
                    state: InputState::Open,
                    was_open: false,
                })
                .collect(),
            next: 0,
            is_loose: context.is_loose(),
            restored,
            cut_epoch: context.first_epoch - 1,
            channel,
            shard: context.shard as u64,
            recorded: None,
        })
    }
}

impl<R: Record + ?Sized> StageInput<R> for LocalInputs<R> {
    /// Without an input if it came out of a checkpoint.
    type Batch = (Option<usize>, LocalBatch<R>);

    fn poll(&mut self) -> Option<Self::Batch> {
        if self.recorded.is_some() {
            return None;
        }
        if let Some(batch) = self.restored.pop() {
            return Some((None, batch));
        }
        for _ in 0..self.inputs.len() {
            let input = self.next;
            self.next = (input + 1) % self.inputs.len();
            let LocalInput { edge, state, .. } = &mut self.inputs[input];
            let mut edge = edge.borrow_mut();
            // Overtaken, the shard has cut already: what follows it comes next.
            while edge.pop_barrier_until(self.cut_epoch) {}
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
                Some(LocalMessage::Batch(batch)) => return Some((Some(input), batch)),
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
        if let Some(input) = input {
            self.inputs[input].edge.borrow_mut().recycle(spent);
        }
    }

    fn state(&self) -> InputState {
        if !self.restored.is_empty() {
            return InputState::Open;
        }
        let states = self.inputs.iter().map(|input| input.state);
        states.fold(InputState::Ended, InputState::and)
    }

    fn release(&mut self) {
        self.inputs
            .iter_mut()
            .for_each(|input| input.state.release());
    }

    fn may_cut(&self) -> bool {
        self.restored.may_cut()
    }

    fn cut(&mut self, epoch: u64) {
        self.cut_epoch = epoch;
        self.recorded = Some(Recorded::default());
        for input in &mut self.inputs {
            input.was_open = input.state == InputState::Open;
        }
    }

    fn record_in_hand(
        &self,
        (_, batch): &Self::Batch,
        from: usize,
        recording: &mut Recording<'_>,
    ) -> bool {
        recording.take::<R>(self.channel, &batch.records, from, |_| self.shard)
    }

    fn record(&mut self, recording: &mut Recording<'_>) -> bool {
        let Some(recorded) = &mut self.recorded else {
            return true;
        };
        let (channel, shard) = (self.channel, self.shard);
        let mut take =
            |batch: &LocalBatch<R>| recording.take::<R>(channel, &batch.records, 0, |_| shard);
        while let Some(batch) = self.restored.get(recorded.restored_count) {
            if !take(batch) {
                return false;
            }
            recorded.restored_count += 1;
        }
        while let Some(input) = self.inputs.get(recorded.input) {
            let edge = input.edge.borrow();
            let message = edge.get(recorded.message_count);
            match message.filter(|_| input.was_open) {
                Some(LocalMessage::Batch(batch)) if !take(batch) => return false,
                Some(LocalMessage::Barrier(epoch)) if *epoch == self.cut_epoch => {}
                Some(LocalMessage::Batch(_) | LocalMessage::Barrier(_)) => {
                    recorded.message_count += 1;
                    continue;
                }
                None | Some(LocalMessage::End) => {}
            }
            recorded.input += 1;
            recorded.message_count = 0;
        }
        self.recorded = None;
        true
    }

    fn stop_recording(&mut self) {
        self.recorded = None;
    }
}
