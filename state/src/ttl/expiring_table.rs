//! A typed keyed table whose values expire.

use super::policy::{Expired, Expiry, ExpiryPolicy};
use super::timed::{Timed, expires_at};
use crate::error::StateError;
use crate::hash::{KeyHash, hash_key};
use crate::identity::TypeIdentity;
use crate::key::Key;
use crate::store::Store;
use crate::table::{ScanCursor, ValueTable};
use crate::tree::{DueTimer, TimerTable};
use crate::value::Value;

/// A table of values by key that nobody sees any more once their time is over.
///
/// The time is the store's ([`Store::set_time`]). What has expired is not seen, exactly; its
/// memory comes back by [`ExpiringTable::expire`], in slices.
///
/// Every value has one entry in a queue, a timer table beside the values. An access that starts a
/// value's time anew writes the value only; the entry is put right when it comes up.
///
/// A table has one handle, and keys of up to 1000 bytes.
///
/// ```
/// use frazil_state::{Expiry, ExpiryPolicy, ExpiringTable, Store, StoreConfig, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let expiry = Expiry { after_ms: 1000, policy: ExpiryPolicy::OnWrite };
/// let mut seen = ExpiringTable::<str, u64>::open(&mut store, "seen", expiry)?;
/// let hash = hash_key("ann");
/// store.set_time(5_000);
/// seen.put(&mut store, hash, "ann", &7)?;
/// store.set_time(5_999);
/// assert_eq!(seen.get(&mut store, hash, "ann")?, Some(7));
/// store.set_time(6_000);
/// assert_eq!(seen.get(&mut store, hash, "ann")?, None);
/// assert_eq!(seen.expire(&mut store, 100)?.record_count, 1);
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct ExpiringTable<K: ?Sized, V> {
    pub(super) values: ValueTable<K, Timed<V>>,
    /// One timer a value; the namespace is not needed.
    pub(super) queue: TimerTable<K, u8>,
    expiry: Expiry,
}

/// The namespace of all timers in the queue.
const ANY: u8 = 0;

impl<K: Key + ?Sized, V: Value> ExpiringTable<K, V> {
    /// Opens the table `name`, creating it and its queue if the store has none. Values that are
    /// there keep the time that they have.
    ///
    /// # Errors
    /// [`StateError::TypeChanged`] if the table was written with other types, [`StateError::Table`]
    /// if a bound on names or tables is hit.
    pub fn open(store: &mut Store, name: &str, expiry: Expiry) -> Result<Self, StateError> {
        Ok(Self {
            values: ValueTable::open(store, name)?,
            queue: TimerTable::open(store, &Self::queue_name(name))?,
            expiry,
        })
    }

    /// Name of the queue beside the table `name`.
    #[must_use]
    pub fn queue_name(name: &str) -> String {
        format!("{name}.expiry")
    }

    /// Identities of such a table's types and of its queue's, for [`Store::check_types`].
    #[must_use]
    pub fn types() -> (TypeIdentity, TypeIdentity) {
        (
            TypeIdentity::of::<K, Timed<V>>(),
            TimerTable::<K, u8>::types(),
        )
    }

