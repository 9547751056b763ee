//! Whoever subscribes to `tracing` sees every phase of every checkpoint, with the checkpoint, the
//! shard, bytes and durations where they belong; and nothing comes from a shard's thread.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use frazil::{
    CheckpointSettings, Checkpoints, Cores, CsvFiles, DriverChoice, Iter, Job, JobHandle,
    RestartStrategy, Tuning,
};
use frazil_io::storage::{FaultPlan, MemoryStorage, Storage};
use frazil_tests::{Faults, FragileNumbers, MortalStorage, Place};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A span or an event, with its fields as text.
#[derive(Clone, Debug)]
struct Told {
    /// The message of an event, the name of a span.
    what: String,
    fields: BTreeMap<&'static str, String>,
    thread: String,
}

impl Told {
    fn new(name: &str) -> Self {
        Self {
            what: name.to_owned(),
            fields: BTreeMap::new(),
            thread: thread::current().name().unwrap_or_default().to_owned(),
        }
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.what = text,
            name => drop(self.fields.insert(name, text)),
        }
    }
}

/// Keeps what comes from the engine.
#[derive(Clone, Default)]
struct Collector {
    told: Arc<Mutex<Vec<Told>>>,
    spans: Arc<AtomicU64>,
}

impl Collector {
    fn keep(&self, told: Told) {
        self.told.lock().expect("whole").push(told);
    }

    /// All that is called so, with the names of their fields.
    fn all(&self, what: &str) -> Vec<Told> {
        let told = self.told.lock().expect("whole");
        told.iter().filter(|it| it.what == what).cloned().collect()
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("frazil")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut told = Told::new(span.metadata().name());
        span.record(&mut told);
        self.keep(told);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut told = Told::new(event.metadata().name());
        event.record(&mut told);
        self.keep(told);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// An endless job on two shards whose chain is folded after every checkpoint.
fn start(disk: &MortalStorage, output: &MemoryStorage, faults: &Faults) -> JobHandle {
    let checkpoints: Arc<dyn Storage> = Arc::new(disk.clone());
    let settings = CheckpointSettings::manual().every(Duration::from_millis(2));
    let job = Job::builder("told")
        .cores(Cores::count(2))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(64 << 20)
        .checkpoints(Checkpoints::when(settings).storage(checkpoints))
        .restart(RestartStrategy::FixedDelay {
            restarts: 9,
            delay: Duration::ZERO,
        })
        .tuning(Tuning {
            fold_chain_bytes_min: 0,
            ..Tuning::default()
        })
        .build()
        .expect("valid settings");
    let (faults, output) = (faults.clone(), output.clone());
    let handle = job.start(move |flow| {
        let in_operator = faults.clone();
        let numbers = Iter::new(|split, splits| (split as u64..).step_by(splits));
        flow.source(FragileNumbers {
            numbers,
            faults: faults.clone(),
        })
        .inspect(move |_| in_operator.pass(Place::Operator))
        .key_by_value(|number| format!("key{}", number % 100))
        .aggregate("count", 0u64, |count, _number| *count += 1)
        .emit_at_end()
        .sink(CsvFiles::new("out").storage(Arc::new(output.clone())));
    });
    handle.expect("starts")
}

#[test]
fn every_phase_of_a_checkpoint_is_told_with_its_fields_and_never_by_a_shard() {
    let collector = Collector::default();
    tracing::subscriber::set_global_default(collector.clone()).expect("the only one");
    let output = MemoryStorage::new();
    let faults = Faults::default();
    // Full for its first operations: a checkpoint is dropped. Then user code fails: what is in
    // flight is aborted, and the job is started again.
    let full = FaultPlan::none().full_during(0..2);
    let disk = MortalStorage::new(&MemoryStorage::new(), full);
    faults.plant(Place::Operator, 3_000);
    let handle = start(&disk, &output, &faults);
    while handle.statistics().checkpoints.fold_count == 0 || handle.restarts().count == 0 {
        // The first is dropped, and one may be cut short by the failure.
        handle.checkpoint().ok();
    }
    handle.stop();
    handle.wait().expect("ends well");
    let again = start(&disk, &output, &faults);
    again.stop();
    again.wait().expect("ends well");

    let phases: [(&str, &[&str]); 18] = [
        ("checkpoint requested", &["checkpoint", "last", "settings"]),
        ("barrier injected", &["checkpoint", "shard", "after_ns"]),
        ("aligned", &["checkpoint", "shard", "duration_ns"]),
        ("frozen", &["checkpoint", "shard"]),
        (
            "captured",
            &["checkpoint", "shard", "bytes", "duration_ns", "freeze_ns"],
        ),
        ("written", &["checkpoint", "bytes", "duration_ns"]),
        ("sync", &["checkpoint"]),
        ("synced", &["checkpoint", "duration_ns"]),
        ("publish", &["checkpoint"]),
        ("published", &["checkpoint", "bytes", "duration_ns"]),
        ("commit", &["checkpoint"]),
        ("committed", &["checkpoint", "output_bytes", "duration_ns"]),
        (
            "checkpoint dropped",
            &["checkpoint", "reason", "is_declined"],
        ),
        ("restore", &["checkpoint", "mode"]),
        (
            "restored",
            &["checkpoint", "shard_count", "bytes", "duration_ns"],
        ),
        ("fold", &["checkpoint"]),
        ("folded", &["checkpoint", "shard", "bytes", "duration_ns"]),
        ("the job is started again", &["job", "failure", "delay"]),
    ];
    for (what, fields) in phases {
        let all = collector.all(what);
        assert!(!all.is_empty(), "{what}");
        for told in all {
            for field in fields {
                assert!(told.fields.contains_key(field), "{field}: {told:?}");
            }
            assert!(!told.thread.starts_with("frazil-shard"), "{told:?}");
        }
    }
    assert_each_durable_one_has_all(&collector);
}

/// The shards' phases once a shard.
fn assert_each_durable_one_has_all(collector: &Collector) {
    for published in collector.all("published") {
        let checkpoint = &published.fields["checkpoint"];
        for (what, count) in [
            ("checkpoint requested", 1),
            ("barrier injected", 2),
            ("aligned", 2),
            ("frozen", 2),
            ("captured", 2),
            ("written", 1),
            ("synced", 1),
        ] {
            let all = collector.all(what);
            let of_this = all
                .iter()
                .filter(|it| it.fields["checkpoint"] == *checkpoint);
            assert_eq!(of_this.count(), count, "{what} of {checkpoint}");
        }
    }
}
