//! Files of format version 1 stay readable, and the same values are still written as the same
//! bytes.
//!
//! If a test fails after an intended change of a format, raise the version: the fixtures of a
//! version never change.

use std::path::Path;

use frazil_state::PAGE_BYTES;
use frazil_state::format::{
    Chunk, FrameAddress, FrameExpectation, HEADER_BYTES, ImageAddress, ImageEntry, ImageFooter,
    ImageTable, ImageWriter, InFlightEntry, Manifest, SegmentEntry, SettingEntry, ShardEntry,
    SinkEntry, SourceEntry, SplitEntry, WatermarkEntry, archive_layout, decode, encode, read_frame,
    read_in_flight,
};

const IMAGE: ImageAddress = ImageAddress {
    file_id: 0x0A0B_0C0D,
    epoch: 7,
    shard: 1,
    page_count: 2,
};

/// The fixture, which must be equal to the fresh bytes; those are left beside the build if it is
/// not.
fn fixture_equal_to(name: &str, fresh: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/v1")
        .join(name);
    let golden = std::fs::read(&path).unwrap_or_default();
    if golden != fresh {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&kept, fresh).expect("the build folder is writable");
        panic!(
            "{} differs from what is written now: {}",
            path.display(),
            kept.display()
        );
    }
    golden
}

fn golden_page(first: u8) -> [u8; PAGE_BYTES] {
    std::array::from_fn(|at| first.wrapping_add(at.to_le_bytes()[0]))
}

#[test]
fn frame_of_version_1_is_read_and_written_alike() {
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    chunk.push(5, true, 0b1011, &golden_page(1));
    chunk.push(1, false, 1 << 63, &golden_page(2));
    let fresh = chunk.seal(FrameAddress {
        file_id: 0x0102_0304_0506_0708,
        epoch: 9,
        frame_index: 2,
        shard: 3,
    });
    let golden = fixture_equal_to("frame.bin", fresh);
    let expected = FrameExpectation {
        file: "frame.bin",
        file_id: 0x0102_0304_0506_0708,
        epoch: 9,
        frame_index: 2,
        offset_in_file: 0,
    };
    let (frame, length) = read_frame(&golden, &expected).unwrap();
    assert_eq!(
        (frame.shard(), frame.page_count(), length),
        (3, 2, golden.len())
    );
    let read: Vec<_> = frame
        .pages()
        .map(|d| (d.page_id, d.fresh, d.mask))
        .collect();
    assert_eq!(read, [(5, true, 0b1011), (1, false, 1 << 63)]);
    let lines: Vec<_> = frame.pages().map(|d| d.lines.to_vec()).collect();
    let page = golden_page(1);
    assert_eq!(lines[0], [&page[..128], &page[192..256]].concat());
    assert_eq!(lines[1], golden_page(2)[4032..]);
}

#[test]
fn image_of_version_1_is_read_and_written_alike() {
    let pages = [golden_page(3), golden_page(4)];
    let mut writer = ImageWriter::new(IMAGE);
    pages.iter().for_each(|page| writer.push_page(page));
    let fresh = [&pages.concat()[..], &writer.finish()].concat();

    let golden = fixture_equal_to("image.bin", &fresh);
    let footer = golden.last_chunk().expect("a footer");
    let footer = ImageFooter::decode("image.bin", golden.len() as u64, footer, &IMAGE).unwrap();
    let table = &golden[2 * PAGE_BYTES..golden.len() - HEADER_BYTES];
    let table = ImageTable::decode("image.bin", &footer, table).unwrap();
    let (read, _) = golden[..2 * PAGE_BYTES].as_chunks();
    assert_eq!(read, pages);
    table.verify_page(0, &read[0]).unwrap();
    table.verify_page(1, &read[1]).unwrap();
}

#[test]
fn manifest_of_version_1_is_read_and_written_alike() {
    let manifest = golden_manifest();
    let golden = fixture_equal_to("manifest.bin", &encode(&manifest));
    assert_eq!(decode("manifest.bin", &golden).unwrap(), manifest);
}

#[test]
fn settings_in_a_manifest_of_version_1_are_read_and_written_alike() {
    let setting = |name: &str, value| SettingEntry {
        name: name.to_owned(),
        value,
    };
    let manifest = Manifest {
        settings: vec![
            setting("interval_ns", 100_000_000),
            setting("continuous", 1),
        ],
        ..golden_manifest()
    };
    let golden = fixture_equal_to("manifest-settings.bin", &encode(&manifest));
    assert_eq!(decode("manifest-settings.bin", &golden).unwrap(), manifest);
}

