//! What one shard builds its stages from.

use frazil_io::runtime::Bell;
use frazil_state::{KeyGroups, Store};

use super::error::FlowError;
use super::record::{Record, RecordBatch};
use crate::checkpoint::CheckpointMode;
use crate::exchange::{ExchangeBatch, Receiver, ReceiverParts, Sender, ShardRings};
use crate::in_flight::{Channel, NewOwner, RestoredInFlight, RestoredQueue, Route};
use crate::source::Split;

/// Records in a batch that is made of restored ones.
const RESTORED_RECORDS_MAX: usize = 1024;

/// A split that a shard reads, and from where.
pub(crate) struct AssignedSplit {
    /// Operator number of its source.
    pub(crate) operator: u32,
    /// The split as its source planned it.
    pub(crate) split: Split,
    /// Where to read on; `None` = from the start.
    pub(crate) position: Option<Vec<u8>>,
    /// Whether the restored checkpoint has it as ended: it is not opened, only reported again.
    pub(crate) finished: bool,
}

/// One shard's part of a job while its stages are being built.
pub(crate) struct BuildContext<'a> {
    /// This shard.
    pub(crate) shard: usize,
    /// All shards.
    pub(crate) shard_count: usize,
    /// The job's key groups.
    pub(crate) key_groups: KeyGroups,
    /// Epoch of the records in front of the first barrier.
    pub(crate) first_epoch: u64,
    /// What checkpoints promise.
    pub(crate) mode: CheckpointMode,
    /// [`FlowPlan::operators`](super::FlowPlan::operators), to notice a closure that does something
    /// else here.
    pub(crate) operators: &'a [&'static str],
    /// The splits that this shard reads, of all sources.
    pub(crate) splits: Vec<AssignedSplit>,
    /// What was in flight at the restored checkpoint.
    pub(crate) in_flight: &'a RestoredInFlight,
    /// Indices of the stages that the restored checkpoint has as finished: they emit nothing again.
    pub(crate) finished_stages: &'a [u32],
    /// This shard's ends of all exchanges.
    pub(crate) rings: ShardRings,
    /// The bell of every shard, by shard.
    pub(crate) bells: &'a [Bell],
    /// The shard's state; tables are opened while building.
    pub(crate) store: &'a mut Store,
    /// Index of the stage that is being built; any number before that.
    pub(crate) stage: u32,
}

impl BuildContext<'_> {
    /// The bell to ring for what `shard` has to see; none for this shard, which is awake.
    fn bell_of(&self, shard: usize) -> Option<Bell> {
        (shard != self.shard).then(|| self.bells[shard].clone())
    }

    fn bells(&self) -> Vec<Option<Bell>> {
        (0..self.shard_count)
            .map(|shard| self.bell_of(shard))
            .collect()
    }

    fn record_differs<R: Record + ?Sized>(&self, exchange: usize) -> FlowError {
        FlowError::RecordDiffers {
            shard: self.shard,
            exchange,
            found: std::any::type_name::<R>(),
        }
    }

    pub(super) fn take_sender<R: Record + ?Sized>(
        &mut self,
        exchange: usize,
        route: Route,
    ) -> Result<Sender<R>, FlowError> {
        let outlets = self.rings.take_outlets::<R>(exchange);
        let outlets = outlets.ok_or_else(|| self.record_differs::<R>(exchange))?;
        Ok(Sender::new(
            outlets,
            self.bells(),
            self.key_groups,
            Channel::outbox(exchange),
            route,
        ))
    }

    /// One receiver for all these exchanges.
    pub(super) fn take_receiver<R: Record + ?Sized>(
        &mut self,
        exchanges: &[usize],
        route: Route,
    ) -> Result<Receiver<R>, FlowError> {
        let mut inputs = Vec::with_capacity(exchanges.len() * self.shard_count);
        for exchange in exchanges {
            let inlets = self.rings.take_inlets::<R>(*exchange);
            let inlets = inlets.ok_or_else(|| self.record_differs::<R>(*exchange))?;
            inputs.extend(inlets.into_iter().zip(self.bells()));
        }
        let parts = ReceiverParts {
            channel: Channel::received(exchanges[0]),
            route,
            shard: self.shard,
            restored: self.restored_batches::<R>(exchanges, route)?,
            restored_epoch: self.first_epoch - 1,
            is_loose: self.is_loose(),
        };
        Ok(Receiver::new(inputs.into_iter(), parts))
    }

    /// What was in flight to the stage behind these exchanges: what it had received, then what
    /// was in outboxes.
    fn restored_batches<R: Record + ?Sized>(
        &self,
        exchanges: &[usize],
        route: Route,
    ) -> Result<RestoredQueue<ExchangeBatch<R>>, FlowError> {
        let mut batches = RestoredQueue::<ExchangeBatch<R>>::default();
        let received = [Channel::received(exchanges[0])];
        let outboxes = exchanges.iter().map(|exchange| Channel::outbox(*exchange));
        for channel in received.into_iter().chain(outboxes) {
            self.restored_records::<R>(channel, route, |route, record| {
                let is_full = |last: &ExchangeBatch<R>| last.len() >= RESTORED_RECORDS_MAX;
                let batch = batches.open_batch(record.len(), is_full);
                batch.push_restored(route, record)
            })?;
        }
        Ok(batches)
    }

    /// Shows this shard's records of a channel to `take`, which says whether they are some.
    pub(super) fn restored_records<R: Record + ?Sized>(
        &self,
        channel: Channel,
        route: Route,
        take: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), FlowError> {
        let owner = NewOwner {
            shard: self.shard,
            shard_count: self.shard_count,
            key_groups: self.key_groups,
        };
        let visited = self
            .in_flight
            .visit(channel, R::Batch::types(), route, owner, take);
        visited.map_err(|found| FlowError::InFlight {
            records: std::any::type_name::<R>(),
            found,
        })
    }

    /// Whether inputs deliver while they wait for the barriers of others.
    pub(super) fn is_loose(&self) -> bool {
        self.mode == CheckpointMode::AtLeastOnce
    }

    pub(super) fn take_splits(&mut self, operator: u32) -> Vec<AssignedSplit> {
        self.splits
            .extract_if(.., |split| split.operator == operator)
            .collect()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished_stages.contains(&self.stage)
    }
}
