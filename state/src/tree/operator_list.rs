//! A list that belongs to an operator and not to a key.

use std::ops::ControlFlow;

use super::elements::Elements;
use super::typed::{self, KeyLayout, TypedTree};
use crate::error::StateError;
use crate::form::TableScope;
use crate::identity::TypeIdentity;
use crate::key::{Key, KeyBuffer};
use crate::store::Store;
use crate::value::Value;

const ROLE: &str = "operator list";

/// What becomes of an operator list's elements when the number of shards changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListRedistribution {
    /// The elements of all shards are dealt out evenly.
    Split,
    /// Every shard gets the elements of all shards.
    Union,
}

impl ListRedistribution {
    fn scope(self) -> TableScope {
        match self {
            Self::Split => TableScope::SplitList,
            Self::Union => TableScope::UnionList,
        }
    }
}

/// One list a shard, inside a [`Store`]: what an operator has to remember beside its keys.
///
/// ```
/// use frazil_state::{ListRedistribution, OperatorList, Store, StoreConfig};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let split = ListRedistribution::Split;
/// let positions = OperatorList::<(u32, u64)>::open(&mut store, "positions", split)?;
/// positions.append(&mut store, &(0, 17))?;
/// positions.append(&mut store, &(1, 4))?;
/// assert_eq!(positions.get(&store)?, [(0, 17), (1, 4)]);
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct OperatorList<V> {
    tree: TypedTree<V>,
}

impl<V: Value> OperatorList<V> {
    /// Opens the list `name`, creating it if the store has none.
    ///
    /// # Errors
    /// [`StateError::FormChanged`] or [`StateError::TypeChanged`] if the table is another one,
    /// [`StateError::Table`] if a bound on names or tables is hit.
    pub fn open(
        store: &mut Store,
        name: &str,
        redistribution: ListRedistribution,
    ) -> Result<Self, StateError> {
        let layout = KeyLayout {
            scope: redistribution.scope(),
            identity: Self::types(),
            bytes: u64::FIXED_BYTES,
            user_key: None,
        };
        let tree = TypedTree::open(store, name, &layout)?;
        Ok(Self { tree })
    }

    /// Identity of such a list's types, for [`Store::check_types`].
    #[must_use]
    pub fn types() -> TypeIdentity {
        typed::identity::<V>(ROLE, &[])
    }

    fn elements(&self) -> Elements<'_, V> {
        Elements {
            tree: &self.tree,
            group: 0,
            prefix: KeyBuffer::new(),
        }
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// A value over the limit, or an exhausted budget; nothing is changed then.
    pub fn append(&self, store: &mut Store, value: &V) -> Result<(), StateError> {
        self.append_all(store, std::slice::from_ref(value))
    }

    /// Adds values at the end.
    ///
    /// # Errors
    /// As [`OperatorList::append`]; the values before the refused one are in the list then.
    pub fn append_all(&self, store: &mut Store, values: &[V]) -> Result<(), StateError> {
        self.elements().append(store, values)
    }

    /// Sets the whole list.
    ///
    /// # Errors
    /// As [`OperatorList::append`]; the values before the refused one are set then.
    pub fn replace(&self, store: &mut Store, values: &[V]) -> Result<(), StateError> {
        self.elements().replace(store, values)
    }

    /// Removes all elements and says how many there were.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if an element refers to bytes outside the state.
    pub fn clear(&self, store: &mut Store) -> Result<u64, StateError> {
        self.elements().remove_from(store, 0)
    }

    /// The list, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no value of this type.
    pub fn get(&self, store: &Store) -> Result<Vec<V>, StateError> {
        self.elements().get(store)
    }

    /// Visits the archived elements in order until the visitor breaks.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no value of this type.
    pub fn for_each(
        &self,
        store: &Store,
        visit: impl FnMut(&V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        self.elements().for_each(store, visit)
    }

    /// Elements in the list.
    #[must_use]
    pub fn len(&self, store: &Store) -> u64 {
        self.tree.len(store)
    }

    /// True if the list has no elements.
    #[must_use]
    pub fn is_empty(&self, store: &Store) -> bool {
        self.len(store) == 0
    }
}
