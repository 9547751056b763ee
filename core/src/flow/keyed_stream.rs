//! A stream whose records are with their key's shard, and what its operators give.

use std::marker::PhantomData;
use std::rc::Rc;

use frazil_state::{Key, TypeIdentity, Value};

use super::local_edge::LocalEdge;
use super::local_head::LocalHead;
use super::open_end::OpenEnd;
use super::operators::{
    AggregateHead, AtEnd, EachUpdate, KeyOf, KeyedInput, Never, ProcessHead, Unconnected, When,
};
use super::out::Out;
use super::process::{
    Each, KeyCall, NoKeyCall, OnKey, Process, ProcessContext, ProcessResult, SideOutput, States,
};
use super::record::{Keyed, Plain, Record};
use super::stream::Stream;

/// Records of type `R`, each on the shard that owns its key of type `K`.
///
/// Made by `key_by` and `key_by_value`. All records of one key are on one shard, those of one
/// sender in their order. `X` is how a record gives its key; it is inferred.
///
/// ```
/// use frazil::{Flow, Keyed, Sink, Source};
///
/// fn longest_line(
///     flow: &Flow,
///     lines: impl Source<Record = (String, String)>,
///     out: impl Sink<Keyed<str, u64>>,
/// ) {
///     flow.source(lines)
///         .key_by(|(file, _line)| file.as_str())
///         .aggregate("longest", 0u64, |longest, (_file, line)| {
///             *longest = (*longest).max(line.len() as u64);
///         })
///         .emit_at_end()
///         .sink(out);
/// }
/// ```
#[must_use = "a stream has to end with sink()"]
pub struct KeyedStream<'f, R: ?Sized, K: ?Sized, X> {
    pub(super) input: KeyedInput<X>,
    pub(super) end: OpenEnd<'f>,
    types: PhantomData<fn(&R, &K)>,
}

/// The stream of `(&key, &value)` pairs that [`KeyedStream::aggregate`] gives: a [`Stream`] with
/// all its methods.
///
/// Each update of a value is emitted, unless `emit_when` or `emit_at_end` says otherwise.
///
/// ```
/// use frazil::{Flow, Keyed, Sink, Source};
///
/// fn milestones(
///     flow: &Flow,
///     words: impl Source<Record = str>,
///     out: impl Sink<Keyed<str, u64>>,
/// ) {
///     flow.source(words)
///         .key_by(|word| word)
///         .aggregate("count", 0u64, |count, _word| *count += 1)
///         .emit_when(|_word, count| count.is_power_of_two())
///         .sink(out);
/// }
/// ```
pub type AggregatedStream<'f, R, K, V, X, F, E = EachUpdate> =
    Stream<'f, Keyed<K, V>, AggregateHead<R, K, V, X, F, E>>;

/// The stream that a process function's output makes: a [`Stream`] with all its methods.
///
/// `S` is what the keyed stream is connected with.
pub type ProcessedStream<'f, R, K, X, P, S = Unconnected> =
    Stream<'f, <P as Process<R, K>>::Out, ProcessHead<R, K, X, P, S>>;

impl<'f, R: ?Sized, K: ?Sized, X> KeyedStream<'f, R, K, X> {
    pub(super) fn new(exchanges: Vec<usize>, key: Rc<X>, end: OpenEnd<'f>) -> Self {
        Self {
            input: KeyedInput {
                exchanges,
                key,
                outlets: Vec::new(),
                connection: Unconnected,
            },
            end,
            types: PhantomData,
        }
    }

    /// A second output of the process function that will take this stream's records: what to put
    /// records in, and the stream that they make.
    ///
    /// The stream needs a sink of its own. Its records are neither fewer nor more after a crash,
    /// like those of the main output. Between the two outputs there is no order.
    ///
    /// ```
    /// # use frazil::{Flow, Sink, Source};
    /// # fn build(
    /// #     flow: &Flow, lines: impl Source<Record = str>,
    /// #     firsts: impl Sink<str>, repeats: impl Sink<u64>,
    /// # ) {
    /// let mut lines = flow.source(lines).key_by(|line| line);
    /// let (repeat, repeated) = lines.side_output::<str>();
    /// lines
    ///     .process(
    ///         |states| states.value::<()>("seen"),
    ///         move |seen, line, cx, out| {
    ///             if seen.exists(cx) {
    ///                 repeat.push(cx, line);
    ///             } else {
    ///                 seen.put(cx, &())?;
    ///                 out.push(line);
    ///             }
    ///             Ok(())
    ///         },
    ///     )
    ///     .sink(firsts);
    /// repeated.map(|line| line.len() as u64).sink(repeats);
    /// # }
    /// ```
    ///
    /// # Cost
    /// Copies each record once. The operators behind it run in a stage of their own on the same
    /// shard.
    pub fn side_output<U: Record + ?Sized>(
        &mut self,
    ) -> (SideOutput<U>, Stream<'f, U, LocalHead<U>>) {
        let edge = LocalEdge::shared();
        self.input.outlets.push(edge.clone());
        let end = OpenEnd::new(self.end.flow(), "side_output", &[self.end.operator()]);
        let stream = Stream::new(LocalHead::branch(Rc::clone(&edge)), end);
        (SideOutput::new(edge, self.input.id()), stream)
    }
}

