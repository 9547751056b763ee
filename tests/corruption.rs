//! Files of a stopped job are damaged: recovery falls back to an older whole checkpoint, says so,
//! and the output still ends up equal; or it refuses, and never starts over in silence.

use std::collections::BTreeMap;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{
    ChannelSink, CheckpointMode, Checkpoints, Cores, DriverChoice, Error, Iter, Job, JobHandle,
    RecoveryReport,
};
use frazil_io::storage::MemoryStorage;
use frazil_state::format::decode;
use frazil_tests::{Gate, WordCount, committed_rows, input_file, reference_rows, text};

const KEEP: usize = 5;
/// Lines between two checkpoints, of 18,000.
const LINES: u64 = 500;

struct Stopped {
    _folder: tempfile::TempDir,
    run: WordCount,
    disk: MemoryStorage,
    reference: BTreeMap<(String, u64), u64>,
}

/// A job that was stopped in the middle of its input, with [`KEEP`] checkpoints.
fn stopped(shards: usize, with_images: bool) -> Stopped {
    let text = text(30_000, 3_000);
    let (folder, input) = input_file(&text);
    let disk = MemoryStorage::new();
    let mut run = WordCount::new(input, Arc::new(disk.clone()));
    run.shards = shards;
    run.keep = KEEP;
    run.gate = Gate::closed();
    if with_images {
        run.tuning.fold_chain_bytes_min = 64 << 10;
    }
    let handle = run.start().expect("starts");
    let mut count = 0;
    while count < KEEP || (with_images && !newest_has_image(&disk)) {
        run.gate.allow(LINES);
        handle.checkpoint().expect("durable");
        count += 1;
    }
    handle.stop();
    handle.wait().expect("stops well");
    run.gate = Gate::open();
    let reference = reference_rows(&text, run.rounds);
    Stopped {
        _folder: folder,
        run,
        disk,
        reference,
    }
}

fn files(disk: &MemoryStorage, prefix: &str) -> Vec<String> {
    let mut names = disk.list().expect("memory lists");
    names.retain(|name| name.starts_with(prefix));
    names
}

/// The number in a name.
fn epoch(name: &str) -> u64 {
    let digits = name.split('-').nth(1).expect("a prefix and a number");
    digits.parse().expect("a number")
}

fn newest(disk: &MemoryStorage, prefix: &str) -> String {
    files(disk, prefix).pop().expect("there is one")
}

/// An image exists while its fold still runs; it is in use when the newest manifest names it.
fn newest_has_image(disk: &MemoryStorage) -> bool {
    let name = newest(disk, "manifest-");
    let file = disk.open(&name).expect("exists");
    let mut bytes = vec![0; usize::try_from(file.length_bytes()).expect("small")];
    file.read_exact_at(&mut bytes, 0).expect("reads");
    let manifest = decode(&name, &bytes).expect("whole");
    manifest.shards.iter().all(|shard| shard.image.is_some())
}

fn length(disk: &MemoryStorage, name: &str) -> u64 {
    disk.open(name).expect("exists").length_bytes()
}

impl Stopped {
    /// Damages a copy of the disk, finishes the job on it, and gives the report of its recovery.
    fn finish_after(&self, case: &str, damage: impl FnOnce(&MemoryStorage)) -> RecoveryReport {
        let disk = self.disk.after_process_crash();
        damage(&disk);
        let handle = self.run.on(Arc::new(disk.clone())).start();
        let handle = handle.unwrap_or_else(|error| panic!("{case}: {error}"));
        let report = handle.recovery().expect("it was restored").clone();
        let ended = handle.wait();
        ended.unwrap_or_else(|error| panic!("{case}: {error}"));
        let rows = committed_rows(&disk);
        assert!(rows == self.reference, "{case}: rows differ");
        report
    }

    fn newest_checkpoint(&self) -> u64 {
        epoch(&newest(&self.disk, "manifest-"))
    }

