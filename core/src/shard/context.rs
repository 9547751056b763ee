//! What a stage may touch while it runs.

use frazil_state::Store;

use super::writer_link::WriterLink;
use crate::error::Error;
use crate::statistics::ShardStatistics;

/// One turn's view of the shard.
pub(crate) struct Context<'a> {
    /// The shard's keyed state.
    pub(crate) store: &'a mut Store,
    /// Where sinks put their rows.
    pub(crate) rows: &'a mut WriterLink,
    pub(crate) statistics: &'a mut ShardStatistics,
    /// The first failure; the loop ends the job after the turn in which it appears.
    pub(crate) failure: &'a mut Option<Error>,
    /// Sources are to give no records in this turn.
    pub(crate) sources_held: bool,
    /// Start of this turn, in ns since the job started.
    pub(crate) now_ns: u64,
    /// The processing time of this turn, in ms since 1970.
    pub(crate) now_ms: u64,
    /// When the records in hand entered the flow, in ns since the job started.
    pub(crate) stamp_ns: u64,
}

impl Context<'_> {
    /// Notes a failure; the first one counts. What the operators still do in this turn is discarded
    /// with the shard.
    #[cold]
    pub(crate) fn fail(&mut self, error: impl Into<Error>) {
        if self.failure.is_none() {
            *self.failure = Some(error.into());
        }
    }
}
