//! From a checkpoint directory to a job that can go on: choose the newest whole checkpoint,
//! restore, let sinks recover.
//!
//! There is no silent fresh start: a directory with manifests gives a restored job or an error.
//! Falling back past a damaged checkpoint is reported, and refused where a sink cannot take back
//! what it may have committed since.

use std::sync::Arc;
use std::time::Instant;

use frazil_io::storage::Storage;
use frazil_state::format::{FormatError, Manifest, SourceEntry, SplitEntry, decode};
use frazil_state::{Store, StoreConfig};

use super::beginning::{Choice, Known};
use super::identity::{
    JobIdentity, check_job, check_manifest, check_tables, drops_tables, match_operators,
};
use super::ledger::Ledger;
use super::names;
use super::outlets::Outlets;
use super::preflight::Preflight;
use super::report::{RecoveryReport, RestoredSplit, SkippedCheckpoint};
use super::rescale::rescale_shards;
use super::restore::{RestoreMode, RestoredShards, restore_in_flight, restore_shards};
use super::restoring::{RestoringJob, Unverified};
use crate::error::Error;
use crate::flow::{AssignedSplit, FlowPlan};
use crate::in_flight::RestoredInFlight;
use crate::source::Split;
use crate::statistics::nanos;

/// A job's state at its start.
pub(crate) struct Recovered {
    pub(crate) stores: Vec<Store>,
    pub(crate) ledger: Ledger,
    pub(crate) manifest: Option<Manifest>,
    pub(crate) next_epoch: u64,
    pub(crate) report: Option<RecoveryReport>,
    /// What a mapped restore leaves to be verified.
    pub(crate) restoring: Option<RestoringJob>,
    /// What was in flight.
    pub(crate) in_flight: Arc<RestoredInFlight>,
}

impl Recovered {
    /// A start without a checkpoint.
    pub(crate) fn fresh(
        configs: &[StoreConfig],
        keep: usize,
        next_epoch: u64,
    ) -> Result<Self, Error> {
        let new =
            |(shard, config)| Store::new(config).map_err(|source| Error::State { shard, source });
        Ok(Self {
            stores: configs
                .iter()
                .enumerate()
                .map(new)
                .collect::<Result<_, _>>()?,
            ledger: Ledger::new(configs.len(), keep),
            manifest: None,
            next_epoch,
            report: None,
            restoring: None,
            in_flight: Arc::default(),
        })
    }

    pub(super) fn from_checkpoint(
        chosen: Chosen,
        ledger: Ledger,
        next_epoch: u64,
        begun: Instant,
    ) -> Self {
        let manifest = chosen.manifest;
        let checkpoint = manifest.checkpoint;
        let bytes: u64 = chosen.stores.iter().map(Store::used_bytes).sum();
        let duration_ns = nanos(begun.elapsed());
        let shard_count = manifest.shards.len();
        tracing::info!(checkpoint, shard_count, bytes, duration_ns, "restored");
        Self {
            ledger,
            next_epoch,
            report: Some(RecoveryReport {
                checkpoint: manifest.checkpoint,
                duration: begun.elapsed(),
                restoring: None,
                state_bytes: bytes,
                shard_count,
                splits: restored_splits(&manifest),
                skipped: chosen.skipped,
                left_behind: Vec::new(),
                finished: manifest.finished,
            }),
            stores: chosen.stores,
            manifest: Some(manifest),
            restoring: None,
            in_flight: Arc::new(chosen.in_flight),
        }
    }

    /// The same, after a choice that passed over newer checkpoints.
    fn left_behind(mut self, left_behind: Vec<u64>) -> Self {
        if let Some(report) = &mut self.report {
            report.left_behind = left_behind;
        }
        self
    }

    /// The same, with something left to verify.
    fn with_restoring(mut self, restoring: Option<RestoringJob>) -> Self {
        if let Some(report) = &mut self.report {
            report.restoring = restoring.as_ref().map(RestoringJob::progress);
        }
        Self { restoring, ..self }
    }

    /// Stages that the checkpoint has as finished.
    pub(crate) fn finished_stages(&self) -> Vec<u32> {
        let manifest = self.manifest.as_ref();
        manifest.map_or_else(Vec::new, |manifest| manifest.finished_stages.clone())
    }

