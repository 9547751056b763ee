//! Folding gives what applying every segment in turn gives, and reads no damaged line.

use frazil_state::PAGE_BYTES;
use frazil_state::format::{
    ChainIndex, Chunk, FormatError, FrameAddress, FrameExpectation, read_frame,
};
use proptest::prelude::*;

const PAGE_COUNT: u32 = 6;

/// A page's changes in one epoch: page, fresh, mask, fill byte.
type Change = (u32, bool, u64, u8);

/// A segment and where its frames begin.
struct Segment {
    bytes: Vec<u8>,
    frame_offsets: Vec<usize>,
}

fn expectation(segment: usize, frame: usize, offset: usize) -> FrameExpectation<'static> {
    FrameExpectation {
        file: "delta",
        file_id: segment as u64,
        epoch: segment as u64,
        frame_index: u32::try_from(frame).expect("a few frames"),
        offset_in_file: offset as u64,
    }
}

/// Every change gets a frame of its own.
fn write_segment(number: usize, changes: &[Change]) -> Segment {
    let mut segment = Segment {
        bytes: Vec::new(),
        frame_offsets: Vec::new(),
    };
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    for (index, (page_id, fresh, mask, fill)) in changes.iter().enumerate() {
        chunk.clear();
        chunk.push(*page_id, *fresh, *mask, &[*fill; PAGE_BYTES]);
        let expected = expectation(number, index, 0);
        let frame = chunk.seal(FrameAddress {
            file_id: expected.file_id,
            epoch: expected.epoch,
            frame_index: expected.frame_index,
            shard: 0,
        });
        segment.frame_offsets.push(segment.bytes.len());
        segment.bytes.extend_from_slice(frame);
    }
    segment
}

fn index_of(segments: &[Segment]) -> ChainIndex {
    let files = (0..segments.len()).map(|number| format!("delta-{number}"));
    let mut index = ChainIndex::new(0, files.collect());
    for (number, segment) in segments.iter().enumerate() {
        for (frame_index, offset) in segment.frame_offsets.iter().enumerate() {
            let expected = expectation(number, frame_index, *offset);
            let (frame, _) =
                read_frame(&segment.bytes[*offset..], &expected).expect("just written");
            let number = u32::try_from(number).expect("a few segments");
            index.add_frame(number, *offset as u64, &frame);
        }
    }
    index
}

fn read_from(segments: &[Segment], segment: u32, offset: u64, lines: &mut [u8]) {
    let begin = usize::try_from(offset).expect("in memory");
    lines.copy_from_slice(&segments[segment as usize].bytes[begin..begin + lines.len()]);
}

/// The oracle: line by line, oldest first.
fn apply_naively(pages: &mut [[u8; PAGE_BYTES]], change: &Change) {
    let (page_id, fresh, mask, fill) = *change;
    let page = &mut pages[page_id as usize];
    if fresh {
        page.fill(0);
    }
    for (line, bytes) in page.chunks_mut(64).enumerate() {
        if mask >> line & 1 == 1 {
            bytes.fill(fill);
        }
    }
}

fn any_mask() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0u32..64).prop_map(|line| 1 << line),
        Just(u64::MAX),
        Just(0xFF00),
        Just(0)
    ]
}

prop_compose! {
    /// The changes of one epoch, each page at most once, in any order.
    fn any_epoch()(
        changes in prop::collection::btree_map(
            0..PAGE_COUNT, (prop::bool::weighted(0.2), any_mask(), 1u8..), 0..6),
        backwards in any::<bool>(),
    ) -> Vec<Change> {
        let mut changes: Vec<Change> = changes
            .into_iter()
            .map(|(page_id, (fresh, mask, fill))| {
                // Only a fresh page may come without lines.
                (page_id, fresh, mask.max(u64::from(!fresh)), fill)
            })
            .collect();
        if backwards {
            changes.reverse();
        }
        changes
    }
}

