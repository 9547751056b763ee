//! The story: an operator in front of any key joins lines to pairs, holding an odd line in its
//! list. Sources read on between the barrier and the freeze, and end there too; whatever the order,
//! what was emitted up to a checkpoint and what a job restored from it emits are all lines, each
//! once.

use frazil_state::ListRedistribution;
use proptest::prelude::*;

use super::alignment::{layouts, perform, splits, steps};
use super::doubles::{Lines, Rows};
use super::simulation::Simulation;
use crate::flow::{Flow, ListProcess, Out, ProcessResult};

#[derive(Default)]
struct Pairs(Option<String>);

impl ListProcess<str> for Pairs {
    type Element = String;
    type Out = str;

    fn restore(&mut self, lines: Vec<String>) {
        assert!(lines.len() < 2, "{lines:?}");
        self.0 = lines.into_iter().next();
    }

    fn record(&mut self, line: &str, out: &mut Out<str>) -> ProcessResult {
        match self.0.take() {
            Some(first) => {
                out.push(&first);
                out.push(line);
            }
            None => self.0 = Some(line.to_owned()),
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out<str>) -> ProcessResult {
        if let Some(last) = self.0.take() {
            out.push(&last);
        }
        Ok(())
    }

    fn snapshot(&mut self, lines: &mut Vec<String>) {
        lines.extend(self.0.clone());
    }
}

fn declare(flow: &Flow, lines: &Lines) {
    flow.source(lines.clone())
        .process_list("odd line", ListRedistribution::Split, Pairs::default())
        .sink(Rows);
}

proptest! {
    #[test]
    fn restored_list_goes_on_where_the_checkpoint_was(
        layout in layouts(),
        splits in splits(),
        before in steps(),
    ) {
        let lines = Lines::new(&splits, 2);
        let mut first = Simulation::start(&|flow| declare(flow, &lines), layout, None);
        perform(&mut first, &before);
        let checkpoint = first.checkpoint_and_halt();
        let mut rows = first.rows_until(0, checkpoint.epoch);
        let mut second = first.start_again(&|flow| declare(flow, &lines), layout, &checkpoint);
        second.finish();
        rows.extend(second.rows_until(0, u64::MAX));
        rows.sort_unstable();
        let mut all = splits.concat();
        all.sort_unstable();
        prop_assert_eq!(rows, all);
    }
}