    /// Expects a fall back to the checkpoint before `file`, past all that need it.
    fn falls_back(&self, case: &str, file: &str, damage: impl FnOnce(&MemoryStorage)) {
        let report = self.finish_after(case, damage);
        assert_eq!(report.checkpoint, epoch(file) - 1, "{case}: {report:?}");
        let skipped = report.skipped.iter().map(|skipped| skipped.checkpoint);
        let expected = (epoch(file)..=self.newest_checkpoint()).rev();
        assert!(skipped.eq(expected), "{case}: {report:?}");
        for skipped in &report.skipped {
            assert!(skipped.reason.contains(file), "{case}: {}", skipped.reason);
        }
    }
}

#[test]
fn without_damage_the_newest_checkpoint_is_restored() {
    let stopped = stopped(2, false);
    let report = stopped.finish_after("whole", |_| {});
    assert_eq!(report.checkpoint, stopped.newest_checkpoint());
    assert!(report.skipped.is_empty() && !report.finished, "{report:?}");
}

#[test]
fn a_damaged_manifest_or_delta_is_skipped_and_later_output_made_again() {
    for shards in [1, 2] {
        let stopped = stopped(shards, false);
        for prefix in ["manifest-", "delta-"] {
            let name = newest(&stopped.disk, prefix);
            let bits = 8 * length(&stopped.disk, &name);
            for bit in [0, 100, bits / 3, bits / 2, bits - 1] {
                stopped.falls_back(&format!("{name} bit {bit}"), &name, |disk| {
                    disk.flip_bit(&name, bit);
                });
            }
            for kept in [0, 1, 20, bits / 16, bits / 8 - 1] {
                stopped.falls_back(&format!("{name} cut to {kept}"), &name, |disk| {
                    disk.truncate(&name, kept);
                });
            }
        }
    }
}

#[test]
fn a_manifest_of_an_unknown_version_is_refused_and_not_passed_over() {
    let stopped = stopped(1, false);
    let name = newest(&stopped.disk, "manifest-");
    // In the version, behind the magic of eight bytes.
    stopped.disk.flip_bit(&name, 64 + 5);
    let started = stopped.run.start().map(|_| ());
    let message = started.expect_err("refused").to_string();
    for part in [
        name.as_str(),
        "format version 33",
        "expected version 1",
        "use a Frazil release",
    ] {
        assert!(message.contains(part), "{part} is not in {message:?}");
    }
}

#[test]
fn a_missing_delta_is_named() {
    let stopped = stopped(1, false);
    let name = newest(&stopped.disk, "delta-");
    stopped.falls_back("missing delta", &name, |disk| {
        disk.remove(&name).expect("memory removes");
    });
}

#[test]
fn whole_files_at_the_wrong_place_are_noticed() {
    let stopped = stopped(1, false);
    for prefix in ["manifest-", "delta-"] {
        let names = files(&stopped.disk, prefix);
        let [.., older, newest] = &names[..] else {
            panic!("{names:?}");
        };
        stopped.falls_back(&format!("{older} as {newest}"), newest, |disk| {
            let file = disk.open(older).expect("exists");
            let mut bytes = vec![0; usize::try_from(file.length_bytes()).expect("small")];
            file.read_exact_at(&mut bytes, 0).expect("reads");
            disk.publish(newest, &bytes).expect("memory publishes");
        });
    }
}

#[test]
fn two_damaged_checkpoints_are_both_skipped_and_named() {
    let stopped = stopped(2, false);
    let manifest = newest(&stopped.disk, "manifest-");
    let deltas = files(&stopped.disk, "delta-");
    let older = &deltas[deltas.len() - 2];
    let report = stopped.finish_after("two", |disk| {
        disk.flip_bit(&manifest, 300);
        disk.flip_bit(older, 4_000);
    });
    assert_eq!(report.checkpoint, epoch(older) - 1, "{report:?}");
    assert!(report.skipped[0].reason.contains(&manifest));
    let behind = &report.skipped[1..];
    assert!(!behind.is_empty(), "{report:?}");
    // The newest delta is whole, but it lies on top of the damaged one.
    assert!(behind.iter().all(|skipped| skipped.reason.contains(older)));
}

