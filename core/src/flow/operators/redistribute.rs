//! Exchanges that look at no key: records in turn to all shards, or each record to all of them.

use std::marker::PhantomData;

use frazil_state::KeyHash;

use super::exchange_tail::Distribution;
use crate::exchange::Sender;
use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, Operator};
use crate::flow::error::FlowError;
use crate::flow::plain_stage::PlainStage;
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::in_flight::Route;

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
        let receiver = context.take_receiver::<R>(&self.exchanges, Route::Shard)?;
        Ok(Box::new(PlainStage::new(context.stage, receiver, next)))
    }
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

impl<R: Record + ?Sized> Distribution<R> for InTurn {
    const ROUTE: Route = Route::Shard;

    #[inline]
    fn send(&mut self, sender: &mut Sender<R>, record: R::Ref<'_>, stamp_ns: u64) {
        sender.push_to(self.next, NO_KEY, record, stamp_ns);
        self.next += 1;
        if self.next == sender.target_count() {
            self.next = 0;
        }
    }
}

/// All of them.
pub struct ToAll;

impl<R: Record + ?Sized> Distribution<R> for ToAll {
    const ROUTE: Route = Route::Shard;

    #[inline]
    fn send(&mut self, sender: &mut Sender<R>, record: R::Ref<'_>, stamp_ns: u64) {
        for shard in 0..sender.target_count() {
            sender.push_to(shard, NO_KEY, record, stamp_ns);
        }
    }
}
