//! What does not belong together is refused, and the message says what it is and what to do.

use std::path::Path;

use frazil::{
    Checkpoints, Cores, CsvFiles, DriverChoice, Error, IoError, Job, JobBuilder, JobHandle,
    TextFiles,
};
use frazil_tests::text;

/// A job's places on a real disk.
struct Places {
    folder: tempfile::TempDir,
}

impl Places {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary directory");
        std::fs::write(folder.path().join("input.txt"), text(40_000, 500)).expect("writes");
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn builder(&self, name: &str, shards: usize) -> JobBuilder {
        Job::builder(name)
            .cores(Cores::count(shards))
            .checkpoints(Checkpoints::manual().dir(self.path("checkpoints")))
            .driver(DriverChoice::Thread)
            .state_bytes_per_shard(256 << 20)
    }

    /// The usual job under another name, with other shards or into another folder.
    fn start(&self, name: &str, shards: usize, output: &str) -> Result<JobHandle, Error> {
        let (input, output) = (self.path("input.txt"), self.path(output));
        let job = self.builder(name, shards).build()?;
        job.start(move |flow| {
            flow.source(TextFiles::new([&input]).rounds(50))
                .key_by(|line| line)
                .aggregate("count", 0u64, |count, _line| *count += 1)
                .emit_at_end()
                .sink(CsvFiles::new(&output));
        })
    }

    /// A job that was stopped after some checkpoints.
    fn stopped() -> Self {
        let places = Self::new();
        let handle = places.start("lines", 2, "out").expect("starts");
        handle.checkpoint().expect("durable");
        handle.stop();
        handle.wait().expect("stops well");
        places
    }
}

fn refused(started: Result<JobHandle, Error>, parts: &[&str]) -> Error {
    let error = match started {
        Err(error) => error,
        Ok(handle) => handle.wait().expect_err("neither start nor wait refused"),
    };
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    error
}

#[test]
fn checkpoints_of_another_job_are_refused() {
    let places = Places::stopped();
    let error = refused(
        places.start("words", 2, "other"),
        &[
            "\"lines\"",
            "\"words\"",
            "choose another checkpoint directory",
            "checkpoints",
        ],
    );
    assert!(matches!(error, Error::OtherJob { .. }), "{error:?}");
}

#[test]
fn checkpoints_of_another_flow_are_refused() {
    let places = Places::stopped();
    let input = places.path("input.txt");
    let output = places.path("out");
    let job = places.builder("lines", 2).build().expect("valid settings");
    let started = job.start(move |flow| {
        flow.source(TextFiles::new([&input]).rounds(50))
            .filter(|line| !line.is_empty())
            .key_by(|line| line)
            .aggregate("count", 0u64, |count, _line| *count += 1)
            .emit_at_end()
            .sink(CsvFiles::new(&output));
    });
    let parts = [
        "dropped       sink",
        "incompatible  table     count (it belongs to the operator",
        "JobBuilder::allow_dropped_state",
    ];
    let error = refused(started, &parts);
    assert!(matches!(error, Error::Preflight { .. }), "{error:?}");
}

