//! Streams that join, go on in several places, or spread over the shards.

use std::array;
use std::rc::Rc;

use frazil_state::Key;

use super::chain::Chain;
use super::keyed_stream::KeyedStream;
use super::local_edge::LocalEdge;
use super::local_head::{LocalHead, LocalInput, LocalTail};
use super::open_end::OpenEnd;
use super::operators::{ByKey, Distribution, ExchangeHead, ExchangeTail, InTurn, KeyOf, ToAll};
use super::record::Record;
use super::stream::Stream;

/// The stream that [`Stream::broadcast`] gives: a [`Stream`] with all its methods.
pub type BroadcastStream<'f, R> = Stream<'f, R, ExchangeHead<R, ToAll>>;

#[expect(private_bounds, reason = "chains are made by these methods only")]
impl<'f, R: Record + ?Sized, C: Chain<Out = R>> Stream<'f, R, C> {
    /// One stream of the records of this one and of `other`, in no order between the two.
    ///
    /// A checkpoint cuts both at the same barrier, and the stream ends when both have ended.
    ///
    /// ```
    /// # use frazil::{Flow, Keyed, Sink, Source};
    /// # fn build(
    /// #     flow: &Flow, today: impl Source<Record = str>, archive: impl Source<Record = str>,
    /// #     counts: impl Sink<Keyed<str, u64>>,
    /// # ) {
    /// flow.source(today)
    ///     .union(flow.source(archive).filter(|line| !line.is_empty()))
    ///     .key_by(|line| line)
    ///     .aggregate("count", 0u64, |count, _line| *count += 1)
    ///     .sink(counts);
    /// # }
    /// ```
    ///
    /// # Cost
    /// Directly in front of an exchange a virtual call for each record: each stream goes over rings
    /// of its own. Elsewhere one copy of each record, and a stage of its own for what follows.
    pub fn union<D>(self, other: Stream<'f, R, D>) -> Stream<'f, R, LocalHead<R>>
    where
        D: Chain<Out = R>,
    {
        let (mut inputs, first) = self.into_inputs();
        let (others, second) = other.into_inputs();
        inputs.extend(others);
        Stream::new(LocalHead::new(inputs), first.join(second, "union"))
    }

    /// The stream several times over: each of the `N` streams has all records.
    ///
    /// Each needs a sink of its own. A checkpoint cuts all of them at the same records.
    ///
    /// ```
    /// # use frazil::{Flow, Keyed, Sink, Source};
    /// # fn build(
    /// #     flow: &Flow, lines: impl Source<Record = str>,
    /// #     errors: impl Sink<str>, counts: impl Sink<Keyed<u64, u64>>,
    /// # ) {
    /// let [all, copies] = flow.source(lines).fan_out();
    /// all.filter(|line| line.starts_with("ERROR")).sink(errors);
    /// copies
    ///     .key_by_value(|line| line.len() as u64)
    ///     .aggregate("lines by length", 0u64, |count, _line| *count += 1)
    ///     .sink(counts);
    /// # }
    /// ```
    ///
    /// # Cost
    /// `N` copies of each record. Each stream's operators run in a stage of their own on the same
    /// shard; the slowest one holds the others up once 16 batches wait for it.
    pub fn fan_out<const N: usize>(self) -> [Stream<'f, R, LocalHead<R>>; N] {
        const { assert!(N > 0, "a stream goes on in one place at least") };
        let Self { chain, end, .. } = self;
        let mut end = end.extend("fan_out");
        let (flow, fan_out) = (end.flow(), end.operator());
        let edges: [_; N] = array::from_fn(|_| LocalEdge::<R>::shared());
        let tail = LocalTail::new(edges.to_vec());
        end.complete_stage(move |context| chain.build(tail, context));
        end.close();
        edges.map(|edge| {
            Stream::new(
                LocalHead::branch(edge),
                OpenEnd::new(flow, "copy", &[fan_out]),
            )
        })
    }

    /// Sends the records to all shards in turn, so that each gets the same number of them.
    ///
    /// For operators without a key behind a source whose splits are fewer than the shards, or of
    /// unequal length. The order of records is lost.
    ///
    /// ```
    /// # use frazil::{Flow, Sink, Source};
    /// # fn build(flow: &Flow, lines: impl Source<Record = str>, primes: impl Sink<u64>) {
    /// flow.source(lines)
    ///     .rebalance()
    ///     .map(|line| line.parse().unwrap_or(0u64))
    ///     .filter(|n| *n > 1 && (2..*n).all(|divisor| n % divisor != 0))
    ///     .sink(primes);
    /// # }
    /// ```
    ///
    /// # Cost
    /// That of an exchange: one copy of each record.
    pub fn rebalance(self) -> Stream<'f, R, ExchangeHead<R, InTurn>> {
        self.exchange_to("rebalance", InTurn::new)
    }

