//! Processing-time timers of a process function.

use std::cell::RefCell;
use std::rc::Rc;

use frazil_state::{DueTimer, Key, StateError, Store, TimerTable};

use super::context::ProcessContext;
use super::declared::TableSlot;
use crate::flow::error::FlowError;

/// A process function has one set of timers, so nothing has to tell them apart.
const NAMESPACE: u64 = 0;

/// Timers in processing time, each for one key; declared with
/// [`States::timers`](crate::States::timers).
///
/// A timer belongs to the key that was in hand when it was set and to the checkpoint, like a state:
/// what a timer does is neither lost nor done twice by a crash, and one that became due while the
/// job was down fires when it runs again. Due timers fire by rising time, before the records that
/// the shard sees at the same time. A timer fires up to 4 ms late on an idle shard (its loop wakes
/// that often), up to 20 ms on one that has had nothing to do for a second, and up to a turn of the
/// loop late on a busy one, as long as due timers do not come faster than they can be handled.
///
/// ```
/// use frazil::{Flow, Sink, Source};
/// /// Reports every machine that has been silent for ten seconds.
/// fn watch(flow: &Flow, beats: impl Source<Record = String>, silent: impl Sink<str>) {
///     const SILENCE_MS: u64 = 10_000;
///     flow.source(beats)
///         .key_by(|machine| machine.as_str())
///         .process(
///             |states| (states.value::<u64>("alarm time"), states.timers("alarms")),
///             |(alarm, timers), _beat, cx, _out| {
///                 if let Some(before_ms) = alarm.get(cx)? {
///                     timers.delete(cx, before_ms)?;
///                 }
///                 let alarm_ms = cx.now_ms() + SILENCE_MS;
///                 alarm.put(cx, &alarm_ms)?;
///                 timers.set(cx, alarm_ms)?;
///                 Ok(())
///             },
///         )
///         .on_timer(|_states, _time_ms, cx, out| {
///             out.push(cx.key());
///             Ok(())
///         })
///         .sink(silent);
/// }
/// ```
///
/// # Errors
/// All methods fail with [`FlowError::State`], which names the timers: an exhausted budget, or
/// stored bytes that are no timer.
pub struct Timers<K: ?Sized> {
    slot: Rc<TableSlot<RefCell<TimerTable<K>>>>,
}

impl<K: ?Sized> Clone for Timers<K> {
    fn clone(&self) -> Self {
        Self {
            slot: Rc::clone(&self.slot),
        }
    }
}

impl<K: Key + ?Sized> Timers<K> {
    pub(super) fn new(slot: Rc<TableSlot<RefCell<TimerTable<K>>>>) -> Self {
        Self { slot }
    }

    fn named<T>(&self, result: Result<T, StateError>) -> Result<T, FlowError> {
        result.map_err(|source| self.slot.failure(source))
    }

    /// Sets a timer of the key in hand to `time_ms`, in milliseconds since 1970. One that the key
    /// already has at that time stays; one in the past fires as soon as possible.
    ///
    /// # Errors
    /// See [`Timers`].
    pub fn set(&self, cx: &mut ProcessContext<'_, K>, time_ms: u64) -> Result<(), FlowError> {
        if cx.may_schedule {
            let mut table = self.slot.table().borrow_mut();
            self.named(table.register(cx.store, cx.hash, time_ms, cx.key, &NAMESPACE))?;
        }
        Ok(())
    }

    /// Deletes the timer of the key in hand at `time_ms`; true if there was one.
    ///
    /// # Errors
    /// See [`Timers`].
    pub fn delete(&self, cx: &mut ProcessContext<'_, K>, time_ms: u64) -> Result<bool, FlowError> {
        let mut table = self.slot.table().borrow_mut();
        self.named(table.delete(cx.store, cx.hash, time_ms, cx.key, &NAMESPACE))
    }

    /// Takes the first timer if it is set to `until_ms` or earlier.
    pub(in crate::flow) fn pop_due(
        &self,
        store: &mut Store,
        until_ms: u64,
    ) -> Result<Option<DueTimer<K>>, FlowError> {
        let mut table = self.slot.table().borrow_mut();
        self.named(table.pop_due(store, until_ms))
    }
}