    /// The splits of all sources, spread over the shards.
    pub(crate) fn assign_splits(
        &self,
        plan: &FlowPlan,
        shard_count: usize,
    ) -> Vec<Vec<AssignedSplit>> {
        let mut shards: Vec<Vec<AssignedSplit>> = (0..shard_count).map(|_| Vec::new()).collect();
        for source in &plan.sources {
            let restored = self.manifest.as_ref().and_then(|manifest| {
                let sources = manifest.sources.iter();
                sources.into_iter().find(|s| s.operator == source.operator)
            });
            let splits: Vec<AssignedSplit> = match restored {
                None => source
                    .splits
                    .iter()
                    .map(|split| AssignedSplit {
                        operator: source.operator,
                        split: split.clone(),
                        position: None,
                        finished: false,
                    })
                    .collect(),
                Some(entry) => entry
                    .splits
                    .iter()
                    .map(|split| AssignedSplit {
                        operator: source.operator,
                        split: Split {
                            id: split.id,
                            description: split.description.clone(),
                        },
                        position: Some(split.position.clone()),
                        finished: split.finished,
                    })
                    .collect(),
            };
            // What is left to read is dealt out first, so that every shard gets its part of it.
            let (finished, open): (Vec<_>, Vec<_>) = splits.into_iter().partition(|s| s.finished);
            for (index, split) in open.into_iter().chain(finished).enumerate() {
                shards[index % shard_count].push(split);
            }
        }
        shards
    }
}

/// What a recovery needs to know about the job.
#[derive(Clone, Copy)]
pub(crate) struct JobView<'a> {
    pub(crate) identity: &'a JobIdentity,
    pub(crate) plan: &'a FlowPlan,
    pub(crate) configs: &'a [StoreConfig],
}

/// Recovers a job from its checkpoint directory, or starts it fresh if there is none in it or that
/// was chosen.
///
/// Restored state is verified (but for what is mapped) before anything durable is changed: by
/// `abandoned-M-N` where an older checkpoint was chosen, then by the sinks.
///
/// # Errors
/// Checkpoints of another job or flow, no whole checkpoint or not the one that was chosen, changed
/// input, or a sink that cannot recover.
pub(crate) fn recover(
    storage: &Arc<dyn Storage>,
    job: JobView<'_>,
    outlets: &mut Outlets,
    mode: RestoreMode,
    choice: Choice,
) -> Result<Recovered, Error> {
    let begun = Instant::now();
    let shared = storage;
    let storage = &**shared;
    let JobView {
        identity,
        plan,
        configs,
    } = job;
    let mut names = storage.list()?;
    let next_epoch = next_epoch(&names);
    let mut known = Known::new(&names);
    let left_behind = known.choose(choice)?;
    if known.checkpoints.is_empty() {
        return fresh(storage, job, outlets, known, &left_behind, next_epoch);
    }
    // What a mapped restore found damaged, older checkpoints may need too.
    let mode = if names.iter().any(|name| names::is_damage_note(name)) {
        RestoreMode::Eager
    } else {
        mode
    };
    let restored = |mode| match choice {
        // Named: damage is an error and not a reason to take another.
        Choice::Checkpoint(checkpoint) => restore(storage, job, checkpoint, mode),
        Choice::Newest | Choice::Fresh => choose(storage, job, &known.checkpoints, mode),
    };
    let mut chosen = restored(mode)?;
    // Dropping a table walks over its pages, which must be verified by then.
    if !chosen.unverified.is_empty() && drops_tables(&chosen.stores, &plan.tables) {
        drop(chosen);
        chosen = restored(RestoreMode::Eager)?;
    }
    let checkpoint = chosen.manifest.checkpoint;
    check_tables(checkpoint, &mut chosen.stores, &plan.tables, identity)?;
    if !identity.may_repeat_output {
        check_fall_back(&chosen, &left_behind, outlets)?;
    }
    // The crash may have come between a manifest's rename and its directory sync: nothing is
    // committed on the word of a name that a power loss could still take.
    storage.sync_directory()?;
    if !left_behind.is_empty() {
        names.push(known.abandon(storage, checkpoint)?);
    }
    outlets.recover(checkpoint, &chosen.manifest.sinks)?;
    let kept = kept_manifests(storage, &names, &known, &chosen.manifest);
    let shard_count = chosen.manifest.shards.len();
    let ledger = if shard_count == configs.len() {
        Ledger::recovered(&kept, &chosen.manifest, identity.keep)
    } else {
        Ledger::without_base(&kept, configs.len(), identity.keep)
    };
    let ledger = ledger.with_notes(&names);
    if chosen.skipped.is_empty() && !known.keeps_abandoned(checkpoint) {
        ledger.sweep(storage)?;
    }
    let unverified = std::mem::take(&mut chosen.unverified);
    let restoring = RestoringJob::new(Arc::clone(shared), checkpoint, unverified);
    let recovered = Recovered::from_checkpoint(chosen, ledger, next_epoch, begun);
    Ok(recovered.left_behind(left_behind).with_restoring(restoring))
}

