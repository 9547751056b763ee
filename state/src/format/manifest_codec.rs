//! Manifests to bytes and back.

use rkyv::rancor::BoxedError;
use rkyv::util::AlignedVec;
use rkyv::vec::ArchivedVec;

use super::FormatError;
use super::header::{HEADER_BYTES, HeaderReader, HeaderWriter, array_at};
use super::layout::{Fingerprint, archive_layout};
use super::manifest::{
    ArchivedImageEntry, ArchivedManifest, ArchivedOperatorEntry, ArchivedSegmentEntry,
    ArchivedSettingEntry, ArchivedShardEntry, ArchivedSinkEntry, ArchivedSourceEntry,
    ArchivedSplitEntry, ArchivedWatermarkEntry, InFlightEntry, Manifest, OperatorEntry,
    SettingEntry,
};
use super::manifest_ranges::check_ranges;

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
    let operators = archived_operators(manifest);
    let settings = archived_settings(manifest);
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
fn archived_operators(manifest: &Manifest) -> AlignedVec {
    if manifest.operators.is_empty() {
        return AlignedVec::new();
    }
    rkyv::to_bytes::<BoxedError>(&manifest.operators)
        .expect("an archive in memory fails only beyond the 2 GiB that its pointers reach")
}

/// Nothing where there are none, as in files of before they were written.
fn archived_settings(manifest: &Manifest) -> AlignedVec {
    if manifest.settings.is_empty() {
        return AlignedVec::new();
    }
    rkyv::to_bytes::<BoxedError>(&manifest.settings)
        .expect("an archive in memory fails only beyond the 2 GiB that its pointers reach")
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
    let mut manifest = read_archive(&header, archive)?;
    if !operators.is_empty() {
        manifest.operators = read_operators(&header, archive.len(), operators)?;
    }
    if !settings.is_empty() {
        manifest.settings = read_settings(&header, archives.len(), settings)?;
    }
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

fn read_archive(header: &HeaderReader<'_>, archive: &[u8]) -> Result<Manifest, FormatError> {
    let invalid =
        |error: BoxedError| header.corrupt(HEADER_BYTES, "archive", "a valid archive", error);
    // The caller's buffer has any alignment; archives need theirs.
    let mut aligned = AlignedVec::<16>::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    let archived = rkyv::access::<ArchivedManifest, BoxedError>(&aligned).map_err(invalid)?;
    rkyv::deserialize::<Manifest, BoxedError>(archived).map_err(invalid)
}

fn read_operators(
    header: &HeaderReader<'_>,
    offset: usize,
    archive: &[u8],
) -> Result<Vec<OperatorEntry>, FormatError> {
    let at = HEADER_BYTES + offset;
    let invalid = |error: BoxedError| header.corrupt(at, "operators", "a valid archive", error);
    let mut aligned = AlignedVec::<16>::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    let archived = rkyv::access::<ArchivedVec<ArchivedOperatorEntry>, BoxedError>(&aligned);
    rkyv::deserialize::<Vec<OperatorEntry>, BoxedError>(archived.map_err(invalid)?).map_err(invalid)
}

fn read_settings(
    header: &HeaderReader<'_>,
    offset: usize,
    archive: &[u8],
) -> Result<Vec<SettingEntry>, FormatError> {
    let at = HEADER_BYTES + offset;
    let invalid = |error: BoxedError| header.corrupt(at, "settings", "a valid archive", error);
    let mut aligned = AlignedVec::<16>::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    let archived = rkyv::access::<ArchivedVec<ArchivedSettingEntry>, BoxedError>(&aligned);
    rkyv::deserialize::<Vec<SettingEntry>, BoxedError>(archived.map_err(invalid)?).map_err(invalid)
}
