//! A stream of records under construction.

use std::marker::PhantomData;
use std::rc::Rc;

use frazil_state::{Key, ListRedistribution, OperatorList, Value};

use super::chain::Chain;
use super::error::FlowError;
use super::keyed_stream::KeyedStream;
use super::open_end::OpenEnd;
use super::operators::{
    BorrowedKey, ComputedKey, Filter, FlatMap, Inspect, ListProcessed, Map, PairKey,
};
use super::out::Out;
use super::process::ListProcess;
use super::record::{Keyed, Plain, Record};
use super::sink_tail::SinkTail;
use crate::sink::Sink;

/// Records of type `R` on their way through a flow; every method adds one operator.
///
/// A stream begins with [`Flow::source`](crate::Flow::source) or an aggregation and has to end with
/// [`Stream::sink`] (or, for a stream to be aggregated, with `key_by`): one that is dropped is an
/// error when the job starts. `C` is how the records are made; it is inferred and never written
/// down.
///
/// The operators between two exchanges run as one piece of code on one shard. Closures run on the
/// shard's thread, must not block, and are called again for the same records after a recovery.
///
/// ```
/// use frazil::{Flow, Keyed, Sink, Source};
///
/// fn sum_by_customer(
///     flow: &Flow,
///     orders: impl Source<Record = (String, u64)>,
///     sums: impl Sink<Keyed<str, u64>>,
/// ) {
///     flow.source(orders)
///         .filter(|(_customer, cents)| *cents > 0)
///         .key_by(|(customer, _cents)| customer.as_str())
///         .aggregate("sums", 0u64, |sum, (_customer, cents)| *sum += cents)
///         .sink(sums);
/// }
/// ```
#[must_use = "a stream has to end with sink()"]
pub struct Stream<'f, R: ?Sized, C> {
    pub(super) chain: C,
    pub(super) end: OpenEnd<'f>,
    records: PhantomData<fn(&R)>,
}

impl<'f, R: Record + ?Sized, C> Stream<'f, R, C> {
    pub(super) fn new(chain: C, end: OpenEnd<'f>) -> Self {
        Self {
            chain,
            end,
            records: PhantomData,
        }
    }

    /// Fixes the id of the last operator, by which a checkpoint finds it again.
    ///
    /// Operators without an id of their own are found by their place: the methods that lead to
    /// them. Sources, sinks and operators with state or final values keep theirs through any change
    /// of the flow around them if they have an id. It must be the only one of its kind in the flow,
    /// and must not change from one run to the next. An operator that had none may get one.
    ///
    /// ```
    /// # use frazil::{Flow, Keyed, Sink, Source};
    /// # fn build(flow: &Flow, words: impl Source<Record = str>, out: impl Sink<Keyed<str, u64>>) {
    /// flow.source(words)
    ///     .id("words")
    ///     .filter(|word| !word.is_empty())
    ///     .key_by(|word| word)
    ///     .aggregate("count", 0u64, |count, _word| *count += 1)
    ///     .id("count")
    ///     .sink_with_id("counts", out);
    /// # }
    /// ```
    pub fn id(self, id: &str) -> Self {
        self.end.flow().name_operator(self.end.operator(), id);
        self
    }

    pub(super) fn extend<U: Record + ?Sized, D>(
        self,
        verb: &'static str,
        wrap: impl FnOnce(C) -> D,
    ) -> Stream<'f, U, D> {
        Stream::new(wrap(self.chain), self.end.extend(verb))
    }
}

