//! The sending half of an exchange on one shard.

use std::collections::VecDeque;

use frazil_io::runtime::Bell;
use frazil_state::{KeyGroups, KeyHash};
use rtrb::PushError;

use super::message::{ExchangeBatch, Message};
use super::rings::Outlet;
use crate::flow::Record;
use crate::in_flight::{Channel, FlightStep, Recording, Route};

/// From this many queued messages for one target on, the stage takes no more input.
pub(super) const OUTBOX_MESSAGES: usize = 2;

/// Sorts records by the shard that owns their key and hands them over in batches.
///
/// On the way to each target, in this order: ring, outbox (only when the ring is full), open batch.
/// There is room as long as each target has a spare batch behind its open one.
pub(crate) struct Sender<R: Record + ?Sized> {
    key_groups: KeyGroups,
    channel: Channel,
    route: Route,
    targets: Vec<Target<R>>,
}

struct Target<R: Record + ?Sized> {
    ring: Outlet<R>,
    /// None for the own shard, which is awake.
    bell: Option<Bell>,
    outbox: VecDeque<Message<R>>,
    /// Without memory of its own where a barrier closed the one before and no batch was spent.
    open: ExchangeBatch<R>,
    /// Takes the open one's place.
    spare: Option<ExchangeBatch<R>>,
    /// Whether messages were handed over since the bell was last rung.
    owes_ring: bool,
    /// Messages handed over ever.
    handed_over: u64,
    /// The last barrier handed over.
    barrier: u64,
    /// First messages of the outbox that lie in front of a cut and stay until they are recorded;
    /// `recorded_count` of them are.
    cut_count: usize,
    recorded_count: usize,
}

impl<R: Record + ?Sized> Sender<R> {
    pub(crate) fn new(
        outlets: Vec<Outlet<R>>,
        bells: Vec<Option<Bell>>,
        key_groups: KeyGroups,
        channel: Channel,
        route: Route,
    ) -> Self {
        let targets = outlets
            .into_iter()
            .zip(bells)
            .map(|(mut ring, bell)| Target {
                open: ring.spent.pop().unwrap_or_default(),
                spare: ring.spent.pop().ok(),
                ring,
                bell,
                outbox: VecDeque::with_capacity(2 * OUTBOX_MESSAGES),
                owes_ring: false,
                handed_over: 0,
                barrier: 0,
                cut_count: 0,
                recorded_count: 0,
            });
        Self {
            key_groups,
            channel,
            route,
            targets: targets.collect(),
        }
    }

    /// Takes one record, which entered the flow at `stamp_ns`, for the shard that owns its key.
    #[inline]
    pub(crate) fn push(&mut self, hash: KeyHash, record: R::Ref<'_>, stamp_ns: u64) {
        let shard = self.key_groups.shard_of(hash, self.targets.len());
        self.push_to(shard, hash, record, stamp_ns);
    }

    /// Takes one record for a shard.
    #[inline]
    pub(crate) fn push_to(
        &mut self,
        shard: usize,
        hash: KeyHash,
        record: R::Ref<'_>,
        stamp_ns: u64,
    ) {
        let target = &mut self.targets[shard];
        target.open.push(hash, record, stamp_ns);
        if target.open.is_full(target.ring.plan) {
            target.close();
            target.hand_over();
        }
    }

    /// Cuts every ring whose barrier, or end, is still in the outbox.
    fn cut(&mut self, epoch: u64) {
        for target in &mut self.targets {
            target.cut(epoch);
        }
    }

