//! Committed output read back.

use std::collections::BTreeMap;

use frazil::storage::Storage;

/// All committed (key, count) rows of a CSV sink, with how often each is there.
///
/// # Panics
/// If a committed file cannot be read or parsed: then it should not be there.
#[must_use]
pub fn committed_rows(storage: &dyn Storage) -> BTreeMap<(String, u64), u64> {
    let mut rows = BTreeMap::new();
    let names = storage.list().expect("output can be listed");
    for name in names.iter().filter(|name| name.starts_with("part-")) {
        let file = storage.open(name).expect("a committed file opens");
        let length = usize::try_from(file.length_bytes()).expect("small");
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0)
            .expect("a committed file reads");
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(&bytes[..]);
        for row in reader.deserialize() {
            let row: (String, u64) = row.expect("a committed row parses");
            *rows.entry(row).or_insert(0) += 1;
        }
    }
    rows
}

/// Whatever is visible at any moment is a part of the reference: nothing early, nothing twice.
///
/// # Panics
/// If a row is there that should not be, or too often.
pub fn assert_nothing_early(storage: &dyn Storage, reference: &BTreeMap<(String, u64), u64>) {
    for (row, count) in committed_rows(storage) {
        let expected = reference.get(&row).copied().unwrap_or(0);
        assert!(
            count <= expected,
            "row={row:?} visible={count} expected_at_most={expected}"
        );
    }
}
