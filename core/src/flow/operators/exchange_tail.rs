//! The tail that sends records to the shards that own their keys.

use std::marker::PhantomData;
use std::rc::Rc;

use frazil_state::{Key, hash_key};

use super::key::KeyOf;
use crate::exchange::Sender;
use crate::flow::chain::Operator;
use crate::flow::record::Record;
use crate::shard::Context;

pub(in crate::flow) struct ExchangeTail<R: Record + ?Sized, K: ?Sized, X> {
    sender: Sender<R>,
    key: Rc<X>,
    hashed: PhantomData<fn(&K)>,
}

impl<R: Record + ?Sized, K: ?Sized, X> ExchangeTail<R, K, X> {
    pub(in crate::flow) fn new(sender: Sender<R>, key: Rc<X>) -> Self {
        Self {
            sender,
            key,
            hashed: PhantomData,
        }
    }
}

impl<R, K, X> Operator<R> for ExchangeTail<R, K, X>
where
    R: Record + ?Sized,
    K: Key + ?Sized,
    X: KeyOf<R, K>,
{
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        let hash = self.key.with_key(record, hash_key);
        self.sender.push(hash, record, cx.stamp_ns);
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
