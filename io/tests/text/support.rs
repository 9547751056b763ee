//! What the tests of text input share.

use std::path::PathBuf;
use std::thread;

use frazil_io::text::{Line, LineReader, TextError, TextInput, TextPosition, TextRange};

/// Files with these contents in a fresh folder, named so that they sort in this order.
pub(crate) fn write_files(folder: &tempfile::TempDir, contents: &[Vec<u8>]) -> Vec<PathBuf> {
    let write = |(index, content): (usize, &Vec<u8>)| {
        let path = folder.path().join(format!("{index:04}.txt"));
        std::fs::write(&path, content).expect("a writable folder");
        path
    };
    contents.iter().enumerate().map(write).collect()
}

/// The next line; waits for the read-ahead thread.
pub(crate) fn next_line(reader: &mut LineReader) -> Result<Option<String>, TextError> {
    loop {
        match reader.next_line()? {
            Line::Text(line) => return Ok(Some(line.to_owned())),
            Line::NotReady => thread::yield_now(),
            Line::End => return Ok(None),
        }
    }
}

/// All lines that are left.
pub(crate) fn rest(reader: &mut LineReader) -> Vec<String> {
    std::iter::from_fn(|| next_line(reader).expect("readable files")).collect()
}

/// All lines of a range.
pub(crate) fn lines(
    input: &TextInput,
    range: TextRange,
    rounds: u64,
    from: Option<TextPosition>,
) -> Vec<String> {
    rest(&mut input.read(range, rounds, from).expect("a thread"))
}

/// The lines of files, without any of the code under test.
pub(crate) fn reference(contents: &[Vec<u8>]) -> Vec<String> {
    let mut lines = Vec::new();
    for content in contents {
        let mut pieces: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
        if pieces.last().is_some_and(|last| last.is_empty()) {
            pieces.pop();
        }
        for piece in pieces {
            let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
            lines.push(String::from_utf8_lossy(piece).into_owned());
        }
    }
    lines
}
