//! Random lives of a checkpoint directory, with a crash at every storage operation.
//!
//! The story: whatever a crash cuts off, every manifest that is left has its files, the newest
//! durable checkpoint and those that the user pinned are among them, and what nothing needs is gone
//! once later checkpoints were retired.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use frazil_io::IoError;
use frazil_io::storage::{FaultPlan, FaultyStorage, MemoryStorage, Storage};
use frazil_state::format::{
    ImageEntry, Manifest, SegmentEntry, ShardEntry, archive_layout, encode,
};
use frazil_state::{HASH_ID, HASH_SEED};
use proptest::prelude::*;

use super::ledger::Ledger;
use super::names;
use super::recovery::read_manifest;

const SHARDS: u16 = 2;
const KEEP: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Step {
    Checkpoint,
    /// A checkpoint whose delta is written and given up.
    Dropped,
    BeginFold,
    EndFold,
    FailFold,
    /// One of the kept checkpoints, by place.
    Pin(usize),
    Unpin(usize),
    Hold,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Checkpoint),
        1 => Just(Step::Dropped),
        2 => Just(Step::BeginFold),
        2 => Just(Step::EndFold),
        1 => Just(Step::FailFold),
        2 => (0..4usize).prop_map(Step::Pin),
        2 => (0..4usize).prop_map(Step::Unpin),
        1 => Just(Step::Hold),
        1 => Just(Step::Release),
    ]
}

/// What the user was told; a pin that failed may hold or not.
#[derive(Clone, Debug, Default)]
struct Told {
    durable: Option<u64>,
    pinned: BTreeMap<u64, bool>,
}

/// A directory with its ledger, as the writer uses them.
struct World {
    disk: MemoryStorage,
    storage: FaultyStorage,
    ledger: Ledger,
    epoch: u64,
    folding: Option<u64>,
    held: Vec<u64>,
    told: Told,
}

impl World {
    /// Recovers what is on the disk.
    fn open(disk: MemoryStorage, plan: FaultPlan, told: Told) -> Self {
        let names = disk.list().expect("lists");
        let epochs = names.iter().filter_map(|name| names::epoch_of(name));
        let epoch = epochs.max().unwrap_or(0);
        let manifests = manifests(&disk);
        let ledger = match manifests.last() {
            Some(newest) => Ledger::recovered(&manifests, newest, KEEP),
            None => Ledger::new(usize::from(SHARDS), KEEP),
        };
        let ledger = ledger.with_notes(&names);
        ledger.sweep(&disk).expect("sweeps");
        Self {
            storage: FaultyStorage::new(Arc::new(disk.clone()), plan),
            disk,
            ledger,
            epoch,
            folding: None,
            held: Vec::new(),
            told,
        }
    }

    fn write(&self, name: &str) -> Result<(), IoError> {
        let mut file = self.storage.create(name, 0)?;
        file.append(name.as_bytes())?;
        file.sync()
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Checkpoint => self.checkpoint(),
            Step::Dropped => {
                self.epoch += 1;
                let name = names::delta(self.epoch);
                if self.write(&name).is_ok() {
                    // What cannot be removed is left to the next sweep.
                    let _ = self.storage.remove(&name);
                }
            }
            Step::BeginFold if self.folding.is_none() && !self.ledger.segments().is_empty() => {
                self.ledger.begin_fold(self.epoch);
                self.folding = Some(self.epoch);
            }
            Step::EndFold | Step::FailFold => self.end_fold(matches!(step, Step::EndFold)),
            Step::Pin(place) => self.pin(place),
            Step::Unpin(place) => self.unpin(place),
            Step::Hold => self.held.extend(self.ledger.hold_newest()),
            Step::Release => {
                if let Some(held) = self.held.pop() {
                    self.ledger.release(held);
                }
            }
            Step::BeginFold => {}
        }
    }

    fn checkpoint(&mut self) {
        self.epoch += 1;
        let (epoch, name) = (self.epoch, names::delta(self.epoch));
        if self.write(&name).is_err() {
            let _ = self.storage.remove(&name);
            return;
        }
        let mut segments = self.ledger.segments().to_vec();
        segments.push(SegmentEntry {
            file: name.clone(),
            file_id: names::delta_id(epoch),
            epoch,
            length_bytes: 0,
            frame_count: 0,
        });
        let manifest = manifest(epoch, self.ledger.images(), segments);
        match self
            .storage
            .publish(&names::manifest(epoch), &encode(&manifest))
        {
            Ok(()) => {
                self.ledger.durable(&manifest);
                self.told.durable = Some(epoch);
                // What is left is removed next time.
                let _ = self.ledger.retire(&self.storage);
            }
            Err(error) if error.is_undecided() => self.ledger.undecided(&manifest),
            Err(_) => drop(self.storage.remove(&name)),
        }
    }

    fn end_fold(&mut self, succeeds: bool) {
        let Some(epoch) = self.folding.take() else {
            return;
        };
        let image = |shard| ImageEntry {
            file: names::image(epoch, shard),
            file_id: names::image_id(epoch, shard),
            epoch,
            page_count: 0,
            length_bytes: 64,
        };
        let mut written = (0..SHARDS).try_for_each(|shard| self.write(&image(shard).file));
        written = written.and_then(|()| self.storage.sync_directory());
        let is_done = written.is_ok() && succeeds;
        self.ledger
            .end_fold(is_done.then(|| (0..SHARDS).map(image).collect()));
    }

    fn pin(&mut self, place: usize) {
        let Some(checkpoint) = self.manifest_at(place) else {
            return;
        };
        let pinned = self.ledger.pin(&self.storage, checkpoint).is_ok();
        self.told.pinned.insert(checkpoint, pinned);
    }

    fn unpin(&mut self, place: usize) {
        let Some(checkpoint) = self.manifest_at(place) else {
            return;
        };
        self.told.pinned.insert(checkpoint, false);
        if self.ledger.unpin(&self.storage, checkpoint).is_ok() {
            self.told.pinned.remove(&checkpoint);
        }
    }

    fn manifest_at(&self, place: usize) -> Option<u64> {
        let names = self.disk.list().expect("lists");
        let mut checkpoints = names.iter().filter_map(|name| names::checkpoint_of(name));
        checkpoints.nth(place)
    }

    /// Ends what is under way, and has enough checkpoints made for all else to be retired.
    fn settle(&mut self) {
        self.end_fold(true);
        for held in self.held.drain(..) {
            self.ledger.release(held);
        }
        for _ in 0..=KEEP {
            self.checkpoint();
        }
    }
}