#[test]
fn records_in_flight_of_version_1_are_read_and_written_alike() {
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    chunk.push_in_flight(5, 0x1111_2222_3333_4444, &golden_page(5)[..17]);
    chunk.push_in_flight(6, 0x5555_6666_7777_8888, &golden_page(6)[..32]);
    let fresh = chunk.seal(FrameAddress {
        file_id: 0x0102_0304_0506_0708,
        epoch: 9,
        frame_index: 2,
        shard: 3,
    });
    let golden = fixture_equal_to("in_flight.bin", fresh);
    let expected = FrameExpectation {
        file: "in_flight.bin",
        file_id: 0x0102_0304_0506_0708,
        epoch: 9,
        frame_index: 2,
        offset_in_file: 0,
    };
    let (frame, length) = read_in_flight(&golden, &expected).unwrap();
    assert_eq!((frame.shard(), length), (3, golden.len()));
    let pieces = frame.pieces();
    let pieces: Vec<_> = pieces.map(|it| (it.channel, it.types, it.bytes)).collect();
    let (first, second) = (golden_page(5), golden_page(6));
    let written = [
        (5, 0x1111_2222_3333_4444, &first[..17]),
        (6, 0x5555_6666_7777_8888, &second[..32]),
    ];
    assert_eq!(pieces, written);

    let mut manifest = golden_manifest();
    manifest.in_flight = vec![InFlightEntry {
        offset: 64,
        length_bytes: 80,
        frame_index: 0,
        shard: 1,
    }];
    let golden = fixture_equal_to("manifest_in_flight.bin", &encode(&manifest));
    assert_eq!(decode("manifest_in_flight.bin", &golden).unwrap(), manifest);
}

fn golden_manifest() -> Manifest {
    Manifest {
        checkpoint: 9,
        job_name: "a job with a name".to_owned(),
        job_fingerprint: 0x1111_2222_3333_4444,
        created_unix_ms: 1_800_000_000_000,
        key_group_count: 128,
        hash_id: 1,
        hash_seed: 0x5555_6666_7777_8888,
        value_layout: archive_layout(),
        shards: golden_shards(),
        segments: vec![golden_segment(8), golden_segment(9)],
        sources: vec![golden_source()],
        watermarks: vec![
            WatermarkEntry {
                operator: 4,
                shard: 0,
                watermark: i64::MIN,
            },
            WatermarkEntry {
                operator: 4,
                shard: 1,
                watermark: 1_799_999_999_000,
            },
        ],
        finished_stages: vec![1, 0x0102_0304],
        sinks: vec![SinkEntry {
            operator: 6,
            name: "files".to_owned(),
            pre_commit: (0..=40).collect(),
        }],
        finished: true,
        operators: vec![],
        settings: vec![],
        in_flight: Vec::new(),
    }
}

fn golden_shards() -> Vec<ShardEntry> {
    let image = ImageEntry {
        file: "image-7-1".to_owned(),
        file_id: IMAGE.file_id,
        epoch: IMAGE.epoch,
        page_count: IMAGE.page_count,
        length_bytes: IMAGE.length_bytes(),
    };
    vec![
        ShardEntry {
            page_count: 17,
            image: None,
        },
        ShardEntry {
            page_count: 3,
            image: Some(image),
        },
    ]
}

fn golden_segment(epoch: u64) -> SegmentEntry {
    SegmentEntry {
        file: format!("delta-{epoch}"),
        file_id: 100 + epoch,
        epoch,
        length_bytes: 4096,
        frame_count: 3,
    }
}

fn golden_source() -> SourceEntry {
    SourceEntry {
        operator: 2,
        name: "stop events".to_owned(),
        fingerprint: 0x9999_AAAA_BBBB_CCCC,
        finished: false,
        splits: vec![
            SplitEntry {
                id: 1,
                description: b"first".to_vec(),
                position: vec![1, 2, 3, 4, 5, 6, 7, 8],
                finished: false,
            },
            SplitEntry {
                id: 2,
                description: Vec::new(),
                position: Vec::new(),
                finished: true,
            },
        ],
    }
}
