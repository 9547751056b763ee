//! The code that a `process` operator runs for a record.

use std::error::Error;
use std::marker::PhantomData;

use super::context::ProcessContext;
use crate::flow::out::Out;
use crate::flow::record::Record;

/// What a process function returns: an error ends the job, which then goes on from its newest
/// checkpoint when it is started again.
///
/// Every error converts with `?`. A failed state comes out of the job as [`crate::FlowError::State`],
/// any other error as [`crate::FlowError::Process`].
pub type ProcessResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Code for records of type `R` with a key of type `K`: a process function with a name.
///
/// Its fields are the states that [`KeyedStream::process_with`](crate::KeyedStream::process_with)
/// declares when it makes the function, and whatever else it needs; only the states survive a
/// crash. For a function of a few lines use
/// [`KeyedStream::process`](crate::KeyedStream::process) with a closure.
///
/// ```
/// use frazil::{Flow, Keyed, Out, Process, ProcessContext, ProcessResult, Sink, Source, ValueState};
///
/// /// Emits the difference from the key's reading before.
/// struct Change {
///     last: ValueState<str, i64>,
/// }
///
/// impl Process<(String, i64), str> for Change {
///     type Out = Keyed<str, i64>;
///
///     fn record(
///         &mut self,
///         (_sensor, reading): &(String, i64),
///         cx: &mut ProcessContext<'_, str>,
///         out: &mut Out<Keyed<str, i64>>,
///     ) -> ProcessResult {
///         if let Some(last) = self.last.get(cx)? {
///             out.push_pair(cx.key(), &(reading - last));
///         }
///         self.last.put(cx, reading)?;
///         Ok(())
///     }
/// }
///
/// fn build(
///     flow: &Flow,
///     readings: impl Source<Record = (String, i64)>,
///     changes: impl Sink<Keyed<str, i64>>,
/// ) {
///     flow.source(readings)
///         .key_by(|(sensor, _reading)| sensor.as_str())
///         .process_with(|states| Change { last: states.value("last reading") })
///         .sink(changes);
/// }
/// ```
pub trait Process<R: Record + ?Sized, K: ?Sized>: 'static {
    /// What it emits.
    type Out: Record + ?Sized;

    /// Takes one record: `cx` gives its key, the time and access to the states, `out` takes what
    /// is emitted.
    ///
    /// # Errors
    /// Whatever should end the job.
    fn record(
        &mut self,
        record: R::Ref<'_>,
        cx: &mut ProcessContext<'_, K>,
        out: &mut Out<Self::Out>,
    ) -> ProcessResult;
}

/// A process function made of a closure and what it works on.
pub struct Each<S, U: ?Sized, F> {
    states: S,
    each: F,
    made: PhantomData<fn(&U)>,
}

impl<S, U: ?Sized, F> Each<S, U, F> {
    pub(in crate::flow) fn new(states: S, each: F) -> Self {
        Self {
            states,
            each,
            made: PhantomData,
        }
    }
}

impl<R, K, S, U, F> Process<R, K> for Each<S, U, F>
where
    R: Record + ?Sized,
    K: ?Sized + 'static,
    S: 'static,
    U: Record + ?Sized,
    F: for<'a, 'b> FnMut(
            &mut S,
            R::Ref<'a>,
            &mut ProcessContext<'b, K>,
            &mut Out<U>,
        ) -> ProcessResult
        + 'static,
{
    type Out = U;

    #[inline]
    fn record(
        &mut self,
        record: R::Ref<'_>,
        cx: &mut ProcessContext<'_, K>,
        out: &mut Out<U>,
    ) -> ProcessResult {
        (self.each)(&mut self.states, record, cx, out)
    }
}