#[expect(
    private_bounds,
    reason = "keys are made by key_by and key_by_value only"
)]
impl<'f, R, K, X> KeyedStream<'f, R, K, X>
where
    R: Record + ?Sized,
    K: Key + Plain + ?Sized,
    X: KeyOf<R, K>,
{
    /// Keeps one value for each key: `initial` at first, then changed by `update` for each record
    /// of the key.
    ///
    /// The values are kept in a table called `name`, which must be the only one of that name in the
    /// flow. A checkpoint restores them by this name, so it must not change from one run to the
    /// next.
    ///
    /// # Cost
    /// One lookup for each record; state is fetched into the cache for a whole run of records at
    /// once.
    pub fn aggregate<V, F>(
        self,
        name: &str,
        initial: V,
        update: F,
    ) -> AggregatedStream<'f, R, K, V, X, F>
    where
        V: Value + Clone + Send,
        F: for<'a> FnMut(&mut V, R::Ref<'a>) + 'static,
    {
        let end = self.end.extend("aggregate");
        end.flow().add_table(name, TypeIdentity::of::<K, V>());
        let head = AggregateHead {
            input: self.input,
            table: name.to_owned(),
            initial,
            update,
            emission: EachUpdate,
            types: PhantomData,
        };
        Stream::new(head, end)
    }
}

#[expect(
    private_bounds,
    reason = "keys are made by key_by and key_by_value only"
)]
impl<'f, R, K, X> KeyedStream<'f, R, K, X>
where
    R: Record + ?Sized,
    K: Key + ?Sized,
    X: KeyOf<R, K>,
{
    /// Runs `each` for each record, with states of the record's key that `open` declares.
    ///
    /// `each` gets what `open` returned (the states), the record, the context (the key, the time,
    /// access to the states) and where to put what it emits. An error that it returns ends the job.
    ///
    /// ```
    /// # use frazil::{Flow, Sink, Source};
    /// # fn first_of_each(flow: &Flow, lines: impl Source<Record = str>, firsts: impl Sink<str>) {
    /// flow.source(lines)
    ///     .key_by(|line| line)
    ///     .process(
    ///         |states| states.value::<()>("seen"),
    ///         |seen, line, cx, out| {
    ///             if !seen.exists(cx) {
    ///                 seen.put(cx, &())?;
    ///                 out.push(line);
    ///             }
    ///             Ok(())
    ///         },
    ///     )
    ///     .sink(firsts);
    /// # }
    /// ```
    ///
    /// # Cost
    /// A lookup for each access to a state; states are fetched into the cache for a whole run of
    /// records at once. Copies each emitted record once.
    pub fn process<S, U, F>(
        self,
        open: impl FnOnce(&mut States<'f, K>) -> S,
        each: F,
    ) -> ProcessedStream<'f, R, K, X, Each<S, U, F>>
    where
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
        self.process_with(|states| Each::new(open(states), each))
    }

    /// Runs the process function that `open` makes for each record, with states that `open`
    /// declares.
    ///
    /// For an example see [`Process`].
    ///
    /// # Cost
    /// That of [`KeyedStream::process`].
    pub fn process_with<P>(
        self,
        open: impl FnOnce(&mut States<'f, K>) -> P,
    ) -> ProcessedStream<'f, R, K, X, P>
    where
        P: Process<R, K>,
    {
        let end = self.end.extend("process");
        let head = ProcessHead::new(self.input, end.flow(), end.operator(), open);
        Stream::new(head, end)
    }
}

/// What closures with one for timers make.
type TimedStream<'f, R, K, X, C, S, U, F, T, G, V> =
    ProcessedStream<'f, R, K, X, Each<S, U, F, OnKey<T>, G, V>, C>;

#[expect(private_bounds, reason = "visit calls are made by on_visit only")]
impl<'f, R, K, X, C, S, U, F, G, V> ProcessedStream<'f, R, K, X, Each<S, U, F, NoKeyCall, G, V>, C>
where
    V: KeyCall<S, K, U>,
    R: Record + ?Sized,
    K: ?Sized + 'static,
    G: 'static,
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
    /// Runs `timer` for each timer that is due: it gets the states, the time that the timer was set
    /// to, the context of the timer's key and where to put what it emits.
    ///
    /// For an example see [`Timers`](crate::Timers).
    pub fn on_timer<T>(self, timer: T) -> TimedStream<'f, R, K, X, C, S, U, F, T, G, V>
    where
        T: for<'b> FnMut(&mut S, u64, &mut ProcessContext<'b, K>, &mut Out<U>) -> ProcessResult
            + 'static,
    {
        self.extend("on_timer", |head| {
            head.map_process(|each| each.with_timer(timer))
        })
    }
}