#[expect(private_bounds, reason = "chains are made by these methods only")]
impl<'f, R: Record + ?Sized, C: Chain<Out = R>> Stream<'f, R, C> {
    /// Makes one record from each record.
    ///
    /// The new record is owned; to make text without an allocation each time use
    /// [`Stream::flat_map`].
    ///
    /// ```
    /// # use frazil::{Flow, Sink, Source};
    /// # fn build(flow: &Flow, lines: impl Source<Record = str>, lengths: impl Sink<u64>) {
    /// flow.source(lines).map(|line| line.len() as u64).sink(lengths);
    /// # }
    /// ```
    pub fn map<U, F>(self, map: F) -> Stream<'f, U, Map<C, U, F>>
    where
        U: Plain,
        F: for<'a> FnMut(R::Ref<'a>) -> U + 'static,
    {
        self.extend("map", |before| Map::new(before, map))
    }

    /// Keeps the records for which `accepts` is true.
    ///
    /// ```
    /// # use frazil::{Flow, Sink, Source};
    /// # fn build(flow: &Flow, lines: impl Source<Record = str>, errors: impl Sink<str>) {
    /// flow.source(lines).filter(|line| line.starts_with("ERROR")).sink(errors);
    /// # }
    /// ```
    pub fn filter<F>(self, accepts: F) -> Stream<'f, R, Filter<C, F>>
    where
        F: for<'a> FnMut(R::Ref<'a>) -> bool + 'static,
    {
        self.extend("filter", |before| Filter::new(before, accepts))
    }

    /// Makes any number of records from each record.
    ///
    /// ```
    /// # use frazil::{Flow, Sink, Source};
    /// # fn build(flow: &Flow, lines: impl Source<Record = str>, words: impl Sink<str>) {
    /// flow.source(lines)
    ///     .flat_map(|line, out| {
    ///         for word in line.split_whitespace() {
    ///             out.push(word);
    ///         }
    ///     })
    ///     .sink(words);
    /// # }
    /// ```
    ///
    /// # Cost
    /// Copies each record once. What one call makes is held in memory until it is passed on.
    pub fn flat_map<U, F>(self, expand: F) -> Stream<'f, U, FlatMap<C, U, F>>
    where
        U: Record + ?Sized,
        F: for<'a> FnMut(R::Ref<'a>, &mut Out<U>) + 'static,
    {
        self.extend("flat_map", |before| FlatMap::new(before, expand))
    }

    /// Runs `process` for each record on its way, with a list that survives crashes under `name`,
    /// one on each shard.
    ///
    /// `redistribution` says what becomes of the shards' lists when their number changes: each
    /// element goes to one shard, or all elements to all. For an example see [`ListProcess`].
    ///
    /// # Cost
    /// Copies each emitted record once. The list is written whole at each barrier.
    pub fn process_list<P: ListProcess<R>>(
        self,
        name: &str,
        redistribution: ListRedistribution,
        process: P,
    ) -> Stream<'f, P::Out, ListProcessed<C, P>> {
        let Self { chain, end, .. } = self;
        let end = end.extend("process_list");
        let types = OperatorList::<P::Element>::types();
        end.flow().add_table(name, types);
        let operator = end.operator();
        let processed = ListProcessed::new(chain, operator, name, redistribution, process);
        Stream::new(processed, end)
    }

    /// Shows each record to `look` and passes it on.
    ///
    /// ```
    /// # use frazil::{Flow, Sink, Source};
    /// # fn build(flow: &Flow, lines: impl Source<Record = str>, out: impl Sink<str>) {
    /// let mut count = 0u64;
    /// flow.source(lines).inspect(move |_line| count += 1).sink(out);
    /// # }
    /// ```
    pub fn inspect<F>(self, look: F) -> Stream<'f, R, Inspect<C, F>>
    where
        F: for<'a> FnMut(R::Ref<'a>) + 'static,
    {
        self.extend("inspect", |before| Inspect::new(before, look))
    }

    /// Sends each record to the shard that owns the key that `key` computes from it.
    ///
    /// `key` is called twice for each record (on the sending shard for the hash, on the owning one
    /// for the lookup) and must give the same key both times. Where the key is part of the record
    /// use `key_by`, which copies nothing.
    ///
    /// ```
    /// # use frazil::{Flow, Keyed, Sink, Source};
    /// # fn build(flow: &Flow, lines: impl Source<Record = str>, out: impl Sink<Keyed<u64, u64>>) {
    /// flow.source(lines)
    ///     .key_by_value(|line| line.len() as u64)
    ///     .aggregate("lines by length", 0u64, |count, _line| *count += 1)
    ///     .sink(out);
    /// # }
    /// ```
    pub fn key_by_value<K, F>(self, key: F) -> KeyedStream<'f, R, K, ComputedKey<K, F>>
    where
        K: Key,
        F: for<'a> Fn(R::Ref<'a>) -> K + 'static,
    {
        self.exchange_by("key_by_value", ComputedKey::new(key))
    }

    /// Ends the stream in `sink`.
    ///
    /// What is written becomes visible with the checkpoint that follows it.
    pub fn sink<S: Sink<R>>(self, sink: S) {
        self.end_in(sink, None);
    }

    /// Ends the stream in `sink`, an operator with the id `id`; see [`Stream::id`].
    pub fn sink_with_id<S: Sink<R>>(self, id: &str, sink: S) {
        self.end_in(sink, Some(id));
    }

    fn end_in<S: Sink<R>>(self, sink: S, id: Option<&str>) {
        let Self { chain, end, .. } = self;
        let mut end = end.extend("sink");
        if let Some(id) = id {
            end.flow().name_operator(end.operator(), id);
        }
        let sink = Rc::new(sink);
        let number = end.flow().add_sink(Rc::clone(&sink), end.operator());
        end.complete_stage(move |context| {
            let name = sink.name();
            match sink.writer() {
                Ok(writer) => {
                    let tail = SinkTail::new(number, name, writer, context.first_epoch);
                    chain.build(tail, context)
                }
                Err(source) => Err(FlowError::Sink { name, source }),
            }
        });
        end.close();
    }
}

