//! What the shard loop sees of a stage.

use crate::in_flight::FlightStep;
use crate::shard::Context;

/// What one slice of a stage came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    /// Nothing could be done before input, room or a release arrives from outside.
    Waiting,
    /// Input was taken or output handed on: another slice may find more.
    Worked,
    /// As many records were taken as a slice takes at most: more are likely to wait.
    Full,
}

impl Progress {
    pub(super) fn of(worked: bool) -> Self {
        if worked { Self::Worked } else { Self::Waiting }
    }

    /// Of a slice that took input, with the number of records that it had room for at its end.
    pub(super) fn of_input(room: usize) -> Self {
        if room == 0 { Self::Full } else { Self::Worked }
    }
}

/// Where one split of a source stood at a barrier: what a checkpoint needs to read on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SplitPosition {
    /// Operator number of the source.
    pub(crate) operator: u32,
    /// The split's id in its source's plan.
    pub(crate) split_id: u64,
    /// The split's description in its source's plan.
    pub(crate) description: Vec<u8>,
    /// Position after the last record in front of the barrier.
    pub(crate) position: Vec<u8>,
    /// Whether the split had ended.
    pub(crate) finished: bool,
}

/// What lies between two exchanges on one shard: an input, a chain of operators, a tail.
pub(crate) trait Stage {
    /// One bounded slice: hands on leftovers, then takes input while there is room.
    fn run(&mut self, cx: &mut Context<'_>) -> Progress;

    /// At a source: notes every split's position and emits the barrier. After a `last` one no
    /// record follows. Other stages get their barriers from their inputs.
    fn inject(&mut self, epoch: u64, last: bool, cx: &mut Context<'_>);

    /// At a source: its input ends where it is, for good.
    fn drain(&mut self) {}

    /// Whether barrier `epoch` was seen on all inputs and passed on. A stage that is aligned on its
    /// inputs takes no input until [`Stage::release`]. A finished one is aligned on every later
    /// barrier, one that is about to finish only then: so a stage behind an exchange is finished at
    /// a checkpoint on all shards or on none.
    fn is_aligned(&self, epoch: u64) -> bool;

    /// Ends the alignment, after the shard's freeze.
    fn release(&mut self);

    /// Whether the shard may cut now, whatever barriers have come: not while final records are
    /// being emitted or keys of a walk are in hand, nor while too much is there that was in flight
    /// at the restored checkpoint. A stage that may not is not aligned.
    fn may_cut(&self) -> bool;

    /// The shard cuts at its freeze: the barrier is passed on, if it was not yet, and what lies in
    /// front of it in hand, in queues and in outboxes is recorded from now on.
    fn cut(&mut self, epoch: u64, cx: &mut Context<'_>);

    /// Does a step for the records in flight; true = nothing is left to record. What is not
    /// recorded yet is neither taken nor handed on.
    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool;

    /// Whether the stage is restored with nothing to do but pass its end on: as
    /// [`Stage::is_finished`], and also while what it emitted last is in flight.
    fn is_done(&self) -> bool;

    /// Whether it has emitted final records, all of them.
    fn has_emitted_finals(&self) -> bool;

    /// Whether all inputs ended, the final records are emitted and everything is handed on.
    fn is_finished(&self) -> bool;

    /// Positions noted at the last injection; empty if this is no source.
    fn positions(&self) -> &[SplitPosition];

    /// Number of the stage in the flow by the end of its declaration: upstream before downstream,
    /// unless a side output was completed before the stream that it branches off from.
    fn index(&self) -> u32;
}
