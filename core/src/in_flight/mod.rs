//! Records in flight: those that a barrier overtook, on their way into a checkpoint and back.
//!
//! Every record in front of a cut that no operator of the shard behind has seen lies in exactly one
//! place, which records it: the batch in hand of a stage, a queue of its inputs (what an earlier
//! restore left there, local edges, the rings up to the sender's cut), or the outbox of a sender.

mod prefixed;
mod recorder;
mod restored;

pub(crate) use prefixed::{put_prefixed, split_prefixed};
pub(crate) use recorder::{Channel, FlightStep, Recorder, Recording, Route};
pub(crate) use restored::{NewOwner, RestoredInFlight, RestoredQueue};
