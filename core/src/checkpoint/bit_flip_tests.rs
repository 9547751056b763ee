//! Every bit of a small checkpoint, flipped: an image, the deltas behind it and the manifest.
//!
//! Two steps, since a restore takes a thousand times as long as a look at a page. First, for every
//! bit of every file: the step of a restore that reads this place refuses it. Second, for a sample
//! of the bits: a restore to its end, eager or mapped and verified as a job does it, is refused
//! with damage (behind which recovery tries an older checkpoint) or another version, or its content
//! is equal to what was there.

use std::sync::{Arc, Mutex, mpsc};

use frazil_io::storage::{MemoryStorage, Storage};
use frazil_state::format::{FormatError, Manifest};
use frazil_state::{DumpRecord, KeyGroups, PAGE_BYTES, StagingSize, StoreConfig};

use super::recovery::{is_damage, read_manifest};
use super::restore::{RestoreMode, VerifiedImage, read_segment, restore_shards};
use super::restoring::RestoringJob;
use super::{names, newest_checkpoint};
use crate::error::Error;
use crate::statistics::CheckpointStatistics;
use crate::{ChannelSink, Checkpoints, Cores, DriverChoice, Flow, Iter, Job, Out, Tuning};

/// Bits from one flip to the next where each is a restore to its end; odd, so that all places of a
/// bit in its byte come.
const RESTORE_STRIDE: usize = 397;
const DELTAS_MIN: usize = 2;
const STAGING: StagingSize = StagingSize {
    chunk_count: 4,
    chunk_bytes: 16 << 10,
};

/// A checkpoint in memory, and what it holds.
pub(super) struct Whole {
    pub(super) disk: MemoryStorage,
    pub(super) manifest: Manifest,
    dump: Vec<DumpRecord>,
    /// Of all mapped restores together.
    statistics: Mutex<CheckpointStatistics>,
}

/// A flow that keeps a state of each kind, all of them small but for one value in a page run.
fn declare(flow: &Flow, sink: &ChannelSink<u64>) {
    flow.source(Iter::new(|split, count| (split as u64..).step_by(count)))
        .key_by_value(|number| number % 3)
        .process(
            |states| {
                let large = states.value::<Vec<u8>>("large");
                let map = states.map::<u64, u64>("map");
                let list = states.list::<u64>("list");
                (
                    states.value::<u64>("count"),
                    large,
                    map,
                    list,
                    states.timers("timers"),
                )
            },
            |(count, large, map, list, timers), number, cx, _out: &mut Out<u64>| {
                count.update(cx, &0, |count| *count += 1)?;
                map.put(cx, &(number % 4), number)?;
                timers.set(cx, u64::MAX - number % 4)?;
                if number % 4 == 0 {
                    list.clear(cx)?;
                }
                list.push(cx, number)?;
                if *cx.key() == 0 {
                    let byte = number.to_le_bytes()[0];
                    large.put(cx, &vec![byte; 5_000])?;
                }
                Ok(())
            },
        )
        .sink(sink.clone());
}

fn newest(disk: &MemoryStorage) -> Manifest {
    let names = disk.list().expect("memory lists");
    let newest = newest_checkpoint(&names).expect("there is one");
    read_manifest(disk, newest).expect("whole")
}

fn is_complete(manifest: &Manifest) -> bool {
    manifest.shards[0].image.is_some() && manifest.segments.len() >= DELTAS_MIN
}

impl Whole {
    /// A job makes checkpoints until one has an image and deltas.
    pub(super) fn new() -> Self {
        let disk = MemoryStorage::new();
        let job = Job::builder("flipped")
            .restart(crate::RestartStrategy::None)
            .cores(Cores::count(1))
            .key_groups(1)
            .checkpoints(
                Checkpoints::manual()
                    .keep(1)
                    .storage(Arc::new(disk.clone())),
            )
            .driver(DriverChoice::Thread)
            .state_bytes_per_shard(64 << 20)
            .tuning(Tuning {
                fold_chain_bytes_min: 8 << 10,
                ..Tuning::default()
            })
            .build()
            .expect("valid");
        let (sink, _received) = ChannelSink::new();
        let handle = job.start(move |flow| declare(flow, &sink)).expect("starts");
        while {
            handle.checkpoint().expect("durable");
            !is_complete(&newest(&disk))
        } {}
        let manifest = newest(&disk);
        // The job goes on on a disk that nobody looks at any more.
        let disk = disk.after_process_crash();
        handle.stop();
        handle.wait().expect("stops well");
        let mut whole = Self {
            disk,
            manifest,
            dump: Vec::new(),
            statistics: Mutex::new(CheckpointStatistics::new()),
        };
        let (dump, _) = whole
            .restore(&whole.disk, RestoreMode::Eager)
            .expect("whole");
        whole.dump = dump;
        whole
    }

    /// The files of the checkpoint and their lengths in bits.
    fn files(&self) -> Vec<(String, usize)> {
        let image = self.manifest.shards[0].image.iter();
        let deltas = self.manifest.segments.iter();
        let names = std::iter::once(names::manifest(self.manifest.checkpoint))
            .chain(image.map(|image| image.file.clone()))
            .chain(deltas.map(|delta| delta.file.clone()));
        let bits = |name: &String| 8 * self.disk.open(name).expect("exists").length_bytes();
        names
            .map(|name| (name.clone(), usize::try_from(bits(&name)).expect("small")))
            .collect()
    }

    pub(super) fn config() -> StoreConfig {
        StoreConfig {
            key_groups: KeyGroups::new(1),
            budget_bytes: StoreConfig::budget_for_pages(64, STAGING),
            staging: STAGING,
            ..StoreConfig::default()
        }
    }

