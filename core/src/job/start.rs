//! Starting a job: plan, recover, connect, spawn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use frazil_io::runtime::{
    Bell, DriverDecision, choose_driver, spawn_helper, work_in_the_background,
};
use frazil_io::storage::{Storage, StorageLock};
use frazil_state::format::{Manifest, SourceEntry, archive_layout};
use frazil_state::{HASH_ID, HASH_SEED, PopulateJob, StoreConfig};

use super::builder::Job;
use super::handle::JobHandle;
use super::restart::RestartStrategy;
use super::shards::{Common, seeds, spawn_shards};
use super::shared::{RunLinks, Shared};
use super::start_from::StartFrom;
use crate::checkpoint::{
    CheckpointMode, Choice, Coordinator, CoordinatorParts, FoldJob, JobIdentity, JobView,
    ManifestTemplate, Notice, OperatorOf, Outlets, Preflight, Recovered, RecoveryReport, Savepoint,
    ShardWatch, WriteBudget, Writer, WriterCommand, WriterParts, flow_fingerprint,
    newest_checkpoint, operator_entries, preflight, recover, recover_from_savepoint,
};
use crate::error::Error;
use crate::flow::{Flow, FlowPlan};
use crate::shard::{LinkSize, ShardLink, WriterLink};

/// What all runs of a job have in common.
pub(super) struct Lasting {
    pub(super) job: Job,
    pub(super) build: Arc<Build>,
    pub(super) driver: DriverDecision,
    pub(super) storage: Option<Arc<dyn Storage>>,
    pub(super) shared: Arc<Shared>,
    /// Held until the job is over: no other process takes the directory between two runs.
    _lock: Option<Box<dyn StorageLock>>,
}

/// The closure that declares the flow.
pub(super) type Build = dyn Fn(&Flow) + Send + Sync;

/// One run of a job: from recovery to the end of all its threads.
pub(super) struct Run {
    pub(super) coordinator: Coordinator,
    pub(super) links: RunLinks,
    pub(super) recovery: Option<RecoveryReport>,
}

/// What a run begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// What the user chose to start from.
    Start,
    /// The job's own newest checkpoint; what the user chose only if it has made none yet.
    Restart,
}

/// Everything that is known before a thread is started.
struct Prepared {
    plan: FlowPlan,
    outlets: Outlets,
    recovered: Recovered,
}

pub(super) fn start<F>(job: Job, build: F) -> Result<JobHandle, Error>
where
    F: Fn(&Flow) + Send + Sync + 'static,
{
    let driver = choose_driver(job.driver)?;
    let shards = job.cpus.len();
    tracing::info!(job = job.name, shards, driver = driver.reason, "starting");
    let plan = Flow::plan(&build, shards)?;
    let unrepeatable = plan.sources.iter().filter(|source| !source.replayable);
    for source in unrepeatable.clone() {
        let name = &source.name;
        tracing::warn!(
            name,
            "cannot be replayed: a crash loses what followed the last checkpoint"
        );
    }
    let is_replayable = unrepeatable.count() == 0;
    if job.checkpoints.mode == CheckpointMode::AtLeastOnce {
        tracing::warn!("a recovery may repeat records: at least once was asked for");
    }
    let storage = job.checkpoints.open()?;
    let lock = match &storage {
        Some(storage) => Some(storage.lock()?),
        None => None,
    };
    let strategy = job
        .restart
        .unwrap_or(match storage.is_some() && is_replayable {
            true => RestartStrategy::exponential(),
            false => RestartStrategy::None,
        });
    let shared = Arc::new(Shared::new(job.checkpoints.watch()));
    let lasting = Lasting {
        job,
        build: Arc::new(build),
        driver,
        storage,
        shared,
        _lock: lock,
    };
    let run = Run::start(&lasting, plan, Beginning::Start)?;
    JobHandle::of(lasting, run, strategy)
}

