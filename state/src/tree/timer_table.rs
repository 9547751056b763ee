//! Timers: what is to happen at a time, for a key.

use std::marker::PhantomData;

use super::first_times::FirstTimes;
use super::typed::{self, KeyLayout, TypedTree, part_fingerprint};
use crate::arena::Arena;
use crate::catalog::UserKeyPlace;
use crate::error::StateError;
use crate::form::TableScope;
use crate::hash::KeyHash;
use crate::identity::TypeIdentity;
use crate::key::{Key, KeyBuffer, KeyError, first_part, push_cut, push_part};
use crate::store::Store;

const ROLE: &str = "timers";
const TIME_BYTES: usize = size_of::<u64>();

/// Timers by (time, key, namespace), inside a [`Store`].
///
/// A timer is registered once, however often it is asked for. Due timers come in the order of
/// their time, then their key group, then their key. The namespace tells the timers of one key and
/// time apart.
///
/// A table has one handle: it remembers each key group's earliest time.
///
/// ```
/// use frazil_state::{Store, StoreConfig, TimerTable, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let mut timers = TimerTable::<str>::open(&mut store, "timers")?;
/// let hash = hash_key("ann");
/// timers.register(&mut store, hash, 2_000, "ann", &0)?;
/// timers.register(&mut store, hash, 1_000, "ann", &0)?;
/// assert!(!timers.register(&mut store, hash, 1_000, "ann", &0)?, "it is there already");
/// assert_eq!(timers.earliest(), Some(1_000));
/// let due = timers.pop_due(&mut store, 1_500)?.expect("one is due");
/// assert_eq!(due.time(), 1_000);
/// due.with_key(|key| assert_eq!(key, "ann"));
/// assert!(timers.pop_due(&mut store, 1_500)?.is_none());
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct TimerTable<K: ?Sized, N: ?Sized = u64> {
    /// Keys are (time, user key, namespace).
    tree: TypedTree<()>,
    first_times: FirstTimes,
    key: PhantomData<fn(&K, &N)>,
}

impl<K: Key + ?Sized, N: Key + ?Sized> TimerTable<K, N> {
    /// Opens the table `name`, creating it if the store has none.
    ///
    /// # Errors
    /// [`StateError::FormChanged`] or [`StateError::TypeChanged`] if the table is another one,
    /// [`StateError::Table`] if a bound on names or tables is hit.
    ///
    /// # Cost
    /// One descent a key group.
    pub fn open(store: &mut Store, name: &str) -> Result<Self, StateError> {
        let fixed_bytes = K::FIXED_BYTES.zip(N::FIXED_BYTES);
        let layout = KeyLayout {
            scope: TableScope::Keyed,
            identity: Self::types(),
            bytes: fixed_bytes.map(|(key, namespace)| TIME_BYTES + key + namespace),
            user_key: Some(UserKeyPlace {
                at: TIME_BYTES,
                bytes: K::FIXED_BYTES,
            }),
        };
        let tree = TypedTree::open(store, name, &layout)?;
        let groups = tree.table.owned.length;
        let mut timers = Self {
            tree,
            first_times: FirstTimes::new(groups),
            key: PhantomData,
        };
        (0..groups).for_each(|group| timers.look_up_first(store.arena(), group));
        Ok(timers)
    }

    /// Identity of such a table's types, for [`Store::check_types`].
    #[must_use]
    pub fn types() -> TypeIdentity {
        typed::identity::<()>(ROLE, &[part_fingerprint::<K>(), part_fingerprint::<N>()])
    }

    fn entry(time_ms: u64, key: &K, namespace: &N) -> KeyBuffer {
        let mut entry = KeyBuffer::new();
        push_cut(&time_ms.to_be_bytes(), &mut entry);
        key.with_bytes(|bytes| push_part::<K>(bytes, &mut entry));
        namespace.with_bytes(|bytes| push_cut(bytes, &mut entry));
        entry
    }

    /// Registers a timer; true if it is new.
    ///
    /// # Errors
    /// A key and namespace over the limits, or an exhausted budget; nothing is changed then.
    ///
    /// # Cost
    /// One descent; bounded by one page split a level.
    pub fn register(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        time_ms: u64,
        key: &K,
        namespace: &N,
    ) -> Result<bool, StateError> {
        let entry = Self::entry(time_ms, key, namespace);
        let group = self.tree.table.owned.relative(hash);
        let is_new = self.tree.table.put(store.arena_mut(), group, &entry, &[])?;
        if self
            .first_times
            .of(group)
            .is_none_or(|first| time_ms < first)
        {
            self.first_times.set(group, Some(time_ms));
        }
        Ok(is_new)
    }