/// A start without a checkpoint. What is left behind stays until there is a new one.
fn fresh(
    storage: &dyn Storage,
    job: JobView<'_>,
    outlets: &mut Outlets,
    mut known: Known,
    left_behind: &[u64],
    next_epoch: u64,
) -> Result<Recovered, Error> {
    // Before anything is changed: a sink that refuses must not leave a directory whose checkpoints
    // do not count any more.
    outlets.check_fresh()?;
    if !left_behind.is_empty() {
        known.abandon(storage, 0)?;
    }
    outlets.recover_fresh()?;
    let names = storage.list()?;
    let pinned = pinned_manifests(storage, &names, &known);
    let mut recovered = Recovered::fresh(job.configs, job.identity.keep, next_epoch)?;
    let ledger = Ledger::without_base(&pinned, job.configs.len(), job.identity.keep);
    recovered.ledger = ledger.with_notes(&names);
    if !known.keeps_abandoned(0) {
        recovered.ledger.sweep(storage)?;
    }
    Ok(recovered)
}

/// Going back behind output that was committed needs sinks that can take it back.
fn check_fall_back(chosen: &Chosen, left_behind: &[u64], outlets: &Outlets) -> Result<(), Error> {
    let damaged = chosen.skipped.first().map(|skipped| skipped.reason.clone());
    let left = left_behind.last();
    let reason = damaged.or_else(|| left.map(|n| format!("it was chosen instead of {n}")));
    match (reason, outlets.cannot_retract()) {
        (Some(reason), Some(sink)) => Err(Error::FallBack {
            checkpoint: chosen.manifest.checkpoint,
            sink: sink.to_owned(),
            reason,
        }),
        (None, _) | (_, None) => Ok(()),
    }
}

fn restored_splits(manifest: &Manifest) -> Vec<RestoredSplit> {
    let of_source = |source: &SourceEntry| {
        let name = source.name.clone();
        let restored = move |split: &SplitEntry| RestoredSplit {
            source: name.clone(),
            split: Split {
                id: split.id,
                description: split.description.clone(),
            },
            position: split.position.clone(),
            finished: split.finished,
        };
        source.splits.iter().map(restored).collect::<Vec<_>>()
    };
    manifest.sources.iter().flat_map(of_source).collect()
}

/// A restored checkpoint, and newer ones that were not whole.
pub(super) struct Chosen {
    pub(super) manifest: Manifest,
    pub(super) stores: Vec<Store>,
    pub(super) unverified: Vec<Unverified>,
    pub(super) in_flight: RestoredInFlight,
    pub(super) skipped: Vec<SkippedCheckpoint>,
}

