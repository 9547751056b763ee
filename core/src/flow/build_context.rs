//! What one shard builds its stages from.

use frazil_io::runtime::Bell;
use frazil_state::{KeyGroups, Store};

use super::error::FlowError;
use super::record::Record;
use crate::checkpoint::CheckpointMode;
use crate::exchange::{Receiver, Sender, ShardRings};
use crate::source::Split;

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
    ) -> Result<Sender<R>, FlowError> {
        let outlets = self.rings.take_outlets::<R>(exchange);
        let outlets = outlets.ok_or_else(|| self.record_differs::<R>(exchange))?;
        Ok(Sender::new(outlets, self.bells(), self.key_groups))
    }

    /// One receiver for all these exchanges.
    pub(super) fn take_receiver<R: Record + ?Sized>(
        &mut self,
        exchanges: &[usize],
    ) -> Result<Receiver<R>, FlowError> {
        let mut inputs = Vec::with_capacity(exchanges.len() * self.shard_count);
        for exchange in exchanges {
            let inlets = self.rings.take_inlets::<R>(*exchange);
            let inlets = inlets.ok_or_else(|| self.record_differs::<R>(*exchange))?;
            inputs.extend(inlets.into_iter().zip(self.bells()));
        }
        Ok(Receiver::new(inputs.into_iter(), self.is_loose()))
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