    /// Deletes a timer; true if it was there.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the entry is none.
    ///
    /// # Cost
    /// One descent, and another for the first timer of its key group.
    pub fn delete(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        time_ms: u64,
        key: &K,
        namespace: &N,
    ) -> Result<bool, StateError> {
        let entry = Self::entry(time_ms, key, namespace);
        let group = self.tree.table.owned.relative(hash);
        let was_there = self.tree.table.remove(store.arena_mut(), group, &entry)?;
        if was_there && self.first_times.of(group) == Some(time_ms) {
            self.look_up_first(store.arena(), group);
        }
        Ok(was_there)
    }

    /// The time of the earliest timer.
    ///
    /// # Cost
    /// O(log key groups); no page is read.
    #[must_use]
    pub fn earliest(&self) -> Option<u64> {
        self.first_times.earliest().map(|(time, _)| time)
    }

    /// Takes the earliest timer if its time is `now_ms` or before.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no key or namespace of these types; the
    /// timer stays.
    ///
    /// # Cost
    /// Three descents in one key group. Does not allocate.
    pub fn pop_due(
        &mut self,
        store: &mut Store,
        now_ms: u64,
    ) -> Result<Option<DueTimer<K, N>>, StateError> {
        let Some((time_ms, group)) = self
            .first_times
            .earliest()
            .filter(|(time, _)| *time <= now_ms)
        else {
            return Ok(None);
        };
        let arena = store.arena();
        let first = self.tree.table.first_key(arena, group);
        let entry: KeyBuffer = first.unwrap_or(&[]).iter().copied().collect();
        let timer =
            DueTimer::of(time_ms, &entry).map_err(|error| self.tree.invalid_key(arena, &error))?;
        self.tree.table.remove(store.arena_mut(), group, &entry)?;
        self.look_up_first(store.arena(), group);
        Ok(Some(timer))
    }

    fn look_up_first(&mut self, arena: &Arena, group: u32) {
        let first = self.tree.table.first_key(arena, group);
        let time = first.and_then(<[u8]>::first_chunk);
        self.first_times
            .set(group, time.map(|time| u64::from_be_bytes(*time)));
    }

    /// Registered timers.
    #[must_use]
    pub fn len(&self, store: &Store) -> u64 {
        self.tree.len(store)
    }

    /// True if no timer is registered.
    #[must_use]
    pub fn is_empty(&self, store: &Store) -> bool {
        self.len(store) == 0
    }
}

/// A timer that was taken out of its table.
pub struct DueTimer<K: ?Sized, N: ?Sized = u64> {
    time_ms: u64,
    /// Bytes of the key and of the namespace, each known to be one.
    key: KeyBuffer,
    namespace: KeyBuffer,
    types: PhantomData<fn(&K, &N)>,
}

impl<K: Key + ?Sized, N: Key + ?Sized> DueTimer<K, N> {
    fn of(time_ms: u64, entry: &[u8]) -> Result<Self, KeyError> {
        let rest = entry.get(TIME_BYTES..).unwrap_or(&[]);
        let (key, namespace) = first_part(rest, K::FIXED_BYTES).ok_or(KeyError {
            expected: "a time, a key and a namespace",
            found_bytes: entry.len(),
        })?;
        K::from_bytes(&key, |_| ())?;
        N::from_bytes(namespace, |_| ())?;
        Ok(Self {
            time_ms,
            key,
            namespace: namespace.iter().copied().collect(),
            types: PhantomData,
        })
    }

    /// The time for which the timer was registered, in milliseconds.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time_ms
    }

    /// Calls `with` with the timer's key.
    pub fn with_key<T>(&self, with: impl FnOnce(&K) -> T) -> T {
        K::from_bytes(&self.key, with).expect("checked when the timer was taken")
    }

    /// Calls `with` with the timer's namespace.
    pub fn with_namespace<T>(&self, with: impl FnOnce(&N) -> T) -> T {
        N::from_bytes(&self.namespace, with).expect("checked when the timer was taken")
    }
}