    /// What a job would begin with, once everything is verified, and whether something was mapped.
    fn restore(
        &self,
        disk: &MemoryStorage,
        mode: RestoreMode,
    ) -> Result<(Vec<DumpRecord>, bool), Error> {
        let checkpoint = self.manifest.checkpoint;
        let manifest = read_manifest(disk, checkpoint)?;
        let restored = restore_shards(disk, &manifest, &[Self::config()], mode)?;
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let restoring = RestoringJob::new(storage, checkpoint, restored.unverified);
        let is_mapped = restoring.is_some();
        if let Some(job) = restoring {
            let (notices, _coordinator) = mpsc::channel();
            job.run(&notices, &self.statistics)?;
        }
        let store = &restored.stores[0];
        store.verify().expect("what is restored is sound");
        let dump = store.dump().expect("verified");
        Ok((dump, is_mapped))
    }

    /// Reads as much of a file as vouches for one of its bits, the way that every restore goes.
    fn read(&self, disk: &MemoryStorage, name: &str, bit: usize) -> Result<(), Error> {
        if let Some(segment) = self.manifest.segments.iter().find(|s| s.file == name) {
            return read_segment(disk, segment, |_| true, |_, _| Ok(()));
        }
        match &self.manifest.shards[0].image {
            Some(image) if image.file == name => {
                let page_id = u32::try_from(bit / 8 / PAGE_BYTES).expect("few");
                let image = VerifiedImage::open(disk, image, 0)?;
                image.read_page(page_id, &mut [0; PAGE_BYTES])
            }
            _ => read_manifest(disk, self.manifest.checkpoint).map(|_| ()),
        }
    }

    /// What was found is damage, behind which an older checkpoint is tried, or another version,
    /// which refuses the start; asserts that the checkpoint is equal where nothing was found.
    fn finds(&self, disk: &MemoryStorage, mode: RestoreMode, case: &str) -> bool {
        let error = match self.restore(disk, mode) {
            Ok((dump, _)) => {
                assert!(dump == self.dump, "{case}: a wrong answer");
                return false;
            }
            Err(Error::DamagedRestore { source, .. }) if mode == RestoreMode::Mapped => *source,
            Err(error) => error,
        };
        assert!(is_expected(&error), "{case}: {error}");
        true
    }

    /// Calls `look` after each flip, on as many threads as there are cores.
    fn flip(
        &self,
        name: &str,
        bits: impl Iterator<Item = usize> + Clone + Send,
        look: impl Fn(&MemoryStorage, usize) + Sync,
    ) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let bits = bits.clone().skip(thread).step_by(threads);
                let look = &look;
                scope.spawn(move || {
                    let disk = self.disk.after_process_crash();
                    for bit in bits {
                        disk.flip_bit(name, bit as u64);
                        look(&disk, bit);
                        disk.flip_bit(name, bit as u64);
                    }
                });
            }
        });
    }
}

fn is_expected(error: &Error) -> bool {
    is_damage(error) || matches!(error, Error::Format(FormatError::Version { .. }))
}

#[test]
fn the_checkpoint_has_an_image_deltas_and_tables_of_each_kind() {
    let whole = Whole::new();
    let mut tables: Vec<&str> = whole.dump.iter().map(|record| &*record.table).collect();
    tables.dedup();
    assert_eq!(tables.len(), 5, "{tables:?}");
    let longest = whole.dump.iter().map(|record| record.value.len()).max();
    assert!(longest > Some(PAGE_BYTES), "a value lies in a page run");
    assert!(is_complete(&whole.manifest));
    let mapped = whole.restore(&whole.disk, RestoreMode::Mapped);
    let (dump, is_mapped) = mapped.expect("whole");
    assert!(is_mapped && dump == whole.dump);
}

/// All bytes of all files are under a checksum, so no flip is harmless.
#[test]
fn no_flipped_bit_is_read() {
    let whole = Whole::new();
    for (name, bits) in whole.files() {
        whole.flip(&name, 0..bits, |disk, bit| {
            let read = whole.read(disk, &name, bit);
            let error = read.expect_err("every bit is vouched for");
            assert!(is_expected(&error), "{name} bit={bit}: {error}");
        });
    }
}

#[test]
fn no_flipped_bit_gives_a_wrong_answer() {
    let whole = Whole::new();
    for mode in [RestoreMode::Eager, RestoreMode::Mapped] {
        for (name, bits) in whole.files() {
            let sampled = (0..bits).step_by(RESTORE_STRIDE);
            whole.flip(&name, sampled, |disk, bit| {
                let case = format!("{name} bit={bit} {mode:?}");
                assert!(whole.finds(disk, mode, &case), "{case}: not found");
            });
        }
    }
}

#[test]
fn no_missing_byte_or_file_gives_a_wrong_answer() {
    let whole = Whole::new();
    for mode in [RestoreMode::Eager, RestoreMode::Mapped] {
        for (name, bits) in whole.files() {
            let length = bits / 8;
            // Around the boundaries of headers, entries, lines, tables and pages, and to the ends.
            let step = if name.starts_with("image-") { 1024 } else { 16 };
            let around = |at: usize| at.saturating_sub(1)..=at + 1;
            let cuts = (0..length).step_by(step).chain([length]).flat_map(around);
            for kept in cuts.filter(|kept| *kept < length) {
                let disk = whole.disk.after_process_crash();
                disk.truncate(&name, kept as u64);
                let case = format!("{name} cut to {kept} {mode:?}");
                assert!(whole.finds(&disk, mode, &case), "{case}: not found");
            }
            let disk = whole.disk.after_process_crash();
            disk.remove(&name).expect("memory removes");
            let case = format!("{name} is missing {mode:?}");
            assert!(whole.finds(&disk, mode, &case), "{case}: not found");
        }
    }
}
