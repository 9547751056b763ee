//! CSV rows and the files they end up in.

use std::sync::Arc;

use frazil_io::storage::{MemoryStorage, Storage};

use crate::flow::Keyed;
use crate::sink::{CsvFiles, CsvWriter, Restored, Sink, SinkWriter};

type Pair = Keyed<str, u64>;

fn writer() -> CsvWriter {
    Sink::<Pair>::writer(&CsvFiles::new("unused")).unwrap()
}

fn append(writer: &mut CsvWriter, rows: &mut Vec<u8>, key: &str, value: u64) {
    SinkWriter::<Pair>::write(writer, (key, &value), rows).unwrap();
}

fn content(storage: &MemoryStorage, name: &str) -> Vec<u8> {
    let file = storage.open(name).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length_bytes()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn quoted_fields_read_back_as_they_were() {
    let keys = [
        "plain",
        "",
        "with, comma",
        "with \"quotes\"",
        "two\nlines",
        "\r",
        " \u{e9} ",
    ];
    let mut rows = b"earlier,0\n".to_vec();
    let mut writer = writer();
    for (count, key) in (1..).zip(keys) {
        append(&mut writer, &mut rows, key, count);
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(&rows[..]);
    let found: Vec<(String, u64)> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(found[0], ("earlier".to_owned(), 0));
    let expected: Vec<(String, u64)> = keys.map(str::to_owned).into_iter().zip(1..).collect();
    assert_eq!(found[1..], expected);
}

#[test]
fn one_writer_serves_any_number_of_buffers() {
    let mut writer = writer();
    let mut buffers = [Vec::new(), Vec::new()];
    for count in 0..10 {
        append(
            &mut writer,
            &mut buffers[usize::from(count % 2 == 1)],
            "a",
            count,
        );
    }
    assert_eq!(buffers[0], b"a,0\na,2\na,4\na,6\na,8\n");
    assert_eq!(buffers[1], b"a,1\na,3\na,5\na,7\na,9\n");
}

#[test]
fn a_record_without_a_row_is_refused_and_says_why() {
    let mut writer = writer();
    let mut rows = Vec::new();
    SinkWriter::<Vec<u64>>::write(&mut writer, &vec![1, 2], &mut rows).unwrap();
    let error = SinkWriter::<Vec<u64>>::write(&mut writer, &vec![1, 2, 3], &mut rows).unwrap_err();
    assert!(error.is_fatal());
    assert!(
        error
            .to_string()
            .starts_with("a record cannot be written as csv"),
        "{error}"
    );
}

#[test]
fn the_committed_files_are_those_of_the_restored_checkpoint() {
    let storage = MemoryStorage::new();
    let sink = CsvFiles::new("unused")
        .header(["word", "a \"count\""])
        .storage(Arc::new(storage.clone()));
    let mut committer = Sink::<Pair>::committer(&sink).unwrap();
    committer.recover(None).unwrap();
    let mut writer = Sink::<Pair>::writer(&sink).unwrap();
    let mut lists = Vec::new();
    for epoch in 1..=2 {
        let mut rows = Vec::new();
        append(&mut writer, &mut rows, "ice", epoch);
        committer.stage(epoch, &rows).unwrap();
        lists.push(committer.pre_commit(epoch).unwrap());
        committer.commit(epoch).unwrap();
    }
    assert!(committer.can_retract());
    assert_eq!(
        storage.list().unwrap(),
        ["part-0000000001.csv", "part-0000000002.csv"]
    );
    let expected = b"word,\"a \"\"count\"\"\"\nice,1\n";
    assert_eq!(content(&storage, "part-0000000001.csv"), expected);
    let mut committer = Sink::<Pair>::committer(&sink).unwrap();
    let error = committer.recover(None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("2 committed files of another run"),
        "{error}"
    );
    let restored = Restored {
        checkpoint: 1,
        pre_commit: &lists[0],
    };
    committer.recover(Some(restored)).unwrap();
    let names = [".retracted/part-0000000002.csv", "part-0000000001.csv"];
    assert_eq!(storage.list().unwrap(), names);
}

#[test]
fn two_jobs_cannot_write_to_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let sink = CsvFiles::new(folder.path());
    let first = Sink::<Pair>::committer(&sink).unwrap();
    let error = Sink::<Pair>::committer(&sink)
        .err()
        .expect("the folder is locked");
    assert!(
        error.to_string().contains("is in use by process"),
        "{error}"
    );
    drop(first);
    Sink::<Pair>::committer(&sink).unwrap();
}
