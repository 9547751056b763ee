//! A reader's thread ends with the reader. Alone in its program, so that nobody else's threads
//! count.

use std::time::{Duration, Instant};

use frazil_io::text::{Line, TextInput};

/// Threads of this process by their names, of which the kernel keeps 15 bytes.
fn read_ahead_thread_count() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").expect("proc is mounted");
    let names = threads.filter_map(|entry| {
        // A thread that ended in between has no name any more.
        std::fs::read_to_string(entry.expect("proc can be listed").path().join("comm")).ok()
    });
    names.filter(|name| name.starts_with("frazil-read")).count()
}

#[test]
fn dropping_a_reader_ends_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.txt");
    std::fs::write(&path, "a line of text\n".repeat(300_000)).unwrap();
    let input = TextInput::list([path]).unwrap();
    let mut reader = input.read(input.ranges(1)[0], 1_000, None).unwrap();
    while reader.next_line().unwrap() == Line::NotReady {
        std::thread::yield_now();
    }
    assert_eq!(read_ahead_thread_count(), 1);
    drop(reader);
    let deadline = Instant::now() + Duration::from_secs(20);
    while read_ahead_thread_count() > 0 {
        assert!(Instant::now() < deadline, "the thread is still there");
        std::thread::yield_now();
    }
}
