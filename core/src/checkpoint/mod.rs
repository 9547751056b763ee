//! Checkpoints: the protocol, the thread that coordinates it, the thread that writes, and the way
//! back.

mod assembly;
mod beginning;
#[cfg(test)]
mod bit_flip_tests;
mod budget;
mod coordinator;
mod due;
mod fold;
mod from_savepoint;
mod history;
mod identity;
mod keep;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod listener;
#[cfg(test)]
mod lying_tests;
mod mode;
mod names;
mod operator_match;
mod outlets;
mod phase;
#[cfg(test)]
mod phase_model_tests;
#[cfg(test)]
mod phase_tests;
mod preflight;
mod recovery;
mod report;
mod rescale;
mod restore;
mod restoring;
mod savepoint;
mod settings;
mod settings_record;
mod shard_watch;
mod stored;
mod template;
mod traced;
mod watch;
mod writer;

pub use coordinator::Ended;
pub use history::{CheckpointOutcome, CheckpointTrace, PhaseTime, ShardTrace};
pub use listener::{CheckpointEvent, CheckpointListener};
pub use mode::CheckpointMode;
pub use preflight::{Part, Preflight, PreflightLine, Verdict};
pub use report::{
    CheckpointReport, RecoveryReport, RestoredSplit, SavepointReport, SkippedCheckpoint,
};
pub use restore::RestoreMode;
pub use restoring::Restoring;
pub use settings::{CheckpointSettings, PastMaxAge};
pub use stored::{StoredCheckpoint, StoredCheckpoints};
pub use watch::DataAtRisk;

pub(crate) use beginning::{Choice, newest_checkpoint};
pub(crate) use budget::{RATE_MIN, WriteBudget};
pub(crate) use coordinator::{Asker, Coordinator, CoordinatorParts, Notice};
pub(crate) use fold::FoldJob;
pub(crate) use from_savepoint::{Savepoint, recover_from_savepoint};
pub(crate) use identity::JobIdentity;
pub(crate) use keep::KeepCommand;
pub(crate) use listener::Listening;
pub(crate) use operator_match::{flow_fingerprint, operator_entries};
pub(crate) use outlets::Outlets;
pub(crate) use recovery::{JobView, Recovered, preflight, recover};
pub(crate) use savepoint::{has_nothing_in_flight, write_savepoint};
pub(crate) use shard_watch::{OperatorOf, ShardWatch};
pub(crate) use stored::stored_checkpoints;
pub(crate) use template::ManifestTemplate;
pub(crate) use watch::Watch;
pub(crate) use writer::{Writer, WriterCommand, WriterParts};
