//! Names of the files in a checkpoint directory; the only place that makes or reads them.

use std::ops::RangeInclusive;

const MANIFEST: &str = "manifest-";
const DELTA: &str = "delta-";
const IMAGE: &str = "image-";
const PIN: &str = "pin-";
const DAMAGED: &str = "damaged-";
const ABANDONED: &str = "abandoned-";

/// Manifest of a checkpoint; ten digits keep names in numeric order.
pub(crate) fn manifest(checkpoint: u64) -> String {
    format!("{MANIFEST}{checkpoint:010}")
}

/// Delta segment of an epoch.
pub(crate) fn delta(epoch: u64) -> String {
    format!("{DELTA}{epoch:010}")
}

/// Image of one shard at an epoch.
pub(crate) fn image(epoch: u64, shard: u16) -> String {
    format!("{IMAGE}{epoch:010}-{shard:03}")
}

/// Says that the user keeps a checkpoint.
pub(crate) fn pin(checkpoint: u64) -> String {
    format!("{PIN}{checkpoint:010}")
}

/// The checkpoint that a pin's name keeps.
pub(crate) fn pinned_by(name: &str) -> Option<u64> {
    name.strip_prefix(PIN)?.parse().ok()
}

/// Note that a checkpoint was found damaged after it had been restored by mapping.
pub(crate) fn damaged(checkpoint: u64) -> String {
    format!("{DAMAGED}{checkpoint:010}")
}

/// True for the names that [`damaged`] makes.
pub(crate) fn is_damage_note(name: &str) -> bool {
    name.starts_with(DAMAGED)
}

/// Says that the checkpoints after `kept` up to `newest` are no part of the job's history any more.
pub(crate) fn abandoned(newest: u64, kept: u64) -> String {
    format!("{ABANDONED}{newest:010}-{kept:010}")
}

/// The checkpoints that a name made by [`abandoned`] takes out of the history.
pub(crate) fn abandoned_by(name: &str) -> Option<RangeInclusive<u64>> {
    let (newest, kept) = name.strip_prefix(ABANDONED)?.split_once('-')?;
    let kept: u64 = kept.parse().ok()?;
    Some(kept.checked_add(1)?..=newest.parse().ok()?)
}

/// Number of the checkpoint that a manifest's name promises.
pub(crate) fn checkpoint_of(name: &str) -> Option<u64> {
    name.strip_prefix(MANIFEST)?.parse().ok()
}

/// Epoch in the name of any file that the engine makes.
pub(crate) fn epoch_of(name: &str) -> Option<u64> {
    let (_, rest) = [MANIFEST, DELTA, IMAGE, PIN, DAMAGED, ABANDONED]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix).map(|rest| (prefix, rest)))?;
    rest.split('-').next()?.parse().ok()
}

/// True for files that the engine makes and may remove, unfinished publishes included.
pub(crate) fn is_ours(name: &str) -> bool {
    let name = name.strip_prefix(".tmp-").unwrap_or(name);
    epoch_of(name).is_some()
}

/// File id of a delta segment: its epoch, which no image id equals.
pub(crate) fn delta_id(epoch: u64) -> u64 {
    epoch << 16
}

/// File id of an image: epoch and shard.
pub(crate) fn image_id(epoch: u64, shard: u16) -> u64 {
    (epoch << 16) | (u64::from(shard) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_their_epoch_and_foreign_files_are_not_ours() {
        assert_eq!(checkpoint_of(&manifest(42)), Some(42));
        let files = [manifest(7), delta(7), image(7, 3), pin(7)];
        for name in files.into_iter().chain([damaged(7), abandoned(7, 3)]) {
            assert_eq!(epoch_of(&name), Some(7));
            assert!(is_ours(&name) && is_ours(&format!(".tmp-{name}")));
        }
        assert!(!is_ours("notes.txt") && !is_ours("manifest-of-mine"));
        assert_eq!(checkpoint_of(&delta(7)), None);
        assert_eq!(
            (pinned_by(&pin(7)), pinned_by(&manifest(7))),
            (Some(7), None)
        );
        assert_eq!(abandoned_by(&abandoned(7, 3)), Some(4..=7));
        assert_eq!(abandoned_by("abandoned-7"), None);
    }
}
