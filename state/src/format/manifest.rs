//! What a manifest says: everything that is needed to restore one checkpoint.
//!
//! Fields may neither be added nor moved within a format version; what came later is an archive of
//! its own behind the first one, and empty in older files. The archive types come from
//! rkyv's derive; their sizes are pinned below, and a golden file pins the rest.

use rkyv::with::Skip;
use rkyv::{Archive, Deserialize, Serialize};

use super::frame::ENTRY_BYTES;
use super::header::HEADER_BYTES;
use crate::page::LINE_BYTES;

/// An entry of a frame with one line.
const ENTRY_BYTES_MIN: u64 = (ENTRY_BYTES + LINE_BYTES) as u64;

/// The one root of a checkpoint; published last, it makes the checkpoint exist.
///
/// ```
/// use frazil_state::format::{Manifest, ShardEntry, archive_layout, decode, encode};
///
/// let manifest = Manifest {
///     checkpoint: 7,
///     job_name: "orders".to_owned(),
///     job_fingerprint: 1,
///     created_unix_ms: 1_800_000_000_000,
///     key_group_count: 128,
///     hash_id: 1,
///     hash_seed: 2,
///     value_layout: archive_layout(),
///     shards: vec![ShardEntry { page_count: 1, image: None }],
///     segments: vec![],
///     sources: vec![],
///     watermarks: vec![],
///     finished_stages: vec![],
///     sinks: vec![],
///     finished: false,
///     operators: vec![],
///     settings: vec![],
///     in_flight: vec![],
/// };
/// let bytes = encode(&manifest);
/// assert_eq!(decode("manifest-7", &bytes)?, manifest);
/// # Ok::<(), frazil_state::format::FormatError>(())
/// ```
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Number of the checkpoint, which is its epoch.
    pub checkpoint: u64,
    /// Name of the job.
    pub job_name: String,
    /// Fingerprint of the job's flow.
    pub job_fingerprint: u64,
    /// When the manifest was made, in milliseconds since 1970; for people only.
    pub created_unix_ms: u64,
    /// Key groups of the job: a power of two from 1 to 32768.
    pub key_group_count: u32,
    /// Which hash function places keys.
    pub hash_id: u32,
    /// Its seed.
    pub hash_seed: u64,
    /// [`archive_layout`](super::archive_layout) of the build that wrote the values in the pages.
    pub value_layout: u64,
    /// One entry per shard, by shard index.
    pub shards: Vec<ShardEntry>,
    /// The chain: delta segments in rising order of their epochs.
    pub segments: Vec<SegmentEntry>,
    /// Where to replay each source from.
    pub sources: Vec<SourceEntry>,
    /// Watermarks at the barrier.
    pub watermarks: Vec<WatermarkEntry>,
    /// Stages that had ended before the barrier.
    pub finished_stages: Vec<u32>,
    /// What sinks had pre-committed.
    pub sinks: Vec<SinkEntry>,
    /// The job ended with this checkpoint.
    pub finished: bool,
    /// The flow's operators by number; none in files of before they were written.
    #[rkyv(with = Skip)]
    pub operators: Vec<OperatorEntry>,
    /// Settings in force when the manifest was made, for people and tools; none in files of before
    /// they were written.
    #[rkyv(with = Skip)]
    pub settings: Vec<SettingEntry>,
    /// Frames of records that the barrier overtook, in the last segment, which is of this
    /// checkpoint; none in files of before they were written.
    #[rkyv(with = Skip)]
    pub in_flight: Vec<InFlightEntry>,
}

/// A setting of the job.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SettingEntry {
    /// Its name, with its unit; readers pass over names that they do not know.
    pub name: String,
    /// Its value; a setting that is off has no entry.
    pub value: u64,
}

/// An operator of the flow, as far as another run has to find it again.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct OperatorEntry {
    /// What it is found by.
    pub id: String,
    /// The user chose the id.
    pub is_named: bool,
    /// Stage that it runs in, [`NO_STAGE`] if in none.
    pub stage: u32,
    /// Operators that it gets its records from, all of smaller numbers.
    pub inputs: Vec<u32>,
    /// Tables that it declared.
    pub tables: Vec<TableEntry>,
}

/// The stage of an operator that came to nothing, such as a union in front of an exchange.
pub const NO_STAGE: u32 = u32::MAX;

/// A table and its types.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// Name of the table.
    pub name: String,
    /// Fingerprint of its keys.
    pub key_fingerprint: u64,
    /// Fingerprint of its values.
    pub value_fingerprint: u64,
}

