//! Records in flight: the pieces of a channel come back, and nothing else is taken for them.

mod format_support;

use format_support::{assert_all_damage_is_refused, assert_resealed_damage_is_survived};
use frazil_state::format::{
    Chunk, FormatError, FrameAddress, FrameExpectation, HEADER_BYTES, InFlightEntry, Manifest,
    SegmentEntry, ShardEntry, archive_layout, decode, encode, read_frame, read_in_flight,
};

const ADDRESS: FrameAddress = FrameAddress {
    file_id: 3,
    epoch: 7,
    frame_index: 1,
    shard: 2,
};

const EXPECTED: FrameExpectation<'static> = FrameExpectation {
    file: "delta-7",
    file_id: 3,
    epoch: 7,
    frame_index: 1,
    offset_in_file: 0,
};

fn small_frame() -> Vec<u8> {
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    assert_eq!(chunk.push_in_flight(5, 11, b"seventeen bytes .."), 18);
    assert_eq!(chunk.push_in_flight(4, 12, b"more"), 4);
    chunk.seal(ADDRESS).to_vec()
}

fn read(bytes: &[u8]) -> Result<(), FormatError> {
    let (frame, length) = read_in_flight(bytes, &EXPECTED)?;
    assert!(length <= bytes.len());
    assert!(frame.pieces().all(|piece| !piece.bytes.is_empty()));
    Ok(())
}

#[test]
fn pieces_come_back_and_a_full_chunk_takes_what_fits() {
    let bytes = small_frame();
    let (frame, length) = read_in_flight(&bytes, &EXPECTED).unwrap();
    let pieces: Vec<_> = frame
        .pieces()
        .map(|it| (it.channel, it.types, it.bytes))
        .collect();
    let expected: [(u32, u64, &[u8]); 2] = [(5, 11, b"seventeen bytes .."), (4, 12, b"more")];
    assert_eq!(
        (&pieces[..], frame.shard(), length),
        (&expected[..], 2, bytes.len())
    );
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    let taken = chunk.push_in_flight(1, 1, &[7; 10_000]);
    assert!((4_000..4_200).contains(&taken), "{taken}");
    assert_eq!(chunk.push_in_flight(1, 1, &[7]), 0);
    chunk.clear();
    chunk.push(0, true, 1, &[0; 4096]);
}

#[test]
fn frame_of_one_kind_is_not_read_as_the_other() {
    assert!(read_frame(&small_frame(), &EXPECTED).is_err());
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    chunk.push(0, true, 1, &[0; 4096]);
    assert!(read_in_flight(chunk.seal(ADDRESS), &EXPECTED).is_err());
}

#[test]
fn damage_is_refused() {
    assert_all_damage_is_refused(&small_frame(), &read);
    assert_resealed_damage_is_survived(&small_frame(), &|_| 0..HEADER_BYTES, &read);
}

fn manifest(entry: InFlightEntry) -> Manifest {
    Manifest {
        checkpoint: 7,
        job_name: "job".to_owned(),
        job_fingerprint: 1,
        created_unix_ms: 2,
        key_group_count: 128,
        hash_id: 1,
        hash_seed: 2,
        value_layout: archive_layout(),
        shards: vec![ShardEntry {
            page_count: 1,
            image: None,
        }],
        segments: vec![SegmentEntry {
            file: "delta-7".to_owned(),
            file_id: 3,
            epoch: 7,
            length_bytes: 1000,
            frame_count: 2,
        }],
        sources: vec![],
        watermarks: vec![],
        finished_stages: vec![],
        sinks: vec![],
        finished: false,
        operators: vec![],
        settings: vec![],
        in_flight: vec![entry],
    }
}

const ENTRY: InFlightEntry = InFlightEntry {
    offset: 400,
    length_bytes: 600,
    frame_index: 1,
    shard: 0,
};

#[test]
fn manifest_says_where_records_in_flight_are() {
    let bytes = encode(&manifest(ENTRY));
    assert_eq!(decode("manifest-7", &bytes).unwrap(), manifest(ENTRY));
    let read = |bytes: &[u8]| decode("manifest-7", bytes).map(|_| ());
    assert_all_damage_is_refused(&bytes, &read);
    assert_resealed_damage_is_survived(&bytes, &|_| 0..HEADER_BYTES, &read);
}

#[test]
#[should_panic(expected = "frame of records in flight")]
fn manifest_does_not_name_a_frame_beyond_its_segment() {
    let _ = encode(&manifest(InFlightEntry {
        offset: 401,
        ..ENTRY
    }));
}
