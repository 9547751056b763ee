//! Which files are read, what a fingerprint notices, and what is said about files that cannot be
//! read.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{lines, next_line, write_files};
use frazil_io::text::{TextError, TextInput, TextRange};

#[test]
fn folders_are_listed_whole_and_sorted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("b/inner")).unwrap();
    for (name, text) in [
        ("c.txt", "4"),
        ("b/inner/z.txt", "3"),
        ("b/a.txt", "2"),
        ("a.txt", "1"),
    ] {
        fs::write(root.join(name), text).unwrap();
    }
    symlink(root.join("a.txt"), root.join("d.txt")).unwrap();
    symlink(root.join("nowhere"), root.join("e.txt")).unwrap();
    symlink(root, root.join("b/loop")).unwrap();
    let input = TextInput::list([root.join("c.txt"), root.to_owned()]).unwrap();
    let whole = TextRange {
        start: 0,
        end: input.length_bytes(),
    };
    assert_eq!(lines(&input, whole, 1, None), ["1", "2", "3", "4", "1"]);
    assert_eq!(input.files()[1].path, root.join("b/a.txt"));
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.txt");
    let error = TextInput::list([&missing]).unwrap_err();
    assert!(matches!(&error, TextError::Unreadable { path, .. } if *path == missing));
    let error = TextInput::list([folder.path()]).unwrap_err();
    assert!(matches!(error, TextError::NoFiles { .. }));
    let error = TextInput::list(["/dev/null"]).unwrap_err();
    assert!(matches!(error, TextError::NotAFile { .. }));
}

#[test]
fn the_fingerprint_notices_names_lengths_and_both_ends_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = vec![b'x'; 300_000];
    let path = write_files(&folder, &[content.clone()]).remove(0);
    let fingerprint = || TextInput::list([&path]).unwrap().fingerprint().unwrap();
    let listing_crc = || TextInput::list([&path]).unwrap().listing_crc();
    let (before, listing) = (fingerprint(), listing_crc());
    assert_eq!(fingerprint(), before);
    for (index, is_noticed) in [(0, true), (65_535, true), (150_000, false), (299_999, true)] {
        content[index] = b'y';
        fs::write(&path, &content).unwrap();
        assert_eq!(fingerprint() != before, is_noticed, "byte {index}");
        assert_eq!(listing_crc(), listing);
        content[index] = b'x';
    }
    content.push(b'x');
    fs::write(&path, &content).unwrap();
    assert_ne!(listing_crc(), listing);
    fs::write(folder.path().join("more.txt"), "").unwrap();
    let folder_input = TextInput::list([folder.path()]).unwrap();
    assert_ne!(folder_input.fingerprint().unwrap(), fingerprint());
}

#[test]
fn a_file_that_shrinks_is_named_with_the_offset_behind_its_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let contents = [b"one\ntwo\n".to_vec(), b"three\nfour\n".to_vec()];
    let paths = write_files(&folder, &contents);
    let input = TextInput::list(&paths).unwrap();
    fs::write(&paths[1], "three\n").unwrap();
    let whole = TextRange {
        start: 0,
        end: input.length_bytes(),
    };
    let mut reader = input.read(whole, 1, None).unwrap();
    assert_eq!(next_line(&mut reader).unwrap().as_deref(), Some("one"));
    assert_eq!(next_line(&mut reader).unwrap().as_deref(), Some("two"));
    for _ in 0..2 {
        match next_line(&mut reader).unwrap_err() {
            TextError::Shrunk {
                path,
                offset,
                expected_bytes,
                found_bytes,
            } => {
                assert_eq!(path, paths[1]);
                assert_eq!((offset, expected_bytes, found_bytes), (0, 11, 6));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(reader.position().offset, 8);
}

#[test]
fn a_file_that_vanishes_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write_files(&folder, &[b"one\n".to_vec()]);
    let input = TextInput::list(&paths).unwrap();
    fs::remove_file(&paths[0]).unwrap();
    let mut reader = input.read(input.ranges(1)[0], 1, None).unwrap();
    let error = next_line(&mut reader).unwrap_err();
    assert!(error.to_string().contains("0000.txt"), "{error}");
    assert!(matches!(
        error,
        TextError::Unreadable { action: "open", .. }
    ));
}
