//! A walk over every structural invariant of a store.

use std::collections::{HashMap, HashSet};

use crate::arena::Arena;
use crate::catalog::{self, TableIndex};
use crate::error::StateError;
use crate::form::{TableKind, TableScope};
use crate::hash::hash_bytes;
use crate::key::first_part;
use crate::page::{PageId, PageKind};
use crate::runs::{self, Run};
use crate::store::Store;
use crate::superblock;
use crate::table::{self, HashTable, OwnedGroups, Visited, check_group, check_shape};
use crate::tree::{OrderedTable, TreeVisit};

/// Pages reached so far and by what.
struct Reached<'a> {
    arena: &'a Arena,
    by: HashMap<u32, &'static str>,
    /// Pages of directory nodes, shared by the groups of a table, and the nodes in them.
    nodes: HashMap<u32, HashSet<usize>>,
    run_pages: u32,
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
            nodes: HashMap::new(),
            run_pages: 0,
        };
        reached.once(PageId::SUPERBLOCK, "superblock")?;
        reached.free_list()?;
        runs::check_free(arena, |id| reached.once(id, "free run"))?;
        for index in catalog::tables(arena) {
            match catalog::form(arena, index)?.kind {
                TableKind::Hash => reached.hash_table(index, self.owned_groups())?,
                TableKind::Ordered => reached.ordered_table(index, self.owned_groups())?,
            }
        }
        let expected = runs::used_page_count(arena);
        if reached.run_pages != expected {
            let (expected, found) = (expected.to_string(), reached.run_pages.to_string());
            return Err(damaged(
                PageId::SUPERBLOCK,
                "pages in runs",
                &expected,
                found,
            ));
        }
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
}

