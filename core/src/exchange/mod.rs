//! Moving batches between shards by key group.
//!
//! Every exchange has one bounded ring for each ordered pair of shards (also from a shard to
//! itself), so that an input that stands still for an alignment holds nobody else up.
//!
//! The batches of a pair of shards are made when the rings are, within a bound for each sending
//! shard, and their memory is touched. They go to the receiver over one ring and come back, spent,
//! over a second one. A sender without a spare batch has no room. Only records of one run that
//! multiply (`flat_map`) beyond the open and the spare batch take memory from the allocator.
//!
//! # Why it cannot deadlock
//!
//! Order the stages by the flow. A stage takes input only while its tail has room, and starts every
//! slice by handing on what it holds. By induction from the last stages on:
//!
//! - The last stages have sinks as tails. A sink has room as soon as the checkpoint writer returns
//!   a buffer, which depends on the disk alone. So they go on draining their rings.
//! - If all rings of a stage's tail are being drained, its outbox empties, and every batch that is
//!   on its way is spent and comes back: of the pair's four or more batches one is open and at most
//!   one in hand, so there is a spare one again. Then the stage has room, and so it drains its own
//!   rings. Records in the open batch wait for the same spare.
//!
//! An input stands still from its barrier to the shard's freeze. The freeze waits for the same
//! barrier at every stage of the shard; each of these barriers queues behind records that drain by
//! the argument above, and a stage that is aligned goes on handing on what it holds. Barriers and
//! ends enter the outbox whether it has room or not, and close the open batch without a spare;
//! since no barrier is injected before the last one's checkpoint is over, and one that was
//! overtaken goes when the next one comes, that is at most one of each beside the batches. A stage
//! that was restored as finished goes on taking barriers and ends: one of each would fill a ring of
//! one slot.
//!
//! Behind a cut a ring is held back only until what lies in front of the cut is recorded, which
//! waits for staging memory and for the cuts of others. These wait for nothing but the request,
//! except where final records are being emitted or too much was restored: there a ring goes on
//! message by message, each recorded first, so those stages go on too, and their shard cuts.

mod cut;
mod input_state;
mod message;
mod receiver;
mod rings;
mod sender;

pub(crate) use input_state::InputState;
pub(crate) use message::ExchangeBatch;
pub(crate) use receiver::{Received, Receiver, ReceiverParts};
pub(crate) use rings::{MeshFactory, ShardRings, connect_all};
pub(crate) use sender::Sender;
