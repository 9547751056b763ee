//! Frames: what was captured comes back, and nothing else is taken for it.

mod format_support;

use format_support::{assert_all_damage_is_refused, assert_resealed_damage_is_survived, reseal};
use frazil_state::format::{
    Chunk, FormatError, FrameAddress, FrameExpectation, HEADER_BYTES, MAX_FRAME_BODY_BYTES,
    PAGE_ID_END, frame_length, read_frame,
};
use frazil_state::{LINE_BYTES, PAGE_BYTES};
use proptest::prelude::*;

const ADDRESS: FrameAddress = FrameAddress {
    file_id: 0x0102_0304_0506_0708,
    epoch: 77,
    frame_index: 5,
    shard: 3,
};

const EXPECTED: FrameExpectation<'static> = FrameExpectation {
    file: "delta-77",
    file_id: ADDRESS.file_id,
    epoch: ADDRESS.epoch,
    frame_index: ADDRESS.frame_index,
    offset_in_file: 4096,
};

fn numbered_page(first: u8) -> [u8; PAGE_BYTES] {
    std::array::from_fn(|at| first.wrapping_add((at / LINE_BYTES).to_le_bytes()[0]))
}

fn small_frame() -> Vec<u8> {
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    chunk.push(9, false, 0b1001, &numbered_page(1));
    chunk.push(2, true, 0, &numbered_page(2));
    chunk.push(0, true, 1 << 63, &numbered_page(3));
    chunk.seal(ADDRESS).to_vec()
}

fn decode(bytes: &[u8]) -> Result<(), FormatError> {
    let (frame, length) = read_frame(bytes, &EXPECTED)?;
    assert!(length <= bytes.len());
    let mut page = [0; PAGE_BYTES];
    let count = frame.pages().map(|delta| delta.apply(&mut page)).count();
    assert_eq!(count, frame.page_count() as usize);
    Ok(())
}