    /// Sends each record to all shards.
    ///
    /// Each shard gets the records of one split in their order; between splits there is none, and
    /// it may differ from shard to shard.
    ///
    /// # Cost
    /// A copy of each record for each shard.
    pub fn broadcast(self) -> BroadcastStream<'f, R> {
        self.exchange_to("broadcast", |_shard| ToAll)
    }

    fn exchange_to<D: Distribution<R>>(
        self,
        verb: &'static str,
        distribution: impl Fn(usize) -> D + 'static,
    ) -> Stream<'f, R, ExchangeHead<R, D>> {
        let (exchanges, end) = self.end_in_exchanges(verb, distribution);
        Stream::new(ExchangeHead::new(exchanges), end)
    }

    pub(super) fn exchange_by<K, X>(self, verb: &'static str, key: X) -> KeyedStream<'f, R, K, X>
    where
        K: Key + ?Sized,
        X: KeyOf<R, K>,
    {
        let key = Rc::new(key);
        let tail_key = Rc::clone(&key);
        let by_key = move |_shard| ByKey::<K, X>::new(Rc::clone(&tail_key));
        let (exchanges, end) = self.end_in_exchanges(verb, by_key);
        KeyedStream::new(exchanges, key, end)
    }

    /// Completes the stages in front with an exchange each, of which the stream behind takes all.
    fn end_in_exchanges<D: Distribution<R>>(
        self,
        verb: &'static str,
        distribution: impl Fn(usize) -> D + 'static,
    ) -> (Vec<usize>, OpenEnd<'f>) {
        let Self { chain, end, .. } = self;
        let mut end = end.extend(verb);
        let distribution = Rc::new(distribution);
        let inputs = match chain.into_inputs() {
            Ok(inputs) => inputs,
            Err(chain) => return (vec![end_in_exchange(&mut end, chain, distribution)], end),
        };
        let (open_tails, branches) = LocalHead::new(inputs).into_open_tails();
        let mut exchanges = Vec::new();
        for open_tail in open_tails {
            let exchange = end.flow().add_exchange::<R>();
            exchanges.push(exchange);
            let distribution = Rc::clone(&distribution);
            open_tail.replace(Box::new(move |context| {
                let sender = context.take_sender::<R>(exchange, D::ROUTE)?;
                let distribution = distribution(context.shard);
                Ok(Box::new(ExchangeTail::new(sender, distribution)))
            }));
        }
        match branches {
            Some(chain) => exchanges.push(end_in_exchange(&mut end, chain, distribution)),
            None => end.skip_stage(),
        }
        (exchanges, end)
    }

    /// Ends the stage in front with a local edge, unless it is nothing but local edges.
    fn into_inputs(self) -> (Vec<LocalInput<R>>, OpenEnd<'f>) {
        let Self { chain, mut end, .. } = self;
        let inputs = match chain.into_inputs() {
            Ok(inputs) => inputs,
            Err(chain) => {
                let (input, build) = LocalInput::for_chain(chain);
                end.complete_stage(build);
                vec![input]
            }
        };
        (inputs, end)
    }
}

/// Completes a stage with an exchange and gives its number.
fn end_in_exchange<R: Record + ?Sized, C: Chain<Out = R>, D: Distribution<R>>(
    end: &mut OpenEnd<'_>,
    chain: C,
    distribution: Rc<impl Fn(usize) -> D + 'static>,
) -> usize {
    let exchange = end.flow().add_exchange::<R>();
    end.complete_stage(move |context| {
        let sender = context.take_sender::<R>(exchange, D::ROUTE)?;
        let tail = ExchangeTail::new(sender, distribution(context.shard));
        chain.build(tail, context)
    });
    exchange
}
