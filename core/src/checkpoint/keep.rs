//! What a user asks of the ledger: pins, and holds for savepoints.

use std::sync::mpsc::Sender;

use frazil_io::storage::Storage;

use super::ledger::Ledger;
use crate::error::Error;

/// To the writer's thread, which owns the ledger.
pub(crate) enum KeepCommand {
    /// Keep a checkpoint beyond retention.
    Pin {
        checkpoint: u64,
        answer: Sender<Result<(), Error>>,
    },
    /// Leave it to retention again.
    Unpin {
        checkpoint: u64,
        answer: Sender<Result<(), Error>>,
    },
    /// Keep the files of the newest checkpoint until they are released; answers with its number.
    HoldNewest { answer: Sender<Option<u64>> },
    /// End such a hold.
    Release { checkpoint: u64 },
}

impl KeepCommand {
    /// Does it and answers; nobody needs to wait for the answer.
    pub(crate) fn obey(self, ledger: &mut Ledger, storage: &dyn Storage) {
        match self {
            Self::Pin { checkpoint, answer } => {
                let _ = answer.send(ledger.pin(storage, checkpoint));
            }
            Self::Unpin { checkpoint, answer } => {
                let _ = answer.send(ledger.unpin(storage, checkpoint));
            }
            Self::HoldNewest { answer } => {
                let held = ledger.hold_newest();
                if answer.send(held).is_err()
                    && let Some(checkpoint) = held
                {
                    ledger.release(checkpoint);
                }
            }
            // What only the hold kept goes with the next checkpoint.
            Self::Release { checkpoint } => ledger.release(checkpoint),
        }
    }
}
