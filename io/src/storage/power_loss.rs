//! What a crash leaves of a simulated disk: seeded, and never kinder than a real file system.
//!
//! * Durable names and synced bytes always survive.
//! * A change of names survives as a whole or not at all. Half of the seeds keep a prefix of the
//!   changes, as a journal does; the others choose each change by itself, but only if all earlier
//!   changes of the same names were taken, so that a name shows one of the values it had.
//! * Of an unsynced tail everything, nothing or a torn part survives: cut anywhere, each disk
//!   sector as written, as zeros, or as whatever the disk held before.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::memory_disk::{Content, Disk, Names};
use super::random::SplitMix64;

/// The unit that a disk writes whole.
const SECTOR_BYTES: usize = 512;

/// Of a reservation this much shows after a crash: enough to mislead a reader that trusts lengths,
/// and bounded for tests that reserve gigabytes.
const RESERVATION_SHOWN_BYTES_MAX: usize = 64 << 10;

/// The disk after the power came back; `seed` decides everything that is up to chance.
pub(super) fn after_power_loss(disk: &Disk, seed: u64) -> Disk {
    let mut dice = SplitMix64::new(seed);
    let names = surviving_names(disk, &mut dice);
    let mut survivor = disk.clone();
    for file in names.values() {
        let content = survivor
            .files
            .get_mut(file)
            .expect("every name has its file");
        *content = surviving_content(content, &mut dice);
    }
    survivor.visible = names;
    survivor.sync_names();
    survivor
}

/// The disk after the process died: the operating system still has everything, synced or not, but
/// for what the process itself had not given it yet.
pub(super) fn after_process_crash(disk: &Disk) -> Disk {
    let mut survivor = disk.clone();
    for content in survivor.files.values_mut() {
        let shown_bytes = shown_bytes(content);
        if shown_bytes > content.bytes.len() {
            Arc::make_mut(&mut content.bytes).resize(shown_bytes, 0);
        }
        if content.is_buffered && content.synced_bytes < content.bytes.len() {
            Arc::make_mut(&mut content.bytes)[content.synced_bytes..].fill(0);
        }
        content.reserved_bytes = 0;
    }
    survivor
}

fn surviving_names(disk: &Disk, dice: &mut SplitMix64) -> Names {
    let mut names = disk.durable.clone();
    let mut undone = BTreeSet::new();
    let has_journal = dice.coin();
    let journalled_count = dice.below(disk.pending.len() + 1);
    for (index, change) in disk.pending.iter().enumerate() {
        let is_chosen = if has_journal {
            index < journalled_count
        } else {
            dice.coin()
        };
        if is_chosen && !change.touched().any(|name| undone.contains(name)) {
            change.apply(&mut names);
        } else {
            undone.extend(change.touched());
        }
    }
    names
}

fn surviving_content(content: &Content, dice: &mut SplitMix64) -> Content {
    let synced_bytes = content.synced_bytes;
    let mut bytes = Vec::clone(&content.bytes);
    match dice.below(4) {
        0 => {}
        1 => bytes.truncate(synced_bytes),
        _ => {
            let unsynced_bytes = shown_bytes(content) - synced_bytes;
            bytes.resize(synced_bytes + dice.below(unsynced_bytes + 1), 0);
            tear(&mut bytes, synced_bytes, dice);
        }
    }
    Content {
        synced_bytes: bytes.len(),
        bytes: Arc::new(bytes),
        reserved_bytes: 0,
        is_buffered: false,
    }
}

/// Decides for each sector at or behind `synced_bytes` what the disk holds.
fn tear(bytes: &mut [u8], synced_bytes: usize, dice: &mut SplitMix64) {
    let mut start = synced_bytes;
    while start < bytes.len() {
        let end = (start + 1).next_multiple_of(SECTOR_BYTES).min(bytes.len());
        match dice.below(4) {
            0 => bytes[start..end].fill(0),
            1 => bytes[start..end].fill_with(|| dice.next().to_le_bytes()[0]),
            _ => {}
        }
        start = end;
    }
}

/// The length that a crash may show: written bytes, and the reservation behind them.
fn shown_bytes(content: &Content) -> usize {
    let written_bytes = content.bytes.len();
    let reserved_bytes = usize::try_from(content.reserved_bytes).unwrap_or(usize::MAX);
    reserved_bytes.clamp(written_bytes, written_bytes + RESERVATION_SHOWN_BYTES_MAX)
}
