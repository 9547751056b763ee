//! Exchanges that look at no key: records in turn to all shards, or each record to all of them.

use std::marker::PhantomData;

use frazil_state::KeyHash;

use crate::exchange::Sender;
use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, Operator};
use crate::flow::error::FlowError;
use crate::flow::plain_stage::PlainStage;
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::shard::Context;

/// What batches hold for records that have no key.
const NO_KEY: KeyHash = KeyHash(0);

/// The front of a chain behind an exchange without a key; `D` says which shards got its records.
pub struct ExchangeHead<R: ?Sized, D> {
    exchanges: Vec<usize>,
    types: PhantomData<fn(&R, &D)>,
}

impl<R: ?Sized, D> ExchangeHead<R, D> {
    /// Begins with the records of one exchange, or of one for each stream of a union.
    pub(in crate::flow) fn new(exchanges: Vec<usize>) -> Self {
        Self {
            exchanges,
            types: PhantomData,
        }
    }

    pub(in crate::flow) fn into_exchanges(self) -> Vec<usize> {
        self.exchanges
    }
}

impl<R: Record + ?Sized, D: 'static> Chain for ExchangeHead<R, D> {
    type Out = R;

    fn build<N: Operator<R>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let receiver = context.take_receiver::<R>(&self.exchanges)?;
        Ok(Box::new(PlainStage::new(context.stage, receiver, next)))
    }
}

/// Which shards get a record.
pub(crate) trait Distribution: 'static {
    fn send<R: Record + ?Sized>(
        &mut self,
        sender: &mut Sender<R>,
        record: R::Ref<'_>,
        stamp_ns: u64,
    );
}

/// One after the other.
pub struct InTurn {
    next: usize,
}

impl InTurn {
    /// Begins with the shard itself, so that shards do not all begin with the same one.
    pub(in crate::flow) fn new(shard: usize) -> Self {
        Self { next: shard }
    }
}

impl Distribution for InTurn {
    #[inline]
    fn send<R: Record + ?Sized>(
        &mut self,
        sender: &mut Sender<R>,
        record: R::Ref<'_>,
        stamp_ns: u64,
    ) {
        sender.push_to(self.next, NO_KEY, record, stamp_ns);
        self.next += 1;
        if self.next == sender.target_count() {
            self.next = 0;
        }
    }
}

/// All of them.
pub struct ToAll;

impl Distribution for ToAll {
    #[inline]
    fn send<R: Record + ?Sized>(
        &mut self,
        sender: &mut Sender<R>,
        record: R::Ref<'_>,
        stamp_ns: u64,
    ) {
        for shard in 0..sender.target_count() {
            sender.push_to(shard, NO_KEY, record, stamp_ns);
        }
    }
}

/// The tail in front of such an exchange.
pub(in crate::flow) struct RedistributeTail<R: Record + ?Sized, D> {
    sender: Sender<R>,
    distribution: D,
}

impl<R: Record + ?Sized, D> RedistributeTail<R, D> {
    pub(in crate::flow) fn new(sender: Sender<R>, distribution: D) -> Self {
        Self {
            sender,
            distribution,
        }
    }
}

impl<R: Record + ?Sized, D: Distribution> Operator<R> for RedistributeTail<R, D> {
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        self.distribution
            .send(&mut self.sender, record, cx.stamp_ns);
    }

    #[inline]
    fn has_room(&self, _cx: &Context<'_>) -> bool {
        self.sender.has_room()
    }

    fn publish(&mut self, _cx: &mut Context<'_>) -> bool {
        self.sender.publish()
    }

    fn barrier(&mut self, epoch: u64, _cx: &mut Context<'_>) {
        self.sender.barrier(epoch);
    }

    fn end(&mut self, _cx: &mut Context<'_>) {
        self.sender.end();
    }
}
