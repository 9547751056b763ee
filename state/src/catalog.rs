//! Table descriptors in the superblock page.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | length of the name, 0 = the descriptor of a dropped table, free for the next |
//! | 1 | 63 | name, UTF-8 |
//! | 64 | 8 | fingerprint of the key type |
//! | 72 | 8 | fingerprint of the value type |
//! | 80 | 4 | first roots page |
//! | 84 | 4 | page for new directory nodes, 0 = none |
//! | 88 | 2 | key bytes, `ffff` = variable |
//! | 90 | 2 | value bytes, `ffff` = variable |
//! | 92 | 2 | value alignment |
//! | 94 | 1 | kind: 0 = hash table, 1 = ordered table |
//! | 95 | 1 | scope: 0 = keyed, 1 = list (split), 2 = list (union), 3 = broadcast |
//! | 96 | 2 | ordered and keyed: where the user key begins in an entry's key |
//! | 98 | 2 | and its bytes there, `ffff` = variable, escaped and ended as in `key` |

use crate::arena::Arena;
use crate::error::StateError;
use crate::form::TableForm;
use crate::identity::TypeIdentity;
use crate::page::{PageId, PageKind};
use crate::superblock::{self, TABLE_BYTES, TABLE_COUNT_AT, TABLES_AT, TABLES_MAX};
use crate::table::Geometry;

const NAME_AT: usize = 1;
const NAME_BYTES_MAX: usize = 63;
const KEY_FINGERPRINT_AT: usize = 64;
const VALUE_FINGERPRINT_AT: usize = 72;
const ROOTS_AT: usize = 80;
const NODES_AT: usize = 84;
const KEY_BYTES_AT: usize = 88;
const VALUE_BYTES_AT: usize = 90;
const VALUE_ALIGN_AT: usize = 92;
const FORM_AT: usize = 94;
const USER_KEY_AT: usize = 96;
const USER_KEY_BYTES_AT: usize = 98;
const VARIABLE: u16 = u16::MAX;

/// Where the key that is hashed stands in an entry's key: the rest orders the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserKeyPlace {
    pub(crate) at: usize,
    /// `None` = variable: escaped and ended like a part of a tuple.
    pub(crate) bytes: Option<usize>,
}

/// What a table is created with.
#[derive(Clone, Copy)]
pub(crate) struct NewTable<'a> {
    pub(crate) name: &'a str,
    pub(crate) form: TableForm,
    pub(crate) identity: TypeIdentity,
    pub(crate) geometry: &'a Geometry,
    /// Of keyed ordered tables.
    pub(crate) user_key: Option<UserKeyPlace>,
}

/// Number of a table in its shard's catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableIndex(usize);

impl TableIndex {
    fn at(self) -> usize {
        TABLES_AT + self.0 * TABLE_BYTES
    }
}

/// All tables in the order of their descriptors.
pub(crate) fn tables(arena: &Arena) -> impl Iterator<Item = TableIndex> + use<'_> {
    descriptors(arena).filter(|table| !name_bytes(arena, *table).is_empty())
}

fn descriptors(arena: &Arena) -> impl Iterator<Item = TableIndex> + use<> {
    (0..(superblock::table_count(arena) as usize).min(TABLES_MAX)).map(TableIndex)
}

pub(crate) fn find(arena: &Arena, name: &str) -> Option<TableIndex> {
    tables(arena).find(|table| name_bytes(arena, *table) == name.as_bytes())
}

fn name_bytes(arena: &Arena, table: TableIndex) -> &[u8] {
    let page = arena.page(PageId::SUPERBLOCK);
    let length = usize::from(page.u8_at(table.at())).min(NAME_BYTES_MAX);
    page.bytes_at(table.at() + NAME_AT, length)
}

pub(crate) fn name(arena: &Arena, table: TableIndex) -> String {
    String::from_utf8_lossy(name_bytes(arena, table)).into_owned()
}

