//! Manifests: what was published comes back, and nothing out of range gets through.

mod format_support;

use format_support::{assert_all_damage_is_refused, assert_resealed_damage_is_survived, reseal};
use frazil_state::format::{
    FormatError, ImageAddress, ImageEntry, Manifest, OperatorEntry, SegmentEntry, SettingEntry,
    ShardEntry, SinkEntry, SourceEntry, SplitEntry, TableEntry, WatermarkEntry, archive_layout,
    decode, encode,
};
use proptest::prelude::*;

fn smallest() -> Manifest {
    Manifest {
        checkpoint: 40,
        job_name: "orders".to_owned(),
        job_fingerprint: 1,
        created_unix_ms: 2,
        key_group_count: 128,
        hash_id: 1,
        hash_seed: 3,
        value_layout: archive_layout(),
        shards: vec![shard(4, Some(30)), shard(2, None)],
        segments: vec![segment(31), segment(40)],
        sources: vec![],
        watermarks: vec![WatermarkEntry {
            operator: 1,
            shard: 1,
            watermark: -1,
        }],
        finished_stages: vec![2],
        sinks: vec![SinkEntry {
            operator: 3,
            name: "files".to_owned(),
            pre_commit: vec![1, 2, 3],
        }],
        finished: false,
        operators: vec![],
        settings: vec![],
        in_flight: Vec::new(),
    }
}

fn shard(page_count: u32, image_epoch: Option<u64>) -> ShardEntry {
    let image = image_epoch.map(|epoch| {
        let address = ImageAddress {
            file_id: epoch,
            epoch,
            shard: 0,
            page_count,
        };
        ImageEntry {
            file: format!("image-{epoch}"),
            file_id: epoch,
            epoch,
            page_count,
            length_bytes: address.length_bytes(),
        }
    });
    ShardEntry { page_count, image }
}

fn segment(epoch: u64) -> SegmentEntry {
    SegmentEntry {
        file: format!("delta-{epoch}"),
        file_id: 1000 + epoch,
        epoch,
        length_bytes: 128,
        frame_count: 2,
    }
}

fn decode_any(bytes: &[u8]) -> Result<(), FormatError> {
    decode("manifest-40", bytes).map(|_| ())
}

/// Bytes of a manifest that `encode` would refuse to make: a single field of a valid one is
/// overwritten where it stands in the archive.
fn with_field(find: &[u8], replace: &[u8]) -> Vec<u8> {
    let mut bytes = encode(&smallest());
    let matches: Vec<usize> = (64..=bytes.len() - find.len())
        .filter(|at| bytes[*at..].starts_with(find))
        .collect();
    assert_eq!(
        matches.len(),
        1,
        "the field must be found once: {matches:?}"
    );
    bytes[matches[0]..matches[0] + replace.len()].copy_from_slice(replace);
    reseal(&mut bytes, 0..64);
    bytes
}

prop_compose! {
    fn any_source()(
        operator in any::<u32>(),
        name in ".{0,20}",
        fingerprint in any::<u64>(),
        finished in any::<bool>(),
        splits in prop::collection::vec(
            (any::<u64>(), prop::collection::vec(any::<u8>(), 0..20), any::<bool>()), 0..4),
    ) -> SourceEntry {
        let splits = splits.into_iter().map(|(id, bytes, finished)| SplitEntry {
            id,
            description: bytes.iter().rev().copied().collect(),
            position: bytes,
            finished,
        });
        SourceEntry { operator, name, fingerprint, finished, splits: splits.collect() }
    }
}

