//! The rings of all exchanges: made on the starting thread, their ends handed to the shards.

use std::any::Any;
use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use super::cut::CutWord;
use super::message::{BatchPlan, ExchangeBatch, Message};
use super::sender::OUTBOX_MESSAGES;
use crate::flow::Record;

/// The sending end of one ring, and where its spent batches come back.
pub(crate) struct Outlet<R: Record + ?Sized> {
    pub(super) messages: Producer<Message<R>>,
    pub(super) spent: Consumer<ExchangeBatch<R>>,
    pub(super) plan: BatchPlan,
    pub(super) cut: Arc<CutWord>,
}

/// The receiving end of one ring, and where spent batches go.
pub(crate) struct Inlet<R: Record + ?Sized> {
    pub(super) messages: Consumer<Message<R>>,
    pub(super) spent: Producer<ExchangeBatch<R>>,
    pub(super) cut: Arc<CutWord>,
}

/// One shard's ends of one exchange; their record type is known to the flow's closure only.
pub(crate) struct ExchangeEnds {
    /// `Vec<Outlet<R>>` by receiving shard, until the sender takes it.
    outlets: Option<Box<dyn Any + Send>>,
    /// `Vec<Inlet<R>>` by sending shard, until the receiver takes it.
    inlets: Option<Box<dyn Any + Send>>,
}

/// Makes one exchange's rings for (shard count, capacity in messages) and gives the ends by shard.
pub(crate) type MeshFactory = fn(usize, usize) -> Vec<ExchangeEnds>;

/// One shard's ends of all exchanges, by exchange number.
#[derive(Default)]
pub(crate) struct ShardRings(Vec<ExchangeEnds>);

impl ShardRings {
    pub(crate) fn push(&mut self, ends: ExchangeEnds) {
        self.0.push(ends);
    }

    /// `None` if the exchange does not exist, carries other records, or was taken.
    pub(crate) fn take_outlets<R: Record + ?Sized>(
        &mut self,
        exchange: usize,
    ) -> Option<Vec<Outlet<R>>> {
        take(&mut self.0.get_mut(exchange)?.outlets)
    }

    /// `None` if the exchange does not exist, carries other records, or was taken.
    pub(crate) fn take_inlets<R: Record + ?Sized>(
        &mut self,
        exchange: usize,
    ) -> Option<Vec<Inlet<R>>> {
        take(&mut self.0.get_mut(exchange)?.inlets)
    }
}

fn take<T: 'static>(ends: &mut Option<Box<dyn Any + Send>>) -> Option<T> {
    ends.take()?.downcast().ok().map(|ends| *ends)
}

/// Connects every shard with every shard for records of type `R`. All batches are made here, so
/// that no shard waits for memory later.
pub(crate) fn connect_all<R: Record + ?Sized>(
    shard_count: usize,
    capacity: usize,
) -> Vec<ExchangeEnds> {
    let mut inlets: Vec<Vec<Inlet<R>>> = (0..shard_count).map(|_| Vec::new()).collect();
    let mut outlets = Vec::with_capacity(shard_count);
    // What a pair can use: queued, in the outbox, open, spare, in hand.
    let plan = BatchPlan::new::<R>(shard_count, capacity + OUTBOX_MESSAGES + 3);
    for _ in 0..shard_count {
        let mut from_one = Vec::with_capacity(shard_count);
        for inlets_of_one in &mut inlets {
            let (outlet, inlet) = connect(capacity, plan);
            from_one.push(outlet);
            inlets_of_one.push(inlet);
        }
        outlets.push(from_one);
    }
    let ends = outlets.into_iter().zip(inlets);
    ends.map(|(outlets, inlets)| ExchangeEnds {
        outlets: Some(Box::new(outlets)),
        inlets: Some(Box::new(inlets)),
    })
    .collect()
}

fn connect<R: Record + ?Sized>(capacity: usize, plan: BatchPlan) -> (Outlet<R>, Inlet<R>) {
    let (to_receiver, messages) = RingBuffer::new(capacity);
    let (mut to_sender, spent) = RingBuffer::new(plan.batch_count);
    for _ in 0..plan.batch_count {
        let pushed = to_sender.push(ExchangeBatch::with_capacity(plan));
        assert!(pushed.is_ok(), "the ring has a slot for every batch");
    }
    let cut = Arc::new(CutWord::default());
    let outlet = Outlet {
        messages: to_receiver,
        spent,
        plan,
        cut: Arc::clone(&cut),
    };
    let inlet = Inlet {
        messages,
        spent: to_sender,
        cut,
    };
    (outlet, inlet)
}
