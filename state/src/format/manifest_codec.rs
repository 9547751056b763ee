//! Manifests to bytes and back.

use rkyv::rancor::BoxedError;

use super::FormatError;
use super::header::{HEADER_BYTES, HeaderReader, HeaderWriter, array_at};
use super::layout::{Fingerprint, archive_layout};
use super::manifest::{
    ArchivedImageEntry, ArchivedManifest, ArchivedSegmentEntry, ArchivedShardEntry,
    ArchivedSinkEntry, ArchivedSourceEntry, ArchivedSplitEntry, ArchivedWatermarkEntry,
    InFlightEntry, Manifest,
};
use super::manifest_ranges::check_ranges;
use crate::value::{self, Value};

const MANIFEST_MAGIC: [u8; 8] = *b"FRZMANIF";

/// Offsets of the header's fields.
mod at {
    pub(super) const ARCHIVE_BYTES: usize = 16;
    pub(super) const LAYOUT: usize = 24;
    pub(super) const CHECKPOINT: usize = 32;
    pub(super) const OPERATORS_BYTES: usize = 40;
    pub(super) const IN_FLIGHT_BYTES: usize = 48;
    pub(super) const SETTINGS_BYTES: usize = 56;
    /// In an entry for a frame of records in flight; the frame's offset is at 0.
    pub(super) const ENTRY_LENGTH: usize = 8;
    pub(super) const ENTRY_INDEX: usize = 12;
    pub(super) const ENTRY_SHARD: usize = 16;
    pub(super) const ENTRY_ZEROS: usize = 18;
}

/// Bytes of an entry for a frame of records in flight.
const ENTRY_BYTES: usize = 24;

/// The bytes of a manifest file.
///
/// # Panics
/// If [`decode`] would refuse the manifest: it must not be published.
#[must_use]
pub fn encode(manifest: &Manifest) -> Vec<u8> {
    if let Err(error) = check_ranges("manifest to be published", manifest) {
        panic!("{error}");
    }
    let archive = rkyv::to_bytes::<BoxedError>(manifest)
        .expect("an archive in memory fails only beyond the 2 GiB that its pointers reach");
    let operators = archived(&manifest.operators);
    let settings = archived(&manifest.settings);
    let in_flight = in_flight_bytes(&manifest.in_flight);
    let parts = [&archive[..], &operators, &settings, &in_flight].concat();
    let header = HeaderWriter::new(MANIFEST_MAGIC)
        .put(at::ARCHIVE_BYTES, (archive.len() as u64).to_le_bytes())
        .put(at::LAYOUT, manifest_layout().to_le_bytes())
        .put(at::CHECKPOINT, manifest.checkpoint.to_le_bytes())
        .put(at::OPERATORS_BYTES, (operators.len() as u64).to_le_bytes())
        .put(at::IN_FLIGHT_BYTES, (in_flight.len() as u64).to_le_bytes())
        .put(at::SETTINGS_BYTES, (settings.len() as u64).to_le_bytes())
        .seal(&[], &parts);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + parts.len());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&parts);
    bytes
}

fn in_flight_bytes(entries: &[InFlightEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    for entry in entries {
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.length_bytes.to_le_bytes());
        bytes.extend_from_slice(&entry.frame_index.to_le_bytes());
        bytes.extend_from_slice(&entry.shard.to_le_bytes());
        bytes.extend_from_slice(&[0; ENTRY_BYTES - at::ENTRY_ZEROS]);
    }
    bytes
}

/// Nothing where there are none, as in files of before they were written.
fn archived<T>(entries: &Vec<T>) -> Vec<u8>
where
    Vec<T>: Value,
{
    let mut bytes = Vec::new();
    if !entries.is_empty() {
        let archived = value::append_archive(entries, &mut bytes);
        archived.expect("an archive in memory fails only beyond the 2 GiB that its pointers reach");
    }
    bytes
}

