//! What must be equal for a checkpoint to belong to a job, and what may have changed since.
//!
//! * The name, the key groups, the hash function and rkyv's layout must be equal.
//! * Operators must be equal, but new streams may follow: their sources and sinks start afresh.
//! * A table's types must be equal. A new table starts empty. A table that the flow no longer has
//!   is dropped if the user allows it, else the start is refused.
//!
//! A migration of a table's values to other types would go where [`check_tables`] refuses them:
//! between restore and the first record.

use std::collections::BTreeSet;

use frazil_io::storage::Storage;
use frazil_state::format::{Manifest, archive_layout};
use frazil_state::{HASH_ID, HASH_SEED, Store, hash_bytes};

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
    /// Tables of the checkpoint that the flow does not have may go.
    pub(crate) allow_dropped_state: bool,
}

/// Changes when operators or their order do.
pub(crate) fn flow_fingerprint(operators: &[&'static str]) -> u64 {
    hash_bytes(operators.join(" ").as_bytes()).0
}

/// Checks everything that the manifest alone tells.
pub(crate) fn check_manifest(
    storage: &dyn Storage,
    manifest: &Manifest,
    identity: &JobIdentity,
    plan: &FlowPlan,
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
    let own_operators = flow_fingerprint(&plan.operators);
    let facts: [(&'static str, u64, u64); 4] = [
        (
            "operators",
            known_operators(manifest, plan).map_or(own_operators, |_| manifest.job_fingerprint),
            manifest.job_fingerprint,
        ),
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
    check_sources(manifest, plan)
}

/// How many of the flow's operators made the checkpoint; operators behind them are new.
pub(crate) fn known_operators(manifest: &Manifest, plan: &FlowPlan) -> Option<usize> {
    let counts = (1..=plan.operators.len()).rev();
    let mut counts = counts
        .filter(|count| flow_fingerprint(&plan.operators[..*count]) == manifest.job_fingerprint);
    counts.next()
}

fn check_sources(manifest: &Manifest, plan: &FlowPlan) -> Result<(), Error> {
    let known = known_operators(manifest, plan).unwrap_or(0);
    let is_known = |operator: u32| (operator as usize) < known;
    for source in plan.sources.iter().filter(|s| is_known(s.operator)) {
        let entries = &manifest.sources;
        let Some(entry) = entries.iter().find(|e| e.operator == source.operator) else {
            return Err(Error::OtherFlow {
                checkpoint: manifest.checkpoint,
                what: "sources",
                expected: source.name.clone(),
                found: "none at its place".to_owned(),
            });
        };
        if entry.fingerprint != source.fingerprint {
            let changed = SourceError::changed_fingerprint(
                &source.name,
                entry.fingerprint,
                source.fingerprint,
            );
            return Err(Error::of_source(&source.name, changed));
        }
    }
    Ok(())
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
        dropped.extend(names.filter(|name| !tables.iter().any(|table| table.name == *name)));
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
