//! What a checkpoint and a flow have in common, said before anything starts.

use std::collections::BTreeMap;
use std::fmt;

use frazil_state::format::{Manifest, TableEntry};

use super::identity::JobIdentity;
use super::operator_match::OperatorMatch;
use crate::flow::FlowPlan;

/// What becomes of a part of a flow or of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on from the checkpoint.
    Kept,
    /// The checkpoint does not know it: it starts afresh.
    New,
    /// The flow no longer has it: what the checkpoint holds of it would be lost.
    Dropped,
    /// The flow cannot go on from what the checkpoint holds of it.
    Incompatible,
}

/// What a line of a [`Preflight`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A source, with its positions.
    Source,
    /// A sink, with what it has pre-committed.
    Sink,
    /// Any other operator. It may come and go, its tables may not.
    Operator,
    /// A table.
    Table,
}

/// One part and its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightLine {
    /// What it is.
    pub part: Part,
    /// Its id, for a table its name.
    pub id: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why, and what to do; empty where there is nothing to say.
    pub note: String,
    /// The restored tables tell this too, with all that is to be said about it.
    pub(crate) is_told_by_tables: bool,
}

/// Whether a flow can go on from a checkpoint, and what becomes of each operator, table, source and
/// sink; made by [`Job::check`](crate::Job::check). Its text is a table of all lines.
///
/// Tables are listed by checkpoints of this release; for older ones they are compared when the job
/// starts.
#[derive(Clone, Debug)]
pub struct Preflight {
    /// The checkpoint to go on from; none if there is none, and everything is new.
    pub checkpoint: Option<u64>,
    /// A line for each part of the flow, then for what only the checkpoint has.
    pub lines: Vec<PreflightLine>,
    pub(crate) allows_dropped: bool,
}

impl Preflight {
    /// Whether the job would start.
    #[must_use]
    pub fn starts(&self) -> bool {
        self.refusals().next().is_none()
    }

    /// The lines for which the job would not start.
    pub fn refusals(&self) -> impl Iterator<Item = &PreflightLine> {
        self.lines.iter().filter(|line| match line.verdict {
            Verdict::Kept | Verdict::New => false,
            Verdict::Dropped => line.part != Part::Operator && !self.allows_dropped,
            Verdict::Incompatible => true,
        })
    }

    /// For a flow without a checkpoint.
    pub(crate) fn all_new(plan: &FlowPlan) -> Self {
        let operators = OperatorMatch::none(plan);
        let comparison = Comparison {
            manifest: None,
            operators: &operators,
            plan,
            tells_sinks_by_name: false,
        };
        Self {
            checkpoint: None,
            lines: comparison.lines(),
            allows_dropped: false,
        }
    }

    pub(crate) fn compare(
        manifest: &Manifest,
        operators: &OperatorMatch,
        plan: &FlowPlan,
        identity: &JobIdentity,
    ) -> Self {
        let comparison = Comparison {
            manifest: Some(manifest),
            operators,
            plan,
            tells_sinks_by_name: identity.tells_sinks_by_name,
        };
        Self {
            checkpoint: Some(manifest.checkpoint),
            lines: comparison.lines(),
            allows_dropped: identity.allow_dropped_state,
        }
    }
}

struct Comparison<'a> {
    manifest: Option<&'a Manifest>,
    operators: &'a OperatorMatch,
    plan: &'a FlowPlan,
    tells_sinks_by_name: bool,
}

fn line(part: Part, id: &str, verdict: Verdict, note: String) -> PreflightLine {
    PreflightLine {
        part,
        id: id.to_owned(),
        verdict,
        note,
        is_told_by_tables: false,
    }
}

