//! Which operator of the flow is which operator of a checkpoint.
//!
//! Operators are found by their ids. An operator whose place was its id may get one: it is then
//! found by its place. A checkpoint of before operators were listed in it knows a fingerprint of
//! their methods in call order only: it belongs to a flow that begins with the same calls.

use std::collections::BTreeMap;

use frazil_state::format::{
    Manifest, NO_STAGE, OperatorEntry, SinkEntry, SourceEntry, TableEntry, WatermarkEntry,
};
use frazil_state::hash_bytes;

use crate::flow::{FlowPlan, OperatorId, PlannedTable};

/// Changes when operators or their order do.
pub(crate) fn flow_fingerprint(operators: &[&'static str]) -> u64 {
    hash_bytes(operators.join(" ").as_bytes()).0
}

/// The flow's operators for a manifest.
pub(crate) fn operator_entries(plan: &FlowPlan) -> Vec<OperatorEntry> {
    let entry = |(number, operator): (u32, &OperatorId)| OperatorEntry {
        id: operator.id.clone(),
        is_named: operator.is_named,
        stage: operator.stage.unwrap_or(NO_STAGE),
        inputs: operator.inputs.clone(),
        tables: tables_of(plan, number),
    };
    (0..).zip(&plan.ids).map(entry).collect()
}

fn tables_of(plan: &FlowPlan, operator: u32) -> Vec<TableEntry> {
    let tables = plan.tables.iter().filter(|it| it.operator == operator);
    let entry = |table: &PlannedTable| {
        let (key_fingerprint, value_fingerprint) = table.types.fingerprints();
        TableEntry {
            name: table.name.clone(),
            key_fingerprint,
            value_fingerprint,
        }
    };
    tables.map(entry).collect()
}

/// The operators of a checkpoint and those of the flow that are the same.
pub(crate) struct OperatorMatch {
    /// The checkpoint's operators.
    pub(super) old: Vec<OperatorEntry>,
    /// Of each operator of the flow, that of the checkpoint.
    old_of: Vec<Option<u32>>,
}

impl OperatorMatch {
    /// None if the checkpoint does not list its operators and was made by other ones.
    pub(crate) fn new(manifest: &Manifest, plan: &FlowPlan) -> Option<Self> {
        if manifest.operators.is_empty() {
            return Self::by_calls(manifest, plan);
        }
        let old = &manifest.operators;
        let position = |is_it: &dyn Fn(&OperatorEntry) -> bool| {
            let found = old.iter().position(is_it);
            found.map(|number| u32::try_from(number).expect("a flow is written by hand"))
        };
        let mut old_of: Vec<_> = plan
            .ids
            .iter()
            .map(|new| {
                let by_id = position(&|old| old.id == new.id);
                let by_place = || position(&|old| !old.is_named && old.id == new.place);
                by_id.or_else(by_place)
            })
            .collect();
        // An id that was chosen goes before a place that happens to read alike.
        for at in 0..old_of.len() {
            let is_named = |other: usize| plan.ids[other].is_named;
            let is_other = |other: &usize| *other != at && old_of[*other] == old_of[at];
            let others: Vec<_> = (0..old_of.len()).filter(is_other).collect();
            if !plan.ids[at].is_named && others.into_iter().any(is_named) {
                old_of[at] = None;
            }
        }
        Some(Self {
            old: old.clone(),
            old_of,
        })
    }

    /// For a flow that has no checkpoint.
    pub(crate) fn none(plan: &FlowPlan) -> Self {
        Self {
            old: Vec::new(),
            old_of: vec![None; plan.ids.len()],
        }
    }

    fn by_calls(manifest: &Manifest, plan: &FlowPlan) -> Option<Self> {
        let made_by =
            |count: &usize| flow_fingerprint(&plan.operators[..*count]) == manifest.job_fingerprint;
        let known = (1..=plan.operators.len()).rev().find(made_by)?;
        let mut old = operator_entries(plan);
        old.truncate(known);
        let numbers = 0..u32::try_from(plan.ids.len()).expect("a flow is written by hand");
        let old_of = numbers.map(|it| ((it as usize) < known).then_some(it));
        Some(Self {
            old_of: old_of.collect(),
            old,
        })
    }

    /// The checkpoint's operator that an operator of the flow is.
    pub(crate) fn old_of(&self, operator: u32) -> Option<u32> {
        self.old_of[operator as usize]
    }

    /// The flow's operator that one of the checkpoint is.
    pub(crate) fn new_of(&self, old: u32) -> Option<u32> {
        let at = self.old_of.iter().position(|it| *it == Some(old))?;
        Some(u32::try_from(at).expect("a flow is written by hand"))
    }

    /// Whether nothing is new and nothing is gone.
    fn is_same_flow(&self) -> bool {
        self.old_of.iter().all(Option::is_some) && self.old.len() == self.old_of.len()
    }

    /// Whether the flow has the same operators, exchanges and stages in the same order; ids and
    /// what the operators do may differ. Records in flight are found by these numbers.
    pub(super) fn has_same_shape(&self, manifest: &Manifest, plan: &FlowPlan) -> bool {
        let shape = |it: &OperatorEntry| (it.stage, it.inputs.clone());
        flow_fingerprint(&plan.operators) == manifest.job_fingerprint
            && (self.old.iter().map(shape)).eq(operator_entries(plan).iter().map(shape))
    }

    /// The manifest in the numbers of the flow, without what is gone.
    pub(crate) fn translate(&self, manifest: Manifest, plan: &FlowPlan) -> Manifest {
        let finished_stages = self.finished_stages(&manifest, plan);
        let sources = manifest.sources.into_iter().filter_map(|source| {
            let operator = self.new_of(source.operator)?;
            Some(SourceEntry { operator, ..source })
        });
        let sinks = manifest.sinks.into_iter().filter_map(|sink| {
            let operator = self.new_of(sink.operator)?;
            Some(SinkEntry { operator, ..sink })
        });
        let watermarks = manifest.watermarks.into_iter().filter_map(|watermark| {
            let operator = self.new_of(watermark.operator)?;
            Some(WatermarkEntry {
                operator,
                ..watermark
            })
        });
        Manifest {
            sources: sources.collect(),
            sinks: sinks.collect(),
            watermarks: watermarks.collect(),
            finished: manifest.finished && self.is_same_flow(),
            finished_stages,
            operators: operator_entries(plan),
            ..manifest
        }
    }

    /// Stages of the flow that were finished and have no new input. A stage is found by its first
    /// operator, which is the one that has state.
    fn finished_stages(&self, manifest: &Manifest, plan: &FlowPlan) -> Vec<u32> {
        // By operator: all sources in front of it have ended.
        let mut ended: Vec<bool> = Vec::with_capacity(plan.ids.len());
        let mut first_of_stage = BTreeMap::new();
        for (number, operator) in plan.ids.iter().enumerate() {
            let old = self.old_of[number];
            let mut sources = manifest.sources.iter();
            let has_ended = match &operator.inputs[..] {
                [] => sources.any(|it| it.finished && Some(it.operator) == old),
                inputs => inputs.iter().all(|input| ended[*input as usize]),
            };
            ended.push(has_ended);
            if let Some(stage) = operator.stage {
                first_of_stage.entry(stage).or_insert(number);
            }
        }
        let is_finished = |first: usize| {
            let old_stage = self.old_of[first].map(|old| self.old[old as usize].stage);
            ended[first] && old_stage.is_some_and(|it| manifest.finished_stages.contains(&it))
        };
        let stages = first_of_stage.into_iter();
        stages
            .filter(|(_, first)| is_finished(*first))
            .map(|(stage, _)| stage)
            .collect()
    }
}
