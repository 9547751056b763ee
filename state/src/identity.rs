//! What identifies a table's types from one run to the next.
//!
//! A migration of values from one type to another belongs between [`TypeIdentity::check`] and the
//! opening of the table: a difference found here is all that it starts from.

use crate::error::StateError;
use crate::key::Key;
use crate::value::{self, Value};

/// Fingerprints of a table's key and value types.
///
/// ```
/// use frazil_state::{Store, StoreConfig, TypeIdentity, ValueTable};
/// let mut store = Store::new(&StoreConfig::default())?;
/// ValueTable::<str, u64>::open(&mut store, "counts")?;
/// store.check_types("counts", TypeIdentity::of::<str, u64>())?;
/// let changed = store.check_types("counts", TypeIdentity::of::<str, u32>());
/// assert!(changed.is_err());
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeIdentity {
    pub(crate) key_fingerprint: u64,
    pub(crate) value_fingerprint: u64,
}

impl TypeIdentity {
    /// The identity of a table with keys `K` and values `V`.
    #[must_use]
    pub fn of<K: Key + ?Sized, V: Value>() -> Self {
        Self {
            key_fingerprint: value::type_fingerprint::<K>(K::FIXED_BYTES.unwrap_or(0), 1),
            value_fingerprint: value::fingerprint::<V>(),
        }
    }

    /// The fingerprints of keys and values, for people and for manifests.
    #[must_use]
    pub fn fingerprints(self) -> (u64, u64) {
        (self.key_fingerprint, self.value_fingerprint)
    }

    /// Compares what a program expects with what `table` was written with.
    pub(crate) fn check(self, table: &str, found: Self) -> Result<(), StateError> {
        let pairs = [
            ("key", self.key_fingerprint, found.key_fingerprint),
            ("value", self.value_fingerprint, found.value_fingerprint),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                return Err(StateError::TypeChanged {
                    table: table.to_owned(),
                    what,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }
}
