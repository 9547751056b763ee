//! Every line of an input is read exactly once, however it is cut and wherever reading is resumed.

use crate::support::{lines, next_line, reference, rest, write_files};
use frazil_io::text::{TextInput, TextPosition, TextRange};
use proptest::prelude::*;

/// Line ends, parts of a two-byte character, and a byte that is never UTF-8.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![b'a', b'b', b'\n', b'\n', b'\r', 0xc3, 0xa9, 0xff]);
    prop::collection::vec(byte, 0..24)
}

fn whole(input: &TextInput) -> TextRange {
    TextRange {
        start: 0,
        end: input.length_bytes(),
    }
}

#[test]
fn a_character_is_not_put_together_from_two_files() {
    let contents = [b"\xc3".to_vec(), b"\xa9a".to_vec()];
    let folder = tempfile::tempdir().unwrap();
    let input = TextInput::list(write_files(&folder, &contents)).unwrap();
    let found = lines(&input, whole(&input), 1, None);
    assert_eq!(found, reference(&contents));
    assert_eq!(found, ["\u{fffd}", "\u{fffd}a"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn two_ranges_cut_anywhere_give_every_line_once(
        contents in prop::collection::vec(content(), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let input = TextInput::list(write_files(&folder, &contents)).unwrap();
        let expected = reference(&contents);
        for cut in 0..=input.length_bytes() {
            let mut found = lines(&input, TextRange { start: 0, end: cut }, 1, None);
            let back = TextRange { start: cut, end: input.length_bytes() };
            found.extend(lines(&input, back, 1, None));
            prop_assert_eq!(&found, &expected, "cut at {}", cut);
        }
    }

    #[test]
    fn any_number_of_ranges_gives_every_line_once(
        contents in prop::collection::vec(content(), 1..4),
        count in 1_usize..40,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let input = TextInput::list(write_files(&folder, &contents)).unwrap();
        let ranges = input.ranges(count);
        let found: Vec<String> =
            ranges.into_iter().flat_map(|range| lines(&input, range, 1, None)).collect();
        prop_assert_eq!(found, reference(&contents));
    }

    #[test]
    fn reading_resumes_behind_any_line(
        contents in prop::collection::vec(content(), 1..4),
        start in 0_u64..20,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let input = TextInput::list(write_files(&folder, &contents)).unwrap();
        let end = input.length_bytes();
        let range = TextRange { start: start.min(end), end };
        let expected = lines(&input, range, 2, None);
        for taken in 0..=expected.len() {
            let mut reader = input.read(range, 2, None).unwrap();
            for line in &expected[..taken] {
                let found = next_line(&mut reader).unwrap();
                prop_assert_eq!(found.as_ref(), Some(line));
            }
            let found = lines(&input, range, 2, Some(reader.position()));
            prop_assert_eq!(&found, &expected[taken..], "after {} lines", taken);
        }
    }
}

/// Lines of many lengths, some longer than a block, none alike.
fn long_text(length_bytes_min: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for index in 0_usize.. {
        if text.len() >= length_bytes_min {
            break;
        }
        let length = match index % 97 {
            96 => 700_000,
            95 => 0,
            other => other * other % 400,
        };
        text.extend_from_slice(format!("{index}:").as_bytes());
        text.extend(std::iter::repeat_n(b'x', length));
        text.push(b'\n');
    }
    text
}

#[test]
fn lines_longer_than_a_block_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let contents = vec![long_text(5_000_000), long_text(300_000)];
    let input = TextInput::list(write_files(&folder, &contents)).unwrap();
    let expected = reference(&contents);
    for count in [1, 7] {
        let ranges = input.ranges(count);
        let found: Vec<String> = ranges
            .into_iter()
            .flat_map(|range| lines(&input, range, 1, None))
            .collect();
        assert!(found == expected, "{count} ranges");
    }
}

#[test]
fn positions_across_blocks_resume_with_the_next_line() {
    let folder = tempfile::tempdir().unwrap();
    let contents = vec![long_text(1_500_000)];
    let input = TextInput::list(write_files(&folder, &contents)).unwrap();
    let expected = reference(&contents);
    let mut reader = input.read(whole(&input), 1, None).unwrap();
    for taken in 0..expected.len() {
        if taken % 151 == 0 {
            let found = lines(&input, whole(&input), 1, Some(reader.position()));
            assert!(found == expected[taken..], "after {taken} lines");
        }
        next_line(&mut reader).unwrap();
    }
}

#[test]
fn rounds_repeat_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let input = TextInput::list(write_files(&folder, &[b"one\ntwo".to_vec()])).unwrap();
    assert_eq!(lines(&input, whole(&input), 0, None), [""; 0]);
    assert_eq!(
        lines(&input, whole(&input), 3, None),
        ["one", "two", "one", "two", "one", "two"]
    );
    let many = lines(&input, whole(&input), 200_000, None);
    assert_eq!(many.len(), 400_000);
}

#[test]
fn a_range_inside_a_line_ends_after_any_number_of_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let input = TextInput::list(write_files(&folder, &[b"one long line\n".to_vec()])).unwrap();
    let inside = TextRange { start: 4, end: 8 };
    assert_eq!(lines(&input, inside, u64::MAX, None), [""; 0]);
}

#[test]
fn bytes_that_are_not_text_are_replaced_and_positions_stay_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let content = b"ice\nfr\xffzil\r\n\xf0\x9f\x92\nend".to_vec();
    let input = TextInput::list(write_files(&folder, &[content])).unwrap();
    let mut reader = input.read(whole(&input), 1, None).unwrap();
    let expected = [
        ("ice", 4),
        ("fr\u{fffd}zil", 12),
        ("\u{fffd}", 16),
        ("end", 19),
    ];
    for (line, offset) in expected {
        assert_eq!(next_line(&mut reader).unwrap().as_deref(), Some(line));
        assert_eq!(reader.position(), TextPosition { round: 0, offset });
    }
    assert_eq!(rest(&mut reader), [""; 0]);
}
