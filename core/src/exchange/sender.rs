//! The sending half of an exchange on one shard.

use std::collections::VecDeque;

use frazil_io::runtime::Bell;
use frazil_state::{KeyGroups, KeyHash};
use rtrb::PushError;

use super::message::{ExchangeBatch, Message};
use super::rings::Outlet;
use crate::flow::Record;

/// From this many queued messages for one target on, the stage takes no more input.
pub(super) const OUTBOX_MESSAGES: usize = 2;

/// Sorts records by the shard that owns their key and hands them over in batches.
///
/// On the way to each target, in this order: ring, outbox (only when the ring is full), open batch.
pub(crate) struct Sender<R: Record + ?Sized> {
    key_groups: KeyGroups,
    targets: Vec<Target<R>>,
}

struct Target<R: Record + ?Sized> {
    ring: Outlet<R>,
    /// None for the own shard, which is awake.
    bell: Option<Bell>,
    outbox: VecDeque<Message<R>>,
    open: ExchangeBatch<R>,
    /// Whether messages were handed over since the bell was last rung.
    owes_ring: bool,
}

impl<R: Record + ?Sized> Sender<R> {
    pub(crate) fn new(
        outlets: Vec<Outlet<R>>,
        bells: Vec<Option<Bell>>,
        key_groups: KeyGroups,
    ) -> Self {
        let targets = outlets.into_iter().zip(bells).map(|(ring, bell)| Target {
            ring,
            bell,
            outbox: VecDeque::with_capacity(2 * OUTBOX_MESSAGES),
            open: ExchangeBatch::default(),
            owes_ring: false,
        });
        Self {
            key_groups,
            targets: targets.collect(),
        }
    }

    /// Takes one record, which entered the flow at `stamp_ns`.
    #[inline]
    pub(crate) fn push(&mut self, hash: KeyHash, record: R::Ref<'_>, stamp_ns: u64) {
        let shard = self.key_groups.shard_of(hash, self.targets.len());
        let target = &mut self.targets[shard];
        target.open.push(hash, record, stamp_ns);
        if target.open.is_full() {
            target.close();
            target.hand_over();
        }
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.targets
            .iter()
            .all(|target| target.outbox.len() < OUTBOX_MESSAGES)
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
        // While the ring is full the open batch goes on filling, so the outbox never queues small
        // batches.
        if !self.open.is_empty() && self.outbox.is_empty() && !self.ring.messages.is_full() {
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

    /// Moves the open batch to the outbox and opens another one, if possible a spent one.
    fn close(&mut self) {
        let next = self.ring.spent.pop().unwrap_or_default();
        let full = std::mem::replace(&mut self.open, next);
        self.outbox.push_back(Message::Batch(full));
    }

    /// Moves messages from the outbox to the ring while it has slots.
    fn hand_over(&mut self) {
        while let Some(message) = self.outbox.pop_front() {
            if let Err(PushError::Full(message)) = self.ring.messages.push(message) {
                self.outbox.push_front(message);
                return;
            }
            self.owes_ring = true;
        }
    }
}