prop_compose! {
    fn any_manifest()(
        job_name in ".{0,30}",
        numbers in any::<[u64; 4]>(),
        group_bits in 0u32..=15,
        shards in prop::collection::vec((0u32..1000, prop::option::of(0u64..=50)), 1..6),
        segments in prop::collection::btree_set(0u64..=50, 0..8),
        sources in prop::collection::vec(any_source(), 0..4),
        watermarks in prop::collection::vec((any::<u32>(), any::<u32>(), any::<i64>()), 0..8),
        finished_stages in prop::collection::vec(any::<u32>(), 0..4),
        sinks in prop::collection::vec(
            (any::<u32>(), ".{0,20}", prop::collection::vec(any::<u8>(), 0..99)), 0..3),
        finished in any::<bool>(),
    ) -> Manifest {
        let shard_count = u32::try_from(shards.len()).expect("a few");
        let watermark = |(operator, shard, watermark)| {
            WatermarkEntry { operator, shard: shard % shard_count, watermark }
        };
        let sink = |(operator, name, pre_commit)| SinkEntry { operator, name, pre_commit };
        Manifest {
            checkpoint: 50,
            job_name,
            job_fingerprint: numbers[0],
            created_unix_ms: numbers[1],
            key_group_count: 1 << group_bits,
            hash_id: 1,
            hash_seed: numbers[2],
            value_layout: archive_layout(),
            shards: shards.into_iter().map(|(pages, image)| shard(pages, image)).collect(),
            segments: segments.into_iter().map(segment).collect(),
            sources,
            watermarks: watermarks.into_iter().map(watermark).collect(),
            finished_stages,
            sinks: sinks.into_iter().map(sink).collect(),
            finished,
            operators: vec![],
            settings: vec![],
            in_flight: Vec::new(),
        }
    }
}

proptest! {
    #[test]
    fn published_manifests_come_back(manifest in any_manifest()) {
        let bytes = encode(&manifest);
        prop_assert_eq!(&decode("manifest-50", &bytes).unwrap(), &manifest);
        prop_assert_eq!(encode(&manifest), bytes, "the same manifest has the same bytes");
    }

    #[test]
    fn alignment_of_the_buffer_does_not_matter(shift in 0usize..16) {
        let mut buffer = vec![0; shift];
        buffer.extend(encode(&smallest()));
        prop_assert_eq!(decode("manifest-40", &buffer[shift..]).unwrap(), smallest());
    }
}

#[test]
fn damaged_manifest_is_refused() {
    let bytes = encode(&smallest());
    assert_all_damage_is_refused(&bytes, &decode_any);
    let longer = [&bytes[..], &[0]].concat();
    assert!(
        decode_any(&longer).is_err(),
        "nothing may follow a manifest"
    );
}

#[test]
fn hostile_manifest_with_a_right_checksum_is_survived() {
    let bytes = encode(&smallest());
    assert_resealed_damage_is_survived(&bytes, &|_| 0..64, &|bytes| {
        let mut bytes = bytes.to_vec();
        if bytes.len() >= 64 {
            let length = bytes.len() as u64 - 64;
            bytes[16..24].copy_from_slice(&length.to_le_bytes());
            reseal(&mut bytes, 0..64);
        }
        decode_any(&bytes)
    });
}

#[test]
fn hostile_archive_length_is_refused() {
    let mut bytes = encode(&smallest());
    for length in [0, 1, u64::MAX] {
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        reseal(&mut bytes, 0..64);
        let error = decode_any(&bytes).expect_err("the length is wrong");
        assert!(
            error.to_string().contains("archive length: expected"),
            "{error}"
        );
    }
}

#[test]
fn archive_of_another_layout_is_refused() {
    let mut bytes = encode(&smallest());
    bytes[24] ^= 1;
    reseal(&mut bytes, 0..64);
    let error = decode_any(&bytes).expect_err("another layout");
    assert!(matches!(error, FormatError::Layout { .. }), "{error}");

    let layout = archive_layout().to_le_bytes();
    let bytes = with_field(&layout, &[0; 8]);
    let error = decode_any(&bytes).expect_err("values of another layout");
    assert!(
        error.to_string().contains("archive layout of the values"),
        "{error}"
    );
}

