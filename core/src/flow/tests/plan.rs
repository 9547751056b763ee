//! What a plan refuses, and what it lists.

use frazil_state::{KeyGroups, Store, StoreConfig, Value};

use super::doubles::{Lines, Rows};
use crate::checkpoint::CheckpointMode;
use crate::flow::{BuildContext, Flow, FlowError, FlowPlan};
use crate::in_flight::RestoredInFlight;

fn lines() -> Lines {
    Lines::new(&[vec![], vec![], vec![]], 1)
}

fn refusal(declare: impl Fn(&Flow)) -> FlowError {
    Flow::plan(declare, 2).err().expect("the flow is refused")
}

#[test]
fn flow_without_a_source_is_refused() {
    assert!(matches!(refusal(|_| ()), FlowError::Empty));
}

#[test]
fn stream_without_a_sink_is_refused_by_the_name_of_its_last_operator() {
    let error = refusal(|flow| drop(flow.source(lines()).filter(|line| line.is_empty())));
    assert!(
        matches!(
            error,
            FlowError::Dangling {
                operator: 1,
                verb: "filter"
            }
        ),
        "{error}"
    );
    let error = refusal(|flow| drop(flow.source(lines()).key_by(|line| line)));
    assert!(
        matches!(
            error,
            FlowError::Dangling {
                operator: 1,
                verb: "key_by"
            }
        ),
        "{error}"
    );
}

#[test]
fn two_tables_of_one_name_are_refused() {
    let count = |flow: &Flow| {
        flow.source(lines())
            .key_by(|line| line)
            .aggregate("count", 0u64, |count, _line| *count += 1)
            .sink(Rows);
    };
    let error = refusal(|flow| {
        count(flow);
        count(flow);
    });
    assert!(
        matches!(&error, FlowError::DuplicateTable { name } if name == "count"),
        "{error}"
    );
}

#[test]
fn plan_lists_everything_in_call_order() {
    let plan = Flow::plan(
        |flow| {
            flow.source(lines()).inspect(|_line| ()).sink(Rows);
            flow.source(lines())
                .key_by(|line| line)
                .aggregate("count", 0u64, |count, _line| *count += 1)
                .emit_at_end()
                .sink(Rows);
        },
        2,
    );
    let FlowPlan {
        operators,
        sources,
        sinks,
        tables,
        stage_names,
        ..
    } = plan.expect("the flow is valid");
    assert_eq!(
        operators,
        [
            "source",
            "inspect",
            "sink",
            "source",
            "key_by",
            "aggregate",
            "emit_at_end",
            "sink"
        ]
    );
    let found: Vec<_> = sources
        .iter()
        .map(|it| (it.operator, it.splits.len()))
        .collect();
    assert_eq!(found, [(0, 3), (3, 3)]);
    assert_eq!(
        sinks.iter().map(|it| it.operator).collect::<Vec<_>>(),
        [2, 7]
    );
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!((names, stage_names.len()), (vec!["count"], 3));
}

#[test]
fn closure_that_declares_something_else_on_a_shard_is_refused() {
    let plan = Flow::plan(|flow| flow.source(lines()).sink(Rows), 1).expect("the flow is valid");
    let error = build(&plan, |flow| {
        flow.source(lines()).inspect(|_line| ()).sink(Rows)
    });
    assert_eq!(
        error.to_string(),
        "the flow built on shard 0 differs from the planned one at operator 1 (expected sink, \
         found inspect): the closure must make the same calls each time"
    );
}

#[test]
fn closure_that_exchanges_other_records_on_a_shard_is_refused() {
    fn declare<T: Value + Clone + Send>(flow: &Flow, map: fn(&str) -> T) {
        flow.source(lines())
            .map(map)
            .key_by_value(|_record| 1u64)
            .aggregate("count", 0u64, |count, _record| *count += 1)
            .sink(Rows);
    }
    let plan =
        Flow::plan(|flow| declare(flow, |line| line.len() as u64), 1).expect("the flow is valid");
    let error = build(&plan, |flow| declare(flow, str::to_owned));
    assert!(
        matches!(error, FlowError::RecordDiffers { exchange: 0, .. }),
        "{error}"
    );
}

fn build(plan: &FlowPlan, declare: impl Fn(&Flow)) -> FlowError {
    let mut store = Store::new(&StoreConfig::default()).expect("address space is to be had");
    let context = BuildContext {
        shard: 0,
        shard_count: 1,
        key_groups: KeyGroups::default(),
        first_epoch: 1,
        operators: &plan.operators,
        splits: vec![],
        mode: CheckpointMode::Aligned,
        in_flight: &RestoredInFlight::default(),
        finished_stages: &[],
        rings: plan.connect(1, 2).remove(0),
        bells: &[],
        store: &mut store,
        stage: 0,
    };
    Flow::build(declare, context)
        .err()
        .expect("the flow is refused")
}
