//! A storage in which every checkpoint is restored and verified at the moment it begins to exist.

use frazil::IoError;
use frazil_io::storage::{MemoryStorage, ReadAt, Segment, Storage, StorageLock};
use frazil_state::format::{
    FrameExpectation, ImageAddress, ImageEntry, ImageFooter, ImageTable, Manifest, decode,
    is_in_flight, read_frame, read_in_flight,
};
use frazil_state::{DumpRecord, KeyGroups, PAGE_BYTES, Restore, StagingSize, Store, StoreConfig};

/// A [`MemoryStorage`] that panics on a checkpoint that is not whole and sound.
///
/// What is read for that goes past every plan of faults above. A clone is the same storage.
#[derive(Clone)]
pub struct VerifiedStorage {
    disk: MemoryStorage,
}

impl VerifiedStorage {
    /// Watches the manifests of `disk`.
    #[must_use]
    pub fn new(disk: &MemoryStorage) -> Self {
        Self { disk: disk.clone() }
    }

    fn look_at(&self, name: &str) {
        if name.starts_with("manifest-") {
            verify_checkpoint(&self.disk, name);
        }
    }
}

/// Restores all shards of a checkpoint, written a second time for this test and not the engine's
/// way, and walks every invariant of them.
///
/// # Panics
/// If the checkpoint is not whole, or what it holds is not sound.
fn verify_checkpoint(storage: &dyn Storage, manifest: &str) {
    let bytes = read(storage, manifest);
    let manifest = decode(manifest, &bytes).expect("a published manifest is whole");
    for shard in 0..manifest.shards.len() {
        let sound = restore_shard(storage, &manifest, shard).verify();
        sound.unwrap_or_else(|e| panic!("checkpoint {} shard {shard}: {e}", manifest.checkpoint));
    }
}

fn read(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let file = storage.open(name).expect("a published file exists");
    let length = usize::try_from(file.length_bytes()).expect("in memory");
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0).expect("memory reads");
    bytes
}

/// The canonical dump of all shards of a checkpoint.
///
/// # Panics
/// If the checkpoint is not whole.
#[must_use]
pub fn dump(storage: &dyn Storage, manifest: &Manifest) -> Vec<DumpRecord> {
    let shards = 0..manifest.shards.len();
    let dumps = shards.map(|shard| restore_shard(storage, manifest, shard).dump());
    let mut records: Vec<_> = dumps.flat_map(|it| it.expect("sound")).collect();
    records.sort_unstable();
    records
}

fn restore_shard(storage: &dyn Storage, manifest: &Manifest, shard: usize) -> Store {
    let page_count = manifest.shards[shard].page_count;
    let staging = StagingSize {
        chunk_count: 2,
        chunk_bytes: 16 << 10,
    };
    let config = StoreConfig {
        key_groups: KeyGroups::new(manifest.key_group_count),
        shard,
        shard_count: manifest.shards.len(),
        budget_bytes: StoreConfig::budget_for_pages(u64::from(page_count), staging),
        staging,
        ..StoreConfig::default()
    };
    let mut restore = Restore::new(&config, page_count).expect("the budget is made for it");
    let image = manifest.shards[shard].image.as_ref();
    if let Some(image) = image {
        read_image(storage, image, shard, &mut restore);
    }
    let base_epoch = image.map_or(0, |image| image.epoch);
    for segment in manifest.segments.iter().filter(|s| s.epoch > base_epoch) {
        let bytes = read(storage, &segment.file);
        let mut at = 0;
        for frame_index in 0..segment.frame_count {
            let expected = FrameExpectation {
                file: &segment.file,
                file_id: segment.file_id,
                epoch: segment.epoch,
                frame_index,
                offset_in_file: at as u64,
            };
            let header = bytes[at..].first_chunk().expect("a header");
            if is_in_flight(header) {
                let frame = read_in_flight(&bytes[at..], &expected);
                at += frame.expect("a whole frame").1;
                continue;
            }
            let (frame, length) = read_frame(&bytes[at..], &expected).expect("a whole frame");
            if usize::from(frame.shard()) == shard {
                for delta in frame.pages() {
                    restore.apply(&delta).expect("a page of the shard");
                }
            }
            at += length;
        }
        assert_eq!(at as u64, segment.length_bytes, "{}", segment.file);
    }
    restore.finish().expect("the shard's superblock")
}

fn read_image(storage: &dyn Storage, image: &ImageEntry, shard: usize, restore: &mut Restore) {
    let bytes = read(storage, &image.file);
    let address = ImageAddress {
        file_id: image.file_id,
        epoch: image.epoch,
        shard: u16::try_from(shard).expect("few"),
        page_count: image.page_count,
    };
    let (rest, footer) = bytes.split_last_chunk().expect("a footer");
    let footer = ImageFooter::decode(&image.file, bytes.len() as u64, footer, &address);
    let table_at = image.page_count as usize * PAGE_BYTES;
    let table = ImageTable::decode(&image.file, &footer.expect("whole"), &rest[table_at..]);
    let table = table.expect("whole");
    for (page_id, page) in (0..).zip(rest[..table_at].as_chunks().0) {
        table.verify_page(page_id, page).expect("a whole page");
        *restore.page_mut(page_id).expect("a page of the shard") = *page;
    }
}

impl Storage for VerifiedStorage {
    fn location(&self) -> String {
        self.disk.location()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        self.disk.create(name, expected_bytes)
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        self.disk.open(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
        self.disk.publish(name, bytes)?;
        self.look_at(name);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        self.disk.rename(from, to)?;
        self.look_at(to);
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), IoError> {
        self.disk.sync_directory()
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        self.disk.remove(name)
    }

    fn list(&self) -> Result<Vec<String>, IoError> {
        self.disk.list()
    }

    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError> {
        self.disk.lock()
    }
}