#[test]
fn state_of_another_type_is_refused() {
    let places = Places::stopped();
    let input = places.path("input.txt");
    let output = places.path("out");
    let job = places.builder("lines", 2).build().expect("valid settings");
    let started = job.start(move |flow| {
        flow.source(TextFiles::new([&input]).rounds(50))
            .key_by(|line| line)
            .aggregate("count", 0u32, |count, _line| *count += 1)
            .emit_at_end()
            .sink(CsvFiles::new(&output));
    });
    let error = started.map(|_| ()).expect_err("refused before a shard ran");
    assert!(matches!(error, Error::State { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("table count"), "{message}");
    assert_eq!(message.matches("0x").count(), 2, "{message}");
}

#[test]
fn another_number_of_key_groups_is_refused() {
    let places = Places::stopped();
    let job = places.builder("lines", 2).key_groups(64).build();
    let (input, output) = (places.path("input.txt"), places.path("out"));
    let started = job.expect("valid settings").start(move |flow| {
        flow.source(TextFiles::new([&input]).rounds(50))
            .key_by(|line| line)
            .aggregate("count", 0u64, |count, _line| *count += 1)
            .emit_at_end()
            .sink(CsvFiles::new(&output));
    });
    let error = refused(started, &["128 key groups, this job 64", "key_groups(128)"]);
    assert!(matches!(error, Error::KeyGroupCount { .. }), "{error:?}");
    let error = places.builder("lines", 64).key_groups(32).build();
    let error = error.map(|_| ()).expect_err("more shards than key groups");
    assert!(matches!(error, Error::Setting { .. }), "{error:?}");
}

#[test]
fn changed_input_is_refused_and_the_old_one_taken() {
    let places = Places::stopped();
    let path = places.path("input.txt");
    let whole = std::fs::read(&path).expect("reads");
    let mut changed = whole.clone();
    changed[10] ^= 1;
    let longer = [&whole[..], b"more\n"].concat();
    for other in [changed, longer] {
        std::fs::write(&path, other).expect("writes");
        refused(
            places.start("lines", 2, "out"),
            &["has changed", "put the earlier input back"],
        );
    }
    std::fs::write(&path, whole).expect("writes");
    let handle = places.start("lines", 2, "out").expect("starts");
    assert!(handle.recovery().is_some());
    handle.wait().expect("ends well");
}

#[test]
fn a_second_job_on_the_same_directories_is_refused_while_the_first_runs() {
    let places = Places::new();
    let first = places.start("lines", 1, "out").expect("starts");
    let holder = format!("process {}", std::process::id());
    let parts = [holder.as_str(), "checkpoints", "stop that process"];
    let error = refused(places.start("lines", 1, "other"), &parts);
    assert!(
        matches!(error, Error::Io(IoError::Locked { .. })),
        "{error:?}"
    );
    refused(
        places.start("lines", 1, "out"),
        &["out", "is in use", "stop that process"],
    );
    first.stop();
    first.wait().expect("stops well");
    let second = places.start("lines", 1, "out").expect("starts");
    second.wait().expect("ends well");
}

#[test]
fn output_of_another_run_is_refused() {
    let places = Places::stopped();
    let first = places.start("lines", 2, "out").expect("starts");
    first.wait().expect("ends well");
    std::fs::rename(places.path("checkpoints"), places.path("aside")).expect("renames");
    refused(
        places.start("lines", 2, "out"),
        &["out", "another run", "choose an empty folder"],
    );
}

#[test]
fn missing_output_of_the_restored_checkpoint_is_noticed() {
    let places = Places::new();
    let first = places.start("lines", 1, "out").expect("starts");
    first.wait().expect("ends well");
    let parts = |folder: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(folder).expect("lists");
        let paths = entries.map(|entry| entry.expect("lists").path());
        paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
            .collect()
    };
    for part in parts(&places.path("out")) {
        std::fs::remove_file(part).expect("removes");
    }
    refused(
        places.start("lines", 1, "out"),
        &["part-", "put the file back"],
    );
}

#[test]
fn unreadable_input_is_named() {
    let places = Places::new();
    let missing = places.path("missing.txt");
    let output = places.path("out");
    let job = places.builder("lines", 1).build().expect("valid settings");
    let name = missing.display().to_string();
    let started = job.start(move |flow| {
        flow.source(TextFiles::new([&missing]))
            .sink(CsvFiles::new(&output));
    });
    refused(started, &["cannot read", &name]);
    assert!(!places.path("checkpoints").exists(), "nothing was begun");
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let places = Places::new();
    std::fs::write(places.path("out"), "a file, not a folder").expect("writes");
    let name = places.path("out").display().to_string();
    refused(places.start("lines", 1, "out"), &["sink", &name]);
}

#[test]
fn settings_out_of_range_are_named() {
    let nowhere = Job::builder("lines")
        .checkpoints(Checkpoints::every(std::time::Duration::from_millis(5)))
        .build();
    let error = nowhere.map(|_| ()).expect_err("refused").to_string();
    assert!(error.contains("Checkpoints::dir"), "{error}");
    let groups = Job::builder("lines").key_groups(3).build();
    let error = groups.map(|_| ()).expect_err("refused").to_string();
    assert!(
        error.contains("key_groups") && error.contains("power of two"),
        "{error}"
    );
    let handle = Job::builder("lines")
        .cores(Cores::count(1))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(256 << 20)
        .build()
        .expect("valid settings")
        .start(|flow| {
            let (_pusher, source) = frazil::push::channel::<u64>(1);
            flow.source(source).sink(frazil::Count::new());
        })
        .expect("starts");
    let error = handle.checkpoint().expect_err("has none");
    assert!(matches!(error, Error::NoCheckpoints), "{error:?}");
    handle.wait().expect("ends well");
}
