//! What a table is made of and whose it is: two bytes of its descriptor.

use std::fmt;

/// How a table arranges its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TableKind {
    /// Extendible hashing: one value a key.
    Hash = 0,
    /// B+ trees: entries in the order of their keys.
    Ordered = 1,
}

/// What happens to a table's content when the number of shards changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TableScope {
    /// Every key group's part moves with the group.
    Keyed = 0,
    /// Entries are dealt out evenly to the shards.
    SplitList = 1,
    /// Every shard gets the entries of all shards.
    UnionList = 2,
    /// Every shard holds the same entries.
    Broadcast = 3,
}

/// Kind and scope of a table, fixed when it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableForm {
    /// How records are arranged.
    pub kind: TableKind,
    /// Whose they are.
    pub scope: TableScope,
}

impl TableForm {
    /// Keyed state in a hash table.
    pub(crate) const KEYED_HASH: Self = Self {
        kind: TableKind::Hash,
        scope: TableScope::Keyed,
    };

    /// The two bytes of a descriptor.
    pub(crate) fn to_bytes(self) -> [u8; 2] {
        [self.kind as u8, self.scope as u8]
    }

    /// The form that two bytes of a descriptor stand for, if any.
    pub(crate) fn from_bytes([kind, scope]: [u8; 2]) -> Option<Self> {
        let kind = match kind {
            0 => TableKind::Hash,
            1 => TableKind::Ordered,
            _ => return None,
        };
        let scope = match scope {
            0 => TableScope::Keyed,
            1 => TableScope::SplitList,
            2 => TableScope::UnionList,
            3 => TableScope::Broadcast,
            _ => return None,
        };
        // Only keys have hashes.
        let exists = kind == TableKind::Ordered || scope == TableScope::Keyed;
        exists.then_some(Self { kind, scope })
    }
}

impl fmt::Display for TableForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            TableKind::Hash => "hash table",
            TableKind::Ordered => "ordered table",
        };
        let scope = match self.scope {
            TableScope::Keyed => "keyed",
            TableScope::SplitList => "operator list (split)",
            TableScope::UnionList => "operator list (union)",
            TableScope::Broadcast => "broadcast",
        };
        write!(formatter, "{kind}, {scope}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_that_exist_are_read_from_bytes() {
        let mut count = 0;
        for kind in 0..=u8::MAX {
            for scope in 0..=u8::MAX {
                let Some(form) = TableForm::from_bytes([kind, scope]) else {
                    continue;
                };
                assert_eq!(form.to_bytes(), [kind, scope]);
                count += 1;
            }
        }
        assert_eq!(count, 5);
        assert_eq!(TableForm::from_bytes([0, 0]), Some(TableForm::KEYED_HASH));
    }
}