impl Comparison<'_> {
    fn lines(&self) -> Vec<PreflightLine> {
        let operators = (0..).zip(&self.plan.ids);
        let mut lines: Vec<_> = operators
            .map(|(number, operator)| {
                let (verdict, note) = self.verdict(number);
                line(self.part(number), &operator.id, verdict, note)
            })
            .collect();
        lines.extend(self.dropped_operators());
        lines.extend(self.stranded_records());
        let lists_operators = |manifest: &Manifest| !manifest.operators.is_empty();
        if self.manifest.is_none_or(lists_operators) {
            lines.extend(self.tables());
        }
        lines
    }

    /// Of an operator of the flow, with a note.
    fn verdict(&self, operator: u32) -> (Verdict, String) {
        let Some(old) = self.operators.old_of(operator) else {
            return (Verdict::New, String::new());
        };
        let other = match self.part(operator) {
            Part::Source => self.changed_input(operator, old),
            Part::Sink if self.tells_sinks_by_name => {
                let other = self.other_sink(operator, old);
                return other.map_or((Verdict::Kept, String::new()), |note| (Verdict::New, note));
            }
            Part::Sink if self.plan.ids[operator as usize].is_named => None,
            Part::Sink => self.other_sink(operator, old),
            Part::Operator | Part::Table => None,
        };
        other.map_or((Verdict::Kept, String::new()), |note| {
            (Verdict::Incompatible, note)
        })
    }

    fn part(&self, operator: u32) -> Part {
        if self.plan.sources.iter().any(|it| it.operator == operator) {
            Part::Source
        } else if self.plan.sinks.iter().any(|it| it.operator == operator) {
            Part::Sink
        } else {
            Part::Operator
        }
    }

    fn changed_input(&self, operator: u32, old: u32) -> Option<String> {
        let new = self
            .plan
            .sources
            .iter()
            .find(|it| it.operator == operator)?;
        let entry = self.manifest?.sources.iter().find(|it| it.operator == old);
        match entry {
            Some(entry) if entry.fingerprint == new.fingerprint => None,
            Some(_) => Some(format!("the input of {} has changed", new.name)),
            None => Some("it was no source".to_owned()),
        }
    }

    /// What stands at a sink's place may be another one, unless the user says that it is the same.
    fn other_sink(&self, operator: u32, old: u32) -> Option<String> {
        let new = self.plan.sinks.iter().find(|it| it.operator == operator)?;
        let entry = self.manifest?.sinks.iter().find(|it| it.operator == old);
        match entry {
            Some(entry) if entry.name == new.name => None,
            Some(entry) => Some(format!("it was {}, now it is {}", entry.name, new.name)),
            None => Some("it was no sink".to_owned()),
        }
    }

    fn dropped_operators(&self) -> impl Iterator<Item = PreflightLine> {
        let old = (0..).zip(&self.operators.old);
        let gone = old.filter(|(number, _)| self.operators.new_of(*number).is_none());
        gone.map(|(number, operator)| {
            let is_at = |entry: u32| entry == number;
            let part = match self.manifest {
                Some(it) if it.sources.iter().any(|s| is_at(s.operator)) => Part::Source,
                Some(it) if it.sinks.iter().any(|s| is_at(s.operator)) => Part::Sink,
                _ => Part::Operator,
            };
            let note = match part {
                Part::Operator | Part::Table => String::new(),
                Part::Source | Part::Sink => format!(
                    "if it only moved give it the id {:?}, where it is now",
                    operator.id
                ),
            };
            line(part, &operator.id, Verdict::Dropped, note)
        })
    }

    /// Records in flight that find no way in another flow.
    fn stranded_records(&self) -> Option<PreflightLine> {
        let manifest = self.manifest.filter(|it| !it.in_flight.is_empty())?;
        let has_same_shape = self.operators.has_same_shape(manifest, self.plan);
        let note = "the checkpoint holds records that were on their way between operators: start \
                    the flow that made it and make a savepoint, which holds none";
        let stranded = || {
            let verdict = Verdict::Incompatible;
            line(
                Part::Operator,
                "records in flight",
                verdict,
                note.to_owned(),
            )
        };
        (!has_same_shape).then(stranded)
    }

    fn tables(&self) -> Vec<PreflightLine> {
        let mut old: BTreeMap<&str, (u32, &TableEntry)> = BTreeMap::new();
        for (number, operator) in (0..).zip(&self.operators.old) {
            old.extend(
                operator
                    .tables
                    .iter()
                    .map(|it| (it.name.as_str(), (number, it))),
            );
        }
        let mut lines = Vec::new();
        for table in &self.plan.tables {
            let Some((owner, entry)) = old.remove(table.name.as_str()) else {
                lines.push(line(Part::Table, &table.name, Verdict::New, String::new()));
                continue;
            };
            let found = (entry.key_fingerprint, entry.value_fingerprint);
            let expected = table.types.fingerprints();
            lines.push(if self.operators.old_of(table.operator) != Some(owner) {
                let owner = &self.operators.old[owner as usize].id;
                let note = format!(
                    "it belongs to the operator {owner:?}: give that id to the one that has it now"
                );
                line(Part::Table, &table.name, Verdict::Incompatible, note)
            } else if found != expected {
                let note = format!("its types have changed: {found:x?}, now {expected:x?}");
                PreflightLine {
                    is_told_by_tables: true,
                    ..line(Part::Table, &table.name, Verdict::Incompatible, note)
                }
            } else {
                line(Part::Table, &table.name, Verdict::Kept, String::new())
            });
        }
        lines.extend(old.into_keys().map(|name| PreflightLine {
            is_told_by_tables: true,
            ..line(Part::Table, name, Verdict::Dropped, String::new())
        }));
        lines
    }
}

impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.checkpoint {
            Some(checkpoint) => writeln!(f, "from checkpoint {checkpoint}")?,
            None => writeln!(f, "no checkpoint: everything is new")?,
        }
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl fmt::Display for PreflightLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Kept => "kept",
            Verdict::New => "new",
            Verdict::Dropped => "dropped",
            Verdict::Incompatible => "incompatible",
        };
        let part = match self.part {
            Part::Source => "source",
            Part::Sink => "sink",
            Part::Operator => "operator",
            Part::Table => "table",
        };
        write!(f, "{verdict:<12}  {part:<8}  {}", self.id)?;
        if self.note.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.note)
        }
    }
}
