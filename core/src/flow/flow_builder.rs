//! The handle that the user's closure builds a flow with.
//!
//! The closure runs once on the starting thread and once on every shard. Each call declares the
//! same things: what the plan needs (sources, sinks, tables, exchanges) and how to make the stages.
//! `Flow::plan` uses the first half of the declarations, `Flow::build` the second. Everything is
//! numbered in call order, so that both agree.

use std::cell::RefCell;
use std::rc::Rc;

use frazil_state::TypeIdentity;

use super::build_context::BuildContext;
use super::error::FlowError;
use super::open_end::OpenEnd;
use super::operator_id::{OperatorPlace, identify};
use super::plan::{FlowPlan, PlannedSink, PlannedSource, PlannedTable, SinkPlanner, SourcePlanner};
use super::record::Record;
use super::source_stage::SourceHead;
use super::stage::Stage;
use super::stream::Stream;
use crate::exchange::{MeshFactory, connect_all};
use crate::sink::Sink;
use crate::source::Source;

/// A flow under construction; handed to the closure that builds it.
///
/// The closure is called several times (once to plan, then once on each shard) and must make the
/// same calls each time.
///
/// ```
/// use frazil::{Flow, Keyed, Sink, Source};
///
/// fn count_words(
///     flow: &Flow,
///     lines: impl Source<Record = str>,
///     counts: impl Sink<Keyed<str, u64>>,
/// ) {
///     flow.source(lines)
///         .flat_map(|line, out| {
///             for word in line.split_whitespace() {
///                 out.push(word);
///             }
///         })
///         .key_by(|word| word)
///         .aggregate("count", 0u64, |count, _word| *count += 1)
///         .sink(counts);
/// }
/// ```
#[derive(Default)]
pub struct Flow {
    declared: RefCell<Declared>,
}

#[derive(Default)]
struct Declared {
    operators: Vec<&'static str>,
    /// Of each operator, where it stands in the flow.
    places: Vec<OperatorPlace>,
    sources: Vec<SourcePlanner>,
    sinks: Vec<SinkPlanner>,
    tables: Vec<PlannedTable>,
    exchanges: Vec<MeshFactory>,
    stages: Vec<StageBuilder>,
    stage_names: Vec<String>,
    error: Option<FlowError>,
}

