//! What all tables that expire share: entries with times, and the queue beside them.

use std::marker::PhantomData;

use super::policy::{Expired, Expiry, ExpiryPolicy};
use super::timed::{ArchivedTimed, Timed, expires_at, queued_at};
use crate::error::StateError;
use crate::hash::{KeyHash, hash_key};
use crate::key::Key;
use crate::store::Store;
use crate::tree::{DueTimer, TimerTable};
use crate::value::Value;

/// Where timed values lie, each under a key and a part `P` of it: a map key, an index, or nothing
/// that matters.
pub(super) trait TimedEntries<K: ?Sized, P: ?Sized, V: Value> {
    /// The archive of an entry, in place.
    fn view<'a>(
        &self,
        store: &'a Store,
        place: At<'_, K, P>,
    ) -> Result<Option<&'a ArchivedTimed<V>>, StateError>;

    /// An entry, copied out.
    fn get(&self, store: &Store, place: At<'_, K, P>) -> Result<Option<Timed<V>>, StateError>;

    /// Sets an entry.
    fn put(
        &self,
        store: &mut Store,
        place: At<'_, K, P>,
        timed: &Timed<V>,
    ) -> Result<(), StateError>;

    /// Removes an entry.
    fn remove(&self, store: &mut Store, place: At<'_, K, P>) -> Result<(), StateError>;

    /// Overwrites eight bytes of an entry's archive, if there is one; `at` gives their offset from
    /// the archive's length.
    fn write_word(
        &self,
        store: &mut Store,
        place: At<'_, K, P>,
        at: fn(usize) -> usize,
        word: u64,
    ) -> Result<(), StateError>;

    /// Bytes of an entry's key and archive, if there is one.
    fn record_bytes(&self, store: &Store, place: At<'_, K, P>) -> Result<Option<u64>, StateError>;

    /// Entries of all keys.
    fn len(&self, store: &Store) -> u64;
}

/// Which entry: the key with its hash, and the part.
pub(super) struct At<'k, K: ?Sized, P: ?Sized> {
    pub(super) hash: KeyHash,
    pub(super) key: &'k K,
    pub(super) part: &'k P,
}

impl<K: ?Sized, P: ?Sized> Clone for At<'_, K, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: ?Sized, P: ?Sized> Copy for At<'_, K, P> {}

/// Entries that nobody sees any more once their time is over, and one timer for each of them.
///
/// `entry.queued <= entry.expires`, and the queue holds exactly (`queued`, key, part) of every
/// entry: so what has expired is found in the queue by then, and nothing is left behind in it.
#[derive(Debug)]
pub(super) struct TimedTable<K: ?Sized, P: ?Sized, V, E> {
    pub(super) entries: E,
    pub(super) queue: TimerTable<K, P>,
    pub(super) expiry: Expiry,
    value: PhantomData<V>,
}

impl<K, P, V, E> TimedTable<K, P, V, E>
where
    K: Key + ?Sized,
    P: Key + ?Sized,
    V: Value,
    E: TimedEntries<K, P, V>,
{
    /// Puts the queue of the table `name` beside its entries.
    pub(super) fn open(
        store: &mut Store,
        name: &str,
        entries: E,
        expiry: Expiry,
    ) -> Result<Self, StateError> {
        Ok(Self {
            entries,
            queue: TimerTable::open(store, &queue_name(name))?,
            expiry,
            value: PhantomData,
        })
    }

    /// The value of an entry, copied out.
    pub(super) fn get(
        &self,
        store: &mut Store,
        place: At<'_, K, P>,
    ) -> Result<Option<V>, StateError> {
        let stored = self.entries.get(store, place)?;
        let Some(timed) = stored.filter(|timed| store.time() < timed.expires_ms) else {
            return Ok(None);
        };
        self.note_read(store, place, timed.expires_ms)?;
        Ok(Some(timed.value))
    }

    /// The archived value of an entry, in place.
    pub(super) fn get_archived<'a>(
        &self,
        store: &'a mut Store,
        place: At<'_, K, P>,
    ) -> Result<Option<&'a V::Archived>, StateError> {
        let stored = self.entries.view(store, place)?;
        let expires_ms = stored.map(|timed| timed.expires_ms.to_native());
        let Some(expires_ms) = expires_ms.filter(|expires_ms| store.time() < *expires_ms) else {
            return Ok(None);
        };
        self.note_read(store, place, expires_ms)?;
        let stored = self.entries.view(store, place)?;
        Ok(stored.map(|timed| &timed.value))
    }

    /// True if an entry is there and has not expired.
    pub(super) fn contains(&self, store: &Store, place: At<'_, K, P>) -> Result<bool, StateError> {
        let stored = self.entries.view(store, place)?;
        Ok(stored.is_some_and(|timed| store.time() < timed.expires_ms.to_native()))
    }

    /// What a read of an entry that expires at `expires_ms` does to its time.
    fn note_read(
        &self,
        store: &mut Store,
        place: At<'_, K, P>,
        expires_ms: u64,
    ) -> Result<(), StateError> {
        match self.after_read(store, expires_ms) {
            Some(anew_ms) => self
                .entries
                .write_word(store, place, expires_at::<V>, anew_ms),
            None => Ok(()),
        }
    }

    /// When an entry expires after a read, if the read changes that. Never earlier, which entries
    /// of a longer life could get: their timer would be late.
    pub(super) fn after_read(&self, store: &Store, expires_ms: u64) -> Option<u64> {
        let anew_ms = self.expiry.from(store.time());
        (self.expiry.policy == ExpiryPolicy::OnRead && anew_ms > expires_ms).then_some(anew_ms)
    }

    /// Changes the value of an entry and gives what `update` returned, which hears whether `first`
    /// just made the value.
    pub(super) fn change<T>(
        &mut self,
        store: &mut Store,
        place: At<'_, K, P>,
        first: impl FnOnce() -> V,
        update: impl FnOnce(&mut V, bool) -> T,
    ) -> Result<T, StateError> {
        let (expires_ms, queued_ms, mut value, is_new) = match self.entries.get(store, place)? {
            Some(timed) if store.time() < timed.expires_ms => {
                let expires_ms = self.after_write(store, timed.expires_ms);
                (expires_ms, Some(timed.queued_ms), timed.value, false)
            }
            other => {
                let queued_ms = other.map(|timed| timed.queued_ms);
                (self.expiry.from(store.time()), queued_ms, first(), true)
            }
        };
        let result = update(&mut value, is_new);
        self.write(store, place, expires_ms, queued_ms, value)?;
        Ok(result)
    }

    /// Sets the value of an entry.
    pub(super) fn put(
        &mut self,
        store: &mut Store,
        place: At<'_, K, P>,
        value: V,
    ) -> Result<(), StateError> {
        let stored = self.entries.view(store, place)?;
        let times = stored.map(|timed| (timed.expires_ms.to_native(), timed.queued_ms.to_native()));
        let expires_ms = match times {
            Some((expires_ms, _)) if store.time() < expires_ms => {
                self.after_write(store, expires_ms)
            }
            _ => self.expiry.from(store.time()),
        };
        let queued_ms = times.map(|(_, queued_ms)| queued_ms);
        self.write(store, place, expires_ms, queued_ms, value)
    }

    /// When a value that has not expired does so after a write.
    fn after_write(&self, store: &Store, expires_ms: u64) -> u64 {
        match self.expiry.policy {
            ExpiryPolicy::OnCreate => expires_ms,
            ExpiryPolicy::OnWrite | ExpiryPolicy::OnRead => self.expiry.from(store.time()),
        }
    }

    /// Stores a value whose timer, if it has one, is for `queued_ms`. The timer may only be early,
    /// so it is replaced where values live shorter than they did.
    fn write(
        &mut self,
        store: &mut Store,
        place: At<'_, K, P>,
        expires_ms: u64,
        queued_ms: Option<u64>,
        value: V,
    ) -> Result<(), StateError> {
        let early_ms = queued_ms.filter(|queued_ms| *queued_ms <= expires_ms);
        let timed = Timed {
            expires_ms,
            queued_ms: early_ms.unwrap_or(expires_ms),
            value,
        };
        if early_ms.is_some() {
            return self.entries.put(store, place, &timed);
        }
        let At { hash, key, part } = place;
        self.queue.register(store, hash, expires_ms, key, part)?;
        if let Err(error) = self.entries.put(store, place, &timed) {
            self.queue.delete(store, hash, expires_ms, key, part)?;
            return Err(error);
        }
        if let Some(late_ms) = queued_ms {
            self.queue.delete(store, hash, late_ms, key, part)?;
        }
        Ok(())
    }

    /// Removes an entry; true if it had not expired.
    pub(super) fn remove(
        &mut self,
        store: &mut Store,
        place: At<'_, K, P>,
    ) -> Result<bool, StateError> {
        let Some(timed) = self.entries.view(store, place)? else {
            return Ok(false);
        };
        let (expires_ms, queued_ms) = (timed.expires_ms.to_native(), timed.queued_ms.to_native());
        self.entries.remove(store, place)?;
        let At { hash, key, part } = place;
        self.queue.delete(store, hash, queued_ms, key, part)?;
        Ok(store.time() < expires_ms)
    }

    /// Frees entries that have expired, looking at no more than `limit` timers.
    pub(super) fn expire(
        &mut self,
        store: &mut Store,
        limit: usize,
    ) -> Result<Expired, StateError> {
        let mut expired = Expired::default();
        for _ in 0..limit {
            let Some(due) = self.queue.pop_due(store, store.time())? else {
                expired.is_done = true;
                return Ok(expired);
            };
            let freed_bytes = with_place(&due, |place| self.settle(store, place))?;
            if let Some(bytes) = freed_bytes {
                store.count_expired(bytes);
                expired.record_count += 1;
                expired.freed_bytes += bytes;
            }
        }
        let earliest = self.queue.earliest();
        expired.is_done = earliest.is_none_or(|time_ms| store.time() < time_ms);
        Ok(expired)
    }

    /// Frees the entry of a timer that was taken out of the queue, and gives its bytes; or queues
    /// it again if it has not expired.
    fn settle(
        &mut self,
        store: &mut Store,
        place: At<'_, K, P>,
    ) -> Result<Option<u64>, StateError> {
        let Some(timed) = self.entries.view(store, place)? else {
            return Ok(None);
        };
        let expires_ms = timed.expires_ms.to_native();
        if expires_ms <= store.time() {
            let bytes = self.entries.record_bytes(store, place)?;
            self.entries.remove(store, place)?;
            return Ok(bytes);
        }
        let At { hash, key, part } = place;
        self.queue.register(store, hash, expires_ms, key, part)?;
        self.entries
            .write_word(store, place, queued_at::<V>, expires_ms)?;
        Ok(None)
    }

    /// Removes entries, `limit` of them if so many are left; true if none is left.
    pub(super) fn clear(&mut self, store: &mut Store, limit: usize) -> Result<bool, StateError> {
        for _ in 0..limit {
            let Some(entry) = self.queue.pop_due(store, u64::MAX)? else {
                break;
            };
            with_place(&entry, |place| self.entries.remove(store, place))?;
        }
        Ok(self.entries.len(store) == 0)
    }
}

/// Calls `with` with the entry that a timer is for.
fn with_place<K: Key + ?Sized, P: Key + ?Sized, T>(
    timer: &DueTimer<K, P>,
    with: impl FnOnce(At<'_, K, P>) -> T,
) -> T {
    timer.with_key(|key| {
        let hash = hash_key(key);
        timer.with_namespace(|part| with(At { hash, key, part }))
    })
}

/// Name of the queue beside the table `name`.
pub(super) fn queue_name(name: &str) -> String {
    format!("{name}.expiry")
}
