//! Manifests: what is the same in every one of a job, filled with what an assembly has collected.

use frazil_state::format::{
    Manifest, SegmentEntry, SettingEntry, ShardEntry, SinkEntry, SourceEntry, SplitEntry,
};

use super::assembly::Assembly;
use super::ledger::Ledger;
use crate::shard::unix_ms;

/// A job's manifests but for one checkpoint's facts.
pub(crate) struct ManifestTemplate {
    /// Identity of the job; sources without splits.
    pub(crate) job: Manifest,
    /// Stages of the flow.
    pub(crate) stage_count: usize,
}

impl ManifestTemplate {
    /// The manifest of a complete assembly whose segment is synced and whose sinks have
    /// pre-committed.
    pub(crate) fn fill(
        &self,
        assembly: &Assembly,
        ledger: &Ledger,
        segment: Option<SegmentEntry>,
        sinks: Vec<SinkEntry>,
        settings: Vec<SettingEntry>,
    ) -> Manifest {
        let reports = || assembly.reports.iter().flatten();
        let shards = reports().zip(ledger.images());
        let mut segments = ledger.segments().to_vec();
        segments.extend(segment);
        let mut finished_stages: Vec<u32> = reports()
            .next()
            .map(|report| report.finished_stages.clone())
            .unwrap_or_default();
        // A source stage ends on each shard in its own time; the others end on all shards or on
        // none.
        finished_stages.retain(|stage| reports().all(|r| r.finished_stages.contains(stage)));
        let sources = self.job.sources.iter();
        Manifest {
            checkpoint: assembly.epoch,
            created_unix_ms: unix_ms(),
            shards: shards
                .map(|(report, image)| ShardEntry {
                    page_count: report.page_count,
                    image: image.clone(),
                })
                .collect(),
            segments,
            sources: sources
                .map(|source| with_positions(source, assembly))
                .collect(),
            finished: assembly.last && finished_stages.len() == self.stage_count,
            finished_stages,
            in_flight: assembly.in_flight.clone(),
            sinks,
            settings,
            ..self.job.clone()
        }
    }
}

fn with_positions(source: &SourceEntry, assembly: &Assembly) -> SourceEntry {
    let positions = assembly.reports.iter().flatten();
    let positions = positions.flat_map(|report| &report.positions);
    let mut splits: Vec<SplitEntry> = positions
        .filter(|position| position.operator == source.operator)
        .map(|position| SplitEntry {
            id: position.split_id,
            description: position.description.clone(),
            position: position.position.clone(),
            finished: position.finished,
        })
        .collect();
    splits.sort_unstable_by_key(|split| split.id);
    SourceEntry {
        finished: splits.iter().all(|split| split.finished),
        splits,
        ..source.clone()
    }
}