proptest! {
    #[test]
    fn fold_equals_naive_application(epochs in prop::collection::vec(any_epoch(), 0..8)) {
        let segments: Vec<Segment> = epochs
            .iter()
            .enumerate()
            .map(|(number, changes)| write_segment(number, changes))
            .collect();
        let mut oracle = vec![[0xBB; PAGE_BYTES]; PAGE_COUNT as usize];
        epochs.iter().flatten().for_each(|change| apply_naively(&mut oracle, change));

        let plan = index_of(&segments).finish();
        let needed = epochs.iter().flatten().map(|change| change.0 + 1).max().unwrap_or(0);
        prop_assert_eq!(plan.page_count_needed(), needed);
        for (page_id, expected) in (0..).zip(&oracle) {
            let mut page = [0xBB; PAGE_BYTES];
            let mut read_lines = |segment, offset, lines: &mut [u8]| {
                read_from(&segments, segment, offset, lines);
                Ok::<(), FormatError>(())
            };
            plan.merge_page(page_id, &mut page, &mut read_lines).unwrap();
            prop_assert!(page == *expected, "page={}", page_id);
        }
    }
}

#[test]
fn order_of_reading_the_frames_does_not_matter() {
    let segments: Vec<Segment> = (0..3)
        .map(|number: u8| write_segment(usize::from(number), &[(0, false, 0b11 << number, number)]))
        .collect();
    let mut index = ChainIndex::new(0, vec!["delta".to_owned(); 3]);
    for number in [2u32, 0, 1] {
        let expected = expectation(number as usize, 0, 0);
        let bytes = &segments[number as usize].bytes;
        index.add_frame(number, 0, &read_frame(bytes, &expected).unwrap().0);
    }
    let mut page = [9; PAGE_BYTES];
    let mut read_lines = |segment, offset, lines: &mut [u8]| {
        read_from(&segments, segment, offset, lines);
        Ok::<(), FormatError>(())
    };
    index
        .finish()
        .merge_page(0, &mut page, &mut read_lines)
        .unwrap();
    assert_eq!(
        [page[0], page[64], page[128], page[192], page[256]],
        [0, 1, 2, 2, 9]
    );
}

#[test]
fn lines_that_later_segments_replace_are_not_read() {
    let segments = [
        write_segment(0, &[(0, false, 0b11, 1)]),
        write_segment(1, &[(0, false, 0b10, 2)]),
        write_segment(2, &[(0, true, 0b01, 3)]),
        write_segment(3, &[(0, false, 0b01, 4)]),
    ];
    let plan = index_of(&segments).finish();
    let mut page = [9; PAGE_BYTES];
    let mut seen = Vec::new();
    let mut read_lines = |segment, offset, lines: &mut [u8]| {
        seen.push(segment);
        read_from(&segments, segment, offset, lines);
        Ok::<(), FormatError>(())
    };
    plan.merge_page(0, &mut page, &mut read_lines).unwrap();
    assert_eq!(
        seen,
        [3],
        "the fresh page of segment 2 hides 0 and 1, its line is replaced by 3"
    );
    assert_eq!((page[0], page[64], page[4095]), (4, 0, 0));
}

#[test]
fn line_damaged_between_the_two_reads_is_refused() {
    let segments = [write_segment(0, &[(3, false, 0b101, 1)])];
    let plan = index_of(&segments).finish();
    let mut read_lines = |segment, offset, lines: &mut [u8]| {
        read_from(&segments, segment, offset, lines);
        lines[70] ^= 4;
        Ok::<(), FormatError>(())
    };
    let error = plan
        .merge_page(3, &mut [0; PAGE_BYTES], &mut read_lines)
        .expect_err("a bit is flipped");
    assert!(
        error
            .to_string()
            .contains("file=delta-0 offset=80: lines read again"),
        "{error}"
    );
}

#[test]
fn error_of_the_reader_is_handed_on() {
    #[derive(Debug, PartialEq)]
    struct Failed;
    impl From<FormatError> for Failed {
        fn from(_: FormatError) -> Self {
            panic!("nothing was read")
        }
    }
    let segments = [write_segment(0, &[(3, false, 1, 1)])];
    let plan = index_of(&segments).finish();
    let mut read_lines = |_, _, _: &mut [u8]| Err(Failed);
    assert_eq!(
        plan.merge_page(3, &mut [0; PAGE_BYTES], &mut read_lines),
        Err(Failed)
    );
    assert_eq!(
        plan.merge_page(2, &mut [0; PAGE_BYTES], &mut read_lines),
        Ok(())
    );
}