/// Adds a table and allocates its roots.
pub(crate) fn add(
    arena: &mut Arena,
    new: &NewTable<'_>,
    roots_page_count: usize,
) -> Result<TableIndex, StateError> {
    let NewTable { name, geometry, .. } = *new;
    let refuse = |reason: String| StateError::Table {
        table: name.to_owned(),
        reason,
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(refuse(format!(
            "a name has 1 to {NAME_BYTES_MAX} bytes, found {}",
            name.len()
        )));
    }
    let count = superblock::table_count(arena) as usize;
    let dropped = descriptors(arena).find(|table| name_bytes(arena, *table).is_empty());
    let table = dropped.unwrap_or(TableIndex(count));
    if table.0 >= TABLES_MAX {
        return Err(refuse(format!("a shard holds at most {TABLES_MAX} tables")));
    }
    let roots = arena.allocate_run(roots_page_count, PageKind::Roots)?;
    let descriptor = arena.bytes_mut(PageId::SUPERBLOCK, table.at(), TABLE_BYTES);
    descriptor.fill(0);
    descriptor[0] = u8::try_from(name.len()).expect("at most 63");
    let mut put = |at: usize, bytes: &[u8]| {
        descriptor[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let identity = new.identity;
    put(NAME_AT, name.as_bytes());
    put(KEY_FINGERPRINT_AT, &identity.key_fingerprint.to_le_bytes());
    put(
        VALUE_FINGERPRINT_AT,
        &identity.value_fingerprint.to_le_bytes(),
    );
    put(ROOTS_AT, &roots.0.to_le_bytes());
    put(KEY_BYTES_AT, &length_field(geometry.key_bytes));
    put(VALUE_BYTES_AT, &length_field(geometry.value_bytes));
    put(VALUE_ALIGN_AT, &length_field(Some(geometry.value_align)));
    put(FORM_AT, &new.form.to_bytes());
    if let Some(user_key) = new.user_key {
        put(USER_KEY_AT, &length_field(Some(user_key.at)));
        put(USER_KEY_BYTES_AT, &length_field(user_key.bytes));
    }
    let count = u32::try_from(count.max(table.0 + 1)).expect("at most TABLES_MAX");
    superblock::put_u32(arena, TABLE_COUNT_AT, count);
    Ok(table)
}

/// Clears a descriptor, whose place the next table takes; others keep theirs.
pub(crate) fn remove(arena: &mut Arena, table: TableIndex) {
    let descriptor = arena.bytes_mut(PageId::SUPERBLOCK, table.at(), TABLE_BYTES);
    descriptor.fill(0);
}

fn length_field(length: Option<usize>) -> [u8; 2] {
    length
        .and_then(|length| u16::try_from(length).ok())
        .unwrap_or(VARIABLE)
        .to_le_bytes()
}

pub(crate) fn identity(arena: &Arena, table: TableIndex) -> TypeIdentity {
    let page = arena.page(PageId::SUPERBLOCK);
    TypeIdentity {
        key_fingerprint: page.u64_at(table.at() + KEY_FINGERPRINT_AT),
        value_fingerprint: page.u64_at(table.at() + VALUE_FINGERPRINT_AT),
    }
}

/// Kind and scope of a table.
///
/// # Errors
/// [`StateError::Damaged`] if the two bytes stand for no form.
pub(crate) fn form(arena: &Arena, table: TableIndex) -> Result<TableForm, StateError> {
    let bytes = arena
        .page(PageId::SUPERBLOCK)
        .array_at(table.at() + FORM_AT);
    TableForm::from_bytes(bytes).ok_or_else(|| StateError::Damaged {
        page: 0,
        what: "table kind and scope",
        expected: "a hash table [0, 0] or an ordered table [1, 0 to 3]".to_owned(),
        found: format!("{bytes:?}"),
    })
}

/// Refuses a table that was created in another form.
///
/// # Errors
/// [`StateError::FormChanged`], or as [`form`].
pub(crate) fn check_form(
    arena: &Arena,
    table: TableIndex,
    expected: TableForm,
) -> Result<(), StateError> {
    let found = form(arena, table)?;
    if found != expected {
        return Err(StateError::FormChanged {
            table: name(arena, table),
            expected,
            found,
        });
    }
    Ok(())
}

/// The geometry that the table was created with.
pub(crate) fn geometry(arena: &Arena, table: TableIndex) -> Result<Geometry, StateError> {
    let page = arena.page(PageId::SUPERBLOCK);
    let length = |at: usize| length_at(arena, table, at);
    let align = usize::from(page.u16_at(table.at() + VALUE_ALIGN_AT));
    if !align.is_power_of_two() || align > 16 {
        return Err(StateError::Damaged {
            page: 0,
            what: "value alignment",
            expected: "a power of two up to 16".to_owned(),
            found: align.to_string(),
        });
    }
    Ok(Geometry::new(
        length(KEY_BYTES_AT),
        length(VALUE_BYTES_AT),
        align,
    ))
}

fn length_at(arena: &Arena, table: TableIndex, at: usize) -> Option<usize> {
    let length = arena.page(PageId::SUPERBLOCK).u16_at(table.at() + at);
    (length != VARIABLE).then_some(usize::from(length))
}

/// Where the user key stands in the entries of a keyed ordered table.
pub(crate) fn user_key(arena: &Arena, table: TableIndex) -> UserKeyPlace {
    UserKeyPlace {
        at: length_at(arena, table, USER_KEY_AT).unwrap_or(0),
        bytes: length_at(arena, table, USER_KEY_BYTES_AT),
    }
}

pub(crate) fn roots(arena: &Arena, table: TableIndex) -> PageId {
    PageId(arena.page(PageId::SUPERBLOCK).u32_at(table.at() + ROOTS_AT))
}

pub(crate) fn nodes_page(arena: &Arena, table: TableIndex) -> PageId {
    PageId(arena.page(PageId::SUPERBLOCK).u32_at(table.at() + NODES_AT))
}

pub(crate) fn set_nodes_page(arena: &mut Arena, table: TableIndex, page: PageId) {
    superblock::put_u32(arena, table.at() + NODES_AT, page.0);
}