fn message_of(bytes: &[u8], expected: &FrameExpectation<'_>) -> String {
    match read_frame(bytes, expected) {
        Ok(_) => panic!("the frame was accepted"),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #[test]
    fn pushed_lines_come_back(
        entries in prop::collection::vec(
            (0..PAGE_ID_END, any::<bool>(), any::<u64>(), any::<u8>()), 0..20),
        sparse in any::<bool>(),
    ) {
        let mut chunk = Chunk::with_capacity(128 << 10);
        let mut pushed = Vec::new();
        for (page_id, fresh, mut mask, first) in entries {
            if sparse {
                mask &= mask << 3 & mask >> 5;
            }
            if mask != 0 || fresh {
                chunk.push(page_id, fresh, mask, &numbered_page(first));
                pushed.push((page_id, fresh, mask, first));
            }
        }
        let body_bytes = chunk.body_bytes();
        let bytes = chunk.seal(ADDRESS);
        prop_assert_eq!(bytes.len(), HEADER_BYTES + body_bytes);
        let (frame, length) = read_frame(bytes, &EXPECTED).unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(frame.shard(), ADDRESS.shard);
        prop_assert_eq!(frame.page_count() as usize, pushed.len());
        for (delta, (page_id, fresh, mask, first)) in frame.pages().zip(pushed) {
            prop_assert_eq!((delta.page_id, delta.fresh, delta.mask), (page_id, fresh, mask));
            let at = delta.lines_offset;
            prop_assert_eq!(&bytes[at..at + delta.lines.len()], delta.lines);
            let mut page = [0xEE; PAGE_BYTES];
            delta.apply(&mut page);
            let captured = numbered_page(first);
            for line in 0..64 {
                let range = line * LINE_BYTES..(line + 1) * LINE_BYTES;
                let untouched = [if fresh { 0 } else { 0xEE }; LINE_BYTES];
                let is_set = mask >> line & 1 == 1;
                let expected = if is_set { &captured[range.clone()] } else { &untouched[..] };
                prop_assert_eq!(&page[range], expected);
            }
        }
    }
}

#[test]
fn whole_page_comes_back() {
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    assert!(chunk.has_room(u64::MAX));
    chunk.push(1, false, u64::MAX, &numbered_page(7));
    assert!(
        !chunk.has_room(0),
        "the smallest chunk holds one whole page"
    );
    let bytes = chunk.seal(ADDRESS);
    let (frame, _) = read_frame(bytes, &EXPECTED).unwrap();
    let mut page = [0; PAGE_BYTES];
    frame.pages().for_each(|delta| delta.apply(&mut page));
    assert_eq!(page, numbered_page(7));
}

#[test]
fn cleared_chunk_makes_the_same_frame_as_a_new_one() {
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    chunk.push(5, false, u64::MAX, &numbered_page(7));
    chunk.seal(ADDRESS);
    chunk.clear();
    assert!(chunk.is_empty() && chunk.body_bytes() == 0 && chunk.page_count() == 0);
    chunk.push(1, false, 1, &numbered_page(1));
    let mut new = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    new.push(1, false, 1, &numbered_page(1));
    assert_eq!(chunk.seal(ADDRESS), new.seal(ADDRESS));
}

#[test]
#[should_panic(expected = "no room in chunk")]
fn full_chunk_refuses_a_page() {
    let mut chunk = Chunk::with_capacity(Chunk::MIN_CAPACITY_BYTES);
    chunk.push(1, false, u64::MAX, &numbered_page(1));
    chunk.push(2, false, 1, &numbered_page(1));
}

#[test]
fn frames_are_read_one_after_another() {
    let frame = small_frame();
    let mut segment = frame.clone();
    segment.extend_from_slice(&frame);
    let (_, length) = read_frame(&segment, &EXPECTED).unwrap();
    assert_eq!(length, frame.len());
    let header = segment.first_chunk().expect("a frame has a header");
    assert_eq!(frame_length(header, &EXPECTED).unwrap(), frame.len());
}

#[test]
fn damaged_frame_is_refused() {
    assert_all_damage_is_refused(&small_frame(), &decode);
}

#[test]
fn hostile_frame_with_a_right_checksum_is_survived() {
    assert_resealed_damage_is_survived(&small_frame(), &|_| 0..64, &decode);
}

#[test]
fn valid_frame_at_another_place_is_refused() {
    let frame = small_frame();
    let other_file = FrameExpectation {
        file_id: 1,
        ..EXPECTED
    };
    let message = message_of(&frame, &other_file);
    assert!(
        message.contains("file=delta-77 offset=4112: file id: expected 1, found 72623859790382856")
    );
    let other_epoch = FrameExpectation {
        epoch: 78,
        ..EXPECTED
    };
    assert!(message_of(&frame, &other_epoch).contains("epoch: expected 78, found 77"));
    let other_index = FrameExpectation {
        frame_index: 0,
        ..EXPECTED
    };
    assert!(message_of(&frame, &other_index).contains("frame index: expected 0, found 5"));
}

#[test]
fn other_version_is_named() {
    let mut frame = small_frame();
    frame[8] = 2;
    let error = read_frame(&frame, &EXPECTED).expect_err("version 2 is unknown");
    assert!(matches!(
        error,
        FormatError::Version {
            found: 2,
            supported: 1,
            ..
        }
    ));
}

#[test]
fn hostile_length_is_refused_before_anything_is_read() {
    let mut frame = small_frame();
    let over = u32::try_from(MAX_FRAME_BODY_BYTES).unwrap() + 1;
    for length in [over, u32::MAX] {
        frame[44..48].copy_from_slice(&length.to_le_bytes());
        let header = frame.first_chunk().expect("a frame has a header");
        let error = frame_length(header, &EXPECTED).expect_err("too long");
        assert!(
            error
                .to_string()
                .contains("body length: expected at most 1048576 bytes")
        );
        assert!(message_of(&frame, &EXPECTED).contains("body length"));
    }
}

#[test]
fn impossible_entries_are_refused_behind_a_right_checksum() {
    let cases: [(usize, &[u8], &str); 7] = [
        (64, &PAGE_ID_END.to_le_bytes(), "page id"),
        (68, &2u32.to_le_bytes(), "flags"),
        (72, &u64::MAX.to_le_bytes(), "page entry"),
        (40, &2u32.to_le_bytes(), "end of entries"),
        (40, &u32::MAX.to_le_bytes(), "page entry"),
        (38, &[1], "reserved byte"),
        (63, &[1], "reserved byte"),
    ];
    for (at, bytes, what) in cases {
        let mut frame = small_frame();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        reseal(&mut frame, 0..64);
        let message = message_of(&frame, &EXPECTED);
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn entry_without_lines_must_be_fresh() {
    let mut frame = small_frame();
    // The second entry is fresh and empty.
    let flags_at = HEADER_BYTES + 16 + 2 * LINE_BYTES + 4;
    assert_eq!(frame[flags_at], 1);
    frame[flags_at] = 0;
    reseal(&mut frame, 0..64);
    let message = message_of(&frame, &EXPECTED);
    assert!(
        message.contains("line mask of a page that is not fresh"),
        "{message}"
    );
}
