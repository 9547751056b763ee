//! A keyed stream beside a stream that all shards get alike.

use std::marker::PhantomData;

use frazil_state::Key;

use super::keyed_stream::{KeyedStream, ProcessedStream};
use super::open_end::OpenEnd;
use super::operators::{Connected, KeyOf, KeyedInput, ProcessHead};
use super::out::Out;
use super::process::{
    BroadcastContext, BroadcastProcess, Each, NoKeyCall, OnBroadcast, ProcessContext,
    ProcessResult, States,
};
use super::record::Record;
use super::shapes::BroadcastStream;
use super::stream::Stream;

/// A [`KeyedStream`] of `R` together with a broadcast stream of `B`; made by
/// [`KeyedStream::connect`].
#[must_use = "a stream has to end with sink()"]
pub struct ConnectedStream<'f, R: ?Sized, K: ?Sized, X, B: ?Sized> {
    input: KeyedInput<X, Connected<B>>,
    end: OpenEnd<'f>,
    types: PhantomData<fn(&R, &K)>,
}

impl<'f, R: ?Sized, K: ?Sized, X> KeyedStream<'f, R, K, X> {
    /// Lets the process function of this stream see another stream, of which every shard gets every
    /// record: rules, limits, prices.
    ///
    /// What the function keeps of it in a [`BroadcastState`](crate::BroadcastState) is part of the
    /// checkpoint, cut at the same barrier as the keyed states, and there for all keys of all
    /// shards, also when their number changes.
    ///
    /// Between the two streams there is no order: a record may come before or after a rule that
    /// entered the flow at the same time. All shards get the records of one split of the broadcast
    /// stream in the same order; where several splits write the same entry, which one is last may
    /// differ from shard to shard.
    ///
    /// ```
    /// # use frazil::{Flow, Sink, Source};
    /// # fn build(
    /// #     flow: &Flow, payments: impl Source<Record = (String, u64)>,
    /// #     limits: impl Source<Record = (String, u64)>, suspects: impl Sink<(String, u64)>,
    /// # ) {
    /// let limits = flow.source(limits).broadcast();
    /// flow.source(payments)
    ///     .key_by(|(customer, _cents)| customer.as_str())
    ///     .connect(limits)
    ///     .process(
    ///         |states| (states.value::<u64>("paid"), states.broadcast::<str, u64>("limits")),
    ///         |(paid, limits), payment, cx, out| {
    ///             let (_customer, cents) = payment;
    ///             let paid = paid.update(cx, &0, |paid| {
    ///                 *paid += cents;
    ///                 *paid
    ///             })?;
    ///             if limits.get(cx, "daily")?.is_some_and(|limit| paid > limit) {
    ///                 out.push(payment);
    ///             }
    ///             Ok(())
    ///         },
    ///         |(_paid, limits), (name, limit), cx, _out| {
    ///             limits.put(cx, name, limit)?;
    ///             Ok(())
    ///         },
    ///     )
    ///     .sink(suspects);
    /// # }
    /// ```
    ///
    /// # Cost
    /// Nothing for a record of the keyed stream; a copy on each shard for one of the other.
    pub fn connect<B: Record + ?Sized>(
        self,
        broadcast: BroadcastStream<'f, B>,
    ) -> ConnectedStream<'f, R, K, X, B> {
        let Self { input, end, .. } = self;
        let connection = Connected::new(broadcast.chain.into_exchanges());
        ConnectedStream {
            input: input.connect(connection),
            end: end.join(broadcast.end, "connect"),
            types: PhantomData,
        }
    }
}

/// What closures for both streams make.
type ToldStream<'f, R, K, X, S, U, F, G, B> =
    ProcessedStream<'f, R, K, X, Each<S, U, F, NoKeyCall, OnBroadcast<G>>, Connected<B>>;

#[expect(
    private_bounds,
    reason = "keys are made by key_by and key_by_value only"
)]
impl<'f, R, K, X, B> ConnectedStream<'f, R, K, X, B>
where
    R: Record + ?Sized,
    K: Key + ?Sized,
    X: KeyOf<R, K>,
    B: Record + ?Sized,
{
    /// Runs `each` for each record of a key and `on_broadcast` for each record of the broadcast
    /// stream, with states that `open` declares.
    ///
    /// `on_broadcast` runs on every shard, without a key in hand: it alone writes broadcast states,
    /// and what it emits is emitted on every shard. Otherwise as [`KeyedStream::process`]; for an
    /// example see [`KeyedStream::connect`].
    pub fn process<S, U, F, G>(
        self,
        open: impl FnOnce(&mut States<'f, K>) -> S,
        each: F,
        on_broadcast: G,
    ) -> ToldStream<'f, R, K, X, S, U, F, G, B>
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
        G: for<'a, 'b> FnMut(
                &mut S,
                B::Ref<'a>,
                &mut BroadcastContext<'b>,
                &mut Out<U>,
            ) -> ProcessResult
            + 'static,
    {
        self.process_with(|states| Each::new(open(states), each).with_broadcast(on_broadcast))
    }

    /// Runs the process function that `open` makes for each record of both streams, with states
    /// that `open` declares.
    ///
    /// For an example see [`BroadcastProcess`].
    pub fn process_with<P>(
        self,
        open: impl FnOnce(&mut States<'f, K>) -> P,
    ) -> ProcessedStream<'f, R, K, X, P, Connected<B>>
    where
        P: BroadcastProcess<R, B, K>,
    {
        let end = self.end.extend("process");
        let head = ProcessHead::new(self.input, end.flow(), end.operator(), open);
        Stream::new(head, end)
    }
}