impl Manifest {
    /// Most pages that the files of a shard can hold: those of its image, and those that the chain
    /// behind it brings. What claims more is no manifest of ours, whatever its checksum says.
    ///
    /// A page that the image does not have was written since, so the chain has an entry with a line
    /// of it; but for the pages behind a value in its run, fewer than half as many.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn page_count_max(&self, shard: usize) -> u64 {
        let image = self.shards[shard].image.as_ref();
        let (image_pages, base) = image.map_or((0, 0), |image| (image.page_count, image.epoch));
        let chain = self.segments.iter().filter(|segment| segment.epoch > base);
        let entries = chain.map(|segment| {
            let headers = u64::from(segment.frame_count) * HEADER_BYTES as u64;
            segment.length_bytes.saturating_sub(headers) / ENTRY_BYTES_MIN
        });
        u64::from(image_pages)
            .saturating_add(entries.fold(0, u64::saturating_add).saturating_mul(2))
    }
}

/// A frame of records in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightEntry {
    /// Where the frame begins in its segment.
    pub offset: u64,
    /// Length of the whole frame.
    pub length_bytes: u32,
    /// Index of the frame in its segment.
    pub frame_index: u32,
    /// Shard that the records were in flight on.
    pub shard: u16,
}

/// The state of one shard.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ShardEntry {
    /// Pages of the shard at the freeze, after the chain was applied.
    pub page_count: u32,
    /// The base; without one the chain starts from nothing.
    pub image: Option<ImageEntry>,
}

/// An image file.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ImageEntry {
    /// Plain name of the file.
    pub file: String,
    /// Number of the file.
    pub file_id: u64,
    /// Epoch whose state the image holds; later segments apply to it.
    pub epoch: u64,
    /// Pages in the image.
    pub page_count: u32,
    /// Length of the file.
    pub length_bytes: u64,
}

/// A delta segment.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Plain name of the file.
    pub file: String,
    /// Number of the file.
    pub file_id: u64,
    /// Epoch whose changes the segment holds.
    pub epoch: u64,
    /// Bytes of frames in the file; what was allocated behind them does not count.
    pub length_bytes: u64,
    /// Frames in the file.
    pub frame_count: u32,
}

/// A source and its splits.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SourceEntry {
    /// Index of the operator in the flow.
    pub operator: u32,
    /// Name of the operator.
    pub name: String,
    /// Fingerprint of the input, to notice that it was exchanged.
    pub fingerprint: u64,
    /// The source had ended.
    pub finished: bool,
    /// The pieces that it reads.
    pub splits: Vec<SplitEntry>,
}

/// One piece of a source's input.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SplitEntry {
    /// Number of the split.
    pub id: u64,
    /// What the split is, in the source's own encoding.
    pub description: Vec<u8>,
    /// Where to replay it from, in the source's own encoding.
    pub position: Vec<u8>,
    /// The split was read to its end.
    pub finished: bool,
}

/// The watermark of an operator on a shard.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct WatermarkEntry {
    /// Index of the operator in the flow.
    pub operator: u32,
    /// The shard.
    pub shard: u32,
    /// Event time, in the job's unit.
    pub watermark: i64,
}

/// What a sink had pre-committed.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SinkEntry {
    /// Index of the operator in the flow.
    pub operator: u32,
    /// Name of the operator.
    pub name: String,
    /// What the sink needs to commit or abort, in its own encoding.
    pub pre_commit: Vec<u8>,
}

const fn has_layout<T>(bytes: usize, alignment: usize) -> bool {
    size_of::<T>() == bytes && align_of::<T>() == alignment
}

// rkyv's format features are switched for the whole build by any crate in it: better no build than
// no restore.
const _: () = assert!(has_layout::<ArchivedManifest>(112, 8));
const _: () = assert!(has_layout::<ArchivedShardEntry>(56, 8));
const _: () = assert!(has_layout::<ArchivedImageEntry>(40, 8));
const _: () = assert!(has_layout::<ArchivedSegmentEntry>(40, 8));
const _: () = assert!(has_layout::<ArchivedSourceEntry>(40, 8));
const _: () = assert!(has_layout::<ArchivedSplitEntry>(32, 8));
const _: () = assert!(has_layout::<ArchivedWatermarkEntry>(16, 8));
const _: () = assert!(has_layout::<ArchivedSinkEntry>(20, 4));
const _: () = assert!(has_layout::<ArchivedOperatorEntry>(32, 4));
const _: () = assert!(has_layout::<ArchivedTableEntry>(24, 8));
const _: () = assert!(has_layout::<ArchivedSettingEntry>(16, 8));
