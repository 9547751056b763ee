//! The code that a `process` operator runs for a record.

use std::error::Error;
use std::marker::PhantomData;

use super::broadcast_process::OnBroadcast;
use super::context::ProcessContext;
use crate::flow::out::Out;
use crate::flow::record::Record;

/// What a process function returns: an error ends the job, which then goes on from its newest
/// checkpoint when it is started again.
///
/// Every error converts with `?`. A failed state comes out of the job as
/// [`crate::FlowError::State`], any other error as [`crate::FlowError::Process`].
pub type ProcessResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Code for records of type `R` with a key of type `K`: a process function with a name.
///
/// Its fields are the states that [`KeyedStream::process_with`](crate::KeyedStream::process_with)
/// declares when it makes the function, and whatever else it needs; only the states survive a
/// crash. For a function of a few lines use
/// [`KeyedStream::process`](crate::KeyedStream::process) with a closure.
///
/// ```
/// use frazil::{Flow, Keyed, Out, Process, ProcessContext, ProcessResult};
/// use frazil::{Sink, Source, ValueState};
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

    /// Takes a timer that was set for a key with [`Timers::set`](crate::Timers::set) and is due:
    /// `time_ms` is what it was set to, `cx` is that of its key.
    ///
    /// # Errors
    /// Whatever should end the job.
    fn timer(
        &mut self,
        time_ms: u64,
        cx: &mut ProcessContext<'_, K>,
        out: &mut Out<Self::Out>,
    ) -> ProcessResult {
        let _ = (time_ms, cx, out);
        Ok(())
    }

    /// Takes a key that a walk has come to, one that
    /// [`KeyWalks::start`](crate::KeyWalks::start) was told `argument` for; `cx` is that of the
    /// key.
    ///
    /// # Errors
    /// Whatever should end the job.
    fn visit(
        &mut self,
        argument: u64,
        cx: &mut ProcessContext<'_, K>,
        out: &mut Out<Self::Out>,
    ) -> ProcessResult {
        let _ = (argument, cx, out);
        Ok(())
    }

    /// What becomes of timers that are not due yet when all input has ended.
    fn pending_timers_at_end(&self) -> PendingTimers {
        PendingTimers::Discard
    }
}

/// What becomes of pending timers when all input has ended. (A job that is stopped keeps them.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PendingTimers {
    /// They never fire.
    #[default]
    Discard,
    /// They fire at once, by rising time, as if it had come. Timers that are set meanwhile are
    /// discarded.
    Fire,
}

/// A process function made of a closure and what it works on.
pub struct Each<S, U: ?Sized, F, T = NoKeyCall, G = (), V = NoKeyCall> {
    states: S,
    each: F,
    timer: T,
    /// For records of a broadcast stream.
    on_broadcast: G,
    /// For the keys of a walk.
    on_visit: V,
    pending: PendingTimers,
    made: PhantomData<fn(&U)>,
}

impl<S, U: ?Sized, F> Each<S, U, F> {
    pub(in crate::flow) fn new(states: S, each: F) -> Self {
        Self {
            states,
            each,
            timer: NoKeyCall,
            on_broadcast: (),
            on_visit: NoKeyCall,
            pending: PendingTimers::Discard,
            made: PhantomData,
        }
    }

    pub(in crate::flow) fn with_broadcast<G>(
        self,
        on_broadcast: G,
    ) -> Each<S, U, F, NoKeyCall, OnBroadcast<G>> {
        Each {
            states: self.states,
            each: self.each,
            timer: self.timer,
            on_broadcast: OnBroadcast(on_broadcast),
            on_visit: self.on_visit,
            pending: self.pending,
            made: PhantomData,
        }
    }
}

impl<S, U: ?Sized, F, G, V> Each<S, U, F, NoKeyCall, G, V> {
    pub(in crate::flow) fn with_timer<T>(self, timer: T) -> Each<S, U, F, OnKey<T>, G, V> {
        Each {
            states: self.states,
            each: self.each,
            timer: OnKey(timer),
            on_broadcast: self.on_broadcast,
            on_visit: self.on_visit,
            pending: self.pending,
            made: PhantomData,
        }
    }
}

impl<S, U: ?Sized, F, T, G> Each<S, U, F, T, G, NoKeyCall> {
    pub(in crate::flow) fn with_visit<V>(self, on_visit: V) -> Each<S, U, F, T, G, OnKey<V>> {
        Each {
            states: self.states,
            each: self.each,
            timer: self.timer,
            on_broadcast: self.on_broadcast,
            on_visit: OnKey(on_visit),
            pending: self.pending,
            made: PhantomData,
        }
    }
}

impl<S, U: ?Sized, F, T, G, V> Each<S, U, F, T, G, V> {
    pub(in crate::flow) fn fire_at_end(self) -> Self {
        Self {
            pending: PendingTimers::Fire,
            ..self
        }
    }

    pub(super) fn for_broadcast(&mut self) -> (&mut S, &mut G) {
        (&mut self.states, &mut self.on_broadcast)
    }
}

/// What closures do with a key for which no record has come: one whose timer is due, or that a walk
/// has come to. `number` is the timer's time in ms, or what the walk was told.
pub(crate) trait KeyCall<S, K: ?Sized, U: Record + ?Sized>: 'static {
    fn call(
        &mut self,
        states: &mut S,
        number: u64,
        cx: &mut ProcessContext<'_, K>,
        out: &mut Out<U>,
    ) -> ProcessResult;
}

/// Nothing.
pub struct NoKeyCall;

impl<S, K: ?Sized, U: Record + ?Sized> KeyCall<S, K, U> for NoKeyCall {
    fn call(
        &mut self,
        _states: &mut S,
        _number: u64,
        _cx: &mut ProcessContext<'_, K>,
        _out: &mut Out<U>,
    ) -> ProcessResult {
        Ok(())
    }
}

/// A call of a closure.
pub struct OnKey<T>(T);

impl<S, K, U, T> KeyCall<S, K, U> for OnKey<T>
where
    K: ?Sized,
    U: Record + ?Sized,
    T: for<'b> FnMut(&mut S, u64, &mut ProcessContext<'b, K>, &mut Out<U>) -> ProcessResult
        + 'static,
{
    #[inline]
    fn call(
        &mut self,
        states: &mut S,
        number: u64,
        cx: &mut ProcessContext<'_, K>,
        out: &mut Out<U>,
    ) -> ProcessResult {
        (self.0)(states, number, cx, out)
    }
}

impl<R, K, S, U, F, T, G, V> Process<R, K> for Each<S, U, F, T, G, V>
where
    R: Record + ?Sized,
    K: ?Sized + 'static,
    G: 'static,
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

    #[inline]
    fn timer(
        &mut self,
        time_ms: u64,
        cx: &mut ProcessContext<'_, K>,
        out: &mut Out<U>,
    ) -> ProcessResult {
        self.timer.call(&mut self.states, time_ms, cx, out)
    }

    #[inline]
    fn visit(
        &mut self,
        argument: u64,
        cx: &mut ProcessContext<'_, K>,
        out: &mut Out<U>,
    ) -> ProcessResult {
        self.on_visit.call(&mut self.states, argument, cx, out)
    }

    fn pending_timers_at_end(&self) -> PendingTimers {
        self.pending
    }
}
