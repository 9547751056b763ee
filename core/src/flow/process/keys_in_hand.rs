//! Keys that a walk has found and not visited yet.

use frazil_state::{Key, KeyHash, hash_key};

/// Keys of one state, in one piece of memory that serves all runs.
#[derive(Default)]
pub(in crate::flow) struct KeysInHand {
    /// Name of the state.
    state: String,
    pub(in crate::flow) argument: u64,
    bytes: Vec<u8>,
    /// Of each key, where it ends in `bytes`.
    ends: Vec<usize>,
    hashes: Vec<KeyHash>,
    /// The first that is left.
    next: usize,
}

impl KeysInHand {
    /// Makes room for the keys that a walk over `state` finds next.
    pub(super) fn begin(&mut self, state: &str, argument: u64) {
        self.state.clear();
        self.state.push_str(state);
        self.argument = argument;
        self.bytes.clear();
        self.ends.clear();
        self.hashes.clear();
        self.next = 0;
    }

    pub(super) fn push<K: Key + ?Sized>(&mut self, key: &K) {
        key.with_bytes(|bytes| self.bytes.extend_from_slice(bytes));
        self.ends.push(self.bytes.len());
        self.hashes.push(hash_key(key));
    }

    pub(in crate::flow) fn is_empty(&self) -> bool {
        self.next == self.ends.len()
    }

    /// Takes a key, as its state's name, its hash and its bytes.
    pub(in crate::flow) fn take(&mut self) -> Option<(&str, KeyHash, &[u8])> {
        let hash = *self.hashes.get(self.next)?;
        let begin = match self.next {
            0 => 0,
            next => self.ends[next - 1],
        };
        let end = self.ends[self.next];
        self.next += 1;
        Some((&self.state, hash, &self.bytes[begin..end]))
    }
}
