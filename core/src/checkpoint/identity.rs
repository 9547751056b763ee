//! What must be equal for a checkpoint to belong to a job, and what may have changed since.
//!
//! * The name, the key groups, the hash function and rkyv's layout must be equal.
//! * Operators are found by their ids ([`OperatorMatch`]). A new source or sink starts afresh; one
//!   that the flow no longer has must be allowed to go.
//! * A table's types must be equal. A new table starts empty. A table that the flow no longer has
//!   is dropped if the user allows it, else the start is refused.
//!
//! A migration of a table's values to other types would go where [`check_tables`] refuses them:
//! between restore and the first record.

use std::collections::BTreeSet;

use frazil_io::storage::Storage;
use frazil_state::format::{Manifest, archive_layout};
use frazil_state::{HASH_ID, HASH_SEED, Store};

use super::operator_match::{OperatorMatch, flow_fingerprint};
use super::preflight::{Part, Preflight, PreflightLine, Verdict};
use crate::error::Error;
use crate::flow::{FlowPlan, PlannedTable};
use crate::source::SourceError;

/// A job as far as its checkpoints are concerned.
pub(crate) struct JobIdentity {
    pub(crate) name: String,
    pub(crate) key_group_count: u32,
    pub(crate) keep: usize,
    /// Output may be repeated after a recovery.
    pub(crate) may_repeat_output: bool,
    /// What the checkpoint has and the flow does not may go.
    pub(crate) allow_dropped_state: bool,
    /// The start is from a savepoint: a sink of another name is another sink.
    pub(crate) tells_sinks_by_name: bool,
}

/// Checks that a manifest is of this job, whatever its flow.
pub(super) fn check_job(
    storage: &dyn Storage,
    manifest: &Manifest,
    identity: &JobIdentity,
) -> Result<(), Error> {
    if manifest.job_name != identity.name {
        return Err(Error::OtherJob {
            location: storage.location(),
            expected: identity.name.clone(),
            found: manifest.job_name.clone(),
        });
    }
    if manifest.key_group_count != identity.key_group_count {
        return Err(Error::KeyGroupCount {
            checkpoint: manifest.checkpoint,
            expected: identity.key_group_count,
            found: manifest.key_group_count,
        });
    }
    let facts: [(&'static str, u64, u64); 3] = [
        (
            "hash function",
            u64::from(HASH_ID),
            u64::from(manifest.hash_id),
        ),
        ("hash seed", HASH_SEED, manifest.hash_seed),
        ("archive layout", archive_layout(), manifest.value_layout),
    ];
    for (what, expected, found) in facts {
        if expected != found {
            return Err(Error::OtherFlow {
                checkpoint: manifest.checkpoint,
                what,
                expected: format!("{expected:#x}"),
                found: format!("{found:#x}"),
            });
        }
    }
    Ok(())
}

/// Finds the flow's operators in a manifest.
pub(super) fn match_operators(
    manifest: &Manifest,
    plan: &FlowPlan,
) -> Result<OperatorMatch, Error> {
    OperatorMatch::new(manifest, plan).ok_or_else(|| Error::OtherFlow {
        checkpoint: manifest.checkpoint,
        what: "operators",
        expected: format!("{:#x}", flow_fingerprint(&plan.operators)),
        found: format!("{:#x}", manifest.job_fingerprint),
    })
}

/// Checks everything that the manifest alone tells.
pub(super) fn check_manifest(
    storage: &dyn Storage,
    manifest: &Manifest,
    identity: &JobIdentity,
    plan: &FlowPlan,
) -> Result<OperatorMatch, Error> {
    check_job(storage, manifest, identity)?;
    let operators = match_operators(manifest, plan)?;
    let preflight = Preflight::compare(manifest, &operators, plan, identity);
    let is_told_here = |line: &PreflightLine| {
        let is_changed_input = line.part == Part::Source && line.verdict == Verdict::Incompatible;
        !line.is_told_by_tables && !is_changed_input
    };
    if preflight.refusals().any(is_told_here) {
        return Err(Error::Preflight {
            checkpoint: manifest.checkpoint,
            preflight: Box::new(preflight),
        });
    }
    check_sources(manifest, &operators, plan)?;
    let is_gone = |line: &&PreflightLine| {
        line.verdict == Verdict::Dropped && matches!(line.part, Part::Source | Part::Sink)
    };
    for line in preflight.lines.iter().filter(is_gone) {
        tracing::warn!(
            id = line.id,
            "it is dropped: the flow has no such source or sink"
        );
    }
    Ok(operators)
}

/// Input that has changed is told by its source, with all that it knows.
fn check_sources(
    manifest: &Manifest,
    operators: &OperatorMatch,
    plan: &FlowPlan,
) -> Result<(), Error> {
    for source in &plan.sources {
        let old = operators.old_of(source.operator);
        let entry = manifest.sources.iter().find(|it| Some(it.operator) == old);
        if let Some(entry) = entry.filter(|it| it.fingerprint != source.fingerprint) {
            let (name, found) = (&source.name, source.fingerprint);
            let changed = SourceError::changed_fingerprint(name, entry.fingerprint, found);
            return Err(Error::of_source(name, changed));
        }
    }
    Ok(())
}

/// Whether the flow no longer has some of the restored tables.
pub(crate) fn drops_tables(stores: &[Store], tables: &[PlannedTable]) -> bool {
    let mut names = stores.iter().flat_map(Store::table_names);
    names.any(|name| !has_table(tables, &name))
}

fn has_table(tables: &[PlannedTable], name: &str) -> bool {
    tables.iter().any(|table| table.name == name)
}

/// Compares the restored tables with the flow's, before any shard runs, and drops those that the
/// flow no longer has.
///
/// # Errors
/// [`Error::State`] for a table of other types, [`Error::DroppedState`] for tables that may not go.
pub(crate) fn check_tables(
    checkpoint: u64,
    stores: &mut [Store],
    tables: &[PlannedTable],
    identity: &JobIdentity,
) -> Result<(), Error> {
    let mut dropped = BTreeSet::new();
    for (shard, store) in stores.iter().enumerate() {
        for table in tables {
            let checked = store.check_types(&table.name, table.types);
            checked.map_err(|source| Error::State { shard, source })?;
        }
        let names = store.table_names().into_iter();
        dropped.extend(names.filter(|name| !has_table(tables, name)));
    }
    if !dropped.is_empty() && !identity.allow_dropped_state {
        return Err(Error::DroppedState {
            checkpoint,
            tables: dropped.into_iter().collect(),
        });
    }
    for name in dropped {
        tracing::warn!(
            table = name,
            "its state is dropped: the flow has no such table"
        );
        for (shard, store) in stores.iter_mut().enumerate() {
            let dropped = store.drop_table(&name);
            dropped.map_err(|source| Error::State { shard, source })?;
        }
    }
    Ok(())
}
