//! A job that is restored by mapping runs at once, and is verified while it runs: until then it
//! makes no checkpoint and commits nothing; damage ends it with the place, and the next start falls
//! back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use frazil::storage::{FileStorage, Storage};
use frazil::{Error, JobHandle, RestoreMode};
use frazil_io::storage::MemoryStorage;
use frazil_state::format::Manifest;
use frazil_tests::{
    Gate, WatchedStorage, WordCount, committed_rows, input_file, manifests, reference_rows, text,
};

const KEEP: usize = 5;
const LINES: u64 = 500;

struct Stopped {
    _folder: tempfile::TempDir,
    run: WordCount,
    reference: BTreeMap<(String, u64), u64>,
}

fn image_of(manifest: &Manifest) -> Option<&str> {
    let image = manifest.shards[0].image.as_ref();
    image.map(|image| image.file.as_str())
}

/// A job that was stopped in its input, on two shards; its newest checkpoint has images that its
/// oldest does not need.
fn stopped_on(storage: Arc<dyn Storage>) -> Stopped {
    let text = text(30_000, 3_000);
    let (folder, input) = input_file(&text);
    let mut run = WordCount::new(input, Arc::clone(&storage));
    run.shards = 2;
    run.keep = KEEP;
    run.gate = Gate::closed();
    run.tuning.fold_chain_bytes_min = 64 << 10;
    let handle = run.start().expect("starts");
    loop {
        run.gate.allow(LINES);
        handle.checkpoint().expect("durable");
        let kept = manifests(&*storage);
        let (oldest, newest) = (kept.first().expect("kept"), kept.last().expect("kept"));
        if image_of(newest).is_some() && image_of(newest) != image_of(oldest) {
            break;
        }
        assert!(!handle.is_finished(), "no fold came in the whole input");
    }
    handle.stop();
    handle.wait().expect("stops well");
    run.gate = Gate::open();
    run.restore = RestoreMode::Mapped;
    let reference = reference_rows(&text, run.rounds);
    Stopped {
        _folder: folder,
        run,
        reference,
    }
}

fn names(storage: &dyn Storage) -> Vec<String> {
    storage.list().expect("a storage lists")
}

#[test]
fn a_mapped_job_ends_equal_to_one_without_a_stop() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let files = FileStorage::open(folder.path()).expect("opens");
    let storages: [Arc<dyn Storage>; 2] = [Arc::new(MemoryStorage::new()), Arc::new(files)];
    for storage in storages {
        let stopped = stopped_on(Arc::clone(&storage));
        let newest = manifests(&*storage).pop().expect("kept");
        let handle = stopped.run.start().expect("starts");
        let report = handle.recovery().expect("it was restored").clone();
        assert_eq!(report.checkpoint, newest.checkpoint);
        let statistics = handle.wait().expect("ends well");
        assert!(
            committed_rows(&*storage) == stopped.reference,
            "rows differ"
        );

        let images = newest.shards.iter().flat_map(|shard| &shard.image);
        let image_bytes: u64 = images.map(|image| u64::from(image.page_count) * 4096).sum();
        let restoring = report.restoring.expect("images were mapped");
        assert_eq!(restoring.total_bytes(), image_bytes);
        assert_eq!(restoring.verified_bytes(), image_bytes);
        let ended = restoring.ended_after().expect("before the last checkpoint");
        assert_eq!(statistics.checkpoints.restored_bytes, image_bytes);
        assert_eq!(
            u128::from(statistics.checkpoints.restoring_ns),
            ended.as_nanos()
        );
    }
}

/// Stands in the way of the restorer until it is opened.
#[derive(Default)]
struct Door {
    is_open: Mutex<bool>,
    opened: Condvar,
    was_reached: AtomicBool,
}

