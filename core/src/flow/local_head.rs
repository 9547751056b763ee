//! The front of a chain that begins with local edges, and the tail that fills them.

use std::cell::RefCell;
use std::rc::Rc;

use super::build_context::BuildContext;
use super::chain::{Chain, Operator};
use super::error::FlowError;
use super::local_edge::{LocalEdge, LocalOutlet, SharedEdge};
use super::plain_stage::PlainStage;
use super::record::Record;
use super::stage::Stage;
use super::stage_input::LocalInputs;
use crate::in_flight::FlightStep;
use crate::shard::Context;

/// The front of a chain that begins with a side output, a copy of a stream or a union.
pub struct LocalHead<R: Record + ?Sized> {
    inputs: Vec<LocalInput<R>>,
}

/// One stream that a chain begins with.
pub(crate) struct LocalInput<R: Record + ?Sized> {
    edge: SharedEdge<R>,
    /// The tail of the stage in front, if the whole stage is there for this edge only.
    tail: Option<Rc<OpenTail<R>>>,
}

/// Makes the tail of a stage, on a shard.
type MakeTail<R> =
    Box<dyn FnOnce(&mut BuildContext<'_>) -> Result<Box<dyn Operator<R>>, FlowError>>;

/// A tail that is a local edge unless another one takes its place before the stage is built.
pub(crate) struct OpenTail<R: Record + ?Sized>(RefCell<Option<MakeTail<R>>>);

impl<R: Record + ?Sized> OpenTail<R> {
    /// Puts another tail in the place of the local edge.
    pub(super) fn replace(&self, make: MakeTail<R>) {
        let before = self.0.borrow_mut().replace(make);
        assert!(before.is_none(), "a stream goes on in one place");
    }
}

impl<R: Record + ?Sized> LocalInput<R> {
    /// An input for a chain, and how to complete the chain with it.
    pub(super) fn for_chain<C: Chain<Out = R>>(
        chain: C,
    ) -> (
        Self,
        impl FnOnce(&mut BuildContext<'_>) -> Result<Box<dyn Stage>, FlowError>,
    ) {
        let edge = LocalEdge::shared();
        let tail = Rc::new(OpenTail(RefCell::new(None)));
        let input = Self {
            edge: Rc::clone(&edge),
            tail: Some(Rc::clone(&tail)),
        };
        let build = move |context: &mut BuildContext<'_>| match tail.0.take() {
            Some(make) => {
                let tail = make(context)?;
                chain.build(tail, context)
            }
            None => chain.build(LocalTail::new(vec![edge]), context),
        };
        (input, build)
    }
}

impl<R: Record + ?Sized> LocalHead<R> {
    /// Begins with an edge that branches off from a stage.
    pub(super) fn branch(edge: SharedEdge<R>) -> Self {
        Self::new(vec![LocalInput { edge, tail: None }])
    }

    /// Begins with all records of all inputs.
    pub(super) fn new(inputs: Vec<LocalInput<R>>) -> Self {
        Self { inputs }
    }

    /// The inputs whose edges can be replaced, and a head for the others if there are any.
    pub(super) fn into_open_tails(self) -> (Vec<Rc<OpenTail<R>>>, Option<Self>) {
        let (open, branches): (Vec<_>, Vec<_>) = self
            .inputs
            .into_iter()
            .partition(|input| input.tail.is_some());
        let tails = open.into_iter().filter_map(|input| input.tail);
        let rest = (!branches.is_empty()).then(|| Self::new(branches));
        (tails.collect(), rest)
    }
}

impl<R: Record + ?Sized> Chain for LocalHead<R> {
    type Out = R;

    fn into_inputs(self) -> Result<Vec<LocalInput<R>>, Self> {
        Ok(self.inputs)
    }

    fn build<N: Operator<R>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let edges = self.inputs.into_iter().map(|input| input.edge);
        let input = LocalInputs::new(edges, context)?;
        Ok(Box::new(PlainStage::new(context.stage, input, next)))
    }
}

/// The tail that copies its records to local edges.
pub(super) struct LocalTail<R: Record + ?Sized> {
    edges: Vec<SharedEdge<R>>,
}

impl<R: Record + ?Sized> LocalTail<R> {
    pub(super) fn new(edges: Vec<SharedEdge<R>>) -> Self {
        Self { edges }
    }
}

impl<R: Record + ?Sized> Operator<R> for LocalTail<R> {
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        for edge in &self.edges {
            edge.borrow_mut().push(record, cx.stamp_ns);
        }
    }

    #[inline]
    fn has_room(&self, _cx: &Context<'_>) -> bool {
        self.edges.iter().all(|edge| edge.has_room())
    }

    fn publish(&mut self, _cx: &mut Context<'_>) -> bool {
        self.edges.iter().for_each(|edge| edge.publish());
        true
    }

    fn barrier(&mut self, epoch: u64, _cx: &mut Context<'_>) {
        self.edges.iter().for_each(|edge| edge.barrier(epoch));
    }

    fn end(&mut self, _cx: &mut Context<'_>) {
        self.edges.iter().for_each(|edge| edge.end());
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        // The stage behind records its queue.
        let _ = step;
        true
    }
}
