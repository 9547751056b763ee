//! Spawning the shards: what each one is born with, and the wait until all of them run.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use frazil_io::runtime::{Bell, Heartbeat, LoopSpec, PinnedThread, spawn_pinned};
use frazil_state::{KeyGroups, PopulateJob, Store};

use super::builder::Job;
use super::start::{Build, Lasting};
use crate::checkpoint::{CheckpointMode, Notice, Recovered};
use crate::error::Error;
use crate::exchange::ShardRings;
use crate::flow::{AssignedSplit, BuildContext, Flow, FlowPlan};
use crate::in_flight::RestoredInFlight;
use crate::shard::{Clock, JobControl, JobProgress, Shard, ShardParts, ShardProbe, WriterLink};

/// What all threads of a job share.
pub(super) struct Common {
    pub(super) control: Arc<JobControl>,
    pub(super) bells: Vec<Bell>,
    pub(super) progress: JobProgress,
    pub(super) probes: Vec<Arc<ShardProbe>>,
    pub(super) notices: Sender<Notice>,
    pub(super) populate: Sender<PopulateJob>,
    pub(super) started: Instant,
    pub(super) clock: Clock,
}

/// What the shards send to the helper threads.
pub(super) struct Inboxes {
    pub(super) notices: Receiver<Notice>,
    pub(super) populate: Receiver<PopulateJob>,
}

impl Common {
    pub(super) fn new(shard_count: usize, clock: Clock) -> (Self, Inboxes) {
        let (notices, notice_inbox) = channel();
        let (populate, populate_inbox) = channel();
        let probes = (0..shard_count).map(|_| Arc::new(ShardProbe::new()));
        let common = Self {
            control: Arc::default(),
            bells: (0..shard_count).map(|_| Bell::new()).collect(),
            progress: JobProgress::new(shard_count),
            probes: probes.collect(),
            notices,
            populate,
            started: Instant::now(),
            clock,
        };
        let inboxes = Inboxes {
            notices: notice_inbox,
            populate: populate_inbox,
        };
        (common, inboxes)
    }
}

/// What one shard is born with.
pub(super) struct Seed {
    store: Store,
    link: WriterLink,
    splits: Vec<AssignedSplit>,
    mode: CheckpointMode,
    in_flight: Arc<RestoredInFlight>,
    finished_stages: Vec<u32>,
    restored_epoch: u64,
    key_groups: KeyGroups,
    persistent: bool,
    paced_capture: bool,
}

pub(super) fn seeds(
    job: &Job,
    plan: &FlowPlan,
    recovered: &mut Recovered,
    links: Vec<WriterLink>,
    persistent: bool,
) -> Vec<Seed> {
    let splits = recovered.assign_splits(plan, links.len());
    let finished_stages = recovered.finished_stages();
    let stores = std::mem::take(&mut recovered.stores);
    let parts = stores.into_iter().zip(links).zip(splits);
    parts
        .map(|((store, link), splits)| Seed {
            store,
            link,
            splits,
            mode: job.checkpoints.mode,
            in_flight: Arc::clone(&recovered.in_flight),
            finished_stages: finished_stages.clone(),
            restored_epoch: recovered.next_epoch - 1,
            key_groups: job.key_groups,
            persistent,
            paced_capture: job.tuning.paced_capture,
        })
        .collect()
}

/// The shards' threads; with a failure, those that were started before it.
pub(super) struct Spawned {
    pub(super) threads: Vec<PinnedThread>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) failure: Option<Error>,
}

pub(super) fn spawn_shards(
    lasting: &Lasting,
    common: &Common,
    seeds: Vec<Seed>,
    rings: Vec<ShardRings>,
    operators: Vec<&'static str>,
) -> Spawned {
    let job = &lasting.job;
    let driver = lasting.driver.driver;
    let mut spawned = Spawned {
        threads: Vec::new(),
        heartbeat: None,
        failure: None,
    };
    let (ready, built) = channel();
    for (index, (seed, rings)) in seeds.into_iter().zip(rings).enumerate() {
        let birth = Birth {
            index,
            seed,
            rings,
            operators: operators.clone(),
            build: Arc::clone(&lasting.build),
            bells: common.bells.clone(),
            control: Arc::clone(&common.control),
            progress: common.progress.clone(),
            probe: Arc::clone(&common.probes[index]),
            notices: common.notices.clone(),
            populate: common.populate.clone(),
            started: common.started,
            clock: common.clock.clone(),
            ready: ready.clone(),
        };
        let spec = LoopSpec {
            name: format!("frazil-shard-{index}"),
            cpu: Some(job.cpus[index]),
            may_spin: job.may_spin,
            bell: common.bells[index].clone(),
        };
        match spawn_pinned(driver, spec, move || birth.make()) {
            Ok(thread) => spawned.threads.push(thread),
            Err(error) => {
                spawned.failure = Some(Error::Io(error));
                return spawned;
            }
        }
    }
    drop(ready);
    // A shard that panicked while it was built sends nothing; the coordinator reports its message.
    let all_built = (0..spawned.threads.len()).all(|_| built.recv().is_ok());
    if !all_built {
        spawned.failure = Some(Error::Ended);
        return spawned;
    }
    let turns = spawned.threads.iter().map(PinnedThread::turns);
    let loops = common.bells.iter().cloned().zip(turns).collect();
    match Heartbeat::start(loops, &job.cpus) {
        Ok(heartbeat) => spawned.heartbeat = Some(heartbeat),
        Err(error) => spawned.failure = Some(Error::Io(error)),
    }
    spawned
}

/// Builds a shard on its own thread.
struct Birth {
    index: usize,
    seed: Seed,
    rings: ShardRings,
    operators: Vec<&'static str>,
    build: Arc<Build>,
    bells: Vec<Bell>,
    control: Arc<JobControl>,
    progress: JobProgress,
    probe: Arc<ShardProbe>,
    notices: Sender<Notice>,
    populate: Sender<PopulateJob>,
    started: Instant,
    clock: Clock,
    ready: Sender<()>,
}

impl Birth {
    fn make(self) -> Shard {
        let mut store = self.seed.store;
        let context = BuildContext {
            shard: self.index,
            shard_count: self.bells.len(),
            key_groups: self.seed.key_groups,
            first_epoch: self.seed.restored_epoch + 1,
            operators: &self.operators,
            splits: self.seed.splits,
            mode: self.seed.mode,
            in_flight: &self.seed.in_flight,
            finished_stages: &self.seed.finished_stages,
            rings: self.rings,
            bells: &self.bells,
            store: &mut store,
            stage: 0,
        };
        let (stages, failure) = match Flow::build(&*self.build, context) {
            Ok(stages) => (stages, None),
            Err(error) => (Vec::new(), Some(Error::Flow(error))),
        };
        let _ = self.ready.send(());
        Shard::new(ShardParts {
            shard: self.index,
            stages,
            store,
            link: self.seed.link,
            control: self.control,
            progress: self.progress,
            probe: self.probe,
            notices: self.notices,
            populate: self.populate,
            started: self.started,
            clock: self.clock,
            restored_epoch: self.seed.restored_epoch,
            persistent: self.seed.persistent,
            paced_capture: self.seed.paced_capture,
            failure,
        })
    }
}
