//! The tail that sends records over an exchange, by their keys or otherwise.

use std::marker::PhantomData;
use std::rc::Rc;

use frazil_state::{Key, hash_key};

use super::key::KeyOf;
use crate::exchange::Sender;
use crate::flow::chain::Operator;
use crate::flow::record::Record;
use crate::in_flight::{FlightStep, Route};
use crate::shard::Context;

/// Which shards get a record.
pub(crate) trait Distribution<R: Record + ?Sized>: 'static {
    /// Where a record goes on after a restore that finds it in flight.
    const ROUTE: Route;

    fn send(&mut self, sender: &mut Sender<R>, record: R::Ref<'_>, stamp_ns: u64);
}

/// The shard that owns its key.
pub(in crate::flow) struct ByKey<K: ?Sized, X> {
    key: Rc<X>,
    hashed: PhantomData<fn(&K)>,
}

impl<K: ?Sized, X> ByKey<K, X> {
    pub(in crate::flow) fn new(key: Rc<X>) -> Self {
        Self {
            key,
            hashed: PhantomData,
        }
    }
}

impl<R, K, X> Distribution<R> for ByKey<K, X>
where
    R: Record + ?Sized,
    K: Key + ?Sized,
    X: KeyOf<R, K>,
{
    const ROUTE: Route = Route::Key;

    #[inline]
    fn send(&mut self, sender: &mut Sender<R>, record: R::Ref<'_>, stamp_ns: u64) {
        let hash = self.key.with_key(record, hash_key);
        sender.push(hash, record, stamp_ns);
    }
}

/// The tail in front of an exchange.
pub(in crate::flow) struct ExchangeTail<R: Record + ?Sized, D> {
    sender: Sender<R>,
    distribution: D,
}

impl<R: Record + ?Sized, D> ExchangeTail<R, D> {
    pub(in crate::flow) fn new(sender: Sender<R>, distribution: D) -> Self {
        Self {
            sender,
            distribution,
        }
    }
}

impl<R: Record + ?Sized, D: Distribution<R>> Operator<R> for ExchangeTail<R, D> {
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

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        self.sender.in_flight(step)
    }
}
