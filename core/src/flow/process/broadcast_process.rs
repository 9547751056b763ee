//! The code that a connected keyed stream runs for a record of the broadcast stream.

use super::context::BroadcastContext;
use super::function::{Each, KeyCall, Process, ProcessResult};
use crate::flow::out::Out;
use crate::flow::process::ProcessContext;
use crate::flow::record::Record;

/// A process function that is told records of type `B` on every shard, beside those of its keys.
///
/// Used with [`ConnectedStream::process_with`](crate::ConnectedStream::process_with).
///
/// ```
/// use frazil::{BroadcastContext, BroadcastProcess, BroadcastState, Flow, Out, Process};
/// use frazil::{ProcessContext, ProcessResult, Sink, Source, ValueState};
///
/// /// Emits readings over the limit of their sensor's kind.
/// struct Alarms {
///     limits: BroadcastState<str, u64>,
/// }
///
/// type Reading = (String, String, u64);
///
/// impl Process<Reading, str> for Alarms {
///     type Out = Reading;
///
///     fn record(
///         &mut self,
///         reading: &Reading,
///         cx: &mut ProcessContext<'_, str>,
///         out: &mut Out<Reading>,
///     ) -> ProcessResult {
///         let (_sensor, kind, value) = reading;
///         if self.limits.get(cx, kind)?.is_some_and(|limit| *value > limit) {
///             out.push(reading);
///         }
///         Ok(())
///     }
/// }
///
/// impl BroadcastProcess<Reading, (String, u64), str> for Alarms {
///     fn broadcast(
///         &mut self,
///         (kind, limit): &(String, u64),
///         cx: &mut BroadcastContext<'_>,
///         _out: &mut Out<Reading>,
///     ) -> ProcessResult {
///         self.limits.put(cx, kind, limit)?;
///         Ok(())
///     }
/// }
///
/// fn build(
///     flow: &Flow,
///     readings: impl Source<Record = Reading>,
///     limits: impl Source<Record = (String, u64)>,
///     alarms: impl Sink<Reading>,
/// ) {
///     flow.source(readings)
///         .key_by(|(sensor, _kind, _value)| sensor.as_str())
///         .connect(flow.source(limits).broadcast())
///         .process_with(|states| Alarms { limits: states.broadcast("limits") })
///         .sink(alarms);
/// }
/// ```
pub trait BroadcastProcess<R: Record + ?Sized, B: Record + ?Sized, K: ?Sized>:
    Process<R, K>
{
    /// Takes one record of the broadcast stream, which every shard gets: there is no key in hand,
    /// and what is emitted is emitted on every shard.
    ///
    /// # Errors
    /// Whatever should end the job.
    fn broadcast(
        &mut self,
        record: B::Ref<'_>,
        cx: &mut BroadcastContext<'_>,
        out: &mut Out<Self::Out>,
    ) -> ProcessResult;
}

/// A call of a closure.
pub struct OnBroadcast<G>(pub(in crate::flow) G);

impl<R, B, K, S, U, F, T, G, V> BroadcastProcess<R, B, K> for Each<S, U, F, T, OnBroadcast<G>, V>
where
    R: Record + ?Sized,
    B: Record + ?Sized,
    K: ?Sized + 'static,
    S: 'static,
    U: Record + ?Sized,
    T: KeyCall<S, K, U>,
    V: KeyCall<S, K, U>,
    F: for<'a, 'b> FnMut(
            &mut S,
            R::Ref<'a>,
            &mut ProcessContext<'b, K>,
            &mut Out<U>,
        ) -> ProcessResult
        + 'static,
    G: for<'a, 'b> FnMut(
            &mut S,
            B::Ref<'a>,
            &mut BroadcastContext<'b>,
            &mut Out<U>,
        ) -> ProcessResult
        + 'static,
{
    #[inline]
    fn broadcast(
        &mut self,
        record: B::Ref<'_>,
        cx: &mut BroadcastContext<'_>,
        out: &mut Out<U>,
    ) -> ProcessResult {
        let (states, on_broadcast) = self.for_broadcast();
        (on_broadcast.0)(states, record, cx, out)
    }
}
