//! Local edges that begin in the middle of a stage.

use std::rc::Rc;

use crate::flow::chain::Operator;
use crate::flow::local_edge::LocalOutlet;
use crate::flow::record::Record;
use crate::in_flight::FlightStep;
use crate::shard::Context;

/// Lets everything but records reach the branches too: their records come from elsewhere in the
/// stage, in front of this operator.
pub(in crate::flow) struct Branches<N> {
    outlets: Vec<Rc<dyn LocalOutlet>>,
    next: N,
}

impl<N> Branches<N> {
    pub(super) fn new(outlets: Vec<Rc<dyn LocalOutlet>>, next: N) -> Self {
        Self { outlets, next }
    }
}

impl<R: Record + ?Sized, N: Operator<R>> Operator<R> for Branches<N> {
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        self.next.record(record, cx);
    }

    #[inline]
    fn has_room(&self, cx: &Context<'_>) -> bool {
        self.outlets.iter().all(|outlet| outlet.has_room()) && self.next.has_room(cx)
    }

    fn publish(&mut self, cx: &mut Context<'_>) -> bool {
        self.outlets.iter().for_each(|outlet| outlet.publish());
        self.next.publish(cx)
    }

    fn barrier(&mut self, epoch: u64, cx: &mut Context<'_>) {
        self.outlets.iter().for_each(|outlet| outlet.barrier(epoch));
        self.next.barrier(epoch, cx);
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        self.outlets.iter().for_each(|outlet| outlet.end());
        self.next.end(cx);
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        self.next.in_flight(step)
    }
}