/// The manifest in the bytes of a whole file; `file` names it in messages.
///
/// Whether it is the checkpoint that the file's name promises is for the caller to check.
///
/// # Errors
/// If the bytes are cut short or damaged, of another version or archive layout, or hold values out
/// of range.
pub fn decode(file: &str, bytes: &[u8]) -> Result<Manifest, FormatError> {
    let Some((header, parts)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(FormatError::Corrupt {
            file: file.to_owned(),
            offset: 0,
            what: "file length",
            expected: format!("at least {HEADER_BYTES} bytes"),
            found: format!("{} bytes", bytes.len()),
        });
    };
    let header = HeaderReader::begin(file, 0, header, MANIFEST_MAGIC)?;
    let announced = header.u64_at(at::ARCHIVE_BYTES);
    let operators = header.u64_at(at::OPERATORS_BYTES);
    let settings = header.u64_at(at::SETTINGS_BYTES);
    let in_flight = header.u64_at(at::IN_FLIGHT_BYTES);
    let present = parts.len() as u64;
    let later = operators.saturating_add(settings).saturating_add(in_flight);
    let expected = announced.saturating_add(later);
    header.check_equal(at::ARCHIVE_BYTES, "archive length", expected, present)?;
    header.check_crc(&[], parts)?;
    check_layout(&header)?;
    let (archives, in_flight) = split_last(parts, in_flight);
    let (archives, settings) = split_last(archives, settings);
    let (archive, operators) = split_last(archives, operators);
    let mut manifest: Manifest = read_archive(&header, "archive", 0, archive)?;
    manifest.operators = read_entries(&header, "operators", archive.len(), operators)?;
    manifest.settings = read_entries(&header, "settings", archives.len(), settings)?;
    manifest.in_flight = read_in_flight(&header, in_flight)?;
    let number = header.u64_at(at::CHECKPOINT);
    let what = "checkpoint number in header and archive";
    header.check_equal(at::CHECKPOINT, what, number, manifest.checkpoint)?;
    check_ranges(file, &manifest)?;
    Ok(manifest)
}

/// The last `length` bytes apart; their sum was compared with what is there.
fn split_last(bytes: &[u8], length: u64) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len() - usize::try_from(length).unwrap_or(bytes.len()))
}

/// Fingerprint of the archive types, of which [`archive_layout`] is a part.
fn manifest_layout() -> u64 {
    let mut fingerprint = Fingerprint::new();
    fingerprint.add(&archive_layout().to_le_bytes());
    fingerprint.add_type::<rkyv::primitive::ArchivedUsize>();
    fingerprint.add_type::<ArchivedManifest>();
    fingerprint.add_type::<ArchivedShardEntry>();
    fingerprint.add_type::<ArchivedImageEntry>();
    fingerprint.add_type::<ArchivedSegmentEntry>();
    fingerprint.add_type::<ArchivedSourceEntry>();
    fingerprint.add_type::<ArchivedSplitEntry>();
    fingerprint.add_type::<ArchivedWatermarkEntry>();
    fingerprint.add_type::<ArchivedSinkEntry>();
    fingerprint.value()
}

fn check_layout(header: &HeaderReader<'_>) -> Result<(), FormatError> {
    let expected = manifest_layout();
    let found = header.u64_at(at::LAYOUT);
    if expected == found {
        return Ok(());
    }
    Err(FormatError::Layout {
        file: header.file.to_owned(),
        what: "archive layout of the manifest",
        expected,
        found,
    })
}

fn read_in_flight(
    header: &HeaderReader<'_>,
    bytes: &[u8],
) -> Result<Vec<InFlightEntry>, FormatError> {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    let what = "bytes behind the entries for records in flight";
    header.check_equal(at::IN_FLIGHT_BYTES, what, 0, rest.len())?;
    let read = |entry: &[u8; ENTRY_BYTES]| {
        let zeros = &entry[at::ENTRY_ZEROS..];
        if zeros.iter().any(|byte| *byte != 0) {
            let what = "unused bytes of an entry for records in flight";
            return Err(header.corrupt(at::IN_FLIGHT_BYTES, what, "zeros", "others"));
        }
        Ok(InFlightEntry {
            offset: u64::from_le_bytes(array_at(entry, 0)),
            length_bytes: u32::from_le_bytes(array_at(entry, at::ENTRY_LENGTH)),
            frame_index: u32::from_le_bytes(array_at(entry, at::ENTRY_INDEX)),
            shard: u16::from_le_bytes(array_at(entry, at::ENTRY_SHARD)),
        })
    };
    entries.iter().map(read).collect()
}

/// What an archive holds that begins `offset` bytes behind the header.
fn read_archive<V: Value>(
    header: &HeaderReader<'_>,
    what: &'static str,
    offset: usize,
    archive: &[u8],
) -> Result<V, FormatError> {
    let invalid = |error| header.corrupt(HEADER_BYTES + offset, what, "a valid archive", error);
    value::read_archive(archive).map_err(invalid)
}

/// The same of entries; an empty archive holds none.
fn read_entries<T>(
    header: &HeaderReader<'_>,
    what: &'static str,
    offset: usize,
    archive: &[u8],
) -> Result<Vec<T>, FormatError>
where
    Vec<T>: Value,
{
    match archive {
        [] => Ok(Vec::new()),
        archive => read_archive(header, what, offset, archive),
    }
}
