//! What a job starts from.

/// Which state a start begins with; [`StartFrom::Newest`] unless
/// [`JobBuilder::start_from`](crate::JobBuilder::start_from) says otherwise. A restart after a
/// failure always begins with the job's own newest checkpoint.
///
/// A start from one of the job's older checkpoints, or from none, leaves newer ones behind: from
/// then on they count no more, whatever happens. Their files stay at least until the first new
/// checkpoint is durable, pinned ones until they are unpinned; until then removing the file
/// `abandoned-*` from the checkpoint directory brings them back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFrom {
    /// The newest whole checkpoint in the job's checkpoint directory. Damaged ones are skipped
    /// and reported, unless a sink cannot take back what it committed since. Without checkpoints
    /// the job begins with its input.
    #[default]
    Newest,
    /// This checkpoint in the job's checkpoint directory. It must be whole, and all sinks must be
    /// able to take back what they committed since.
    Checkpoint(u64),
    /// None: the job begins with its input, though there may be checkpoints. Sinks must have no
    /// output of an earlier run: move it away, or choose another folder.
    Fresh,
}
