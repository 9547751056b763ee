//! What the operators behind an exchange begin with.

use std::rc::Rc;

use super::branches::Branches;
use super::second_input::{Connection, Unconnected};
use crate::flow::build_context::BuildContext;
use crate::flow::chain::{KeyedOperator, Operator};
use crate::flow::error::FlowError;
use crate::flow::keyed_stage::KeyedStage;
use crate::flow::local_edge::LocalOutlet;
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::in_flight::Route;

/// Exchanges, how their records give their keys, and where else the operator's output goes.
pub(in crate::flow) struct KeyedInput<X, S = Unconnected> {
    /// One, or one for each stream of a union.
    pub(in crate::flow) exchanges: Vec<usize>,
    pub(in crate::flow) key: Rc<X>,
    /// Side outputs of the operator.
    pub(in crate::flow) outlets: Vec<Rc<dyn LocalOutlet>>,
    /// The second input.
    pub(in crate::flow) connection: S,
}

impl<X> KeyedInput<X> {
    /// Adds a second input.
    pub(in crate::flow) fn connect<S>(self, connection: S) -> KeyedInput<X, S> {
        KeyedInput {
            exchanges: self.exchanges,
            key: self.key,
            outlets: self.outlets,
            connection,
        }
    }
}

impl<X, S> KeyedInput<X, S> {
    /// Tells this input from all others of the flow.
    pub(in crate::flow) fn id(&self) -> usize {
        self.exchanges[0]
    }

    /// The stage that shows the exchanges' records to `operator`.
    pub(super) fn build<R, O, N>(
        self,
        operator: O,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError>
    where
        R: Record + ?Sized,
        O: KeyedOperator<R>,
        N: Operator<O::Out>,
        S: Connection<R, O>,
    {
        let receiver = context.take_receiver::<R>(&self.exchanges, Route::Key)?;
        let second = self.connection.open(context)?;
        let is_finished = context.is_finished();
        let next = Branches::new(self.outlets, next);
        let stage = KeyedStage::new(context.stage, is_finished, receiver, second, operator, next);
        Ok(Box::new(stage))
    }
}