fn manifest(epoch: u64, images: &[Option<ImageEntry>], segments: Vec<SegmentEntry>) -> Manifest {
    let shards = images.iter().map(|image| ShardEntry {
        page_count: 0,
        image: image.clone(),
    });
    Manifest {
        checkpoint: epoch,
        job_name: "ledger".to_owned(),
        job_fingerprint: 0,
        created_unix_ms: 0,
        key_group_count: 128,
        hash_id: HASH_ID,
        hash_seed: HASH_SEED,
        value_layout: archive_layout(),
        shards: shards.collect(),
        segments,
        sources: Vec::new(),
        watermarks: Vec::new(),
        finished_stages: Vec::new(),
        sinks: Vec::new(),
        finished: false,
        operators: Vec::new(),
        settings: Vec::new(),
        in_flight: Vec::new(),
    }
}

/// All manifests on the disk, oldest first; each is whole.
fn manifests(disk: &MemoryStorage) -> Vec<Manifest> {
    let names = disk.list().expect("lists");
    let checkpoints = names.iter().filter_map(|name| names::checkpoint_of(name));
    checkpoints
        .map(|checkpoint| read_manifest(disk, checkpoint).expect("published whole"))
        .collect()
}

fn files_of(manifest: &Manifest) -> BTreeSet<String> {
    let images = manifest.shards.iter().filter_map(|s| s.image.as_ref());
    let images = images.map(|image| image.file.clone());
    let segments = manifest.segments.iter().map(|s| s.file.clone());
    images.chain(segments).collect()
}

/// Every kept manifest has its files, and nothing that was promised is missing.
fn check_promises(disk: &MemoryStorage, told: &Told, case: &str) {
    let names: BTreeSet<String> = disk.list().expect("lists").into_iter().collect();
    let manifests = manifests(disk);
    for manifest in &manifests {
        let missing: Vec<_> = files_of(manifest).difference(&names).cloned().collect();
        let checkpoint = manifest.checkpoint;
        assert!(missing.is_empty(), "{case}: {checkpoint} lacks {missing:?}");
    }
    let kept: BTreeSet<u64> = manifests.iter().map(|m| m.checkpoint).collect();
    assert!(kept.last().copied() >= told.durable, "{case}: {kept:?}");
    let pinned = told.pinned.iter().filter(|(_, is_sure)| **is_sure);
    for (checkpoint, _) in pinned {
        assert!(kept.contains(checkpoint), "{case}: {checkpoint} was pinned");
    }
}

/// Nothing is there but what the kept manifests need.
fn check_nothing_is_left(disk: &MemoryStorage, told: &Told, case: &str) {
    let manifests = manifests(disk);
    let mut needed = BTreeSet::new();
    for manifest in &manifests {
        needed.extend(files_of(manifest));
        needed.insert(names::manifest(manifest.checkpoint));
    }
    let names: BTreeSet<String> = disk.list().expect("lists").into_iter().collect();
    let pins: BTreeSet<u64> = names.iter().filter_map(|n| names::pinned_by(n)).collect();
    needed.extend(pins.iter().map(|pin| names::pin(*pin)));
    assert_eq!(names, needed, "{case}");
    for (checkpoint, is_sure) in &told.pinned {
        assert!(
            !is_sure || pins.contains(checkpoint),
            "{case}: {checkpoint}"
        );
    }
    for pin in &pins {
        assert!(told.pinned.contains_key(pin), "{case}: nobody pinned {pin}");
    }
    let (newest, older) = manifests.split_at(manifests.len() - KEEP);
    assert_eq!(older.len(), KEEP, "{case}");
    assert!(
        newest.iter().all(|m| pins.contains(&m.checkpoint)),
        "{case}"
    );
}

fn live(steps: &[Step], plan: FaultPlan, seed: u64, case: &str) -> u64 {
    let mut world = World::open(MemoryStorage::new(), plan, Told::default());
    for step in steps {
        world.apply(*step);
    }
    let operations = world.storage.operations();
    check_promises(&world.disk, &world.told, case);
    for disk in [
        world.disk.after_process_crash(),
        world.disk.after_power_loss(seed),
    ] {
        check_promises(&disk, &world.told, case);
        let mut world = World::open(disk, FaultPlan::none(), world.told.clone());
        check_promises(&world.disk, &world.told, case);
        world.settle();
        check_promises(&world.disk, &world.told, case);
        check_nothing_is_left(&world.disk, &world.told, case);
    }
    operations
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn kept_checkpoints_have_their_files_and_nothing_else_stays(
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let operations = live(&steps, FaultPlan::none(), 0, "no fault");
        for operation in 0..operations {
            let plan = FaultPlan::none().with_seed(operation);
            let crash = plan.clone().crash_at(operation);
            live(&steps, crash, operation, &format!("crash_at={operation}"));
            let failed = plan.fail_sync_at(operation);
            live(&steps, failed, operation, &format!("fail_sync_at={operation}"));
        }
    }
}