type StageBuilder = Box<dyn FnOnce(&mut BuildContext<'_>) -> Result<Box<dyn Stage>, FlowError>>;

impl Flow {
    /// Starts a stream with the records of `source`.
    pub fn source<S: Source>(&self, source: S) -> Stream<'_, S::Record, SourceHead<S>> {
        let end = OpenEnd::new(self, "source", &[]);
        let source = Rc::new(source);
        let (operator, planned) = (end.operator(), Rc::clone(&source));
        let plan = move |shard_count| plan_source(&*planned, operator, shard_count);
        self.declared.borrow_mut().sources.push(Box::new(plan));
        Stream::new(SourceHead::new(source, operator), end)
    }

    /// Runs the closure and evaluates what has to be known before any shard starts.
    pub(crate) fn plan(
        declare: impl FnOnce(&Self),
        shard_count: usize,
    ) -> Result<FlowPlan, FlowError> {
        let declared = Self::declare(declare)?;
        if declared.sources.is_empty() {
            return Err(FlowError::Empty);
        }
        let sources = declared.sources.into_iter().map(|plan| plan(shard_count));
        let sinks = declared.sinks.into_iter().map(|plan| plan());
        Ok(FlowPlan {
            sources: sources.collect::<Result<_, _>>()?,
            sinks: sinks.collect::<Result<_, _>>()?,
            ids: identify(&declared.operators, &declared.places),
            operators: declared.operators,
            tables: declared.tables,
            stage_names: declared.stage_names,
            exchanges: declared.exchanges,
        })
    }

    /// Runs the closure on a shard and makes its stages, upstream before downstream.
    pub(crate) fn build(
        declare: impl FnOnce(&Self),
        mut context: BuildContext<'_>,
    ) -> Result<Vec<Box<dyn Stage>>, FlowError> {
        let declared = Self::declare(declare)?;
        check_operators(&declared.operators, &context)?;
        let mut stages = Vec::with_capacity(declared.stages.len());
        for (index, build) in (0..).zip(declared.stages) {
            context.stage = index;
            stages.push(build(&mut context)?);
        }
        Ok(stages)
    }

    fn declare(declare: impl FnOnce(&Self)) -> Result<Declared, FlowError> {
        let flow = Self::default();
        declare(&flow);
        let mut declared = flow.declared.into_inner();
        declared.error.take().map_or(Ok(declared), Err)
    }

    pub(super) fn add_operator(&self, verb: &'static str, inputs: &[u32]) -> u32 {
        let mut declared = self.declared.borrow_mut();
        declared.operators.push(verb);
        declared.places.push(OperatorPlace {
            name: None,
            inputs: inputs.to_vec(),
            stage: None,
        });
        u32::try_from(declared.operators.len() - 1).expect("a flow is written by hand")
    }

    /// Fixes an operator's id.
    pub(super) fn name_operator(&self, operator: u32, id: &str) {
        let mut declared = self.declared.borrow_mut();
        let is_taken = declared
            .places
            .iter()
            .any(|place| place.name.as_deref() == Some(id));
        if is_taken {
            let duplicate = FlowError::DuplicateId { id: id.to_owned() };
            declared.error.get_or_insert(duplicate);
        }
        declared.places[operator as usize].name = Some(id.to_owned());
    }

    pub(super) fn add_exchange<R: Record + ?Sized>(&self) -> usize {
        let exchanges = &mut self.declared.borrow_mut().exchanges;
        exchanges.push(connect_all::<R>);
        exchanges.len() - 1
    }

    /// Declares a table: without this a restored table of that name counts as dropped.
    pub(super) fn add_table(&self, name: &str, types: TypeIdentity) {
        let mut declared = self.declared.borrow_mut();
        let is_taken = declared.tables.iter().any(|table| table.name == name);
        let name = name.to_owned();
        if is_taken {
            let duplicate = FlowError::DuplicateTable { name };
            declared.error.get_or_insert(duplicate);
        } else {
            // Tables are declared together with their operator, by its method.
            let operator = declared.operators.len() - 1;
            declared.tables.push(PlannedTable {
                name,
                types,
                operator: u32::try_from(operator).expect("a flow is written by hand"),
            });
        }
    }

    /// Gives the sink's place in the plan.
    pub(super) fn add_sink<R: Record + ?Sized, S: Sink<R>>(
        &self,
        sink: Rc<S>,
        operator: u32,
    ) -> u32 {
        let sinks = &mut self.declared.borrow_mut().sinks;
        sinks.push(Box::new(move || plan_sink(&*sink, operator)));
        u32::try_from(sinks.len() - 1).expect("a flow is written by hand")
    }

    /// Adds a stage of these operators.
    pub(super) fn add_stage(
        &self,
        operators: &[u32],
        build: impl FnOnce(&mut BuildContext<'_>) -> Result<Box<dyn Stage>, FlowError> + 'static,
    ) {
        let mut declared = self.declared.borrow_mut();
        let stage = u32::try_from(declared.stages.len()).expect("a flow is written by hand");
        for operator in operators {
            declared.places[*operator as usize].stage = Some(stage);
        }
        let verbs = operators.iter().map(|it| declared.operators[*it as usize]);
        let name = verbs.collect::<Vec<_>>().join(" > ");
        declared.stage_names.push(name);
        declared.stages.push(Box::new(build));
    }

    pub(super) fn verb(&self, operator: u32) -> &'static str {
        self.declared.borrow().operators[operator as usize]
    }

    /// Keeps the first error.
    pub(super) fn note_error(&self, error: FlowError) {
        self.declared.borrow_mut().error.get_or_insert(error);
    }
}

fn plan_source<S: Source>(
    source: &S,
    operator: u32,
    shard_count: usize,
) -> Result<PlannedSource, FlowError> {
    let name = source.name();
    match source.plan(shard_count) {
        Ok(plan) => Ok(PlannedSource {
            operator,
            name,
            fingerprint: plan.fingerprint,
            replayable: plan.replayable,
            splits: plan.splits,
        }),
        Err(source) => Err(FlowError::Source { name, source }),
    }
}

fn plan_sink<R: Record + ?Sized, S: Sink<R>>(
    sink: &S,
    operator: u32,
) -> Result<PlannedSink, FlowError> {
    let name = sink.name();
    match sink.committer() {
        Ok(committer) => Ok(PlannedSink {
            operator,
            name,
            committer,
        }),
        Err(source) => Err(FlowError::Sink { name, source }),
    }
}

/// A closure that declares something else on a shard would send rows to the wrong sink.
fn check_operators(found: &[&'static str], context: &BuildContext<'_>) -> Result<(), FlowError> {
    let planned = context.operators;
    let end = planned.len().max(found.len());
    let verb = |verbs: &[&'static str], at: usize| verbs.get(at).copied().unwrap_or("nothing");
    match (0..end).find(|&at| planned.get(at) != found.get(at)) {
        None => Ok(()),
        Some(operator) => Err(FlowError::PlanDiffers {
            shard: context.shard,
            operator,
            expected: verb(planned, operator),
            found: verb(found, operator),
        }),
    }
}