#[expect(private_bounds, reason = "chains are made by these methods only")]
impl<'f, R: Plain + ?Sized, C: Chain<Out = R>> Stream<'f, R, C> {
    /// Sends each record to the shard that owns its key, a part of the record.
    ///
    /// `key` is called twice for each record (on the sending shard for the hash, on the owning one
    /// for the lookup) and must give the same key both times.
    ///
    /// ```
    /// # use frazil::{Flow, Keyed, Sink, Source};
    /// # fn build(flow: &Flow, words: impl Source<Record = str>, out: impl Sink<Keyed<str, u64>>) {
    /// flow.source(words)
    ///     .key_by(|word| word)
    ///     .aggregate("count", 0u64, |count, _word| *count += 1)
    ///     .sink(out);
    /// # }
    /// ```
    pub fn key_by<K, F>(self, key: F) -> KeyedStream<'f, R, K, BorrowedKey<F>>
    where
        K: Key + ?Sized,
        F: for<'a> Fn(&'a R) -> &'a K + 'static,
    {
        self.exchange_by("key_by", BorrowedKey(key))
    }
}

#[expect(private_bounds, reason = "chains are made by these methods only")]
impl<'f, K0, V, C> Stream<'f, Keyed<K0, V>, C>
where
    K0: Plain + ?Sized,
    V: Value + Clone + Send,
    C: Chain<Out = Keyed<K0, V>>,
{
    /// Sends each pair to the shard that owns its new key, a part of the pair's key or value.
    ///
    /// `key` is called twice for each pair (on the sending shard for the hash, on the owning one
    /// for the lookup) and must give the same key both times.
    ///
    /// ```
    /// # use frazil::{Flow, Keyed, Sink, Source};
    /// # fn build(flow: &Flow, words: impl Source<Record = str>, out: impl Sink<Keyed<u64, u64>>) {
    /// flow.source(words)
    ///     .key_by(|word| word)
    ///     .aggregate("count", 0u64, |count, _word| *count += 1)
    ///     .key_by(|(_word, count)| count)
    ///     .aggregate("words that reached a count", 0u64, |words, _pair| *words += 1)
    ///     .sink(out);
    /// # }
    /// ```
    pub fn key_by<K, F>(self, key: F) -> KeyedStream<'f, Keyed<K0, V>, K, PairKey<F>>
    where
        K: Key + ?Sized,
        F: for<'a> Fn((&'a K0, &'a V)) -> &'a K + 'static,
    {
        self.exchange_by("key_by", PairKey(key))
    }
}