impl Run {
    /// Recovers the job and starts all threads of a run.
    ///
    /// # Errors
    /// As [`Job::start`].
    pub(super) fn start(
        lasting: &Lasting,
        plan: FlowPlan,
        beginning: Beginning,
    ) -> Result<Self, Error> {
        let job = &lasting.job;
        let storage = &lasting.storage;
        let mut prepared = prepare(job, storage.as_ref(), plan, beginning)?;
        let (common, inboxes) = Common::new(job.cpus.len(), job.clock());
        let (links, shard_links) = links(job, &common.bells);
        let recovered = &mut prepared.recovered;
        let seeds = seeds(job, &prepared.plan, recovered, links, storage.is_some());
        let recovery = recovered.report.take();
        let next_epoch = recovered.next_epoch;
        let verbs = prepared.plan.operators.clone();
        let stage_names = prepared.plan.stage_names.clone();
        let rings = prepared
            .plan
            .connect(job.cpus.len(), job.tuning.ring_messages);
        // Helpers start before anything is pinned: children inherit a pin.
        let helpers = Helpers::start(lasting, prepared, shard_links, &common)?;
        let populator = spawn_populator(job, inboxes.populate)?;
        let spawned = spawn_shards(lasting, &common, seeds, rings, verbs);
        let commands = helpers.commands.clone();
        let coordinator = Coordinator::new(CoordinatorParts {
            next_epoch,
            mode: job.checkpoints.mode,
            control: Arc::clone(&common.control),
            bells: common.bells.clone(),
            shards: ShardWatch::new(
                spawned.threads,
                operators_of_shard(&common, stage_names),
                job.watchdog,
                lasting.shared.watch.clone(),
            ),
            heartbeat: spawned.heartbeat,
            writer: helpers.writer,
            folder: helpers.folder,
            populator,
            restorer: helpers.restorer,
            commands: helpers.commands,
            notices: inboxes.notices,
            watch: lasting.shared.watch.clone(),
            progress: common.progress.clone(),
        });
        // The populator ends with the last shard.
        drop(common.populate);
        if let Some(failure) = spawned.failure {
            let _ = common.notices.send(Notice::Fatal(Box::new(failure)));
            coordinator.run()?;
            return Err(Error::Ended);
        }
        Ok(Self {
            coordinator,
            links: RunLinks {
                notices: common.notices,
                commands,
                budget: helpers.budget,
                shards: common.probes.into_iter().zip(common.bells).collect(),
            },
            recovery,
        })
    }
}

/// Names what a shard runs or ran last, for messages about panics and hangs.
fn operators_of_shard(common: &Common, stage_names: Vec<String>) -> OperatorOf {
    let probes = common.probes.clone();
    Box::new(move |shard| {
        // Relaxed: the shard's thread has ended, or has stood still for long.
        let stage = probes[shard].stage.load(Ordering::Relaxed) as usize;
        stage_names.get(stage).cloned().unwrap_or_default()
    })
}

fn prepare(
    job: &Job,
    storage: Option<&Arc<dyn Storage>>,
    mut plan: FlowPlan,
    beginning: Beginning,
) -> Result<Prepared, Error> {
    let mut outlets = Outlets::new(std::mem::take(&mut plan.sinks));
    let configs = store_configs(job);
    let mut recovered = recovered(job, storage, &plan, &configs, &mut outlets, beginning)?;
    recovered.ledger.fold_from(job.tuning.fold_chain_bytes_min);
    Ok(Prepared {
        plan,
        outlets,
        recovered,
    })
}

fn recovered(
    job: &Job,
    storage: Option<&Arc<dyn Storage>>,
    plan: &FlowPlan,
    configs: &[StoreConfig],
    outlets: &mut Outlets,
    beginning: Beginning,
) -> Result<Recovered, Error> {
    let own = match (beginning, storage) {
        (Beginning::Restart, Some(storage)) => newest_checkpoint(&storage.list()?),
        (Beginning::Restart, None) | (Beginning::Start, _) => None,
    };
    let savepoint = job.restore_from.as_ref().filter(|_| own.is_none());
    let identity = identity(job, savepoint.is_some());
    let view = JobView {
        identity: &identity,
        plan,
        configs,
    };
    if let Some((place, checkpoint)) = savepoint {
        let place = place.open_existing()?;
        let savepoint = Savepoint::find(&*place, *checkpoint)?;
        return recover_from_savepoint(&savepoint, storage.map(|s| &**s), view, outlets);
    }
    match storage {
        Some(storage) => {
            let mode = job.checkpoints.restore;
            let choice = match (beginning, job.start_from) {
                (Beginning::Restart, _) | (_, StartFrom::Newest) => Choice::Newest,
                (Beginning::Start, StartFrom::Checkpoint(chosen)) => Choice::Checkpoint(chosen),
                (Beginning::Start, StartFrom::Fresh) => Choice::Fresh,
            };
            recover(storage, view, outlets, mode, choice)
        }
        None => {
            outlets.recover_fresh()?;
            Recovered::fresh(configs, job.checkpoints.keep, 1)
        }
    }
}

fn identity(job: &Job, is_from_savepoint: bool) -> JobIdentity {
    JobIdentity {
        name: job.name.clone(),
        key_group_count: job.key_groups.count(),
        keep: job.checkpoints.keep,
        may_repeat_output: job.checkpoints.mode == CheckpointMode::AtLeastOnce,
        allow_dropped_state: job.allow_dropped_state,
        tells_sinks_by_name: is_from_savepoint,
    }
}

pub(super) fn check(job: &Job, build: impl Fn(&Flow)) -> Result<Preflight, Error> {
    let plan = Flow::plan(build, job.cpus.len())?;
    let (storage, checkpoint) = match (&job.restore_from, job.start_from) {
        (Some((place, checkpoint)), _) => (Some(place.open_existing()?), *checkpoint),
        (None, StartFrom::Newest) => (job.checkpoints.open()?, None),
        (None, StartFrom::Checkpoint(chosen)) => (job.checkpoints.open()?, Some(chosen)),
        (None, StartFrom::Fresh) => (None, None),
    };
    match storage {
        Some(storage) => {
            let identity = identity(job, job.restore_from.is_some());
            preflight(&*storage, checkpoint, &identity, &plan)
        }
        None => Ok(Preflight::all_new(&plan)),
    }
}