/// What closures with one for the keys of walks make.
type VisitedStream<'f, R, K, X, C, S, U, F, T, G, V> =
    ProcessedStream<'f, R, K, X, Each<S, U, F, T, G, OnKey<V>>, C>;

#[expect(private_bounds, reason = "timer calls are made by on_timer only")]
impl<'f, R, K, X, C, S, U, F, T, G> ProcessedStream<'f, R, K, X, Each<S, U, F, T, G>, C>
where
    R: Record + ?Sized,
    K: ?Sized + 'static,
    G: 'static,
    S: 'static,
    U: Record + ?Sized,
    T: KeyCall<S, K, U>,
    F: for<'a, 'b> FnMut(
            &mut S,
            R::Ref<'a>,
            &mut ProcessContext<'b, K>,
            &mut Out<U>,
        ) -> ProcessResult
        + 'static,
{
    /// Runs `visit` for each key that a walk comes to: it gets the states, what the walk was told
    /// when it was started, the context of the key and where to put what it emits.
    ///
    /// For an example see [`KeyWalks`](crate::KeyWalks).
    pub fn on_visit<V>(self, visit: V) -> VisitedStream<'f, R, K, X, C, S, U, F, T, G, V>
    where
        V: for<'b> FnMut(&mut S, u64, &mut ProcessContext<'b, K>, &mut Out<U>) -> ProcessResult
            + 'static,
    {
        self.extend("on_visit", |head| {
            head.map_process(|each| each.with_visit(visit))
        })
    }
}

#[expect(
    private_bounds,
    reason = "timer and visit calls are made by on_timer and on_visit only"
)]
impl<R, K, X, C, S, U, F, T, G, V> ProcessedStream<'_, R, K, X, Each<S, U, F, T, G, V>, C>
where
    V: KeyCall<S, K, U>,
    R: Record + ?Sized,
    K: ?Sized + 'static,
    G: 'static,
    S: 'static,
    U: Record + ?Sized,
    T: KeyCall<S, K, U>,
    F: for<'a, 'b> FnMut(
            &mut S,
            R::Ref<'a>,
            &mut ProcessContext<'b, K>,
            &mut Out<U>,
        ) -> ProcessResult
        + 'static,
{
    /// Fires the timers that are pending when all input has ended, instead of discarding them; see
    /// [`PendingTimers::Fire`](crate::PendingTimers::Fire).
    pub fn fire_timers_at_end(self) -> Self {
        self.extend("fire_timers_at_end", |head| {
            head.map_process(Each::fire_at_end)
        })
    }
}

impl<'f, R, K, V, X, F> AggregatedStream<'f, R, K, V, X, F>
where
    R: ?Sized,
    K: Plain + ?Sized,
    V: Value + Clone + Send,
{
    /// Emits only the updates for which `accepts` is true of the key and the changed value.
    ///
    /// # Cost
    /// Less than a `filter` behind the aggregation: values of other updates are not copied out of
    /// the state.
    pub fn emit_when<P>(self, accepts: P) -> AggregatedStream<'f, R, K, V, X, F, When<P>>
    where
        P: FnMut(&K, &V) -> bool + 'static,
    {
        self.extend("emit_when", |head| head.map_emission(|_| When(accepts)))
    }

    /// Emits no update, but every key with its last value once all input has ended.
    ///
    /// Without an end of the input nothing is emitted. Each pair is emitted once, also if the job
    /// is stopped and restored in between.
    pub fn emit_at_end(self) -> AggregatedStream<'f, R, K, V, X, F, AtEnd<Never>> {
        self.extend("emit_at_end", |head| head.map_emission(|_| AtEnd(Never)))
    }
}

impl<'f, R, K, V, X, F, P> AggregatedStream<'f, R, K, V, X, F, When<P>>
where
    R: ?Sized,
    K: Plain + ?Sized,
    V: Value + Clone + Send,
    P: FnMut(&K, &V) -> bool + 'static,
{
    /// Emits every key with its last value once all input has ended, beside the updates that
    /// `emit_when` accepts.
    ///
    /// Without an end of the input no last value is emitted. Each pair is emitted once, also if the
    /// job is stopped and restored in between.
    pub fn emit_at_end(self) -> AggregatedStream<'f, R, K, V, X, F, AtEnd<When<P>>> {
        self.extend("emit_at_end", |head| head.map_emission(AtEnd))
    }
}