    /// Does a step for what lies in the outboxes in front of a cut; true = nothing is left of it.
    pub(crate) fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        match step {
            FlightStep::Cut(epoch) => self.cut(*epoch),
            FlightStep::Record(recording) => return self.record(recording),
            FlightStep::Stop => self.targets.iter_mut().for_each(Target::forget_cut),
        }
        true
    }

    fn record(&mut self, recording: &mut Recording<'_>) -> bool {
        let (channel, route) = (self.channel, self.route);
        for (shard, target) in (0..).zip(&mut self.targets) {
            while target.recorded_count < target.cut_count {
                if let Message::Batch(batch) = &target.outbox[target.recorded_count] {
                    let route = |index: usize| batch.route(index, route, shard);
                    if !recording.take::<R>(channel, &batch.records, 0, route) {
                        return false;
                    }
                }
                target.recorded_count += 1;
            }
            target.forget_cut();
        }
        true
    }

    /// How many shards it sends to.
    pub(crate) fn target_count(&self) -> usize {
        self.targets.len()
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.targets
            .iter()
            .all(|target| target.outbox.len() < OUTBOX_MESSAGES && target.spare.is_some())
    }

    /// Hands over what the rings take; true = nothing is left.
    pub(crate) fn publish(&mut self) -> bool {
        let mut is_empty = true;
        for target in &mut self.targets {
            is_empty &= target.publish();
        }
        is_empty
    }

    /// Puts a barrier behind everything that was pushed.
    pub(crate) fn barrier(&mut self, epoch: u64) {
        for target in &mut self.targets {
            // One that is still here was overtaken, and its checkpoint is over.
            let is_barrier = |message: &Message<R>| matches!(message, Message::Barrier(_));
            target.outbox.retain(|message| !is_barrier(message));
        }
        self.enqueue(|| Message::Barrier(epoch));
    }

    /// Puts the end behind everything that was pushed.
    pub(crate) fn end(&mut self) {
        self.enqueue(|| Message::End);
    }

    fn enqueue(&mut self, message: impl Fn() -> Message<R>) {
        for target in &mut self.targets {
            if !target.open.is_empty() {
                target.close();
            }
            target.outbox.push_back(message());
            target.publish();
        }
    }
}

impl<R: Record + ?Sized> Target<R> {
    fn publish(&mut self) -> bool {
        self.hand_over();
        self.take_spare();
        // While the ring is full the open batch goes on filling, so the outbox never queues small
        // batches.
        if !self.open.is_empty()
            && self.spare.is_some()
            && self.outbox.is_empty()
            && !self.ring.messages.is_full()
        {
            self.close();
            self.hand_over();
        }
        if std::mem::take(&mut self.owes_ring)
            && let Some(bell) = &self.bell
        {
            bell.ring();
        }
        self.open.is_empty() && self.outbox.is_empty()
    }

    /// Moves the open batch to the outbox and opens the spare one. Where there is none (records of
    /// one run that multiplied, or a barrier) the next one has no memory yet.
    fn close(&mut self) {
        self.take_spare();
        let next = self.spare.take().unwrap_or_default();
        let full = std::mem::replace(&mut self.open, next);
        self.outbox.push_back(Message::Batch(full));
        self.take_spare();
    }

    fn take_spare(&mut self) {
        if self.spare.is_none() {
            self.spare = self.ring.spent.pop().ok();
        }
        if self.open.hashes.capacity() == 0
            && let Some(spare) = self.spare.take()
        {
            self.open = spare;
            self.spare = self.ring.spent.pop().ok();
        }
    }

    /// Moves messages from the outbox to the ring while it has slots.
    fn hand_over(&mut self) {
        if self.cut_count > 0 {
            return;
        }
        while let Some(message) = self.outbox.pop_front() {
            let barrier = match message {
                Message::Barrier(epoch) => epoch,
                Message::Batch(_) | Message::End => self.barrier,
            };
            if let Err(PushError::Full(message)) = self.ring.messages.push(message) {
                self.outbox.push_front(message);
                return;
            }
            self.barrier = barrier;
            self.handed_over += 1;
            self.owes_ring = true;
        }
    }

    /// The open batch is empty: a barrier or the end has closed it, or stands behind the cut.
    fn cut(&mut self, epoch: u64) {
        if self.barrier == epoch {
            return;
        }
        let is_barrier =
            |message: &Message<R>| matches!(message, Message::Barrier(own) if *own == epoch);
        let front = self.outbox.iter().position(is_barrier);
        self.cut_count = front.unwrap_or(self.outbox.len());
        self.ring.cut.cut(epoch, self.handed_over);
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }

    fn forget_cut(&mut self) {
        (self.cut_count, self.recorded_count) = (0, 0);
    }
}