fn store_configs(job: &Job) -> Vec<StoreConfig> {
    let shard_count = job.cpus.len();
    let config = |shard| StoreConfig {
        key_groups: job.key_groups,
        shard,
        shard_count,
        budget_bytes: job.state_bytes_per_shard,
        staging: job.tuning.staging,
        switches: job.tuning.state,
    };
    (0..shard_count).map(config).collect()
}

fn links(job: &Job, bells: &[Bell]) -> (Vec<WriterLink>, Vec<ShardLink>) {
    let size = LinkSize {
        chunk_count: job.tuning.staging.chunk_count,
        row_buffer_count: job.tuning.row_buffers,
    };
    let pair = |bell: &Bell| WriterLink::pair(size, bell.clone());
    bells.iter().map(pair).unzip()
}

/// What is the same in every manifest of the job.
fn template(job: &Job, plan: &FlowPlan) -> Manifest {
    let sources = plan.sources.iter().map(|source| SourceEntry {
        operator: source.operator,
        name: source.name.clone(),
        fingerprint: source.fingerprint,
        finished: false,
        splits: Vec::new(),
    });
    Manifest {
        checkpoint: 0,
        job_name: job.name.clone(),
        job_fingerprint: flow_fingerprint(&plan.operators),
        created_unix_ms: 0,
        key_group_count: job.key_groups.count(),
        hash_id: HASH_ID,
        hash_seed: HASH_SEED,
        value_layout: archive_layout(),
        shards: Vec::new(),
        segments: Vec::new(),
        sources: sources.collect(),
        watermarks: Vec::new(),
        finished_stages: Vec::new(),
        sinks: Vec::new(),
        finished: false,
        operators: operator_entries(plan),
        settings: Vec::new(),
        in_flight: Vec::new(),
    }
}

/// The threads that serve all shards.
struct Helpers {
    writer: JoinHandle<()>,
    folder: JoinHandle<()>,
    restorer: Option<JoinHandle<Result<(), Error>>>,
    budget: Arc<WriteBudget>,
    commands: std::sync::mpsc::Sender<WriterCommand>,
}

impl Helpers {
    fn start(
        lasting: &Lasting,
        prepared: Prepared,
        links: Vec<ShardLink>,
        common: &Common,
    ) -> Result<Self, Error> {
        let job = &lasting.job;
        let watch = &lasting.shared.watch;
        let restorer = match prepared.recovered.restoring {
            Some(restoring) => {
                let (notices, statistics) = (common.notices.clone(), Arc::clone(&watch.statistics));
                let body = move || restoring.run(&notices, &statistics);
                Some(spawn_helper("frazil-restorer", &job.cpus, body)?)
            }
            None => None,
        };
        let budget = Arc::new(job.checkpoints.budget());
        let (commands, inbox) = channel();
        let (folds, fold_inbox) = channel();
        let writer = Writer::new(WriterParts {
            template: ManifestTemplate {
                job: template(job, &prepared.plan),
                stage_count: prepared.plan.stage_names.len(),
            },
            storage: lasting.storage.clone(),
            links,
            outlets: prepared.outlets,
            ledger: prepared.recovered.ledger,
            budget: Arc::clone(&budget),
            control: Arc::clone(&common.control),
            commands: inbox,
            notices: common.notices.clone(),
            folds,
            watch: watch.clone(),
        });
        let fold_commands = commands.clone();
        Ok(Self {
            writer: spawn_helper("frazil-writer", &job.cpus, move || writer.run())?,
            folder: spawn_helper("frazil-folder", &job.cpus, move || {
                work_in_the_background();
                fold(&fold_inbox, &fold_commands);
            })?,
            restorer,
            budget,
            commands,
        })
    }
}

/// Folds until the writer is gone.
fn fold(jobs: &Receiver<FoldJob>, commands: &std::sync::mpsc::Sender<WriterCommand>) {
    while let Ok(job) = jobs.recv() {
        // A storage is user code: its panic fails the fold, not the folder.
        let folded = catch_unwind(AssertUnwindSafe(|| job.run()));
        let folded = folded.unwrap_or_else(|payload| Err(Error::panicked("folder", &*payload)));
        if commands
            .send(WriterCommand::Folded(Box::new(folded)))
            .is_err()
        {
            return;
        }
    }
}

/// Backs the shards' arenas with memory ahead of their growth, until all shards are gone.
fn spawn_populator(job: &Job, asked: Receiver<PopulateJob>) -> Result<JoinHandle<()>, Error> {
    let thread = spawn_helper("frazil-memory", &job.cpus, move || {
        asked.iter().for_each(|part| part.run());
    })?;
    Ok(thread)
}
