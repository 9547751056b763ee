//! The snapshotting store alone, with a storage of your own: here a folder of plain files.
//!
//! `cargo run -p frazil-state --example own_storage`
//!
//! A checkpoint is a delta (frames with the cache lines that changed) and a manifest that lists the
//! deltas. The manifest is renamed into place last: before that the checkpoint does not exist. The
//! store goes on changing while a checkpoint is captured; what it changes first is copied first.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use frazil_state::format::{
    FrameAddress, FrameExpectation, Manifest, SegmentEntry, ShardEntry, archive_layout, decode,
    encode, read_frame,
};
use frazil_state::{
    CaptureStatus, HASH_ID, HASH_SEED, Restore, Store, StoreConfig, ValueTable, hash_key,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes copied between two records: some microseconds.
const SLICE_BYTES: usize = 16 << 10;

/// A folder of checkpoints.
struct Checkpoints {
    folder: PathBuf,
    /// The chain of deltas so far.
    segments: Vec<SegmentEntry>,
}

impl Checkpoints {
    /// Makes checkpoint `epoch` of a store that goes on: `work` is called between slices.
    fn make(
        &mut self,
        epoch: u64,
        store: &mut Store,
        mut work: impl FnMut(&mut Store) -> Outcome<()>,
    ) -> Outcome<u64> {
        store.freeze();
        let page_count = store.page_count();
        let name = format!("delta-{epoch}");
        let mut delta = File::create(self.folder.join(&name))?;
        let (mut frame_count, mut length_bytes) = (0, 0);
        loop {
            let status = store.capture(SLICE_BYTES);
            while let Some(mut chunk) = store.take_chunk() {
                let frame = chunk.seal(FrameAddress {
                    file_id: epoch,
                    epoch,
                    frame_index: frame_count,
                    shard: 0,
                });
                delta.write_all(frame)?;
                length_bytes += frame.len() as u64;
                frame_count += 1;
                store.give_chunk(chunk);
            }
            match status {
                CaptureStatus::Done => break,
                CaptureStatus::More | CaptureStatus::NeedsChunk => work(store)?,
                // More was written meanwhile than the pool of chunks could hold.
                CaptureStatus::Declined => {
                    while !store.merge(1 << 10) {}
                    return Err("staging is too small: the lines wait for the next one".into());
                }
            }
        }
        delta.sync_all()?;
        self.segments.push(SegmentEntry {
            file: name,
            file_id: epoch,
            epoch,
            length_bytes,
            frame_count,
        });
        self.publish(epoch, page_count)?;
        store.forget_snapshot();
        Ok(length_bytes)
    }

    fn publish(&self, epoch: u64, page_count: u32) -> Outcome<()> {
        let manifest = Manifest {
            checkpoint: epoch,
            job_name: "own storage".to_owned(),
            job_fingerprint: 0,
            created_unix_ms: 0,
            key_group_count: StoreConfig::default().key_groups.count(),
            hash_id: HASH_ID,
            hash_seed: HASH_SEED,
            value_layout: archive_layout(),
            shards: vec![ShardEntry {
                page_count,
                image: None,
            }],
            segments: self.segments.clone(),
            sources: Vec::new(),
            watermarks: Vec::new(),
            finished_stages: Vec::new(),
            sinks: Vec::new(),
            finished: false,
            operators: Vec::new(),
            settings: Vec::new(),
            in_flight: Vec::new(),
        };
        let aside = self.folder.join("manifest.tmp");
        let mut file = File::create(&aside)?;
        file.write_all(&encode(&manifest))?;
        file.sync_all()?;
        fs::rename(aside, self.folder.join("manifest"))?;
        Ok(File::open(&self.folder)?.sync_all()?)
    }
}

/// The store of the newest checkpoint. Nothing is used before its checksum was checked.
fn restore(folder: &Path) -> Outcome<Store> {
    let manifest = decode("manifest", &fs::read(folder.join("manifest"))?)?;
    let mut restore = Restore::new(&StoreConfig::default(), manifest.shards[0].page_count)?;
    for segment in &manifest.segments {
        let bytes = fs::read(folder.join(&segment.file))?;
        let mut rest = &bytes[..];
        for frame_index in 0..segment.frame_count {
            let expected = FrameExpectation {
                file: &segment.file,
                file_id: segment.file_id,
                epoch: segment.epoch,
                frame_index,
                offset_in_file: (bytes.len() - rest.len()) as u64,
            };
            let (frame, length) = read_frame(rest, &expected)?;
            for delta in frame.pages() {
                restore.apply(&delta)?;
            }
            rest = &rest[length..];
        }
    }
    Ok(restore.finish()?)
}

fn main() -> Outcome<()> {
    let folder = std::env::temp_dir().join(format!("frazil-own-storage-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut checkpoints = Checkpoints {
        folder: folder.clone(),
        segments: Vec::new(),
    };
    let mut store = Store::new(&StoreConfig::default())?;
    let counts = ValueTable::<u64, u64>::open(&mut store, "counts")?;
    let count = |store: &mut Store, key: u64| -> Outcome<()> {
        Ok(counts.update(store, hash_key(&key), &key, &0, |count| *count += 1)?)
    };
    for key in 0..100_000 {
        count(&mut store, key)?;
    }
    let mut key = 0;
    let all = checkpoints.make(1, &mut store, |store| {
        key += 1;
        count(store, key)
    })?;
    println!("checkpoint 1: {all} bytes, {key} records were counted meanwhile");
    let changed = checkpoints.make(2, &mut store, |_| Ok(()))?;
    println!("checkpoint 2: {changed} bytes, what these records changed");

    // A crash later: what was counted since checkpoint 2 is gone, and nothing else.
    count(&mut store, 1)?;
    drop(store);
    let mut restored = restore(&folder)?;
    let counts = ValueTable::<u64, u64>::open(&mut restored, "counts")?;
    assert_eq!(counts.len(&restored), 100_000);
    for checked in 0..100_000 {
        let expected = 1 + u64::from((1..=key).contains(&checked));
        assert_eq!(
            counts.get(&restored, hash_key(&checked), &checked)?,
            Some(expected)
        );
    }
    println!("restored: every count is that of checkpoint 2");
    Ok(fs::remove_dir_all(&folder)?)
}

#[test]
fn own_storage_restores_what_it_was_given() {
    main().expect("the example runs");
}