/// The newest checkpoint that is whole, by reading all of it, or all but what is mapped.
fn choose(
    storage: &dyn Storage,
    job: JobView<'_>,
    checkpoints: &[u64],
    mode: RestoreMode,
) -> Result<Chosen, Error> {
    let mut skipped = Vec::new();
    for checkpoint in checkpoints.iter().rev() {
        match restore(storage, job, *checkpoint, mode) {
            Ok(chosen) => return Ok(Chosen { skipped, ..chosen }),
            Err(error) if is_damage(&error) => {
                tracing::warn!(checkpoint, %error, "checkpoint is not whole");
                skipped.push(SkippedCheckpoint {
                    checkpoint: *checkpoint,
                    reason: error.to_string(),
                });
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::NoWholeCheckpoint {
        location: storage.location(),
        reasons: skipped.into_iter().map(|s| s.reason).collect(),
    })
}

/// An epoch that no file in a directory belongs to, nor any that could be left of later ones.
pub(super) fn next_epoch(names: &[String]) -> u64 {
    let epochs = names.iter().filter_map(|name| names::epoch_of(name));
    epochs.max().unwrap_or(0) + 1
}

/// True where an older checkpoint may still be whole; false where it would fail alike, or where
/// nothing is damaged.
pub(super) fn is_damage(error: &Error) -> bool {
    match error {
        Error::Format(format) => !matches!(
            format,
            FormatError::Version { .. } | FormatError::Layout { .. }
        ),
        Error::Io(io) => matches!(
            io,
            frazil_io::IoError::Missing { .. } | frazil_io::IoError::Short { .. }
        ),
        Error::State { source, .. } => matches!(source, frazil_state::StateError::Damaged { .. }),
        _ => false,
    }
}

/// Compares the flow with a checkpoint, by its manifest alone: the one of this number, or the
/// newest whose manifest is whole.
///
/// # Errors
/// A checkpoint of another job, or none whose manifest is whole.
pub(crate) fn preflight(
    storage: &dyn Storage,
    checkpoint: Option<u64>,
    identity: &JobIdentity,
    plan: &FlowPlan,
) -> Result<Preflight, Error> {
    let names = storage.list()?;
    let checkpoints = match checkpoint {
        Some(checkpoint) => vec![checkpoint],
        None => Known::new(&names).checkpoints,
    };
    let mut reasons = Vec::new();
    for checkpoint in checkpoints.into_iter().rev() {
        let manifest = match read_manifest(storage, checkpoint) {
            Ok(manifest) => manifest,
            Err(error) if is_damage(&error) => {
                reasons.push(error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        check_job(storage, &manifest, identity)?;
        let operators = match_operators(&manifest, plan)?;
        return Ok(Preflight::compare(&manifest, &operators, plan, identity));
    }
    if reasons.is_empty() {
        return Ok(Preflight::all_new(plan));
    }
    Err(Error::NoWholeCheckpoint {
        location: storage.location(),
        reasons,
    })
}

/// The manifest comes back in the operator and stage numbers of the flow.
pub(super) fn restore(
    storage: &dyn Storage,
    job: JobView<'_>,
    checkpoint: u64,
    mode: RestoreMode,
) -> Result<Chosen, Error> {
    let JobView {
        identity,
        plan,
        configs,
    } = job;
    let _span = tracing::debug_span!("restore", checkpoint, ?mode).entered();
    let manifest = read_manifest(storage, checkpoint)?;
    let operators = check_manifest(storage, &manifest, identity, plan)?;
    let manifest = operators.translate(manifest, plan);
    let restored = if manifest.shards.len() == configs.len() {
        restore_shards(storage, &manifest, configs, mode)?
    } else {
        RestoredShards {
            stores: rescale_shards(storage, &manifest, configs)?,
            unverified: Vec::new(),
            in_flight: restore_in_flight(storage, &manifest)?,
        }
    };
    Ok(Chosen {
        manifest,
        stores: restored.stores,
        unverified: restored.unverified,
        in_flight: restored.in_flight,
        skipped: Vec::new(),
    })
}

pub(super) fn read_manifest(storage: &dyn Storage, checkpoint: u64) -> Result<Manifest, Error> {
    let name = names::manifest(checkpoint);
    let file = storage.open(&name)?;
    let length = usize::try_from(file.length_bytes()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    let manifest = decode(&name, &bytes)?;
    if manifest.checkpoint != checkpoint {
        return Err(Error::Format(FormatError::Corrupt {
            file: name,
            offset: 32,
            what: "checkpoint number",
            expected: checkpoint.to_string(),
            found: manifest.checkpoint.to_string(),
        }));
    }
    Ok(manifest)
}

/// Manifests that are kept: those up to the restored one that still decode, and pinned ones that
/// were abandoned.
fn kept_manifests(
    storage: &dyn Storage,
    names: &[String],
    known: &Known,
    restored: &Manifest,
) -> Vec<Manifest> {
    let mut manifests = pinned_manifests(storage, names, known);
    let counting = known.checkpoints.iter();
    let older = counting.filter(|checkpoint| **checkpoint < restored.checkpoint);
    manifests.extend(older.filter_map(|checkpoint| read_manifest(storage, *checkpoint).ok()));
    manifests.push(restored.clone());
    manifests
}

/// Manifests that were abandoned and that the user keeps.
fn pinned_manifests(storage: &dyn Storage, names: &[String], known: &Known) -> Vec<Manifest> {
    let pins = names.iter().filter_map(|name| names::pinned_by(name));
    let abandoned = pins.filter(|pinned| known.is_abandoned(*pinned));
    abandoned
        .filter_map(|checkpoint| read_manifest(storage, checkpoint).ok())
        .collect()
}