    /// The value of a key, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get(&self, store: &mut Store, hash: KeyHash, key: &K) -> Result<Option<V>, StateError> {
        let stored = self.values.get(store, hash, key)?;
        let Some(timed) = stored.filter(|timed| store.time() < timed.expires_ms) else {
            return Ok(None);
        };
        if self.expiry.policy == ExpiryPolicy::OnRead {
            self.prolong(store, hash, key, timed.expires_ms)?;
        }
        Ok(Some(timed.value))
    }

    /// The archived value of a key, in place.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get_archived<'a>(
        &self,
        store: &'a mut Store,
        hash: KeyHash,
        key: &K,
    ) -> Result<Option<&'a V::Archived>, StateError> {
        let stored = self.values.get_archived(store, hash, key)?;
        let expires_ms = stored.map(|timed| timed.expires_ms.to_native());
        let Some(expires_ms) = expires_ms.filter(|expires_ms| store.time() < *expires_ms) else {
            return Ok(None);
        };
        if self.expiry.policy == ExpiryPolicy::OnRead {
            self.prolong(store, hash, key, expires_ms)?;
        }
        let stored = self.values.get_archived(store, hash, key)?;
        Ok(stored.map(|timed| &timed.value))
    }

    /// True if a key has a value. Starts nothing anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn contains(&self, store: &Store, hash: KeyHash, key: &K) -> Result<bool, StateError> {
        let stored = self.values.get_archived(store, hash, key)?;
        Ok(stored.is_some_and(|timed| store.time() < timed.expires_ms.to_native()))
    }

    /// Writes a later time to a stored value and nothing else. Never an earlier one, which values
    /// of a longer life could get: their entry in the queue would be late.
    fn prolong(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        expires_ms: u64,
    ) -> Result<(), StateError> {
        let anew_ms = self.expiry.from(store.time());
        if anew_ms <= expires_ms {
            return Ok(());
        }
        let expires = anew_ms.to_le_bytes();
        self.values
            .write_word(store, hash, key, expires_at::<V>, expires)
    }

    /// Changes the value of a key, starting from `initial` where there is none, and gives what
    /// `update` returned.
    ///
    /// # Errors
    /// A key or value over the limits, an exhausted budget, or stored bytes that are no value of
    /// this type; the value is as before.
    pub fn update<T>(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError>
    where
        V: Clone,
    {
        let stored = self.values.get(store, hash, key)?;
        let (expires_ms, queued_ms, mut value) = match stored {
            Some(timed) if store.time() < timed.expires_ms => {
                let expires_ms = self.after_write(store, timed.expires_ms);
                (expires_ms, Some(timed.queued_ms), timed.value)
            }
            other => {
                let queued_ms = other.map(|timed| timed.queued_ms);
                let expires_ms = self.expiry.from(store.time());
                (expires_ms, queued_ms, initial.clone())
            }
        };
        let result = update(&mut value);
        self.write(store, hash, key, expires_ms, queued_ms, value)?;
        Ok(result)
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// As [`ExpiringTable::update`].
    pub fn put(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        value: &V,
    ) -> Result<(), StateError>
    where
        V: Clone,
    {
        let stored = self.values.get_archived(store, hash, key)?;
        let times = stored.map(|timed| (timed.expires_ms.to_native(), timed.queued_ms.to_native()));
        let expires_ms = match times {
            Some((expires_ms, _)) if store.time() < expires_ms => {
                self.after_write(store, expires_ms)
            }
            _ => self.expiry.from(store.time()),
        };
        let queued_ms = times.map(|(_, queued_ms)| queued_ms);
        self.write(store, hash, key, expires_ms, queued_ms, value.clone())
    }

    /// When a value that has not expired does so after a write.
    fn after_write(&self, store: &Store, expires_ms: u64) -> u64 {
        match self.expiry.policy {
            ExpiryPolicy::OnCreate => expires_ms,
            ExpiryPolicy::OnWrite | ExpiryPolicy::OnRead => self.expiry.from(store.time()),
        }
    }

    /// Stores a value whose queue entry, if it has one, is for `queued_ms`. The entry may only be
    /// early, so it is replaced where values live shorter than they did.
    fn write(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
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
            return self.values.put(store, hash, key, &timed);
        }
        self.queue.register(store, hash, expires_ms, key, &ANY)?;
        if let Err(error) = self.values.put(store, hash, key, &timed) {
            self.queue.delete(store, hash, expires_ms, key, &ANY)?;
            return Err(error);
        }
        if let Some(late_ms) = queued_ms {
            self.queue.delete(store, hash, late_ms, key, &ANY)?;
        }
        Ok(())
    }

    /// Removes a key; true if it had a value.
    ///
    /// # Errors
    /// [`StateError::Invalid`] or [`StateError::Damaged`] if stored bytes are none of this table.
    pub fn remove(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
    ) -> Result<bool, StateError> {
        let Some(timed) = self.values.get_archived(store, hash, key)? else {
            return Ok(false);
        };
        let (expires_ms, queued_ms) = (timed.expires_ms.to_native(), timed.queued_ms.to_native());
        self.values.remove(store, hash, key)?;
        self.queue.delete(store, hash, queued_ms, key, &ANY)?;
        Ok(store.time() < expires_ms)
    }

    /// Frees values that have expired, looking at no more than `limit` entries of the queue.
    ///
    /// # Errors
    /// [`StateError::Invalid`] or [`StateError::Damaged`] if stored bytes are none of this table.
    ///
    /// # Cost
    /// Some descents an entry. A value whose time started anew costs one look for each time that
    /// it lived longer than its entry said.
    pub fn expire(&mut self, store: &mut Store, limit: usize) -> Result<Expired, StateError> {
        let mut expired = Expired::default();
        for _ in 0..limit {
            let Some(due) = self.queue.pop_due(store, store.time())? else {
                expired.is_done = true;
                return Ok(expired);
            };
            let freed_bytes = self.settle(store, &due)?;
            expired.record_count += u64::from(freed_bytes.is_some());
            expired.freed_bytes += freed_bytes.unwrap_or(0);
        }
        let earliest = self.queue.earliest();
        expired.is_done = earliest.is_none_or(|time_ms| store.time() < time_ms);
        Ok(expired)
    }

    /// Frees the value of an entry that was taken out of the queue, and gives its bytes; or queues
    /// it again if it has not expired.
    fn settle(
        &mut self,
        store: &mut Store,
        due: &DueTimer<K, u8>,
    ) -> Result<Option<u64>, StateError> {
        due.with_key(|key| {
            let hash = hash_key(key);
            let Some(timed) = self.values.get_archived(store, hash, key)? else {
                return Ok(None);
            };
            let expires_ms = timed.expires_ms.to_native();
            if expires_ms <= store.time() {
                let bytes = self.values.record_bytes(store, hash, key)?;
                self.values.remove(store, hash, key)?;
                return Ok(bytes);
            }
            self.queue.register(store, hash, expires_ms, key, &ANY)?;
            let queued = expires_ms.to_le_bytes();
            let queued_at = |bytes| expires_at::<V>(bytes) + size_of::<u64>();
            self.values
                .write_word(store, hash, key, queued_at, queued)?;
            Ok(None)
        })
    }

    /// Visits keys and values that have not expired, as [`ValueTable::scan`] does. Starts nothing
    /// anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    pub fn scan(
        &self,
        store: &Store,
        cursor: &mut ScanCursor,
        limit: usize,
        mut visit: impl FnMut(&K, V),
    ) -> Result<bool, StateError> {
        self.values.scan(store, cursor, limit, |key, timed| {
            if store.time() < timed.expires_ms {
                visit(key, timed.value);
            }
        })
    }

    /// Removes keys, `limit` of them if so many are left; true if the table is empty.
    ///
    /// # Errors
    /// As [`ExpiringTable::expire`].
    pub fn clear(&mut self, store: &mut Store, limit: usize) -> Result<bool, StateError> {
        for _ in 0..limit {
            let Some(entry) = self.queue.pop_due(store, u64::MAX)? else {
                break;
            };
            entry.with_key(|key| self.values.remove(store, hash_key(key), key))?;
        }
        Ok(self.values.is_empty(store))
    }

    /// Values in memory: those that are seen, and those that have expired and are not freed yet.
    #[must_use]
    pub fn held_count(&self, store: &Store) -> u64 {
        self.values.len(store)
    }
}
