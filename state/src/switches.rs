//! What can be switched off to measure what it is worth.

/// Mechanisms of a store, each of which it works without; the defaults are right for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Find records ahead of their use; off, every record is searched for when it is used.
    pub look_ahead: bool,
    /// Track changes by the page instead of by the cache line.
    pub whole_pages: bool,
    /// Ask for huge pages; off, small ones are asked for.
    pub huge_pages: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            look_ahead: true,
            whole_pages: false,
            huge_pages: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CaptureStatus, LINE_BYTES, PAGE_BYTES, Store, StoreConfig, ValueTable, hash_key};

    type Table = ValueTable<u64, u64>;

    /// What stands in front of a page's lines in a frame.
    const ENTRY_BYTES: usize = 16;

    fn filled(switches: Switches) -> (Store, Table) {
        let config = StoreConfig {
            budget_bytes: 64 << 20,
            switches,
            ..StoreConfig::default()
        };
        let mut store = Store::new(&config).expect("64 MiB can be reserved");
        let table = Table::open(&mut store, "t").expect("first table");
        for key in 0..1_000_u64 {
            let put = table.put(&mut store, hash_key(&key), &key, &key);
            put.expect("within the budget");
        }
        let _ = snapshot_bytes(&mut store);
        (store, table)
    }

    /// Makes a snapshot and gives the bytes of its frames.
    fn snapshot_bytes(store: &mut Store) -> usize {
        store.freeze();
        while store.capture(1 << 20) != CaptureStatus::Done {}
        let mut bytes = 0;
        while let Some(chunk) = store.take_chunk() {
            bytes += chunk.body_bytes();
            store.give_chunk(chunk);
        }
        store.forget_snapshot();
        bytes
    }

    #[test]
    fn one_changed_record_is_captured_as_its_line_or_as_its_page() {
        let captured = |whole_pages| {
            let (mut store, table) = filled(Switches {
                whole_pages,
                ..Switches::default()
            });
            let key = 7_u64;
            let zero = |value: &mut u64| *value = 0;
            let updated = table.update(&mut store, hash_key(&key), &key, &0, zero);
            updated.expect("there already");
            snapshot_bytes(&mut store)
        };
        assert_eq!(captured(false), ENTRY_BYTES + LINE_BYTES);
        assert_eq!(captured(true), ENTRY_BYTES + PAGE_BYTES);
    }

    #[test]
    fn records_are_found_ahead_only_where_that_is_on() {
        for look_ahead in [true, false] {
            let (mut store, table) = filled(Switches {
                look_ahead,
                ..Switches::default()
            });
            let keys: Vec<u64> = (0..64).collect();
            let hashes: Vec<_> = keys.iter().map(hash_key).collect();
            let mut ahead = table.lookahead();
            table.look_ahead(&store, &mut ahead, &hashes);
            table.look_ahead(&store, &mut ahead, &[]);
            table.look_ahead(&store, &mut ahead, &[]);
            assert_eq!(ahead.is_of_layout(&store), look_ahead);
            for (key, hash) in keys.iter().zip(hashes) {
                let add = |value: &mut u64| *value += 1;
                let updated = table.update_ahead(&mut store, &mut ahead, hash, key, &0, add);
                updated.expect("there already");
                assert_eq!(table.get(&store, hash, key).expect("valid"), Some(key + 1));
            }
        }
    }

    /// The `VmFlags` of every map of this process that is as large as the arena.
    #[cfg(not(miri))]
    fn flags_of_arenas() -> Vec<String> {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let mut found = Vec::new();
        let mut is_large = false;
        for line in maps.lines() {
            if let Some(size) = line.strip_prefix("Size:") {
                let kib = size.trim().trim_end_matches(" kB").parse::<u64>();
                is_large = kib.is_ok_and(|kib| kib > 8 << 20);
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| is_large) {
                found.push(flags.to_owned());
            }
        }
        found
    }

    #[cfg(not(miri))]
    #[test]
    fn pages_are_huge_or_small_as_asked_for() {
        for (huge_pages, flag) in [(true, "hg"), (false, "nh")] {
            let config = StoreConfig {
                budget_bytes: 9 << 30,
                switches: Switches {
                    huge_pages,
                    ..Switches::default()
                },
                ..StoreConfig::default()
            };
            let _store = Store::new(&config).expect("address space is to be had");
            let flags = flags_of_arenas();
            // A kernel without huge pages takes neither advice.
            let has_advice = |flags: &String| flags.split(' ').any(|found| found == flag);
            let is_known = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
            assert!(!is_known || flags.iter().any(has_advice), "{flags:?}");
        }
    }
}