impl Reached<'_> {
    fn free_list(&mut self) -> Result<(), StateError> {
        let mut next = superblock::free_first(self.arena);
        let mut count = 0;
        while next != PageId::SUPERBLOCK {
            if next.0 >= self.arena.page_count() {
                let expected = format!("below {}", self.arena.page_count());
                return Err(damaged(next, "free page", &expected, next.0.to_string()));
            }
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

    fn hash_table(&mut self, index: TableIndex, keyed: OwnedGroups) -> Result<(), StateError> {
        self.roots(index, keyed)?;
        let table = HashTable::open(self.arena, index, keyed)?;
        (0..table.owned.length).try_for_each(|group| self.group(&table, group))?;
        self.nodes_end(&table)
    }

    fn ordered_table(&mut self, index: TableIndex, keyed: OwnedGroups) -> Result<(), StateError> {
        self.roots(index, keyed)?;
        let arena = self.arena;
        let table = OrderedTable::open(arena, index, keyed)?;
        for group in 0..table.owned.length {
            let mut run_pages = Vec::new();
            let mut visit = TreeVisit {
                page: |id: PageId| self.once(id, "tree"),
                entry: |id: PageId, key: &[u8], run: Option<Run>| {
                    run_pages.extend(run.into_iter().flat_map(Run::pages));
                    check_entry_group(arena, index, keyed, group, id, key)
                },
            };
            table.check_group(arena, group, &mut visit)?;
            for page in run_pages {
                self.once(page, "run of a value")?;
                self.run_pages += 1;
            }
        }
        Ok(())
    }

    fn roots(&mut self, index: TableIndex, keyed: OwnedGroups) -> Result<(), StateError> {
        let owned = keyed.in_scope(catalog::form(self.arena, index)?.scope);
        let first = catalog::roots(self.arena, index);
        for page in table::root_pages(self.arena, first, owned.length)? {
            self.once(PageId(page), "roots")?;
        }
        Ok(())
    }

    fn group(&mut self, table: &HashTable, group: u32) -> Result<(), StateError> {
        let arena = self.arena;
        let limit = table.owned.groups.path_bits_max();
        let mut records = 0;
        let mut references: HashMap<u32, (u32, u32)> = HashMap::new();
        check_group(arena, table.roots, group, limit, &mut |visited| {
            let (bucket, path, resolved) = match visited {
                Visited::Bucket {
                    page,
                    path,
                    resolved,
                } => (page, path, resolved),
                Visited::Directory(page) => return self.once(page, "directory"),
                Visited::Node(page, at) => return self.node(page, at),
            };
            let entry = references.entry(bucket.0).or_insert((resolved, 0));
            entry.1 += 1;
            if entry.1 == 1 {
                records += self.chain(table, bucket, group, path)?;
            }
            Ok(())
        })?;
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

impl Reached<'_> {
    /// A bucket and its overflow pages; gives the records in them.
    fn chain(
        &mut self,
        table: &HashTable,
        bucket: PageId,
        group: u32,
        path: u64,
    ) -> Result<u64, StateError> {
        let arena = self.arena;
        let depth = table.bucket(arena, bucket).depth();
        let mut records = 0;
        let mut next = Some(bucket);
        while let Some(id) = next {
            let id = table::checked(arena, id.0, PageKind::Bucket)?;
            self.once(id, "bucket")?;
            records += check_bucket(table, arena, id, group, path, depth)?;
            self.runs(table, id)?;
            next = table.bucket(arena, id).next();
        }
        Ok(records)
    }

    /// The runs that a bucket's records refer to.
    fn runs(&mut self, table: &HashTable, id: PageId) -> Result<(), StateError> {
        let bucket = table.bucket(self.arena, id);
        for reference in bucket.slots().filter_map(|slot| bucket.run_reference(slot)) {
            for page in Run::from_bytes(self.arena, id, reference)?.pages() {
                self.once(page, "run of a value")?;
                self.run_pages += 1;
            }
        }
        Ok(())
    }

    /// All nodes of a table were visited: each of its node pages says how many it holds.
    fn nodes_end(&mut self, table: &HashTable) -> Result<(), StateError> {
        let arena = self.arena;
        let current = catalog::nodes_page(arena, table.index);
        if current != PageId::SUPERBLOCK && !self.nodes.contains_key(&current.0) {
            let found = "none of the table's".to_owned();
            return Err(damaged(
                current,
                "page for new nodes",
                "one with nodes",
                found,
            ));
        }
        for (page, nodes) in self.nodes.drain() {
            let expected = table::node_count(arena, PageId(page));
            if nodes.len() != expected as usize {
                let (expected, found) = (expected.to_string(), nodes.len().to_string());
                return Err(damaged(PageId(page), "nodes in a page", &expected, found));
            }
        }
        Ok(())
    }

    /// A directory node: its page belongs to one table, and it to one reference.
    fn node(&mut self, page: PageId, at: usize) -> Result<(), StateError> {
        if !self.nodes.contains_key(&page.0) {
            self.once(page, "directory nodes")?;
        }
        if self.nodes.entry(page.0).or_default().insert(at) {
            return Ok(());
        }
        let found = "more".to_owned();
        Err(damaged(
            page,
            "references to a directory node",
            "one",
            found,
        ))
    }
}

/// A keyed entry stands in the group of its user key.
fn check_entry_group(
    arena: &Arena,
    index: TableIndex,
    keyed: OwnedGroups,
    group: u32,
    page: PageId,
    key: &[u8],
) -> Result<(), StateError> {
    if catalog::form(arena, index)?.scope != TableScope::Keyed {
        return Ok(());
    }
    let place = catalog::user_key(arena, index);
    let part = key
        .get(place.at..)
        .and_then(|rest| first_part(rest, place.bytes));
    let Some((user_key, _)) = part else {
        let found = format!("{key:?}");
        return Err(damaged(page, "user key of an entry", "whole", found));
    };
    let found = keyed.groups.group_of(hash_bytes(&user_key));
    if found != keyed.first + group {
        let expected = (keyed.first + group).to_string();
        return Err(damaged(
            page,
            "group of a user key",
            &expected,
            found.to_string(),
        ));
    }
    Ok(())
}

fn check_bucket(
    table: &HashTable,
    arena: &Arena,
    id: PageId,
    group: u32,
    path: u64,
    depth: u32,
) -> Result<u64, StateError> {
    check_shape(
        arena,
        id,
        &table.geometry,
        table.owned.groups.path_bits_max(),
    )?;
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