#[test]
fn damaged_images_fall_back_to_a_checkpoint_before_the_fold_or_are_refused() {
    for shards in [1, 2] {
        let stopped = stopped(shards, true);
        let report = stopped.finish_after("folded", |_| {});
        assert!(report.skipped.is_empty(), "{report:?}");
        let images = files(&stopped.disk, "image-");
        let bits = 8 * length(&stopped.disk, &images[0]);
        for bit in [5, bits / 2, bits - 9] {
            let disk = stopped.disk.after_process_crash();
            for image in &images {
                disk.flip_bit(image, bit);
            }
            let run = stopped.run.on(Arc::new(disk.clone()));
            match run.start() {
                Ok(handle) => {
                    let recovery = handle.recovery().expect("never a fresh start").clone();
                    assert!(!recovery.skipped.is_empty(), "{recovery:?}");
                    assert!(recovery.skipped[0].reason.contains("image-"));
                    handle.wait().expect("ends well");
                    assert!(committed_rows(&disk) == stopped.reference, "bit={bit}");
                }
                Err(Error::NoWholeCheckpoint { reasons, .. }) => {
                    assert_eq!(reasons.len(), files(&disk, "manifest-").len());
                    assert!(reasons[0].contains("image-"), "{reasons:?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn without_a_whole_checkpoint_there_is_an_error_and_nothing_is_touched() {
    let stopped = stopped(1, false);
    for damage in ["flip", "truncate"] {
        let disk = stopped.disk.after_process_crash();
        for name in files(&disk, "manifest-") {
            match damage {
                "flip" => disk.flip_bit(&name, 500),
                _ => disk.truncate(&name, 10),
            }
        }
        let before = disk.list().expect("memory lists");
        let started = stopped.run.on(Arc::new(disk.clone())).start();
        let Err(Error::NoWholeCheckpoint { reasons, .. }) = &started else {
            panic!("{:?}", started.map(|_| "started"));
        };
        assert_eq!(reasons.len(), KEEP);
        let message = started.map(|_| ()).expect_err("refused").to_string();
        assert!(message.contains("manifest-") && message.contains("move the directory aside"));
        assert_eq!(disk.list().expect("memory lists"), before);
    }
}

fn to_channel(disk: &MemoryStorage, sink: &ChannelSink<(u64, u64)>) -> Result<JobHandle, Error> {
    to_channel_in(CheckpointMode::Aligned, disk, sink)
}

fn to_channel_in(
    mode: CheckpointMode,
    disk: &MemoryStorage,
    sink: &ChannelSink<(u64, u64)>,
) -> Result<JobHandle, Error> {
    let job = Job::builder("channel")
        .cores(Cores::count(1))
        .checkpoints(
            Checkpoints::manual()
                .storage(Arc::new(disk.clone()))
                .mode(mode),
        )
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(256 << 20)
        .build()?;
    let sink = sink.clone();
    job.start(move |flow| {
        flow.source(Iter::new(|split, count| {
            (split as u64..5_000_000).step_by(count)
        }))
        .key_by_value(|number| number % 1_000)
        .aggregate("count", 0u64, |count, _number| *count += 1)
        .emit_at_end()
        .sink(sink.clone());
    })
}

#[test]
fn a_sink_that_cannot_take_back_refuses_to_fall_back() {
    let disk = MemoryStorage::new();
    let (sink, _received) = ChannelSink::new();
    let handle = to_channel(&disk, &sink).expect("starts");
    for _ in 0..3 {
        handle.checkpoint().expect("durable, the input is long");
    }
    handle.stop();
    handle.wait().expect("stops well");
    let name = newest(&disk, "manifest-");
    let whole = disk.after_process_crash();
    disk.flip_bit(&name, 700);
    let refused = to_channel(&disk, &sink).map(|_| ());
    let error = refused.expect_err("refused");
    assert!(matches!(error, Error::FallBack { .. }), "{error:?}");
    let message = error.to_string();
    for part in ["channel", name.as_str(), "repair"] {
        assert!(message.contains(part), "{part} is not in {message:?}");
    }
    // Who asked for at least once gets output twice rather than a refusal.
    let repeating = to_channel_in(CheckpointMode::AtLeastOnce, &disk, &sink).expect("starts");
    let recovery = repeating.recovery().expect("a checkpoint is left");
    assert!(recovery.skipped[0].reason.contains(&name));
    repeating.wait().expect("ends well");
    let repaired = to_channel(&whole, &sink).expect("starts when repaired");
    repaired.wait().expect("ends well");
}