impl Door {
    fn pass(&self) {
        if std::thread::current().name() == Some("frazil-restorer") {
            self.was_reached.store(true, Ordering::SeqCst);
            let is_open = self.is_open.lock().expect("no panic under it");
            let waited = self.opened.wait_while(is_open, |is_open| !*is_open);
            drop(waited.expect("no panic under it"));
        }
    }

    fn open(&self) {
        *self.is_open.lock().expect("no panic under it") = true;
        self.opened.notify_all();
    }
}

/// Starts the job behind a door and lets it read all its input.
fn all_read_behind(door: &Arc<Door>, stopped: &Stopped, disk: &MemoryStorage) -> JobHandle {
    let on_read = {
        let door = Arc::clone(door);
        Arc::new(move |_: &str| door.pass())
    };
    let watched = WatchedStorage::new(disk, Arc::new(|_, _| {})).with_on_read(on_read);
    let run = stopped.run.on(Arc::new(watched));
    let before = manifests(disk).pop().expect("kept");
    let handle = run.start().expect("starts");
    // The split was not read to its end at the stop, so some records come, and then no more.
    let position = |manifest: &Manifest| manifest.sources[0].splits[0].position.clone();
    assert!(!position(&before).is_empty());
    let mut record_count = 0;
    loop {
        let now = handle.statistics().record_count;
        if door.was_reached.load(Ordering::SeqCst) && now > 0 && now == record_count {
            return handle;
        }
        record_count = now;
    }
}

#[test]
fn nothing_is_published_before_everything_is_verified() {
    let disk = MemoryStorage::new();
    let stopped = stopped_on(Arc::new(disk.clone()));
    let before = names(&disk);
    let door = Arc::new(Door::default());
    let handle = all_read_behind(&door, &stopped, &disk);
    let restoring = handle
        .recovery()
        .and_then(|report| report.restoring.clone());
    let (new, newest, ended) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| handle.checkpoint());
        handle.stop();
        let found = (
            names(&disk),
            handle.newest_checkpoint().is_some(),
            restoring
                .as_ref()
                .and_then(|restoring| restoring.ended_after()),
        );
        door.open();
        // Durable, or not asked any more when the job had stopped.
        let _ = asked.join().expect("no panic");
        found
    });
    let is_new = |name: &&String| !name.starts_with(".staged-") && !before.contains(name);
    let new: Vec<&String> = new.iter().filter(is_new).collect();
    assert!(new.is_empty() && !newest, "{new:?}");
    assert!(restoring.is_some() && ended.is_none(), "{restoring:?}");
    handle.wait().expect("stops well");
    stopped.run.start().expect("starts").wait().expect("ends");
    assert!(committed_rows(&disk) == stopped.reference, "rows differ");
}

#[test]
fn damage_ends_the_job_and_the_next_start_falls_back() {
    let disk = MemoryStorage::new();
    let stopped = stopped_on(Arc::new(disk.clone()));
    let kept = manifests(&disk);
    let newest = kept.last().expect("kept");
    let image = newest.shards[0].image.as_ref().expect("has an image");
    let whole = kept.iter().rfind(|m| image_of(m) != image_of(newest));
    let whole = whole.expect("an older one").checkpoint;
    for page in [1, image.page_count / 2, image.page_count - 1] {
        let disk = disk.after_process_crash();
        disk.flip_bit(&image.file, u64::from(page) * 4096 * 8 + 12_345);
        let run = stopped.run.on(Arc::new(disk.clone()));
        let ended = run.start().expect("starts").wait().map(|_| ());
        let error = ended.expect_err("the image is damaged");
        assert!(matches!(error, Error::DamagedRestore { .. }), "{error:?}");
        let message = error.to_string();
        let offset = format!("offset={}", u64::from(page) * 4096);
        for part in [image.file.as_str(), offset.as_str(), "fall back"] {
            assert!(message.contains(part), "{part} is not in {message:?}");
        }
        let left = manifests(&disk).pop().expect("kept").checkpoint;
        assert_eq!(left, newest.checkpoint, "nothing was published");

        let handle = run.start().expect("falls back");
        let report = handle.recovery().expect("it was restored").clone();
        assert_eq!(report.checkpoint, whole, "{report:?}");
        assert!(report.skipped[0].reason.contains(&image.file));
        handle.wait().expect("ends well");
        assert!(committed_rows(&disk) == stopped.reference, "rows differ");
        run.start().expect("starts").wait().expect("has ended");
        let noted = names(&disk).iter().any(|name| name.starts_with("damaged-"));
        assert!(!noted, "the next start finds a whole checkpoint");
    }
}

