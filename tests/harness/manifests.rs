//! The manifests of a checkpoint directory, as they stand there.

use frazil::storage::Storage;
use frazil_state::format::{Manifest, decode};

/// All manifests, oldest first.
///
/// # Panics
/// If one cannot be read: its test damages none.
#[must_use]
pub fn manifests(storage: &dyn Storage) -> Vec<Manifest> {
    let mut names = storage.list().expect("a storage lists");
    names.retain(|name| name.starts_with("manifest-"));
    let read = |name: String| {
        // One may be retired between the two calls.
        let file = storage.open(&name).ok()?;
        let mut bytes = vec![0; usize::try_from(file.length_bytes()).expect("small")];
        file.read_exact_at(&mut bytes, 0).expect("whole");
        Some(decode(&name, &bytes).expect("whole"))
    };
    names.into_iter().filter_map(read).collect()
}
