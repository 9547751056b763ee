//! A walk over every structural invariant of a store.

use std::collections::HashMap;

use crate::arena::Arena;
use crate::catalog;
use crate::error::StateError;
use crate::form::TableForm;
use crate::hash::hash_bytes;
use crate::page::{PageId, PageKind};
use crate::store::Store;
use crate::superblock;
use crate::table::{self, HashTable, check_group};

/// Pages reached so far and by what.
struct Reached<'a> {
    arena: &'a Arena,
    by: HashMap<u32, &'static str>,
}

impl Reached<'_> {
    fn once(&mut self, id: PageId, by: &'static str) -> Result<(), StateError> {
        match self.by.insert(id.0, by) {
            Some(before) => Err(damaged(id, "owner", "one", format!("{before} and {by}"))),
            None => Ok(()),
        }
    }
}

fn damaged(id: PageId, what: &'static str, expected: &str, found: String) -> StateError {
    StateError::Damaged {
        page: id.0,
        what,
        expected: expected.to_owned(),
        found,
    }
}

impl Store {
    /// Checks that every page is reached exactly once, that every record lies where its hash leads,
    /// and that all counts are true.
    ///
    /// # Errors
    /// [`StateError::Damaged`] naming the first page that breaks an invariant.
    ///
    /// # Cost
    /// Reads the whole state; meant for tests and tools.
    pub fn verify(&self) -> Result<(), StateError> {
        let arena = self.arena();
        let mut reached = Reached {
            arena,
            by: HashMap::new(),
        };
        reached.once(PageId::SUPERBLOCK, "superblock")?;
        reached.free_list()?;
        for index in catalog::tables(arena) {
            catalog::check_form(arena, index, TableForm::KEYED_HASH)?;
            let table = HashTable::open(arena, index, self.owned_groups())?;
            for group in 0..table.owned.length {
                reached.group(&table, group)?;
            }
            reached.roots(&table)?;
        }
        self.directory_pages(&mut reached)?;
        let expected = arena.page_count() as usize;
        if reached.by.len() != expected {
            let found = format!("{} pages", reached.by.len());
            return Err(damaged(
                PageId::SUPERBLOCK,
                "pages reached",
                &format!("{expected} pages"),
                found,
            ));
        }
        Ok(())
    }

    /// Directory and node pages are not visited by the walk over references: count them by kind.
    fn directory_pages(&self, reached: &mut Reached<'_>) -> Result<(), StateError> {
        for number in 1..self.arena().page_count() {
            let id = PageId(number);
            let page = self.arena().page(id);
            if page.is_kind(PageKind::Directory) || page.is_kind(PageKind::Nodes) {
                reached.once(id, "directory")?;
            }
        }
        Ok(())
    }
}

impl Reached<'_> {
    fn free_list(&mut self) -> Result<(), StateError> {
        let mut next = superblock::free_first(self.arena);
        let mut count = 0;
        while next != PageId::SUPERBLOCK {
            self.once(next, "free list")?;
            count += 1;
            next = superblock::free_next(self.arena, next);
        }
        let expected = superblock::free_count(self.arena);
        if count != expected {
            let found = count.to_string();
            return Err(damaged(
                PageId::SUPERBLOCK,
                "free pages",
                &expected.to_string(),
                found,
            ));
        }
        Ok(())
    }

    fn roots(&mut self, table: &HashTable) -> Result<(), StateError> {
        let count = table::roots_page_count(table.owned.length);
        for step in 0..u32::try_from(count).expect("at most 32768 groups") {
            self.once(PageId(table.roots.0 + step), "roots")?;
        }
        Ok(())
    }

    fn group(&mut self, table: &HashTable, group: u32) -> Result<(), StateError> {
        let arena = self.arena;
        let limit = table.owned.groups.path_bits_max();
        let mut records = 0;
        let mut references: HashMap<u32, (u32, u32)> = HashMap::new();
        check_group(
            arena,
            table.roots,
            group,
            limit,
            &mut |bucket, path, resolved| {
                let depth = table.bucket(arena, bucket).depth();
                let entry = references.entry(bucket.0).or_insert_with(|| (resolved, 0));
                entry.1 += 1;
                if entry.1 > 1 {
                    return Ok(());
                }
                let mut next = Some(bucket);
                while let Some(id) = next {
                    self.once(id, "bucket")?;
                    records += check_bucket(table, arena, id, group, path, depth)?;
                    next = table.bucket(arena, id).next();
                }
                Ok(())
            },
        )?;
        for (bucket, (resolved, count)) in references {
            let depth = table.bucket(arena, PageId(bucket)).depth();
            let expected = 1u64 << (resolved - depth.min(resolved));
            if u64::from(count) != expected {
                let found = count.to_string();
                let expected = expected.to_string();
                return Err(damaged(PageId(bucket), "references", &expected, found));
            }
        }
        let (page, _) = table::root_at(table.roots, group);
        let expected = table::record_count(arena, table.roots, group);
        if records != expected {
            let found = records.to_string();
            return Err(damaged(
                page,
                "records of a group",
                &expected.to_string(),
                found,
            ));
        }
        Ok(())
    }
}

fn check_bucket(
    table: &HashTable,
    arena: &Arena,
    id: PageId,
    group: u32,
    path: u64,
    depth: u32,
) -> Result<u64, StateError> {
    let bucket = table.bucket(arena, id);
    let mut count = 0;
    for slot in bucket.slots() {
        let key = bucket.key(slot);
        let hash = hash_bytes(key);
        let groups = table.owned.groups;
        let same_group = groups.group_of(hash) == table.owned.first + group;
        let differing = groups.path_of(hash) ^ path;
        if !same_group || (depth > 0 && differing >> (64 - depth) != 0) {
            return Err(damaged(
                id,
                "path of a key",
                "the bucket's",
                format!("{hash:?}"),
            ));
        }
        if bucket.find(hash, key) != Some(slot) {
            return Err(damaged(
                id,
                "probe for a key",
                &format!("slot {slot}"),
                "another".into(),
            ));
        }
        count += 1;
    }
    if count != bucket.count() {
        return Err(damaged(
            id,
            "records of a bucket",
            &bucket.count().to_string(),
            count.to_string(),
        ));
    }
    Ok(count as u64)
}
