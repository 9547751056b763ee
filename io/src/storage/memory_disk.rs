//! The simulated disk below [`super::MemoryStorage`]: bytes and names, each with what is durable.
//!
//! For every file `synced <= written`. For names, `durable` plus the `pending` changes in their
//! order gives `visible`. Nothing here locks or fails: it is the model, and [`super::power_loss`]
//! decides what survives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A file's identity, which stays the same when it is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(u64);

/// Which name leads to which file.
pub(super) type Names = BTreeMap<String, FileId>;

/// The content of one file.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// Everything written; shared with the readers that are open.
    pub(super) bytes: Arc<Vec<u8>>,
    /// The leading bytes that a power loss cannot take.
    pub(super) synced_bytes: usize,
    /// Disk reserved, which a crash shows as zeros behind the written bytes.
    pub(super) reserved_bytes: u64,
    /// Appended bytes may wait in the process until a sync: the file was created with a size.
    pub(super) is_buffered: bool,
}

/// One change of the directory that is not durable yet; it happens as a whole or not at all.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Created { name: String, file: FileId },
    Renamed { from: String, to: String },
    Removed { name: String },
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            Self::Created { name, file } => {
                names.insert(name.clone(), *file);
            }
            Self::Renamed { from, to } => {
                let file = names
                    .remove(from)
                    .expect("a rename is applied after its source");
                names.insert(to.clone(), file);
            }
            Self::Removed { name } => {
                names
                    .remove(name)
                    .expect("a removal is applied after its creation");
            }
        }
    }

    /// The names whose meaning this change depends on.
    pub(super) fn touched(&self) -> impl Iterator<Item = &String> {
        let (first, second) = match self {
            Self::Created { name, .. } | Self::Removed { name } => (name, None),
            Self::Renamed { from, to } => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }
}

/// Files and names; a clone is an independent disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    pub(super) files: BTreeMap<FileId, Content>,
    pub(super) visible: Names,
    pub(super) durable: Names,
    pub(super) pending: Vec<NameChange>,
    created_count: u64,
}

impl Disk {
    /// Creates an empty file; `None` if the name is taken.
    pub(super) fn create(&mut self, name: &str, reserved_bytes: u64) -> Option<FileId> {
        if self.visible.contains_key(name) {
            return None;
        }
        let file = FileId(self.created_count);
        self.created_count += 1;
        self.files.insert(
            file,
            Content {
                reserved_bytes,
                is_buffered: reserved_bytes > 0,
                ..Content::default()
            },
        );
        self.change(NameChange::Created {
            name: name.to_owned(),
            file,
        });
        Some(file)
    }

    /// Appends to a file; one that has lost its last name takes bytes that nobody can read.
    pub(super) fn append(&mut self, file: FileId, bytes: &[u8]) {
        if let Some(content) = self.files.get_mut(&file) {
            Arc::make_mut(&mut content.bytes).extend_from_slice(bytes);
        }
    }

    pub(super) fn sync(&mut self, file: FileId) {
        if let Some(content) = self.files.get_mut(&file) {
            content.synced_bytes = content.bytes.len();
            content.reserved_bytes = 0;
        }
    }

    /// Renames a visible file; false if there is none.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> bool {
        let exists = self.visible.contains_key(from);
        if exists && from != to {
            self.change(NameChange::Renamed {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        exists
    }

    /// Removes a file if it is there.
    pub(super) fn remove(&mut self, name: &str) {
        if self.visible.contains_key(name) {
            self.change(NameChange::Removed {
                name: name.to_owned(),
            });
        }
    }

    /// Makes every change of names durable and forgets the files that lost their last name.
    pub(super) fn sync_names(&mut self) {
        self.pending.clear();
        self.durable = self.visible.clone();
        let named: BTreeSet<FileId> = self.durable.values().copied().collect();
        self.files.retain(|file, _| named.contains(file));
    }

    pub(super) fn content(&self, name: &str) -> Option<&Content> {
        self.visible.get(name).map(|file| &self.files[file])
    }

    /// The content of `name` for a test to corrupt.
    ///
    /// # Panics
    /// If there is no such file.
    pub(super) fn content_mut(&mut self, name: &str) -> &mut Content {
        let file = self
            .visible
            .get(name)
            .unwrap_or_else(|| panic!("no file {name} to corrupt"));
        self.files
            .get_mut(file)
            .expect("every visible name has its file")
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.visible);
        self.pending.push(change);
    }
}
