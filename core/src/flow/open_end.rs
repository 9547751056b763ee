//! The end of a stream under construction.

use super::build_context::BuildContext;
use super::error::FlowError;
use super::flow_builder::Flow;
use super::stage::Stage;

/// The open end of a stream: makes it an error to drop one.
pub(super) struct OpenEnd<'f> {
    flow: &'f Flow,
    operator: u32,
    /// The operators of the stage under construction.
    stage_operators: Vec<u32>,
    is_closed: bool,
}

impl<'f> OpenEnd<'f> {
    /// The end of a stream that begins with an operator which gets its records from `inputs`.
    pub(super) fn new(flow: &'f Flow, verb: &'static str, inputs: &[u32]) -> Self {
        let operator = flow.add_operator(verb, inputs);
        Self {
            flow,
            operator,
            stage_operators: vec![operator],
            is_closed: false,
        }
    }

    /// The end of the stream that two become by an operator.
    pub(super) fn join(self, other: Self, verb: &'static str) -> Self {
        let joined = Self::new(self.flow, verb, &[self.operator, other.operator]);
        self.close();
        other.close();
        joined
    }

    pub(super) fn flow(&self) -> &'f Flow {
        self.flow
    }

    pub(super) fn operator(&self) -> u32 {
        self.operator
    }

    /// Adds an operator, which is the end from now on.
    pub(super) fn extend(mut self, verb: &'static str) -> Self {
        self.operator = self.flow.add_operator(verb, &[self.operator]);
        self.stage_operators.push(self.operator);
        self
    }

    /// Adds the stage that ends here; what follows belongs to the next one.
    pub(super) fn complete_stage(
        &mut self,
        build: impl FnOnce(&mut BuildContext<'_>) -> Result<Box<dyn Stage>, FlowError> + 'static,
    ) {
        self.flow.add_stage(&self.stage_operators, build);
        self.stage_operators.clear();
    }

    /// Nothing stands between the operators in front and what follows.
    pub(super) fn skip_stage(&mut self) {
        self.stage_operators.clear();
    }

    /// The stream goes on elsewhere.
    pub(super) fn close(mut self) {
        self.is_closed = true;
    }
}

impl Drop for OpenEnd<'_> {
    fn drop(&mut self) {
        if !self.is_closed {
            self.flow.note_error(FlowError::Dangling {
                operator: self.operator,
                verb: self.flow.verb(self.operator),
            });
        }
    }
}