#[test]
fn number_in_the_header_must_be_that_of_the_archive() {
    let mut bytes = encode(&smallest());
    bytes[32] = 41;
    reseal(&mut bytes, 0..64);
    let error = decode_any(&bytes).expect_err("numbers differ");
    let expected = "file=manifest-40 offset=32: checkpoint number in header and archive: \
                    expected 41, found 40";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn file_name_that_leaves_the_folder_is_refused() {
    let bytes = with_field(b"image-30", b"../../30");
    let error = decode_any(&bytes).expect_err("a path");
    assert!(error.to_string().contains("file name: expected"), "{error}");
}

/// Changes a valid manifest into one out of range.
type Spoil = fn(&mut Manifest);

#[test]
fn manifest_out_of_range_is_never_published() {
    let cases: [(&str, Spoil); 12] = [
        ("key group count", |m| m.key_group_count = 0),
        ("key group count", |m| m.key_group_count = 100),
        ("key group count", |m| m.key_group_count = 1 << 16),
        ("shard count", |m| m.shards.clear()),
        ("page count of a shard", |m| {
            m.shards[1].page_count = u32::MAX
        }),
        ("length of an image", |m| {
            m.shards[0].image.as_mut().expect("set").length_bytes = 1
        }),
        ("epoch of an image", |m| {
            m.shards[0].image.as_mut().expect("set").epoch = 41
        }),
        ("epoch of a segment", |m| m.segments[0].epoch = 40),
        ("epoch of a segment", |m| m.segments[1].epoch = 41),
        ("length of a segment", |m| m.segments[0].frame_count = 3),
        ("file name", |m| m.segments[0].file = ".hidden".to_owned()),
        ("shard of a watermark", |m| m.watermarks[0].shard = 2),
    ];
    for (what, spoil) in cases {
        let mut manifest = smallest();
        spoil(&mut manifest);
        let panic = std::panic::catch_unwind(|| encode(&manifest)).expect_err(what);
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains(&format!("{what}: expected")), "{message}");
    }
}

#[test]
fn operators_come_back_and_are_checked() {
    let mut manifest = smallest();
    let operator = |id: &str, inputs: &[u32]| OperatorEntry {
        id: id.to_owned(),
        is_named: true,
        stage: 1,
        inputs: inputs.to_vec(),
        tables: vec![TableEntry {
            name: format!("table of {id}"),
            key_fingerprint: 1,
            value_fingerprint: u64::MAX,
        }],
    };
    let operators = ["a", "b", "c", "d"].map(|id| operator(id, &[]));
    manifest.operators = [&operators[..], &[operator("e", &[0, 3])]].concat();
    let bytes = encode(&manifest);
    assert_eq!(decode("m", &bytes).expect("whole"), manifest);
    assert_all_damage_is_refused(&bytes, &decode_any);
    manifest.operators[1].inputs.push(1);
    let refused =
        std::panic::catch_unwind(|| encode(&manifest)).expect_err("an operator feeds itself");
    let message = refused.downcast_ref::<String>().expect("a message");
    assert!(message.contains("input of an operator"), "{message}");
}

#[test]
fn settings_come_back_with_and_without_operators() {
    let mut manifest = smallest();
    let setting = |name: &str, value| SettingEntry {
        name: name.to_owned(),
        value,
    };
    manifest.settings = vec![setting("interval_ns", u64::MAX), setting("", 0)];
    let bytes = encode(&manifest);
    assert_eq!(decode("m", &bytes).expect("whole"), manifest);
    assert_all_damage_is_refused(&bytes, &decode_any);
    manifest.sinks.clear();
    manifest.watermarks.clear();
    manifest.operators = vec![OperatorEntry {
        id: "a".to_owned(),
        is_named: false,
        stage: 0,
        inputs: vec![],
        tables: vec![],
    }];
    let bytes = encode(&manifest);
    assert_eq!(decode("m", &bytes).expect("whole"), manifest);
    assert_resealed_damage_is_survived(&bytes, &|_| 0..64, &decode_any);
}