#[test]
fn what_is_looked_at_before_the_first_record_falls_back_at_once() {
    let disk = MemoryStorage::new();
    let stopped = stopped_on(Arc::new(disk.clone()));
    let newest = manifests(&disk).pop().expect("kept");
    let image = newest.shards[1].image.as_ref().expect("has an image");
    // Page 0, the table of checksums, the footer.
    for byte in [70, image.length_bytes - 200, image.length_bytes - 20] {
        let disk = disk.after_process_crash();
        disk.flip_bit(&image.file, byte * 8);
        let run = stopped.run.on(Arc::new(disk.clone()));
        let handle = run.start().expect("falls back");
        let report = handle.recovery().expect("it was restored");
        assert!(report.skipped[0].reason.contains(&image.file), "{report:?}");
        handle.wait().expect("ends well");
        assert!(committed_rows(&disk) == stopped.reference, "rows differ");
    }
}

/// A number that depends on the seed only.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Cuts a file, flips bits of it, or puts other bytes over a part of it.
fn damage(disk: &MemoryStorage, name: &str, dice: &mut Dice) {
    let length = disk.open(name).expect("exists").length_bytes();
    match dice.below(3) {
        0 => disk.truncate(name, dice.below(length)),
        1 => disk.flip_bit(name, dice.below(8 * length)),
        _ => {
            let (first, kind) = (dice.below(length), dice.below(2));
            for bit in 8 * first..8 * length.min(first + 64) {
                if kind == 0 || dice.below(2) == 0 {
                    disk.flip_bit(name, bit);
                }
            }
        }
    }
}

#[test]
fn files_from_an_unknown_hand_give_a_whole_checkpoint_or_a_typed_error() {
    let disk = MemoryStorage::new();
    let stopped = stopped_on(Arc::new(disk.clone()));
    let is_file = |name: &String| {
        let kinds = ["manifest-", "delta-", "image-"];
        kinds.iter().any(|kind| name.starts_with(kind))
    };
    let files: Vec<String> = names(&disk).into_iter().filter(is_file).collect();
    for seed in 1..=16u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let disk = disk.after_process_crash();
        for _ in 0..=dice.below(2) {
            let index = dice.below(files.len() as u64);
            damage(
                &disk,
                &files[usize::try_from(index).expect("small")],
                &mut dice,
            );
        }
        let mut run = stopped.run.on(Arc::new(disk.clone()));
        run.restore = [RestoreMode::Eager, RestoreMode::Mapped][usize::from(seed % 2 == 0)];
        // Damage that only the restorer finds ends the first job; the second falls back.
        let ended = (0..2).map(|_| run.start().and_then(JobHandle::wait));
        let ended: Vec<_> = ended.collect();
        match &ended[1] {
            Ok(_) => assert!(
                committed_rows(&disk) == stopped.reference,
                "seed {seed}: rows differ"
            ),
            Err(error) => assert!(
                matches!(error, Error::NoWholeCheckpoint { .. } | Error::Format(_)),
                "seed {seed}: {error:?}"
            ),
        }
        let panicked = |error: &Error| {
            matches!(
                error,
                Error::ShardPanicked { .. } | Error::HelperPanicked { .. }
            )
        };
        for error in ended.iter().filter_map(|ended| ended.as_ref().err()) {
            assert!(!panicked(error), "seed {seed}: {error:?}");
        }
    }
}
