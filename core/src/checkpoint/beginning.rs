//! What a job begins with: which of its own checkpoints count, and which it leaves behind.
//!
//! Going on from an older checkpoint than the newest, or from none, makes a second history in one
//! directory. Which one counts is decided by one file: `abandoned-M-N` takes the checkpoints after
//! N up to M out of the history. It is published when the chosen state is restored and verified,
//! before a sink takes anything back:
//!
//! * a crash before it leaves everything as it was;
//! * a crash after it leads to N, or to no checkpoint, as had been chosen.
//!
//! Numbers only rise, so the next checkpoint is beyond M and counts. What was abandoned stays in
//! the directory at least until then, pinned checkpoints until they are unpinned; the file goes
//! when nothing is left in its range.

use std::ops::RangeInclusive;

use frazil_io::storage::Storage;

use super::names;
use crate::error::Error;

/// Which of the checkpoints in a directory to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The newest whole one; none if there is none.
    Newest,
    /// This one, which must be whole.
    Checkpoint(u64),
    /// None.
    Fresh,
}

/// The checkpoints of a directory as far as they count, in ascending order.
pub(crate) struct Known {
    pub(super) checkpoints: Vec<u64>,
    /// Ranges that do not count.
    abandoned: Vec<RangeInclusive<u64>>,
    /// The largest number of all manifests.
    newest: Option<u64>,
}

impl Known {
    /// By the names in the directory.
    pub(super) fn new(names: &[String]) -> Self {
        let ranges = names.iter().filter_map(|name| names::abandoned_by(name));
        let abandoned: Vec<_> = ranges.collect();
        let mut checkpoints: Vec<u64> = names
            .iter()
            .filter_map(|name| names::checkpoint_of(name))
            .collect();
        let newest = checkpoints.iter().copied().max();
        checkpoints.retain(|n| !abandoned.iter().any(|range| range.contains(n)));
        checkpoints.sort_unstable();
        Self {
            checkpoints,
            abandoned,
            newest,
        }
    }

    /// Leaves out what is newer than the choice; gives what counted until now.
    ///
    /// # Errors
    /// [`Error::UnknownCheckpoint`].
    pub(super) fn choose(&mut self, choice: Choice) -> Result<Vec<u64>, Error> {
        let kept = match choice {
            Choice::Newest => return Ok(Vec::new()),
            Choice::Checkpoint(chosen) if !self.checkpoints.contains(&chosen) => {
                return Err(Error::UnknownCheckpoint {
                    checkpoint: chosen,
                    kept: std::mem::take(&mut self.checkpoints),
                });
            }
            Choice::Checkpoint(chosen) => chosen,
            Choice::Fresh => 0,
        };
        let older = self.checkpoints.partition_point(|n| *n <= kept);
        Ok(self.checkpoints.split_off(older))
    }

    /// True where checkpoints that were abandoned after `restored` have no successor yet.
    pub(super) fn keeps_abandoned(&self, restored: u64) -> bool {
        self.abandoned.iter().any(|range| *range.end() > restored)
    }

    /// True if a checkpoint was taken out of the history.
    pub(super) fn is_abandoned(&self, checkpoint: u64) -> bool {
        self.abandoned
            .iter()
            .any(|range| range.contains(&checkpoint))
    }

    /// Takes everything after `kept` out of the history, durably.
    ///
    /// # Errors
    /// The storage's; then it may or may not have happened.
    pub(super) fn abandon(&mut self, storage: &dyn Storage, kept: u64) -> Result<String, Error> {
        let newest = self.newest.expect("there is something to abandon");
        let name = names::abandoned(newest, kept);
        tracing::warn!(kept, newest, "newer checkpoints are left behind");
        storage.publish(&name, b"a start from an older checkpoint was chosen\n")?;
        self.abandoned.push(kept + 1..=newest);
        Ok(name)
    }
}

/// Number of the newest checkpoint that counts, by the names in a directory.
pub(crate) fn newest_checkpoint(names: &[String]) -> Option<u64> {
    Known::new(names).checkpoints.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(checkpoints: &[u64], abandoned: &[(u64, u64)]) -> Vec<String> {
        let manifests = checkpoints.iter().map(|n| names::manifest(*n));
        let ranges = abandoned
            .iter()
            .map(|(newest, kept)| names::abandoned(*newest, *kept));
        manifests.chain(ranges).collect()
    }

    #[test]
    fn abandoned_checkpoints_do_not_count_and_later_ones_do() {
        let newest = |checkpoints, abandoned| newest_checkpoint(&names(checkpoints, abandoned));
        assert_eq!(newest(&[3, 5, 9], &[]), Some(9));
        assert_eq!(newest(&[3, 5, 9], &[(9, 3)]), Some(3));
        assert_eq!(newest(&[3, 5, 9], &[(9, 0)]), None);
        assert_eq!(newest(&[3, 5, 9, 10], &[(9, 3)]), Some(10));
        assert_eq!(newest(&[3, 5, 9, 10], &[(9, 3), (10, 3)]), Some(3));
    }

    #[test]
    fn a_choice_leaves_what_is_newer_behind_and_must_exist() {
        let mut known = Known::new(&names(&[3, 5, 9], &[]));
        assert!(known.choose(Choice::Newest).unwrap().is_empty());
        let refused = known.choose(Choice::Checkpoint(4));
        assert!(matches!(
            refused,
            Err(Error::UnknownCheckpoint { checkpoint: 4, .. })
        ));
        let mut known = Known::new(&names(&[3, 5, 9], &[]));
        assert_eq!(known.choose(Choice::Checkpoint(3)).unwrap(), [5, 9]);
        assert_eq!(known.checkpoints, [3]);
        let mut known = Known::new(&names(&[3, 5, 9], &[(9, 5)]));
        assert_eq!(known.choose(Choice::Fresh).unwrap(), [3, 5]);
        assert!(known.keeps_abandoned(5) && !known.keeps_abandoned(10));
    }
}
